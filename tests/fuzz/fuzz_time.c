/* RFC 3339 times: one that is read is inside years 1 to 9999, and reads the same when it is written
 * out again. */
#include "services/flows/text/record.h"
#include "services/persist/iso.h"
#include "tests/fuzz/targets.h"

void fuzz_time(struct leat_span input)
{
    int64_t us, again;
    char text[ISO_TIME_MAX];
    if (text_time_parse(input, &us)) {
        FUZZ_CHECK(us >= -62135596800000000 && us <= 253402300799999999);
        size_t size = iso_time(us, text);
        FUZZ_CHECK(text_time_parse((struct leat_span){(const uint8_t *)text, size}, &again));
        FUZZ_CHECK(us == again);
    }
    /* Any number can be written. */
    struct leat_span rest = input;
    FUZZ_CHECK(iso_time((int64_t)fuzz_u64(&rest), text) <= ISO_TIME_MAX);
}
