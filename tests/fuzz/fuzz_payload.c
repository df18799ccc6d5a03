/* A dead letter's payload, as `leat dead` shows it and sends it again: any bytes can be shown, and
 * what can be replayed is one map that the wire takes. */
#include "services/leat/payload.h"
#include "tests/fuzz/targets.h"

#include <stdlib.h>

void fuzz_payload(struct leat_span input)
{
    const struct payload_replay of = {.seq = 7, .record = 3, .version = 1000};
    struct leat_error err = {.text = ""};
    json_t *json = payload_json(input);
    FUZZ_CHECK(json != NULL);
    char *shown = json_dumps(json, JSON_ENCODE_ANY);
    FUZZ_CHECK(shown != NULL);
    free(shown);
    json_decref(json);

    msgpack_sbuffer record;
    msgpack_sbuffer_init(&record);
    if (payload_replay(input, &of, &record, &err))
        FUZZ_CHECK(leat_wire_scan(fuzz_packed(&record), &err) == record.size);
    else
        FUZZ_CHECK(err.text[0] != '\0');
    msgpack_sbuffer_destroy(&record);
}
