/* The series flow's record, domains, result and rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/flows/series/domain.h"
#include "services/flows/series/flow.h"
#include "services/flows/month.h"
#include "services/flows/series/record.h"
#include "services/flows/series/result.h"
#include "services/flows/series/table.h"
#include "services/tables.h"
#include "tests/unit/block.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 20 };

static const int64_t hour = 3600000000;
static const int64_t year_2024 = 1704067200000000; /* 2024-01-01 */

struct fixture {
    msgpack_zone zone;
    msgpack_sbuffer packed;
    msgpack_packer pk;
    msgpack_object object;
    int64_t ts[ROWS];
    double close[ROWS];
    struct block block;
    struct series_names names;
    struct series_limits limits;
    struct series_record record;
    struct leat_why why;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct leat_error err;
    msgpack_zone_init(&f->zone, 1024);
    msgpack_sbuffer_init(&f->packed);
    leat_pack_init(&f->pk, &f->packed);
    for (int i = 0; i < ROWS; i++) {
        f->ts[i] = year_2024 + i * hour;
        f->close[i] = 1.07356 + i * 1e-5;
    }
    f->block = (struct block){.series = "EURUSD",
                              .ts = f->ts,
                              .close = f->close,
                              .n = ROWS,
                              .base = 1.07356,
                              .start = true};
    assert_true(series_names_parse("idx,bqx,spread", &f->names, &err));
    f->limits = (struct series_limits){.max_rows = 2000, .longest = 90, .names = &f->names};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    msgpack_zone_destroy(&f->zone);
    msgpack_sbuffer_destroy(&f->packed);
    free(f);
    return 0;
}

/* Reads what is packed. */
static bool read(struct fixture *f)
{
    struct leat_error err;
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    if (!leat_wire_unpack(packed, &f->zone, &f->object, &err))
        fail_msg("%s", err.text);
    bool good = series_record_read(&f->object, &f->limits, &f->record, &f->why);
    msgpack_sbuffer_clear(&f->packed);
    return good;
}

static bool read_block(struct fixture *f)
{
    leat_pack_map(&f->pk, BLOCK_PAIRS);
    block_pack_pairs(&f->pk, &f->block);
    return read(f);
}

static void refused(struct fixture *f, const char *code)
{
    assert_false(read(f));
    assert_string_equal(f->why.code, code);
    assert_true(f->why.message[0]);
}

static void block_refused(struct fixture *f, const char *code, const char *says)
{
    assert_false(read_block(f));
    assert_string_equal(f->why.code, code);
    if (!strstr(f->why.message, says))
        fail_msg("\"%s\" does not say \"%s\"", f->why.message, says);
}

/* The good block with another value under one key, which is packed next. */
static void instead(struct fixture *f, const char *key)
{
    leat_pack_map(&f->pk, 1 + BLOCK_PAIRS);
    leat_pack_cstr(&f->pk, key);
}

static void and_refused(struct fixture *f, const char *code)
{
    block_pack_pairs(&f->pk, &f->block);
    refused(f, code);
}

static void arrays_and_bins_are_read_alike(void **state)
{
    struct fixture *f = *state;
    for (int packed = 0; packed < 2; packed++) {
        f->block.packed = packed;
        f->block.warmup = 3;
        f->block.reset = "month";
        assert_true(read_block(f));
        int64_t ts[ROWS];
        double close[ROWS];
        series_times(&f->record.ts, ts);
        series_reals(&f->record.close, close);
        assert_memory_equal(ts, f->ts, sizeof ts);
        assert_memory_equal(close, f->close, sizeof close);
        assert_true(leat_wire_is(f->record.series, "EURUSD"));
        assert_int_equal(f->record.n, ROWS);
        assert_int_equal(f->record.warmup, 3);
        assert_true(f->record.base == 1.07356);
        assert_true(f->record.start && f->record.monthly);
    }
}

static void whole_numbers_are_values_too(void **state)
{
    struct fixture *f = *state;
    instead(f, "close");
    msgpack_pack_array(&f->pk, ROWS);
    for (int i = 0; i < ROWS; i++)
        if (i % 3 == 0)
            msgpack_pack_int(&f->pk, i);
        else if (i % 3 == 1)
            msgpack_pack_int(&f->pk, -i);
        else
            msgpack_pack_float(&f->pk, 0.5f);
    block_pack_pairs(&f->pk, &f->block);
    assert_true(read(f));
    assert_true(series_real_at(&f->record.close, 3) == 3);
    assert_true(series_real_at(&f->record.close, 4) == -4);
    assert_true(series_real_at(&f->record.close, 5) == 0.5);
}

static void what_lacks_a_field_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const fields[][2] = {{"series", "series_missing"},
                                            {"ts", "ts_missing"},
                                            {"close", "values_missing"},
                                            {"base", "base_missing"}};
    msgpack_pack_int(&f->pk, 3);
    refused(f, "record_not_map");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        instead(f, fields[i][0]);
        msgpack_pack_nil(&f->pk);
        and_refused(f, fields[i][1]);
    }
}

static void fields_of_a_wrong_type_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const fields[][2] = {{"series", "series_type"}, {"ts", "ts_type"},
                                            {"close", "close_type"},   {"base", "base_type"},
                                            {"warmup", "warmup_type"}, {"start", "start_type"},
                                            {"reset", "reset_type"},   {"version", "version_type"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        instead(f, fields[i][0]);
        msgpack_pack_map(&f->pk, 0);
        and_refused(f, fields[i][1]);
    }
}

static void a_series_has_a_fitting_name(void **state)
{
    struct fixture *f = *state;
    char name[SERIES_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[SERIES_NAME_MAX + 1] = 0;
    f->block.series = name;
    block_refused(f, "series_too_long", "129 bytes");
    name[SERIES_NAME_MAX] = 0;
    assert_true(read_block(f));
    f->block.series = "";
    block_refused(f, "series_empty", "series");
    f->block.series = "\xff";
    block_refused(f, "not_utf8", "series");
}

static void times_must_increase_within_the_years(void **state)
{
    struct fixture *f = *state;
    f->ts[7] = f->ts[6];
    block_refused(f, "ts_not_increasing", "ts[7] is not after ts[6]");
    f->ts[7] = f->ts[6] - 1;
    block_refused(f, "ts_not_increasing", "ts[7]");
    f->ts[7] = 7289654400000000; /* 2201-01-01 */
    block_refused(f, "ts_range", "ts[7]");
    f->ts[7] = INT64_MAX;
    f->block.packed = true;
    block_refused(f, "ts_range", "ts[7]");
    f->ts[7] = f->ts[6] + 1;
    f->ts[0] = -2208988800000001; /* 1899 */
    block_refused(f, "ts_range", "ts[0]");
    f->ts[0] = INT64_MIN;
    block_refused(f, "ts_range", "ts[0]");

    instead(f, "ts");
    msgpack_pack_array(&f->pk, 1);
    msgpack_pack_uint64(&f->pk, UINT64_MAX);
    and_refused(f, "ts_range");
    instead(f, "ts");
    msgpack_pack_array(&f->pk, 1);
    msgpack_pack_double(&f->pk, 1e15);
    and_refused(f, "ts_value");
    instead(f, "ts");
    leat_pack_bin(&f->pk, (struct leat_span){(const uint8_t *)"1234567", 7});
    and_refused(f, "ts_bytes");
}

static void values_must_be_finite_numbers_one_a_row(void **state)
{
    struct fixture *f = *state;
    static const double broken[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        f->block.packed = i % 2;
        f->close[5] = broken[i];
        block_refused(f, "close_not_finite", "close[5]");
    }
    f->close[5] = 1e307;
    block_refused(f, "close_range", "close[5]");
    f->close[5] = 1;

    instead(f, "close");
    msgpack_pack_array(&f->pk, 1);
    msgpack_pack_int(&f->pk, 1);
    and_refused(f, "close_length");
    instead(f, "close");
    msgpack_pack_array(&f->pk, ROWS);
    for (int i = 0; i < ROWS; i++)
        leat_pack_cstr(&f->pk, "1.07");
    and_refused(f, "close_value");
    instead(f, "close");
    leat_pack_bin(&f->pk, (struct leat_span){(const uint8_t *)"123", 3});
    and_refused(f, "close_bytes");
}

static void the_base_is_a_finite_number_but_0(void **state)
{
    struct fixture *f = *state;
    static const double broken[] = {0, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        f->block.base = broken[i];
        block_refused(f, "base_range", "base");
    }
}

/* A block of columns: the named ones, `n` values each. */
static void pack_columns(struct fixture *f, const char *const *names, size_t n_names, size_t n)
{
    leat_pack_map(&f->pk, 4);
    leat_pack_cstr(&f->pk, "series");
    leat_pack_cstr(&f->pk, "EURUSD");
    leat_pack_cstr(&f->pk, "ts");
    block_pack_times(&f->pk, f->ts, ROWS, true);
    leat_pack_cstr(&f->pk, "start");
    msgpack_pack_true(&f->pk);
    leat_pack_cstr(&f->pk, "columns");
    leat_pack_map(&f->pk, (uint32_t)n_names);
    for (size_t i = 0; i < n_names; i++) {
        leat_pack_cstr(&f->pk, names[i]);
        block_pack_reals(&f->pk, f->close, n, i % 2);
    }
}

static void columns_may_come_ready_made(void **state)
{
    struct fixture *f = *state;
    pack_columns(f, (const char *const[]){"spread", "idx"}, 2, ROWS);
    assert_true(read(f));
    assert_int_equal(f->record.n_columns, 2);
    assert_string_equal(f->names.items[f->record.columns[0].name], "spread");
    assert_int_equal(f->record.columns[1].name, SERIES_IDX);
    assert_int_equal(f->record.close.n, 0);
    assert_true(series_real_at(&f->record.columns[1].values, 4) == f->close[4]);
}

static void columns_must_be_known_and_whole(void **state)
{
    struct fixture *f = *state;
    pack_columns(f, (const char *const[]){"volume"}, 1, ROWS);
    refused(f, "column_unknown");
    pack_columns(f, (const char *const[]){"idx", "idx"}, 2, ROWS);
    refused(f, "column_twice");
    pack_columns(f, (const char *const[]){"idx"}, 1, ROWS - 1);
    refused(f, "column_length");
    pack_columns(f, NULL, 0, ROWS);
    refused(f, "columns_empty");
    instead(f, "columns");
    msgpack_pack_map(&f->pk, 0);
    and_refused(f, "close_and_columns");
    f->close[3] = NAN;
    pack_columns(f, (const char *const[]){"idx"}, 1, ROWS);
    refused(f, "column_not_finite");
}

static void rows_must_be_left_and_not_too_many(void **state)
{
    struct fixture *f = *state;
    f->block.warmup = ROWS;
    block_refused(f, "no_rows", "none is left");
    f->block.warmup = UINT32_MAX;
    block_refused(f, "no_rows", "none is left");
    f->block.warmup = 0;
    f->block.n = 0;
    block_refused(f, "no_rows", "none is left");
    f->block.n = ROWS;
    f->limits.max_rows = ROWS - 1;
    block_refused(f, "too_many_rows", "at most 19");
    f->block.warmup = 1;
    assert_true(read_block(f));
}

static void a_block_spans_two_years_at_most(void **state)
{
    struct fixture *f = *state;
    f->ts[ROWS - 1] = 1767225600000000 - 1; /* 2025-12-31 23:59:59.999999 */
    assert_true(read_block(f));
    f->ts[ROWS - 1] = 1767225600000000 + 1;
    block_refused(f, "ts_months", "24 months");
    f->block.warmup = 19; /* what is only looked back on may be older */
    assert_true(read_block(f));
}

static void warmup_that_is_too_short_is_refused_with_what_is_needed(void **state)
{
    struct fixture *f = *state;
    f->block.start = false;
    f->block.warmup = 5;
    block_refused(f, "warmup_short", "104 are needed");
    f->limits.longest = 4;
    f->block.warmup = 18;
    assert_true(read_block(f));
    f->block.warmup = 17;
    block_refused(f, "warmup_short", "18 are needed");
    f->limits.longest = 0;
    assert_true(read_block(f));
}

static void a_month_that_begins_in_the_block_needs_no_more_warmup(void **state)
{
    struct fixture *f = *state;
    f->block.start = false;
    f->block.warmup = 3;
    f->block.reset = "month";
    for (int i = 0; i < 3; i++)
        f->ts[i] = year_2024 - (3 - i) * hour;
    assert_true(read_block(f)); /* rows of December before the output rows of January */
    f->block.warmup = 2;
    block_refused(f, "warmup_short", "104"); /* the first output row is December's */
    f->block.reset = "none";
    f->block.warmup = 3;
    block_refused(f, "warmup_short", "104");
    f->block.reset = "year";
    block_refused(f, "reset_unknown", "month");
}

static void names_are_read_as_written(void **state)
{
    (void)state;
    struct series_names names;
    struct leat_error err;
    assert_true(series_names_parse("", &names, &err));
    assert_int_equal(names.n, 2);
    assert_false(names.taken[SERIES_IDX] || names.taken[SERIES_BQX]);
    assert_true(series_names_parse(" vol_5, bqx", &names, &err));
    assert_int_equal(names.n, 3);
    assert_string_equal(names.items[2], "vol_5");
    assert_true(names.taken[2] && names.taken[SERIES_BQX] && !names.taken[SERIES_IDX]);
    static const char *const wrong[] = {"Idx",
                                        "a,",
                                        ",a",
                                        "a b",
                                        "a,a",
                                        "idx,idx",
                                        "a;b",
                                        "a23456789012345678901234567890123",
                                        "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(series_names_parse(wrong[i], &names, &err));
}

static void months_are_the_calendars(void **state)
{
    (void)state;
    /* By walking: every month of the years 1600 to 2400 begins where the one before it ends. */
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t begin = -11676096000000000; /* 1600-01-01 */
    for (int32_t month = 1600 * 12; month < 2400 * 12; month++) {
        int year = month / 12;
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        int64_t end = begin + (days[month % 12] + (month % 12 == 1 && leap)) * 24 * hour;
        assert_int_equal(leat_month_begin(month), begin);
        assert_int_equal(leat_month(begin), month);
        assert_int_equal(leat_month(end - 1), month);
        begin = end;
    }
    assert_int_equal(leat_month_begin(1970 * 12), 0);
}

static void idx_and_bqx_are_those_of_the_worked_example(void **state)
{
    (void)state;
    static const double close[] = {1.07356, 1.07366, 1.07374, 1.07376, 1.07380};
    static const double expected[] = {100.00000, 100.00931, 100.01677, 100.01863, 100.02236};
    double idx[5];
    series_idx(close, 5, 1.07356, idx);
    for (int i = 0; i < 5; i++)
        assert_true(fabs(idx[i] - expected[i]) < 5.1e-6);

    double line[20], bqx[20];
    for (int i = 0; i < 20; i++)
        line[i] = i - 16.0;
    series_bqx(line, 20, bqx);
    for (int i = 0; i < 15; i++)
        assert_true(isnan(bqx[i]));
    assert_true(bqx[15] == 120); /* r = -1; the rows before are 1, 2, … 15 below */
    assert_true(isnan(bqx[16])); /* r = 0 */
    assert_true(bqx[17] == -120 && bqx[19] == 1 / 3.0 * -120);
    series_bqx(line, 3, bqx);
}

/* --- results and rows ----------------------------------------------------------------------- */

struct stored {
    struct fixture *f;
    struct series_windows windows;
    const struct leat_table *const *tables;
    struct leat_batch *batch;
    msgpack_object record;
};

/* A batch of one item: the fixture's block, and a result with figures 1000·column + row. */
static void store(struct stored *s, struct fixture *f)
{
    struct leat_error err;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_pack_map(&f->pk, BLOCK_PAIRS);
    block_pack_pairs(&f->pk, &f->block);
    leat_batch_write_head(
        &(struct leat_batch_head){
            .stage = "persist", .kind = "series", .stamp = 77, .attempt = 1, .count = 1},
        &frame);
    leat_batch_write_item(
        &(struct leat_item){.record = {(const uint8_t *)f->packed.data, f->packed.size}}, &frame);
    s->f = f;
    s->batch = leat_batch_read((struct leat_span){(const uint8_t *)frame.data, frame.size},
                               frame.data, free, &err);
    assert_non_null(s->batch);
    assert_true(leat_wire_unpack(s->batch->items[0].record, s->batch->zone, &s->record, &err));
    assert_true(series_windows_parse("short=5,long=9", &s->windows, &err));
    s->tables = series_tables_make(&s->windows, &f->names);
}

static void stored_free(struct stored *s)
{
    series_tables_free(s->tables);
    leat_batch_destroy(&s->batch);
}

static void add_result(struct stored *s, size_t rows, const char *const *names, size_t n)
{
    struct series_packing packing;
    double values[ROWS], figures[2 * SERIES_METRICS * ROWS];
    series_pack_begin(&packing, s->batch, &s->windows, (uint32_t)rows, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        for (size_t row = 0; row < rows; row++)
            values[row] = row == 1 ? (double)NAN : (double)row / 2;
        for (size_t c = 0; c < 2 * SERIES_METRICS; c++)
            for (size_t row = 0; row < rows; row++)
                figures[c * rows + row] = (double)(1000 * c + row);
        series_pack_domain(&packing, names[i], values, rows, figures, 2 * SERIES_METRICS * rows);
    }
    s->batch->items[0].result = series_pack_end(&packing);
}

static uint32_t fill(struct stored *s, size_t table, struct leat_value **values, char code[32])
{
    char message[200] = "";
    const struct leat_table *t = s->tables[table];
    struct leat_row_context ctx = {.batch = s->batch, .version = 77, .table = t};
    uint32_t n = t->rows(&ctx, &s->record);
    *values = leat_batch_alloc(s->batch, (n + 1) * leat_table_width(t) * sizeof **values);
    strcpy(code, "");
    if (!t->fill(&ctx, &s->record, *values, s->batch, code, message))
        assert_true(code[0] && message[0]);
    return n;
}

static double run_at(const struct leat_value *value, size_t column)
{
    uint64_t bits;
    double real;
    memcpy(&bits, value->run.at + column * value->run.stride, sizeof bits);
    bits = le64toh(bits);
    memcpy(&real, &bits, sizeof real);
    return real;
}

static void tables_have_a_column_for_each_figure(void **state)
{
    struct fixture *f = *state;
    struct stored s;
    store(&s, f);
    const struct leat_table *idx = s.tables[SERIES_IDX], *bqx = s.tables[SERIES_BQX];
    assert_string_equal(idx->name, "features_idx");
    assert_string_equal(s.tables[2]->name, "features_spread");
    assert_null(s.tables[3]);
    assert_int_equal(idx->n_columns, 6 + 30);
    assert_int_equal(bqx->n_columns, 5 + 30);
    assert_string_equal(idx->columns[5].name, "close");
    assert_string_equal(idx->columns[6].name, "a2_short");
    assert_string_equal(bqx->columns[5].name, "a2_short");
    assert_string_equal(bqx->columns[34].name, "extrapolation_error_long");
    assert_null(bqx->columns[35].name);
    assert_true(idx->columns[0].is_key && idx->columns[1].is_key && !idx->columns[2].is_key);
    assert_string_equal(idx->columns[1].name, idx->monthly);
    assert_int_equal(leat_table_width(idx), 7);
    stored_free(&s);
}

static void rows_are_filled_from_block_and_result(void **state)
{
    struct fixture *f = *state;
    struct stored s;
    struct leat_value *values;
    char code[32];
    f->block.warmup = 4;
    store(&s, f);
    add_result(&s, ROWS - 4, (const char *const[]){"idx", "bqx"}, 2);
    assert_int_equal(fill(&s, SERIES_IDX, &values, code), ROWS - 4);
    const struct leat_value *row = values + 2 * leat_table_width(s.tables[SERIES_IDX]);
    assert_true(leat_wire_is(row[0].bytes, "EURUSD"));
    assert_int_equal(row[1].integer, f->ts[6]);
    assert_int_equal(row[2].integer, 77);
    assert_int_equal(row[3].bytes.size, LEAT_ID_SIZE);
    assert_true(row[4].real == 1 && !row[4].null);
    assert_true(row[-7 + 4].null); /* NaN is NULL */
    assert_true(row[5].real == f->close[6]);
    assert_true(run_at(&row[6], 0) == 2 && run_at(&row[6], 29) == 29002);
    assert_int_equal(fill(&s, SERIES_BQX, &values, code), ROWS - 4);
    assert_true(run_at(&values[5], 3) == 3000);
    assert_int_equal(fill(&s, 2, &values, code), 0); /* it brings no "spread" */
    assert_string_equal(code, "");
    stored_free(&s);
}

static void results_that_do_not_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    struct stored s;
    struct leat_value *values;
    char code[32];
    struct leat_error err;
    store(&s, f);
    fill(&s, SERIES_IDX, &values, code);
    assert_string_equal(code, "not_computed");
    s.batch->items[0].result = leat_batch_keep(s.batch, "\xc0", 1);
    fill(&s, SERIES_IDX, &values, code);
    assert_string_equal(code, "result_malformed");
    add_result(&s, ROWS - 1, (const char *const[]){"idx"}, 1);
    fill(&s, SERIES_IDX, &values, code);
    assert_string_equal(code, "result_malformed");
    series_tables_free(s.tables);
    assert_true(series_windows_parse("short=5,long=10", &s.windows, &err));
    s.tables = series_tables_make(&s.windows, &f->names);
    assert_true(series_windows_parse("short=5,long=9", &s.windows, &err));
    add_result(&s, ROWS, (const char *const[]){"idx"}, 1);
    fill(&s, SERIES_IDX, &values, code);
    assert_string_equal(code, "windows_differ");
    stored_free(&s);
}

static void cut_and_damaged_results_are_refused(void **state)
{
    struct fixture *f = *state;
    struct stored s;
    struct series_result result;
    struct leat_error err;
    store(&s, f);
    add_result(&s, 3, (const char *const[]){"idx", "bqx"}, 2);
    struct leat_span whole = s.batch->items[0].result;
    assert_true(series_result_read(whole, s.batch->zone, &result, &err));
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *cut = malloc(size ? size : 1); /* so that ASan sees its end */
        memcpy(cut, whole.data, size);
        assert_false(
            series_result_read((struct leat_span){cut, size}, s.batch->zone, &result, &err));
        free(cut);
    }
    for (size_t at = 0; at < 80; at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *damaged = malloc(whole.size);
            memcpy(damaged, whole.data, whole.size);
            damaged[at] ^= (uint8_t)(1 << bit);
            series_result_read((struct leat_span){damaged, whole.size}, s.batch->zone, &result,
                               &err);
            free(damaged);
        }
    stored_free(&s);
}

static void settings_are_checked_and_bound_the_growth(void **state)
{
    struct fixture *f = *state;
    struct leat_settings *settings = leat_settings_new(leat_tables);
    struct leat_error err;
    assert_true(series_flow.check_settings(settings, &err));
    struct leat_flow_limits limits = leat_flow_limits_read(settings);
    assert_int_equal(limits.series_longest, 90);
    /* Two domains of 91 values for a row of 16 bytes. */
    assert_true(series_flow.growth_factor(settings) > 2 * 91 * 8 / 16);
    leat_pack_map(&f->pk, BLOCK_PAIRS);
    block_pack_pairs(&f->pk, &f->block);
    assert_true(read(f));
    assert_true(series_flow.check(&f->object, &limits, &f->why));
    assert_true(leat_wire_is(series_flow.key(&f->object), "EURUSD"));
    static const char *const wrong[] = {"regress.windows=w15", "series.columns=A"};
    for (size_t i = 0; i < 2; i++) {
        struct leat_settings *broken = leat_settings_copy(settings);
        assert_true(leat_settings_assign(broken, wrong[i], LEAT_FROM_COMMAND_LINE, &err));
        assert_false(series_flow.check_settings(broken, &err));
        assert_null(series_flow.make_tables(broken, &err));
        assert_non_null(strstr(err.text, "setting "));
        leat_settings_destroy(&broken);
    }
    leat_settings_destroy(&settings);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(arrays_and_bins_are_read_alike),
        TEST(whole_numbers_are_values_too),
        TEST(what_lacks_a_field_is_refused),
        TEST(fields_of_a_wrong_type_are_refused),
        TEST(a_series_has_a_fitting_name),
        TEST(times_must_increase_within_the_years),
        TEST(values_must_be_finite_numbers_one_a_row),
        TEST(the_base_is_a_finite_number_but_0),
        TEST(columns_may_come_ready_made),
        TEST(columns_must_be_known_and_whole),
        TEST(rows_must_be_left_and_not_too_many),
        TEST(a_block_spans_two_years_at_most),
        TEST(warmup_that_is_too_short_is_refused_with_what_is_needed),
        TEST(a_month_that_begins_in_the_block_needs_no_more_warmup),
        TEST(names_are_read_as_written),
        TEST(months_are_the_calendars),
        TEST(idx_and_bqx_are_those_of_the_worked_example),
        TEST(tables_have_a_column_for_each_figure),
        TEST(rows_are_filled_from_block_and_result),
        TEST(results_that_do_not_fit_are_refused),
        TEST(cut_and_damaged_results_are_refused),
        TEST(settings_are_checked_and_bound_the_growth),
    };
    return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}
