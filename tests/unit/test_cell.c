/* What the cells of a table say: every way to write a number and a moment, and nothing else. */
#include "services/leat/cell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

static struct leat_span span(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

static void decimal_numbers_are_read_to_the_last_bit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"0", 0},
        {"-0.0", -0.0},
        {"1.07356", 1.07356},
        {" 1.5\t", 1.5},
        {"+.5", .5},
        {"5.", 5},
        {"100076.00000000001", 100076.00000000001},
        {"1e-9", 1e-9},
        {"-2.5E+3", -2500},
        {"1.7976931348623157e308", DBL_MAX},
        {"4.9406564584124654e-324", 4.9406564584124654e-324},
        {"1e-400", 0}, /* nearer to 0 than to anything else */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct draft_why why;
        double value = (double)NAN;
        if (!cell_real(span(rows[i].text), "close", "close", &value, &why))
            fail_msg("%s: %s", rows[i].text, why.reason);
        assert_memory_equal(&value, &rows[i].value, sizeof value);
    }
}

static void what_is_no_number_is_refused_with_a_code(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "close_missing"},
        {"  ", "close_missing"},
        {"abc", "close_value"},
        {"1,5", "close_value"},
        {"1 5", "close_value"},
        {"0x10", "close_value"},
        {"1e", "close_value"},
        {"e5", "close_value"},
        {".", "close_value"},
        {"--1", "close_value"},
        {"1.2.3", "close_value"},
        {"1_000", "close_value"},
        {"NULL", "close_value"},
        {"nan(1)", "close_value"},
        {"NaN", "close_not_finite"},
        {"-inf", "close_not_finite"},
        {"+Infinity", "close_not_finite"},
        {"1e309", "close_not_finite"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct draft_why why;
        double value;
        if (cell_real(span(rows[i][0]), "close", "close", &value, &why))
            fail_msg("'%s' was read as %g", rows[i][0], value);
        assert_string_equal(why.code, rows[i][1]);
    }
    char digits[1000];
    memset(digits, '1', sizeof digits);
    struct draft_why why;
    double value;
    assert_false(cell_real((struct leat_span){(const uint8_t *)digits, sizeof digits}, "close",
                           "close", &value, &why));
    assert_false(
        cell_real((struct leat_span){(const uint8_t *)"1\0", 2}, "close", "close", &value, &why));
}

static int64_t time_of(const char *text, enum cell_unit *unit)
{
    struct draft_why why;
    int64_t us = -1;
    if (!cell_time(span(text), unit, &us, &why))
        fail_msg("'%s': %s", text, why.reason);
    return us;
}

static void moments_may_be_written_in_many_ways(void **state)
{
    (void)state;
    static const char *const same[] = {
        "2024-01-31T12:30:00Z",
        "2024-01-31T12:30:00",
        "2024-01-31 12:30:00",
        "2024-01-31 12:30",
        "2024-01-31T12:30Z",
        "2024-01-31 12:30:00.000",
        "2024-01-31t12:30:00z",
        "2024-01-31T14:30:00+02:00",
        "2024-01-31 07:30-05:00",
        " 2024-01-31 12:30:00 ",
        "2024-01-31 12:30:00.0+00:00",
        "1706704200",
        "1706704200.0",
        "1706704200000",
        "1706704200000000",
        "1706704200000000000",
        "1706704200000.000",
        "+1706704200",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        enum cell_unit unit = CELL_UNIT_UNKNOWN;
        int64_t us = time_of(same[i], &unit);
        if (us != 1706704200000000)
            fail_msg("'%s' is %lld", same[i], (long long)us);
    }
    enum cell_unit unit = CELL_UNIT_UNKNOWN;
    assert_int_equal(time_of("2024-01-31", &unit), 1706659200000000);
    assert_int_equal(time_of("1970-01-01 00:00:00.1234567", &unit), 123456);
    assert_int_equal(time_of("1900-01-01", &unit), -2208988800000000);
    assert_int_equal(unit, CELL_UNIT_UNKNOWN);
}

static void fractions_count_down_to_the_microsecond(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum cell_unit unit;
        int64_t us;
    } rows[] = {
        {"1.5", CELL_SECONDS, 1500000},
        {"-1.5", CELL_SECONDS, -1500000},
        {".000001", CELL_SECONDS, 1},
        {"1.0000019", CELL_SECONDS, 1000001},
        {"-0.25", CELL_MILLISECONDS, -250},
        {"7.1234", CELL_MILLISECONDS, 7123},
        {"7.9", CELL_MICROSECONDS, 7},
        {"7999", CELL_NANOSECONDS, 7},
        {"-2208988800", CELL_SECONDS, -2208988800000000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum cell_unit unit = rows[i].unit;
        assert_int_equal(time_of(rows[i].text, &unit), rows[i].us);
    }
}

static void the_first_number_tells_what_all_count(void **state)
{
    (void)state;
    enum cell_unit unit = CELL_UNIT_UNKNOWN;
    struct draft_why why;
    int64_t us;
    assert_int_equal(time_of("1700000000", &unit), 1700000000000000);
    assert_int_equal(unit, CELL_SECONDS);
    assert_false(cell_time(span("2777788800000"), &unit, &us, &why)); /* year 90000 */
    assert_string_equal(why.code, "ts_range");
    static const struct {
        const char *text;
        enum cell_unit unit;
    } sizes[] = {
        {"0", CELL_SECONDS},
        {"99999999999", CELL_SECONDS},
        {"100000000000", CELL_MILLISECONDS},
        {"99999999999999", CELL_MILLISECONDS},
        {"100000000000000", CELL_MICROSECONDS},
        {"99999999999999999", CELL_MICROSECONDS},
        {"100000000000000000", CELL_NANOSECONDS},
        {"99999999999999999999999999", CELL_NANOSECONDS},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unit = CELL_UNIT_UNKNOWN;
        cell_time(span(sizes[i].text), &unit, &us, &why);
        assert_int_equal(unit, sizes[i].unit);
    }
}

static void what_is_no_moment_is_refused_with_a_code(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "ts_missing"},
        {"now", "ts_value"},
        {"2024-13-01", "ts_value"},
        {"2024-02-30", "ts_value"},
        {"2024-1-1", "ts_value"},
        {"2024-01-01 25:00", "ts_value"},
        {"2024-01-01 12", "ts_value"},
        {"2024-01-01 12:00:00 CET", "ts_value"},
        {"01/31/2024", "ts_value"},
        {"1e9", "ts_value"},
        {"17.0.0", "ts_value"},
        {"-", "ts_value"},
        {"90000-01-01", "ts_value"},
        {"9000-01-01", "ts_range"},
        {"1899-12-31 23:59:59", "ts_range"},
        {"2201-01-01", "ts_range"},
        {"99999999999", "ts_range"},
        {"-99999999999999999999999999", "ts_range"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum cell_unit unit = CELL_UNIT_UNKNOWN;
        struct draft_why why;
        int64_t us;
        if (cell_time(span(rows[i][0]), &unit, &us, &why))
            fail_msg("'%s' was read as %lld", rows[i][0], (long long)us);
        assert_string_equal(why.code, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_numbers_are_read_to_the_last_bit),
        cmocka_unit_test(what_is_no_number_is_refused_with_a_code),
        cmocka_unit_test(moments_may_be_written_in_many_ways),
        cmocka_unit_test(fractions_count_down_to_the_microsecond),
        cmocka_unit_test(the_first_number_tells_what_all_count),
        cmocka_unit_test(what_is_no_moment_is_refused_with_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
