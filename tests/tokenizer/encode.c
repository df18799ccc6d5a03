/* The ids of texts, for tests/tokenizer/compare: `encode TOKENIZER.json MAX < texts`. Each text is
 * its size in bytes in decimal, a newline, and its bytes; each answer a line of ids, with a '*'
 * behind them when the text was cut. */
#include "services/classify/encoder/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct leat_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: encode TOKENIZER.json MAX < texts\n");
        return 2;
    }
    size_t most = strtoul(argv[2], NULL, 10), size;
    struct tokenizer *tokenizer = tokenizer_open(argv[1], &err);
    struct tokenizer_scratch *scratch = tokenizer ? tokenizer_scratch_open(tokenizer, &err) : NULL;
    int32_t *ids = malloc((most + 1) * sizeof *ids);
    if (!scratch || !ids) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    while (scanf("%zu", &size) == 1 && getchar() == '\n') {
        char *text = malloc(size + 1);
        bool cut;
        if (!text || fread(text, 1, size, stdin) != size)
            return 1;
        size_t n = tokenizer_encode(tokenizer, scratch, text, size, most, ids, &cut);
        for (size_t i = 0; i < n; i++)
            printf("%s%d", i ? " " : "", ids[i]);
        puts(cut ? "*" : "");
        free(text);
    }
    free(ids);
    tokenizer_scratch_close(&scratch);
    tokenizer_close(&tokenizer);
    return 0;
}
