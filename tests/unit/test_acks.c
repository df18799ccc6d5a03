#include "proto/acks.h"
#include "tests/unit/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const uint8_t run[LEAT_ID_SIZE] = {9, 8, 7};

static const struct leat_ack samples[] = {
    {"text", 1, 1, 400, 0},
    {"series", INT64_MAX, UINT32_MAX, 0, UINT32_MAX},
    {"text", 300, 2, 99, 1},
};

struct seen {
    struct leat_ack acks[16];
    size_t n;
};

static void keep(void *arg, const struct leat_ack *ack)
{
    struct seen *seen = arg;
    if (seen->n < 16)
        seen->acks[seen->n] = *ack;
    seen->n++;
}

static bool read_copy(const void *data, size_t size, uint8_t got[LEAT_ID_SIZE], struct seen *seen,
                      struct leat_error *err)
{
    uint8_t *copy = bytes_copy(data, size);
    memset(seen, 0, sizeof *seen);
    bool good = leat_acks_read(bytes_span(copy, size), got, keep, seen, err);
    free(copy);
    return good;
}

static void acks_come_back_as_they_were_written(void **state)
{
    (void)state;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_acks_write(&frame, run, samples, 3);
    assert_memory_equal(frame.data, run, LEAT_ID_SIZE);
    struct seen seen;
    uint8_t got[LEAT_ID_SIZE];
    assert_true(read_copy(frame.data, frame.size, got, &seen, NULL));
    assert_memory_equal(got, run, LEAT_ID_SIZE);
    assert_int_equal(seen.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(seen.acks[i].kind, samples[i].kind);
        assert_true(seen.acks[i].seq == samples[i].seq);
        assert_int_equal(seen.acks[i].attempt, samples[i].attempt);
        assert_int_equal(seen.acks[i].committed, samples[i].committed);
        assert_int_equal(seen.acks[i].dead, samples[i].dead);
    }
    msgpack_sbuffer_clear(&frame);
    leat_acks_write(&frame, run, NULL, 0);
    assert_true(read_copy(frame.data, frame.size, got, &seen, NULL));
    assert_int_equal(seen.n, 0);
    msgpack_sbuffer_destroy(&frame);
}

static void cut_acks_are_refused_wherever_they_are_cut(void **state)
{
    (void)state;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_acks_write(&frame, run, samples, 3);
    struct seen seen;
    uint8_t got[LEAT_ID_SIZE];
    for (size_t size = 0; size < frame.size; size++) {
        struct leat_error err = {""};
        assert_false(read_copy(frame.data, size, got, &seen, &err));
        assert_string_not_equal(err.text, "");
        assert_int_equal(seen.n, 0);
    }
    leat_pack_raw(&frame, bytes_span("\x01", 1));
    assert_false(read_copy(frame.data, frame.size, got, &seen, NULL));
    msgpack_sbuffer_destroy(&frame);
}

static void random_and_damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    uint64_t seed = 99;
    struct seen seen;
    uint8_t raw[256], got[LEAT_ID_SIZE];
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_acks_write(&frame, run, samples, 3);
    for (int i = 0; i < 100000; i++) {
        size_t size = frame.size;
        memcpy(raw, frame.data, size);
        if (i % 2) {
            size = LEAT_ID_SIZE + bytes_random(&seed) % 64;
            bytes_fill(&seed, raw, size);
        }
        for (uint64_t n = 1 + bytes_random(&seed) % 3; n > 0; n--)
            raw[LEAT_ID_SIZE + bytes_random(&seed) % (size - LEAT_ID_SIZE + 1)] =
                (uint8_t)bytes_random(&seed);
        if (read_copy(raw, size, got, &seen, NULL))
            for (size_t k = 0; k < seen.n && k < 16; k++)
                assert_true(strlen(seen.acks[k].kind) <= LEAT_MAX_KIND);
    }
    msgpack_sbuffer_destroy(&frame);
}

static bool read_text(const char *map, struct seen *seen, struct leat_error *err)
{
    uint8_t frame[256] = {1}, got[LEAT_ID_SIZE];
    size_t size = strlen(map);
    memcpy(frame + LEAT_ID_SIZE, map, size);
    return read_copy(frame, LEAT_ID_SIZE + size, got, seen, err);
}

static void what_is_no_acks_is_refused(void **state)
{
    (void)state;
    struct seen seen;
    struct leat_error err;
    assert_false(read_text("\x82\xa1v\x02\xa4"
                           "acks\x90",
                           &seen, &err));
    assert_non_null(strstr(err.text, "version"));
    assert_false(read_text("\x81\xa4"
                           "acks\x90",
                           &seen, &err));
    assert_false(read_text("\x81\xa1v\x01", &seen, &err));
    assert_false(read_text("\x82\xa1v\x01\xa4"
                           "acks\x80",
                           &seen, &err));
    assert_false(read_text("\x82\xa1v\x01\xa4"
                           "acks\x91\x05",
                           &seen, &err));
    assert_false(read_text("\x82\xa1v\x01\xa4"
                           "acks\x91\x94\xa1k\x01\x01\x01",
                           &seen, &err));
    assert_false(read_text("\x82\xa1v\x01\xa4"
                           "acks\x91\x95\xa1K\x01\x01\x01\x01",
                           &seen, &err));
    assert_false(read_text("\x82\xa1v\x01\xa4"
                           "acks\x91\x95\xa1k\x01\xcf\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
                           &seen, &err));
    assert_false(read_text("\x82\xa1v\x01\xa4"
                           "acks\xdd\xff\xff\xff\xff",
                           &seen, &err));
    assert_int_equal(seen.n, 0);
}

/* As those of batches: no journal gives a larger one. */
static void seqs_end_with_int64(void **state)
{
    (void)state;
    static const struct leat_ack last = {"text", INT64_MAX, 1, 1, 0};
    static const struct leat_ack above[] = {{"text", (uint64_t)INT64_MAX + 1, 1, 1, 0},
                                            {"text", UINT64_MAX, 1, 1, 0}};
    struct seen seen;
    struct leat_error err;
    uint8_t got[LEAT_ID_SIZE];
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_acks_write(&frame, run, &last, 1);
    assert_true(read_copy(frame.data, frame.size, got, &seen, NULL));
    assert_true(seen.n == 1 && seen.acks[0].seq == INT64_MAX);
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
        msgpack_sbuffer_clear(&frame);
        leat_acks_write(&frame, run, &above[i], 1);
        assert_false(read_copy(frame.data, frame.size, got, &seen, &err));
        assert_string_equal(err.text, "acks: number 0 is not what it must be");
        assert_int_equal(seen.n, 0);
    }
    msgpack_sbuffer_destroy(&frame);
}

static void what_a_later_version_adds_is_ignored(void **state)
{
    (void)state;
    struct seen seen;
    assert_true(read_text("\x83\xa5later\x91\x01\xa1v\x01\xa4"
                          "acks\x91\x97\xa1k\x02\x03\x04\x05\x92\x01\x02\xa1z",
                          &seen, NULL));
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.acks[0].kind, "k");
    assert_int_equal(seen.acks[0].dead, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acks_come_back_as_they_were_written),
        cmocka_unit_test(cut_acks_are_refused_wherever_they_are_cut),
        cmocka_unit_test(random_and_damaged_bytes_do_no_harm),
        cmocka_unit_test(what_is_no_acks_is_refused),
        cmocka_unit_test(seqs_end_with_int64),
        cmocka_unit_test(what_a_later_version_adds_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
