/* How fast tokenizers are on one core: tokens a second of processor time, the best of five rounds.
 *
 *   bench_tokenizer TEXTS TOKENIZER.json ...    (one text a line; what is behind a tab is left out)
 *
 * Prints lines of `name value unit`: tokens a second, texts a second, and milliseconds to open the
 * file, each by the file's name. */
#include "services/classify/encoder/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, TOKENS_MOST = 512 };

struct texts {
    char *bytes;
    size_t size;
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool texts_read(struct texts *texts, const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        return false;
    }
    long end = ftell(file);
    rewind(file);
    texts->bytes = malloc((size_t)end + 1);
    texts->size = texts->bytes ? fread(texts->bytes, 1, (size_t)end, file) : 0;
    fclose(file);
    return texts->size > 0;
}

/* One round over all texts: how many there were, and tokens in *tokens. */
static size_t round_run(const struct tokenizer *tokenizer, struct tokenizer_scratch *scratch,
                        const struct texts *texts, size_t *tokens)
{
    int32_t ids[TOKENS_MOST];
    size_t count = 0;
    *tokens = 0;
    for (size_t at = 0; at < texts->size; count++) {
        const char *line = texts->bytes + at;
        const char *newline = memchr(line, '\n', texts->size - at);
        size_t length = newline ? (size_t)(newline - line) : texts->size - at;
        const char *tab = memchr(line, '\t', length);
        *tokens += tokenizer_encode(tokenizer, scratch, line, tab ? (size_t)(tab - line) : length,
                                    TOKENS_MOST, ids, NULL);
        at += length + 1;
    }
    return count;
}

static bool measure(const struct texts *texts, const char *path)
{
    struct leat_error err;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    int length = (int)strcspn(name, ".");
    double opened = seconds();
    struct tokenizer *tokenizer = tokenizer_open(path, &err);
    opened = seconds() - opened;
    struct tokenizer_scratch *scratch = tokenizer ? tokenizer_scratch_open(tokenizer, &err) : NULL;
    if (!scratch) {
        fprintf(stderr, "%s\n", err.text);
        tokenizer_close(&tokenizer);
        return false;
    }
    size_t tokens = 0, count = 0;
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double start = seconds();
        count = round_run(tokenizer, scratch, texts, &tokens);
        double took = seconds() - start;
        best = took < best ? took : best;
    }
    printf("tokenizer_%.*s_tokens %.0f tokens/s\n", length, name, (double)tokens / best);
    printf("tokenizer_%.*s_texts %.0f texts/s\n", length, name, (double)count / best);
    printf("tokenizer_%.*s_open %.1f ms\n", length, name, 1e3 * opened);
    tokenizer_scratch_close(&scratch);
    tokenizer_close(&tokenizer);
    return true;
}

int main(int argc, char **argv)
{
    struct texts texts = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: bench_tokenizer TEXTS TOKENIZER.json ...\n");
        return 2;
    }
    bool good = texts_read(&texts, argv[1]);
    for (int i = 2; i < argc && good; i++)
        good = measure(&texts, argv[i]);
    free(texts.bytes);
    return good ? 0 : 1;
}
