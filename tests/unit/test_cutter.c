/* Blocks of a series: whatever the cutting, ingest takes them, every row goes out once, and it has
 * before it what its windows look back on. */
#include "proto/cutter.h"
#include "services/flows/series/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { LONGEST = 90, NEEDED = LONGEST - 1 + 15, ROWS_MAX = 3000 };

static const int64_t hour = (int64_t)3600 * 1000000;
static const int64_t day = (int64_t)86400 * 1000000;
static const int64_t begin_ts = 1704067200000000; /* 2024-01-01 */

struct world {
    int64_t ts[ROWS_MAX];
    double close[ROWS_MAX];
    struct series_names names;
    msgpack_sbuffer packed;
    msgpack_zone *zone;
    struct cutter_why why;
    struct leat_error err;
    uint32_t blocks, rows, starts;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    for (int i = 0; i < ROWS_MAX; i++) {
        w->ts[i] = begin_ts + i * hour;
        w->close[i] = 1.07 + 0.001 * sin(i);
    }
    assert_true(series_names_parse("spread,depth", &w->names, &w->err));
    msgpack_sbuffer_init(&w->packed);
    w->zone = msgpack_zone_new(4096);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    msgpack_sbuffer_destroy(&w->packed);
    msgpack_zone_free(w->zone);
    free(w);
    return 0;
}

static struct cutter_options plain(size_t rows)
{
    return (struct cutter_options){
        .series = "EURUSD", .start = true, .rows = rows, .longest = LONGEST};
}

/* Packs the block, reads it as ingest does, and checks it against the rows: it begins at row
 * `output - warm-up`, and its first output row is number `output`. */
static struct series_record take_block(struct world *w, struct cutter *cutter, uint32_t output)
{
    struct series_record block;
    msgpack_object object;
    struct leat_why why;
    const struct series_limits limits = {.max_rows = 2000, .longest = LONGEST, .names = &w->names};
    msgpack_sbuffer_clear(&w->packed);
    msgpack_zone_clear(w->zone);
    cutter_pack(cutter, &w->packed);
    struct leat_span bytes = {(const uint8_t *)w->packed.data, w->packed.size};
    assert_true(leat_wire_unpack(bytes, w->zone, &object, &w->err));
    if (!series_record_read(&object, &limits, &block, &why))
        fail_msg("block %u: %s: %s", w->blocks, why.code, why.message);
    for (uint32_t i = 0; i < block.n; i++)
        assert_int_equal(series_time_at(&block.ts, i), w->ts[output - block.warmup + i]);
    for (uint32_t i = 0; block.close.n > 0 && i < block.n; i++) {
        double got = series_real_at(&block.close, i);
        assert_memory_equal(&got, &w->close[output - block.warmup + i], sizeof got);
    }
    cutter_advance(cutter);
    w->blocks++;
    w->rows += block.n - block.warmup;
    w->starts += block.start;
    return block;
}

static void cut_all(struct world *w, const struct cutter_options *options, uint32_t n)
{
    struct cutter *cutter = cutter_open(options, &w->err);
    assert_non_null(cutter);
    w->blocks = w->rows = w->starts = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (cutter_due(cutter, w->ts[i]))
            take_block(w, cutter, w->rows);
        if (!cutter_add(cutter, w->ts[i], &w->close[i], &w->why))
            fail_msg("row %u: %s", i, w->why.code);
    }
    take_block(w, cutter, w->rows);
    assert_int_equal(w->rows, n);
    cutter_close(&cutter);
    assert_null(cutter);
    cutter_close(&cutter);
}

static void however_it_is_cut_every_row_goes_out_once(void **state)
{
    static const size_t sizes[] = {1, 2, 7, 103, 104, 105, 1000, 2000};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct cutter_options options = plain(sizes[i]);
        cut_all(w, &options, 2500);
        assert_int_equal(w->blocks, (2500 + sizes[i] - 1) / sizes[i]);
    }
}

static void only_blocks_with_the_first_row_say_start(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(1);
    cut_all(w, &options, 300);
    assert_int_equal(w->starts, NEEDED + 1);
    options.rows = 1000;
    cut_all(w, &options, 2500);
    assert_int_equal(w->starts, 1);
}

static void the_first_close_is_the_base(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(10);
    struct cutter *cutter = cutter_open(&options, &w->err);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(cutter_add(cutter, w->ts[i], &w->close[i], &w->why));
    assert_true(take_block(w, cutter, 0).base == w->close[0]);
    cutter_close(&cutter);
    options.base = 1.5;
    cutter = cutter_open(&options, &w->err);
    assert_true(cutter_add(cutter, w->ts[0], &w->close[0], &w->why));
    assert_true(take_block(w, cutter, 0).base == 1.5);
    cutter_close(&cutter);
}

static void a_series_goes_on_where_it_ended(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(50);
    options.start = false;
    struct cutter *cutter = cutter_open(&options, &w->err);
    for (uint32_t i = 0; i < 1000; i++) /* many more than are needed */
        assert_true(cutter_back(cutter, w->ts[i], &w->close[i], &w->why));
    assert_true(cutter_add(cutter, w->ts[1000], &w->close[1000], &w->why));
    struct series_record block = take_block(w, cutter, 1000);
    assert_int_equal(block.warmup, NEEDED);
    assert_false(block.start);
    cutter_close(&cutter);
}

static void too_few_rows_to_look_back_on_are_refused(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(50);
    options.start = false;
    struct cutter *cutter = cutter_open(&options, &w->err);
    assert_int_equal(cutter_needed(cutter), NEEDED);
    for (uint32_t i = 0; i < NEEDED; i++) {
        assert_false(cutter_add(cutter, w->ts[i], &w->close[i], &w->why));
        assert_string_equal(w->why.code, "warmup_short");
        assert_non_null(strstr(w->why.reason, "104 are needed"));
        assert_true(cutter_back(cutter, w->ts[i], &w->close[i], &w->why));
    }
    assert_true(cutter_add(cutter, w->ts[NEEDED], &w->close[NEEDED], &w->why));
    take_block(w, cutter, NEEDED);
    cutter_close(&cutter);
}

static void months_that_stand_alone_need_fewer_rows(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(2000);
    options.start = false;
    options.monthly = true;
    struct cutter *cutter = cutter_open(&options, &w->err);
    for (int i = 0; i < 10; i++) /* the last hours of January, the first of February */
        w->ts[i] = begin_ts + 31 * day - (5 - i) * hour;
    assert_true(cutter_back(cutter, w->ts[0], &w->close[0], &w->why));
    assert_false(cutter_add(cutter, w->ts[1], &w->close[1], &w->why));
    for (uint32_t i = 1; i < 5; i++)
        assert_true(cutter_back(cutter, w->ts[i], &w->close[i], &w->why));
    for (uint32_t i = 5; i < 10; i++)
        assert_true(cutter_add(cutter, w->ts[i], &w->close[i], &w->why));
    struct series_record block = take_block(w, cutter, 5);
    assert_true(block.monthly);
    assert_int_equal(block.warmup, 5);
    cutter_close(&cutter);
}

static void no_block_spans_more_than_two_years(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(2000);
    for (int i = 0; i < ROWS_MAX; i++)
        w->ts[i] = begin_ts + i * 7 * day;
    cut_all(w, &options, 1000);
    assert_int_equal(w->blocks, (1000 + 104) / 105);
}

static void no_time_is_too_far_to_be_compared(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(100);
    struct cutter *cutter = cutter_open(&options, &w->err);
    assert_true(cutter_add(cutter, -day, (double[]){1}, &w->why));
    assert_true(cutter_due(cutter, INT64_MAX));
    cutter_close(&cutter);
    cutter = cutter_open(&options, &w->err);
    assert_true(cutter_add(cutter, day, (double[]){1}, &w->why));
    assert_false(cutter_due(cutter, INT64_MIN));
    cutter_close(&cutter);
}

static void ready_made_columns_go_out_instead_of_closes(void **state)
{
    static const char *const columns[] = {"depth", "spread"};
    struct world *w = *state;
    struct cutter_options options = plain(20);
    options.columns = columns;
    options.n_columns = 2;
    struct cutter *cutter = cutter_open(&options, &w->err);
    assert_int_equal(cutter_needed(cutter), LONGEST - 1);
    for (uint32_t i = 0; i < 20; i++)
        assert_true(cutter_add(cutter, w->ts[i], (double[]){i, -1.0 * i}, &w->why));
    struct series_record block = take_block(w, cutter, 0);
    assert_int_equal(block.n_columns, 2);
    assert_string_equal(w->names.items[block.columns[0].name], "depth");
    assert_true(series_real_at(&block.columns[0].values, 19) == 19);
    assert_true(series_real_at(&block.columns[1].values, 19) == -19);
    assert_false(cutter_add(cutter, w->ts[20], (double[]){1, (double)NAN}, &w->why));
    assert_string_equal(w->why.code, "column_not_finite");
    cutter_close(&cutter);
}

static void rows_that_make_no_sense_are_refused_one_by_one(void **state)
{
    struct world *w = *state;
    struct cutter_options options = plain(100);
    struct cutter *cutter = cutter_open(&options, &w->err);
    const struct {
        int64_t ts;
        double close;
        const char *code; /* NULL: taken */
    } rows[] = {
        {w->ts[0], 0, "base_range"},
        {w->ts[0], (double)NAN, "close_not_finite"},
        {w->ts[0], 1e-300, NULL},
        {w->ts[0], 1, "ts_not_increasing"},
        {w->ts[0] - 1, 1, "ts_not_increasing"},
        {w->ts[1], (double)INFINITY, "close_not_finite"},
        {w->ts[1], 1e300, "close_range"},
        {INT64_MAX, 1, "ts_range"},
        {-2208988800000001, 1, "ts_range"},
        {w->ts[1], 2e-300, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool taken = cutter_add(cutter, rows[i].ts, &rows[i].close, &w->why);
        assert_int_equal(taken, !rows[i].code);
        if (!taken)
            assert_string_equal(w->why.code, rows[i].code);
    }
    assert_int_equal(cutter_rows(cutter), 2);
    cutter_close(&cutter);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    struct world *w = *state;
    char name[CUTTER_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    struct cutter_options options = plain(100);
    options.series = name;
    assert_null(cutter_open(&options, &w->err));
    options.series = "";
    assert_null(cutter_open(&options, &w->err));
    options.series = "A\xff";
    assert_null(cutter_open(&options, &w->err));
    options = plain(0);
    assert_null(cutter_open(&options, &w->err));
    options = plain(100);
    options.base = (double)NAN;
    assert_null(cutter_open(&options, &w->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(however_it_is_cut_every_row_goes_out_once, setup, teardown),
        cmocka_unit_test_setup_teardown(only_blocks_with_the_first_row_say_start, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_close_is_the_base, setup, teardown),
        cmocka_unit_test_setup_teardown(a_series_goes_on_where_it_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(too_few_rows_to_look_back_on_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(months_that_stand_alone_need_fewer_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(no_block_spans_more_than_two_years, setup, teardown),
        cmocka_unit_test_setup_teardown(no_time_is_too_far_to_be_compared, setup, teardown),
        cmocka_unit_test_setup_teardown(ready_made_columns_go_out_instead_of_closes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(rows_that_make_no_sense_are_refused_one_by_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(options_that_make_no_sense_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
