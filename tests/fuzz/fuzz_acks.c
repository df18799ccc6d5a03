/* What persist publishes: whatever is read can be written and says the same again. */
#include "proto/acks.h"
#include "tests/fuzz/targets.h"

#include <string.h>

struct seen {
    struct leat_ack acks[64];
    size_t n;
};

static void note(void *arg, const struct leat_ack *ack)
{
    struct seen *self = arg;
    FUZZ_CHECK(leat_wire_name_ok(fuzz_text(ack->kind), LEAT_MAX_KIND));
    if (self->n < sizeof self->acks / sizeof *self->acks)
        self->acks[self->n++] = *ack;
}

void fuzz_acks(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    struct seen first = {.n = 0}, second = {.n = 0};
    uint8_t run[LEAT_ID_SIZE], run_again[LEAT_ID_SIZE];
    bool good = leat_acks_read(input, run, note, &first, &err);
    FUZZ_CHECK(good == (err.text[0] == '\0'));
    if (!good)
        return;
    msgpack_sbuffer bytes;
    msgpack_sbuffer_init(&bytes);
    leat_acks_write(&bytes, run, first.acks, first.n);
    FUZZ_CHECK(leat_acks_read(fuzz_packed(&bytes), run_again, note, &second, &err));
    FUZZ_CHECK(memcmp(run, run_again, sizeof run) == 0 && first.n == second.n);
    for (size_t i = 0; i < first.n; i++) {
        const struct leat_ack *a = &first.acks[i], *b = &second.acks[i];
        FUZZ_CHECK(strcmp(a->kind, b->kind) == 0 && a->seq == b->seq && a->attempt == b->attempt);
        FUZZ_CHECK(a->committed == b->committed && a->dead == b->dead);
    }
    msgpack_sbuffer_destroy(&bytes);
}
