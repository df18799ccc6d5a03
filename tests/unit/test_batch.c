#include "proto/batch.h"
#include "tests/unit/bytes.h"

#include <stdalign.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct leat_batch_head sample_head = {
    .stage = "classify",
    .kind = "text",
    .origin = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .run = {255, 254, 253},
    .seq = 0x123456789abcdef0,
    .stamp = 1790000000000000,
    .attempt = 3,
    .count = 3,
};

/* Three items: one with everything, one with a record only, one that failed. */
static void write_sample(msgpack_sbuffer *to)
{
    leat_batch_write_head(&sample_head, to);
    leat_batch_write_item(&(struct leat_item){.record = bytes_text("\x81\xa2id\xa1x"),
                                              .result = bytes_text("\x81\xa1r\x01"),
                                              .derived = bytes_text("\x92\x01\x02")},
                          to);
    leat_batch_write_item(&(struct leat_item){.record = bytes_span("\x00", 1)}, to);
    leat_batch_write_item(&(struct leat_item){.record = bytes_text("\x81\xa2id\xa1y"),
                                              .error = bytes_text("\x83\xa5stage\xa6"
                                                                  "ingest\xa4"
                                                                  "code\xa1z\xa7message\xa3why")},
                          to);
}

/* Reads a copy that the batch owns and frees. */
static struct leat_batch *read_copy(const void *data, size_t size, struct leat_error *err)
{
    uint8_t *copy = bytes_copy(data, size);
    return leat_batch_read(bytes_span(copy, size), copy, free, err);
}

static void assert_span(struct leat_span span, const char *text)
{
    assert_int_equal(span.size, strlen(text));
    assert_memory_equal(span.data, text, span.size);
}

static void a_batch_comes_back_as_it_was_written(void **state)
{
    (void)state;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    write_sample(&frame);
    struct leat_error err;
    struct leat_batch *batch = read_copy(frame.data, frame.size, &err);
    assert_non_null(batch);
    assert_string_equal(batch->head.stage, "classify");
    assert_string_equal(batch->head.kind, "text");
    assert_memory_equal(batch->head.origin, sample_head.origin, LEAT_ID_SIZE);
    assert_memory_equal(batch->head.fingerprint, sample_head.fingerprint, LEAT_FINGERPRINT_SIZE);
    assert_memory_equal(batch->head.run, sample_head.run, LEAT_ID_SIZE);
    assert_true(batch->head.seq == sample_head.seq);
    assert_true(batch->head.stamp == sample_head.stamp);
    assert_int_equal(batch->head.attempt, 3);
    assert_int_equal(batch->head.count, 3);
    assert_int_equal(batch->bytes, frame.size);
    assert_span(batch->items[0].record, "\x81\xa2id\xa1x");
    assert_span(batch->items[0].result, "\x81\xa1r\x01");
    assert_span(batch->items[0].derived, "\x92\x01\x02");
    assert_int_equal(batch->items[0].error.size, 0);
    assert_int_equal(batch->items[1].record.size, 1);
    assert_int_equal(batch->items[1].result.size, 0);

    struct leat_span stage, code, message;
    leat_batch_alloc(batch, 0); /* so that there is an arena */
    assert_false(leat_item_error(&batch->items[0], batch->zone, &stage, &code, &message));
    assert_true(leat_item_error(&batch->items[2], batch->zone, &stage, &code, &message));
    assert_span(stage, "ingest");
    assert_span(code, "z");
    assert_span(message, "why");

    msgpack_sbuffer again;
    msgpack_sbuffer_init(&again);
    leat_batch_write(batch, &again);
    assert_int_equal(again.size, frame.size);
    assert_memory_equal(again.data, frame.data, frame.size);
    msgpack_sbuffer_destroy(&again);
    msgpack_sbuffer_destroy(&frame);
    leat_batch_destroy(&batch);
    assert_null(batch);
    leat_batch_destroy(&batch);
}

static void the_largest_head_fits_its_bound(void **state)
{
    (void)state;
    struct leat_batch_head head;
    memset(&head, 0xff, sizeof head);
    memset(head.stage, 's', LEAT_MAX_STAGE);
    memset(head.kind, 'k', LEAT_MAX_KIND);
    head.stage[LEAT_MAX_STAGE] = head.kind[LEAT_MAX_KIND] = '\0';
    head.seq = INT64_MAX;
    head.stamp = INT64_MAX;
    head.count = 0;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&head, &frame);
    assert_true(frame.size + 8 <= LEAT_BATCH_HEAD_MAX);
    struct leat_batch *batch = read_copy(frame.data, frame.size, NULL);
    assert_non_null(batch);
    assert_true(batch->head.seq == head.seq);
    assert_true(batch->head.stamp == head.stamp);
    assert_memory_equal(batch->head.fingerprint, head.fingerprint, LEAT_FINGERPRINT_SIZE);
    leat_batch_destroy(&batch);
    msgpack_sbuffer_destroy(&frame);
}

/* As the journal gives them: the last one that it ever can leaves a version for each record. */
static void stamps_end_where_versions_end(void **state)
{
    (void)state;
    const struct leat_item item = {.record = {(const uint8_t *)"\xc0", 1}};
    for (int over = 0; over < 2; over++) {
        struct leat_batch_head head = sample_head;
        struct leat_error err = {""};
        msgpack_sbuffer frame;
        msgpack_sbuffer_init(&frame);
        head.count = 3;
        head.stamp = INT64_MAX - 3 + over;
        leat_batch_write_head(&head, &frame);
        for (int i = 0; i < 3; i++)
            leat_batch_write_item(&item, &frame);
        struct leat_batch *batch = read_copy(frame.data, frame.size, &err);
        assert_int_equal(batch == NULL, over);
        leat_batch_destroy(&batch);
        msgpack_sbuffer_destroy(&frame);
    }
}

static void a_cut_batch_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    write_sample(&frame);
    for (size_t size = 0; size < frame.size; size++) {
        struct leat_error err = {""};
        assert_null(read_copy(frame.data, size, &err));
        assert_string_not_equal(err.text, "");
    }
    msgpack_pack_nil(&(msgpack_packer){&frame, msgpack_sbuffer_write});
    assert_null(read_copy(frame.data, frame.size, NULL));
    msgpack_sbuffer_destroy(&frame);
}

static void random_and_damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    uint64_t seed = 77;
    uint8_t raw[300];
    for (int i = 0; i < 50000; i++) {
        size_t size = bytes_random(&seed) % sizeof raw;
        bytes_fill(&seed, raw, size);
        struct leat_batch *batch = read_copy(raw, size, NULL);
        leat_batch_destroy(&batch);
    }
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    write_sample(&frame);
    size_t read = 0;
    for (int i = 0; i < 100000; i++) {
        memcpy(raw, frame.data, frame.size);
        for (uint64_t n = 1 + bytes_random(&seed) % 3; n > 0; n--)
            raw[bytes_random(&seed) % frame.size] = (uint8_t)bytes_random(&seed);
        struct leat_batch *batch = read_copy(raw, frame.size, NULL);
        if (batch) {
            read++;
            for (uint32_t k = 0; k < batch->head.count; k++)
                assert_true(batch->items[k].record.size > 0);
        }
        leat_batch_destroy(&batch);
    }
    assert_true(read > 1000);
    msgpack_sbuffer_destroy(&frame);
}

/* A head with one pair of the caller's instead of, or besides, the usual ones. */
static struct leat_batch *read_with(const char *key, struct leat_span value, struct leat_error *err)
{
    static const char *const keys[] = {"v",   "stage", "kind",    "origin", "run",
                                       "seq", "stamp", "attempt", "count"};
    static const char id[] = "\xc4\x10"
                             "0123456789abcdef";
    const struct leat_span values[] = {
        bytes_span("\x01", 1),
        bytes_text("\xa5"
                   "cache"),
        bytes_text("\xa4text"),
        bytes_span(id, 18),
        bytes_span(id, 18),
        bytes_span("\x05", 1),
        bytes_span("\x09", 1),
        bytes_span("\x01", 1),
        bytes_span("\x01", 1),
    };
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    msgpack_packer pack;
    leat_pack_init(&pack, &frame);
    bool known = false;
    for (size_t i = 0; i < 9; i++)
        known |= strcmp(keys[i], key) == 0;
    uint32_t pairs = known ? 9 : 10;
    if (value.size == 0)
        pairs = 8;
    leat_pack_map(&pack, pairs);
    if (!known) {
        leat_pack_cstr(&pack, key);
        leat_pack_raw(&frame, value);
    }
    for (size_t i = 0; i < 9; i++) {
        bool mine = strcmp(keys[i], key) == 0;
        if (mine && value.size == 0)
            continue;
        leat_pack_cstr(&pack, keys[i]);
        leat_pack_raw(&frame, mine ? value : values[i]);
    }
    leat_batch_write_item(&(struct leat_item){.record = bytes_span("\x80", 1)}, &frame);
    struct leat_batch *batch = read_copy(frame.data, frame.size, err);
    msgpack_sbuffer_destroy(&frame);
    return batch;
}

static void a_head_must_be_complete_and_right(void **state)
{
    (void)state;
    static const char *const keys[] = {"v",   "stage", "kind",    "origin", "run",
                                       "seq", "stamp", "attempt", "count"};
    struct leat_batch *batch = read_with("count", bytes_span("\x01", 1), NULL);
    assert_non_null(batch);
    leat_batch_destroy(&batch);
    static const char *const wrong[] = {"\xc0",
                                        "\xff",
                                        "\xa1Q",
                                        "\x90",
                                        "\x80",
                                        "\xc4\x01x",
                                        "\xcb\x3f\xf8\x01\x01\x01\x01\x01\x01"};
    for (size_t i = 0; i < 9; i++) {
        struct leat_error err = {""};
        assert_null(read_with(keys[i], bytes_span("", 0), &err));
        assert_non_null(strstr(err.text, "missing"));
        assert_non_null(strstr(err.text, keys[i]));
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++)
            assert_null(read_with(keys[i], bytes_text(wrong[k]), &err));
    }
}

/* A store has no larger number: what passed here would be stored as a negative one. */
static void seqs_end_with_int64(void **state)
{
    (void)state;
    struct leat_batch *batch =
        read_with("seq", bytes_text("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), NULL);
    assert_non_null(batch);
    assert_true(batch->head.seq == INT64_MAX);
    leat_batch_destroy(&batch);
    static const char *const above[] = {"\xcf\x80\x00\x00\x00\x00\x00\x00\x00",
                                        "\xcf\x80\x00\x00\x00\x00\x00\x00\x05",
                                        "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
        struct leat_error err = {""};
        assert_null(read_with("seq", bytes_span(above[i], 9), &err));
        assert_string_equal(err.text, "head: seq is not what it must be");
    }
}

static void another_version_is_refused(void **state)
{
    (void)state;
    struct leat_error err;
    assert_null(read_with("v", bytes_span("\x02", 1), &err));
    assert_non_null(strstr(err.text, "version"));
    assert_null(read_with("v", bytes_span("\x00", 1), &err));
}

static void unknown_keys_are_ignored_and_the_first_of_equal_ones_counts(void **state)
{
    (void)state;
    struct leat_batch *batch = read_with("later", bytes_text("\x81\xa1x\x91\x01"), NULL);
    assert_non_null(batch);
    leat_batch_destroy(&batch);

    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    struct leat_batch_head head = sample_head;
    head.count = 1;
    leat_batch_write_head(&head, &frame);
    static const char item[] = "\x85\x01\x02\xa6record\x05\xa5newer\x91\x07\xa6record\x06\xa6result"
                               "\x07";
    leat_pack_raw(&frame, bytes_span(item, sizeof item - 1));
    batch = read_copy(frame.data, frame.size, NULL);
    assert_non_null(batch);
    assert_int_equal(batch->items[0].record.data[0], 5);
    assert_int_equal(batch->items[0].result.data[0], 7);
    leat_batch_destroy(&batch);
    msgpack_sbuffer_destroy(&frame);
}

static void a_huge_count_takes_no_memory(void **state)
{
    (void)state;
    struct leat_error err;
    assert_null(read_with("count", bytes_text("\xce\xff\xff\xff\xff"), &err));
    assert_non_null(strstr(err.text, "4294967295 items promised"));
    assert_null(read_with("count", bytes_span("\x00", 1), &err));
    assert_null(read_with("count", bytes_span("\x02", 1), &err));
}

static void an_item_without_a_record_is_refused(void **state)
{
    (void)state;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    struct leat_batch_head head = sample_head;
    head.count = 1;
    leat_batch_write_head(&head, &frame);
    leat_batch_write_item(&(struct leat_item){.result = bytes_text("\xa9no record")}, &frame);
    struct leat_error err;
    assert_null(read_copy(frame.data, frame.size, &err));
    assert_non_null(strstr(err.text, "item 0: record is missing"));
    msgpack_sbuffer_destroy(&frame);
}

static struct leat_batch *sample(void)
{
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    write_sample(&frame);
    struct leat_batch *batch = read_copy(frame.data, frame.size, NULL);
    msgpack_sbuffer_destroy(&frame);
    assert_non_null(batch);
    return batch;
}

static void the_first_error_of_an_item_stays(void **state)
{
    (void)state;
    struct leat_batch *batch = sample();
    leat_batch_fail(batch, 0, "classify", "crashed", "signal %d", 11);
    leat_batch_fail(batch, 0, "persist", "late", "never seen");
    leat_batch_fail(batch, 2, "persist", "late", "never seen");
    struct leat_span stage, code, message;
    assert_true(leat_item_error(&batch->items[0], batch->zone, &stage, &code, &message));
    assert_span(stage, "classify");
    assert_span(code, "crashed");
    assert_span(message, "signal 11");
    assert_true(leat_item_error(&batch->items[2], batch->zone, &stage, &code, &message));
    assert_span(stage, "ingest");
    leat_batch_destroy(&batch);
}

static void an_error_message_is_always_text(void **state)
{
    (void)state;
    struct leat_batch *batch = sample();
    struct leat_span stage, code, message;
    leat_batch_fail(batch, 0, "classify", "x", "bad \xff\xc3 here \xc3\xa4 \xe2\x82");
    assert_true(leat_item_error(&batch->items[0], batch->zone, &stage, &code, &message));
    assert_span(message, "bad ?? here \xc3\xa4 ??");

    char longest[3000]; /* of two-byte characters, one byte off the bound */
    longest[0] = 'x';
    for (size_t i = 1; i + 2 < sizeof longest; i += 2)
        memcpy(longest + i, "\xc3\xa4", 2);
    longest[sizeof longest - 1] = '\0';
    leat_batch_fail(batch, 1, "classify", "x", "%s", longest);
    assert_true(leat_item_error(&batch->items[1], batch->zone, &stage, &code, &message));
    assert_int_equal(message.size, 499);
    assert_true(leat_wire_text_ok(message));
    leat_batch_destroy(&batch);
}

static void an_error_that_is_no_map_is_still_an_error(void **state)
{
    (void)state;
    struct leat_batch *batch = sample();
    batch->items[0].error = bytes_span("\x05", 1);
    struct leat_span stage, code, message;
    leat_batch_alloc(batch, 1);
    assert_true(leat_item_error(&batch->items[0], batch->zone, &stage, &code, &message));
    assert_int_equal(stage.size + code.size + message.size, 0);
    leat_batch_destroy(&batch);
}

static void the_arena_aligns_and_keeps(void **state)
{
    (void)state;
    struct leat_batch *batch = sample();
    uint8_t *last = NULL;
    for (size_t size = 0; size < 3000; size += 7) {
        uint8_t *at = leat_batch_alloc(batch, size);
        assert_int_equal((uintptr_t)at % alignof(max_align_t), 0);
        memset(at, 0xaa, size);
        if (last && size > 7)
            assert_int_equal(last[0], 0xaa);
        last = at;
    }
    char text[] = "kept";
    struct leat_span kept = leat_batch_keep(batch, text, 4);
    text[0] = 'x';
    assert_span(kept, "kept");
    assert_int_equal(leat_batch_keep(batch, NULL, 0).size, 0);
    leat_batch_destroy(&batch);
}

static void a_record_may_bring_its_version(void **state)
{
    (void)state;
    struct leat_batch *batch = sample();
    msgpack_object record;
    leat_batch_alloc(batch, 1);
    static const char *const without[] = {"\x80", "\x81\xa7version\xff",
                                          "\x81\xa7version\xa1"
                                          "1",
                                          "\x81\xa7version\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                                          "\x05"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        assert_true(leat_wire_unpack(bytes_text(without[i]), batch->zone, &record, NULL));
        assert_true(leat_batch_version(batch, 2, &record) == sample_head.stamp + 2);
    }
    assert_true(leat_wire_unpack(bytes_text("\x81\xa7version\x2a"), batch->zone, &record, NULL));
    assert_int_equal(leat_batch_version(batch, 2, &record), 42);
    leat_batch_destroy(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_comes_back_as_it_was_written),
        cmocka_unit_test(the_largest_head_fits_its_bound),
        cmocka_unit_test(stamps_end_where_versions_end),
        cmocka_unit_test(a_cut_batch_is_refused_wherever_it_is_cut),
        cmocka_unit_test(random_and_damaged_bytes_do_no_harm),
        cmocka_unit_test(a_head_must_be_complete_and_right),
        cmocka_unit_test(seqs_end_with_int64),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(unknown_keys_are_ignored_and_the_first_of_equal_ones_counts),
        cmocka_unit_test(a_huge_count_takes_no_memory),
        cmocka_unit_test(an_item_without_a_record_is_refused),
        cmocka_unit_test(the_first_error_of_an_item_stays),
        cmocka_unit_test(an_error_message_is_always_text),
        cmocka_unit_test(an_error_that_is_no_map_is_still_an_error),
        cmocka_unit_test(the_arena_aligns_and_keeps),
        cmocka_unit_test(a_record_may_bring_its_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
