/* The envelope: a frame that is read can be written and says the same again. */
#include "proto/batch.h"
#include "tests/fuzz/targets.h"

#include <stdlib.h>
#include <string.h>

static void check_same(const struct leat_batch *a, const struct leat_batch *b)
{
    const struct leat_batch_head *x = &a->head, *y = &b->head;
    FUZZ_CHECK(strcmp(x->stage, y->stage) == 0 && strcmp(x->kind, y->kind) == 0);
    FUZZ_CHECK(memcmp(x->origin, y->origin, LEAT_ID_SIZE) == 0);
    FUZZ_CHECK(memcmp(x->run, y->run, LEAT_ID_SIZE) == 0);
    FUZZ_CHECK(x->seq == y->seq && x->stamp == y->stamp && x->attempt == y->attempt);
    FUZZ_CHECK(x->count == y->count);
    FUZZ_CHECK(memcmp(x->fingerprint, y->fingerprint, LEAT_FINGERPRINT_SIZE) == 0);
    for (uint32_t i = 0; i < x->count; i++) {
        FUZZ_CHECK(fuzz_same(a->items[i].record, b->items[i].record));
        FUZZ_CHECK(fuzz_same(a->items[i].result, b->items[i].result));
        FUZZ_CHECK(fuzz_same(a->items[i].derived, b->items[i].derived));
        FUZZ_CHECK(fuzz_same(a->items[i].error, b->items[i].error));
    }
}

static void check_again(const struct leat_batch *batch)
{
    msgpack_sbuffer bytes;
    struct leat_error err;
    msgpack_sbuffer_init(&bytes);
    leat_batch_write(batch, &bytes);
    struct leat_batch *again = leat_batch_read(fuzz_packed(&bytes), NULL, NULL, &err);
    FUZZ_CHECK(again != NULL);
    check_same(batch, again);
    leat_batch_destroy(&again);
    msgpack_sbuffer_destroy(&bytes);
}

/* An error that an item came with stays; one that has none gets it. */
static void check_errors(struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->head.count; i++) {
        struct leat_span stage, code, message, before = batch->items[i].error;
        leat_batch_fail(batch, i, "fuzz", "fuzzed", "because of \xff %.*s",
                        (int)batch->items[i].record.size,
                        (const char *)batch->items[i].record.data);
        struct leat_item *item = &batch->items[i];
        FUZZ_CHECK(before.size == 0 || fuzz_same(item->error, before));
        bool read = leat_item_error(item, batch->zone, &stage, &code, &message);
        if (before.size > 0)
            continue;
        FUZZ_CHECK(read && leat_wire_is(stage, "fuzz") && leat_wire_is(code, "fuzzed"));
        FUZZ_CHECK(leat_wire_text_ok(message) && message.size <= 500);
    }
}

void fuzz_batch(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    uint8_t *frame = malloc(input.size + 1);
    memcpy(frame, input.data, input.size);
    struct leat_batch *batch =
        leat_batch_read((struct leat_span){frame, input.size}, frame, free, &err);
    FUZZ_CHECK((batch == NULL) == (err.text[0] != '\0'));
    if (!batch)
        return;
    FUZZ_CHECK(batch->bytes == input.size);
    check_again(batch);
    for (uint32_t i = 0; i < batch->head.count; i++) {
        msgpack_object record;
        FUZZ_CHECK(leat_wire_unpack(batch->items[i].record, batch->zone, &record, &err));
        leat_batch_version(batch, i, &record);
    }
    check_errors(batch);
    check_again(batch);
    leat_batch_destroy(&batch);
}
