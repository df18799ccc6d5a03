/* Cache fills: whatever is read can be written and says the same again. */
#include "services/flows/fill.h"
#include "tests/fuzz/targets.h"

#include <string.h>

static void add(void *arg, struct leat_span key, struct leat_span value)
{
    FUZZ_CHECK(key.size == LEAT_CACHE_KEY_SIZE);
    leat_fill_add(arg, key.data, value);
}

void fuzz_fill(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    struct leat_fill first, second;
    char kind[LEAT_MAX_KIND + 1];
    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE];
    msgpack_zone zone;
    msgpack_zone_init(&zone, 4096);
    leat_fill_init(&first);
    leat_fill_init(&second);
    bool good = leat_fill_read(input, &zone, kind, fingerprint, add, &first, &err);
    FUZZ_CHECK(good == (err.text[0] == '\0'));
    if (good) {
        char kind_again[LEAT_MAX_KIND + 1];
        uint8_t fingerprint_again[LEAT_FINGERPRINT_SIZE];
        uint32_t count = first.count;
        msgpack_sbuffer one, two;
        msgpack_sbuffer_init(&one);
        msgpack_sbuffer_init(&two);
        leat_fill_write(&first, kind, fingerprint, &one);
        FUZZ_CHECK(first.count == 0);
        FUZZ_CHECK(leat_fill_read(fuzz_packed(&one), &zone, kind_again, fingerprint_again, add,
                                  &second, &err));
        FUZZ_CHECK(second.count == count && strcmp(kind, kind_again) == 0);
        leat_fill_write(&second, kind_again, fingerprint_again, &two);
        FUZZ_CHECK(fuzz_same(fuzz_packed(&one), fuzz_packed(&two)));
        msgpack_sbuffer_destroy(&one);
        msgpack_sbuffer_destroy(&two);
    }
    leat_fill_destroy(&first);
    leat_fill_destroy(&second);
    msgpack_zone_destroy(&zone);
}
