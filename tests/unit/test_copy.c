/* The COPY format byte by byte, and times and UUIDs as text. That PostgreSQL reads it the same way
 * is test_store's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/persist/copy.h"
#include "services/persist/iso.h"

#include <stdlib.h>
#include <string.h>

static const struct leat_column columns[] = {
    {.name = "t", .type = LEAT_COL_TEXT, .is_key = true},
    {.name = "i", .type = LEAT_COL_BIGINT},
    {.name = "b", .type = LEAT_COL_BOOL},
    {.name = "d", .type = LEAT_COL_DOUBLE},
    {.name = "z", .type = LEAT_COL_TIMESTAMPTZ},
    {.name = "u", .type = LEAT_COL_UUID},
    {.name = "j", .type = LEAT_COL_JSONB},
    {.name = "y", .type = LEAT_COL_BYTEA},
    {.name = "r", .type = LEAT_COL_REALS},
    {.name = NULL},
};
enum { COLUMNS = sizeof columns / sizeof *columns - 1 };

static const struct leat_table table = {.name = "t", .columns = columns, .n_columns = COLUMNS};

static struct leat_span span(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

static void fill(struct leat_value *values)
{
    static const uint8_t uuid[16] = "0123456789abcdef";
    memset(values, 0, COLUMNS * sizeof *values);
    values[0].bytes = span("hi");
    values[1].integer = -2;
    values[2].integer = 1;
    values[3].real = 1.5;
    values[4].integer = 946684800000001; /* 2000-01-01 and a microsecond */
    values[5].bytes = (struct leat_span){uuid, 16};
    values[6].bytes = span("{}");
    values[7].bytes = (struct leat_span){(const uint8_t *)"\0\xff", 2};
    values[8].bytes = (struct leat_span){(const uint8_t *)"\0\0\xc0\x3f\0\0\0\xbf", 8};
}

static void every_type_has_its_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = "PGCOPY\n\377\r\n\0"
                                      "\0\0\0\0"
                                      "\0\0\0\0"
                                      "\0\x09"
                                      "\0\0\0\x02"
                                      "hi"
                                      "\0\0\0\x08"
                                      "\xff\xff\xff\xff\xff\xff\xff\xfe"
                                      "\0\0\0\x01"
                                      "\x01"
                                      "\0\0\0\x08"
                                      "\x3f\xf8\0\0\0\0\0\0"
                                      "\0\0\0\x08"
                                      "\0\0\0\0\0\0\0\x01"
                                      "\0\0\0\x10"
                                      "0123456789abcdef"
                                      "\0\0\0\x03"
                                      "\x01{}"
                                      "\0\0\0\x02"
                                      "\0\xff"
                                      "\0\0\0\x24"
                                      "\0\0\0\x01\0\0\0\0\0\0\x02\xbc"
                                      "\0\0\0\x02\0\0\0\x01"
                                      "\0\0\0\x04\x3f\xc0\0\0"
                                      "\0\0\0\x04\xbf\0\0\0"
                                      "\xff\xff";
    struct leat_value values[COLUMNS];
    struct copy copy = {0};
    fill(values);
    copy_begin(&copy);
    copy_row(&copy, &table, values);
    copy_end(&copy);
    assert_int_equal(copy.size, sizeof expected - 1);
    assert_memory_equal(copy.data, expected, copy.size);
    copy_destroy(&copy);
}

static void null_is_a_length_of_minus_one(void **state)
{
    (void)state;
    struct leat_value values[COLUMNS];
    struct copy copy = {0};
    fill(values);
    for (size_t i = 0; i < COLUMNS; i++)
        values[i].null = true;
    copy_row(&copy, &table, values);
    assert_int_equal(copy.size, 2 + 4 * COLUMNS);
    for (size_t i = 2; i < copy.size; i++)
        assert_int_equal(copy.data[i], 0xff);
    copy_destroy(&copy);
}

static void empty_texts_are_not_null(void **state)
{
    (void)state;
    struct leat_value values[COLUMNS];
    struct copy copy = {0};
    fill(values);
    values[0].bytes = (struct leat_span){NULL, 0};
    copy_row(&copy, &table, values);
    assert_memory_equal(copy.data, "\0\x09\0\0\0\0", 6);
    copy_destroy(&copy);
}

static void a_buffer_grows_with_any_row(void **state)
{
    (void)state;
    struct leat_value values[COLUMNS];
    struct copy copy = {0};
    size_t size = 3 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    fill(values);
    for (size_t n = 1; n <= size; n = n * 3 + 1) {
        size_t before = copy.size;
        values[0].bytes = values[7].bytes = (struct leat_span){(const uint8_t *)text, n};
        values[8].bytes = (struct leat_span){(const uint8_t *)text, n & ~(size_t)3};
        copy_row(&copy, &table, values);
        assert_memory_equal(copy.data + before + 6, text, n);
        size_t reals = 24 + values[8].bytes.size * 2;
        assert_memory_equal(copy.data + copy.size - reals - n, text, n);
    }
    free(text);
    copy_destroy(&copy);
}

static void check_time(int64_t us, const char *expected)
{
    char text[ISO_TIME_MAX];
    size_t size = iso_time(us, text);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text, expected, size);
}

static void times_are_iso_8601(void **state)
{
    (void)state;
    check_time(0, "1970-01-01T00:00:00.000000Z");
    check_time(-1, "1969-12-31T23:59:59.999999Z");
    check_time(951782400000000, "2000-02-29T00:00:00.000000Z");
    check_time(1709251199999999, "2024-02-29T23:59:59.999999Z");
    check_time(4107542400000000, "2100-03-01T00:00:00.000000Z");
    check_time(253402300799999999, "9999-12-31T23:59:59.999999Z");
    check_time(-62135596800000000, "0001-01-01T00:00:00.000000Z");
}

static void times_of_any_value_fit(void **state)
{
    (void)state;
    check_time(INT64_MAX, "+294247-01-10T04:00:54.775807Z");
    check_time(INT64_MIN, "-290308-12-21T19:59:05.224192Z");
}

static void uuids_have_their_dashes(void **state)
{
    (void)state;
    char text[ISO_UUID_SIZE];
    static const uint8_t bytes[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                      0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    iso_uuid(bytes, text);
    assert_memory_equal(text, "01234567-89ab-cdef-fedc-ba9876543210", ISO_UUID_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_bytes), cmocka_unit_test(null_is_a_length_of_minus_one),
        cmocka_unit_test(empty_texts_are_not_null), cmocka_unit_test(a_buffer_grows_with_any_row),
        cmocka_unit_test(times_are_iso_8601),       cmocka_unit_test(times_of_any_value_fit),
        cmocka_unit_test(uuids_have_their_dashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
