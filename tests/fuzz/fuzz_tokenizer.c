/* A tokenizer.json: refused with its place, or read; and then any text becomes ids within bounds,
 * the same each time, and no more of them than there is room for. */
#include "services/classify/encoder/tokenizer.h"
#include "tests/fuzz/targets.h"

#include <string.h>

enum { ROOM = 64 };

static void check_text(const struct tokenizer *tokenizer, struct tokenizer_scratch *scratch,
                       struct leat_span text)
{
    int32_t first[ROOM], again[ROOM];
    bool cut;
    size_t n =
        tokenizer_encode(tokenizer, scratch, (const char *)text.data, text.size, ROOM, first, &cut);
    FUZZ_CHECK(n <= ROOM);
    FUZZ_CHECK(tokenizer_encode(tokenizer, scratch, (const char *)text.data, text.size, ROOM, again,
                                NULL) == n);
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(first[i] >= 0 && first[i] < tokenizer_ids(tokenizer) && first[i] == again[i]);
    size_t specials = tokenizer_specials(tokenizer), less = n > 0 ? n - 1 : 0;
    if (less >= specials)
        FUZZ_CHECK(tokenizer_encode(tokenizer, scratch, (const char *)text.data, text.size, less,
                                    again, &cut) == less &&
                   (cut || n == less));
}

void fuzz_tokenizer(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    struct tokenizer *tokenizer =
        tokenizer_parse((const char *)input.data, input.size, "t.json", &err);
    FUZZ_CHECK(tokenizer || strncmp(err.text, "t.json: ", 8) == 0 ||
               strncmp(err.text, "out of memory", 13) == 0);
    if (!tokenizer)
        return;
    struct tokenizer_scratch *scratch = tokenizer_scratch_open(tokenizer, &err);
    check_text(tokenizer, scratch, input); /* its own tokens stand in it */
    check_text(tokenizer, scratch, (struct leat_span){input.data, input.size / 3});
    check_text(tokenizer, scratch,
               fuzz_text(" Caf\xc3\xa9 cafe\xcc\x81 \xe4\xb8\xad\xef\xac\x81 'll 12345\n\n \xf0\x9f"
                         "\x98\x80\xff [CLS] ab aab\xe2\x96\x81"));
    tokenizer_scratch_close(&scratch);
    tokenizer_close(&tokenizer);
}
