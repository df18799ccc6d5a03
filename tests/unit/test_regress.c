/* The regress stage: blocks in, features out, the same however a series was cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/flows/series/domain.h"
#include "services/flows/series/flow.h"
#include "services/flows/month.h"
#include "services/flows/series/result.h"
#include "services/regress/kernel.h"
#include "services/regress/regress.h"
#include "services/runtime/stage_context.h"
#include "services/tables.h"
#include "tests/unit/block.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 1500, NEEDED = 104, FIGURES = 6 * SERIES_METRICS };

static const int64_t hour = 3600000000;
static const int64_t begin_2024 = 1704067200000000; /* 2024-01-01 */

struct fixture {
    struct leat_settings *settings;
    struct leat_metrics *metrics;
    struct leat_stage_context ctx;
    const struct leat_stage *stage;
    void *self;
    msgpack_sbuffer frame, record; /* what is being packed */
    uint32_t count;
    int64_t ts[ROWS];
    double close[ROWS];
    struct block whole;
};

static void open_stage(struct fixture *f)
{
    struct leat_error err;
    if (!f->stage->open(&f->self, &f->ctx, &err))
        fail_msg("%s", err.text);
}

/* Hours of which some are missing, from the middle of January on; closes that walk. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct leat_error err;
    f->settings = leat_settings_new(leat_tables);
    f->metrics = leat_metrics_new(&err);
    f->ctx = (struct leat_stage_context){.settings = f->settings, .metrics = f->metrics};
    f->stage = regress_service.stage;
    msgpack_sbuffer_init(&f->frame);
    msgpack_sbuffer_init(&f->record);
    uint32_t random = 5;
    int64_t at = begin_2024 + 12 * 24 * hour;
    double close = 1.07356;
    for (int i = 0; i < ROWS; i++) {
        random = random * 1664525 + 1013904223;
        at += hour * (random >> 28 == 0 ? 49 : 1);
        close += ((double)(random >> 8) / 16777216 - 0.5) * 1e-4;
        f->ts[i] = at;
        f->close[i] = close;
    }
    f->whole = (struct block){.series = "EURUSD",
                              .ts = f->ts,
                              .close = f->close,
                              .n = ROWS,
                              .base = 1.07356,
                              .start = true,
                              .packed = true};
    open_stage(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->stage->close(&f->self);
    f->stage->close(&f->self);
    msgpack_sbuffer_destroy(&f->frame);
    msgpack_sbuffer_destroy(&f->record);
    leat_metrics_destroy(&f->metrics);
    leat_settings_destroy(&f->settings);
    free(f);
    return 0;
}

/* Takes what f->record has as the next item of the batch. */
static void add_record(struct fixture *f)
{
    const struct leat_span record = {(const uint8_t *)f->record.data, f->record.size};
    leat_batch_write_item(&(struct leat_item){.record = record}, &f->frame);
    msgpack_sbuffer_clear(&f->record);
    f->count++;
}

static void add_block(struct fixture *f, const struct block *block)
{
    msgpack_packer pk;
    leat_pack_init(&pk, &f->record);
    leat_pack_map(&pk, BLOCK_PAIRS);
    block_pack_pairs(&pk, block);
    add_record(f);
}

static struct leat_batch *batch_of(struct fixture *f)
{
    struct leat_error err;
    msgpack_sbuffer whole;
    msgpack_sbuffer_init(&whole);
    leat_batch_write_head(
        &(struct leat_batch_head){
            .stage = "regress", .kind = "series", .stamp = 1, .attempt = 1, .count = f->count},
        &whole);
    msgpack_sbuffer_write(&whole, f->frame.data, f->frame.size);
    msgpack_sbuffer_clear(&f->frame);
    f->count = 0;
    struct leat_batch *batch = leat_batch_read(
        (struct leat_span){(const uint8_t *)whole.data, whole.size}, whole.data, free, &err);
    assert_non_null(batch);
    return batch;
}

static struct leat_batch *run(struct fixture *f)
{
    struct leat_batch *batch = batch_of(f);
    assert_int_equal(f->stage->batch(f->self, batch), LEAT_FORWARD);
    return batch;
}

static void result_of(struct leat_batch *batch, uint32_t item, struct series_result *out)
{
    struct leat_error err;
    struct leat_span stage, code, message;
    if (leat_item_error(&batch->items[item], batch->zone, &stage, &code, &message))
        fail_msg("%.*s", (int)message.size, (const char *)message.data);
    if (!series_result_read(batch->items[item].result, batch->zone, out, &err))
        fail_msg("%s", err.text);
}

static void refused(struct leat_batch *batch, uint32_t item, const char *expected)
{
    struct leat_span stage, code, message;
    assert_true(leat_item_error(&batch->items[item], batch->zone, &stage, &code, &message));
    assert_true(leat_wire_is(stage, "regress"));
    if (!leat_wire_is(code, expected))
        fail_msg("%.*s", (int)code.size, (const char *)code.data);
    assert_int_equal(batch->items[item].result.size, 0);
}

static double real(const uint8_t *packed, size_t at)
{
    uint64_t bits;
    double value;
    memcpy(&bits, packed + 8 * at, sizeof bits);
    bits = le64toh(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Does a domain of a result have these values, and the kernel's figures of them? */
static void assert_domain(const struct fixture *f, const struct series_found *found,
                          const char *name, const double *y, size_t n)
{
    struct series_windows windows;
    struct leat_error err;
    double *figures = malloc(FIGURES * n * sizeof *figures);
    assert_true(
        series_windows_parse(leat_settings_str(f->settings, "regress.windows"), &windows, &err));
    struct kernel *kernel = kernel_new(&windows);
    kernel_fit(kernel, y, n, 0, figures, n);
    assert_true(leat_wire_is(found->name, name));
    assert_memory_equal(found->values, y, n * sizeof *y);
    assert_memory_equal(found->figures, figures, FIGURES * n * sizeof *figures);
    kernel_destroy(&kernel);
    free(figures);
}

static void a_block_gets_the_figures_of_both_domains(void **state)
{
    struct fixture *f = *state;
    struct series_result result;
    double idx[ROWS], bqx[ROWS];
    add_block(f, &f->whole);
    struct leat_batch *batch = run(f);
    result_of(batch, 0, &result);
    assert_int_equal(result.rows, ROWS);
    assert_int_equal(result.n_windows, 6);
    assert_int_equal(result.windows[5], 90);
    assert_int_equal(result.n_domains, 2);
    series_idx(f->close, ROWS, 1.07356, idx);
    series_bqx(idx, ROWS, bqx);
    assert_domain(f, &result.domains[0], "idx", idx, ROWS);
    assert_domain(f, &result.domains[1], "bqx", bqx, ROWS);
    leat_batch_destroy(&batch);
}

static void windows_of_bqx_count_from_its_first_defined_row(void **state)
{
    struct fixture *f = *state;
    struct series_result result;
    add_block(f, &f->whole);
    struct leat_batch *batch = run(f);
    result_of(batch, 0, &result);
    for (size_t row = 0; row < 200; row++) {
        assert_int_equal(isnan(real(result.domains[1].values, row)), row < 15);
        for (size_t w = 0; w < 6; w++)
            for (size_t d = 0; d < 2; d++)
                for (size_t m = 0; m < SERIES_METRICS; m++) {
                    size_t at = (w * SERIES_METRICS + m) * ROWS + row;
                    bool undefined = row + 1 < result.windows[w] + 15 * d;
                    assert_int_equal(isnan(real(result.domains[d].figures, at)), undefined);
                }
    }
    leat_batch_destroy(&batch);
}

/* Is a block's result what the whole has from row `from` on? */
static void assert_part(const struct series_result *part, const struct series_result *whole,
                        size_t from)
{
    for (size_t d = 0; d < 2; d++) {
        assert_memory_equal(part->domains[d].values, whole->domains[d].values + 8 * from,
                            8 * part->rows);
        for (size_t c = 0; c < FIGURES; c++)
            assert_memory_equal(part->domains[d].figures + 8 * c * part->rows,
                                whole->domains[d].figures + 8 * (c * whole->rows + from),
                                8 * part->rows);
    }
}

/* Cuts the whole into blocks of the given rows, and compares what comes out with it. */
static void cut_and_compare(struct fixture *f, const struct series_result *whole, size_t rows)
{
    for (size_t from = 0; from < ROWS; from += rows) {
        size_t warmup = from < NEEDED + 7 ? from : NEEDED + from % 8; /* more does no harm */
        struct block block = f->whole;
        block.ts += from - warmup;
        block.close += from - warmup;
        block.n = warmup + (ROWS - from < rows ? ROWS - from : rows);
        block.warmup = (uint32_t)warmup;
        block.start = warmup == from;
        block.packed = from % 2;
        add_block(f, &block);
    }
    struct leat_batch *batch = run(f);
    for (uint32_t i = 0; i < batch->head.count; i++) {
        struct series_result part;
        result_of(batch, i, &part);
        assert_part(&part, whole, i * rows);
    }
    leat_batch_destroy(&batch);
}

static void any_cutting_gives_the_same_bits(void **state)
{
    struct fixture *f = *state;
    static const size_t cuts[] = {1, 7, 100, 733, 1499};
    static const char *const resets[] = {"none", "month"};
    for (size_t r = 0; r < 2; r++) {
        struct series_result whole;
        f->whole.reset = resets[r];
        add_block(f, &f->whole);
        struct leat_batch *batch = run(f);
        result_of(batch, 0, &whole);
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
            cut_and_compare(f, &whole, cuts[i]);
        leat_batch_destroy(&batch);
    }
}

/* With reset = month each month comes out as if it were sent alone. */
static void months_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct series_result whole;
    f->whole.reset = "month";
    add_block(f, &f->whole);
    struct leat_batch *batch = run(f);
    result_of(batch, 0, &whole);
    size_t months = 0;
    for (size_t from = 0, to; from < ROWS; from = to, months++) {
        struct series_result alone;
        struct block block = f->whole;
        for (to = from; to < ROWS && leat_month(f->ts[to]) == leat_month(f->ts[from]);)
            to++;
        block.ts += from;
        block.close += from;
        block.n = to - from;
        block.reset = "none";
        add_block(f, &block);
        struct leat_batch *one = run(f);
        result_of(one, 0, &alone);
        assert_part(&alone, &whole, from);
        leat_batch_destroy(&one);
    }
    assert_true(months >= 3);
    leat_batch_destroy(&batch);
}

static void columns_are_fitted_as_they_come(void **state)
{
    struct fixture *f = *state;
    struct series_result result;
    msgpack_packer pk;
    leat_pack_init(&pk, &f->record);
    leat_pack_map(&pk, 4);
    leat_pack_cstr(&pk, "series");
    leat_pack_cstr(&pk, "EURUSD");
    leat_pack_cstr(&pk, "ts");
    block_pack_times(&pk, f->ts, 300, true);
    leat_pack_cstr(&pk, "start");
    msgpack_pack_true(&pk);
    leat_pack_cstr(&pk, "columns");
    leat_pack_map(&pk, 1);
    leat_pack_cstr(&pk, "bqx");
    block_pack_reals(&pk, f->close, 300, true);
    add_record(f);
    struct leat_batch *batch = run(f);
    result_of(batch, 0, &result);
    assert_int_equal(result.n_domains, 1);
    assert_domain(f, &result.domains[0], "bqx", f->close, 300);
    leat_batch_destroy(&batch);
}

static void a_hundred_series_in_one_batch_stay_apart(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 100; i++) {
        struct block block = f->whole;
        block.close += 5 * i;
        block.ts += 5 * i;
        block.n = 95 + i;
        add_block(f, &block);
    }
    struct leat_batch *batch = run(f);
    for (uint32_t i = 0; i < 100; i++) {
        struct series_result result;
        double idx[200];
        result_of(batch, i, &result);
        series_idx(f->close + 5 * (size_t)i, 95 + (size_t)i, 1.07356, idx);
        assert_domain(f, &result.domains[0], "idx", idx, 95 + (size_t)i);
    }
    leat_batch_destroy(&batch);
}

static void what_is_wrong_with_one_block_harms_no_other(void **state)
{
    struct fixture *f = *state;
    struct series_result result;
    struct block block = f->whole;
    block.start = false;
    block.warmup = 103;
    add_block(f, &block);
    add_block(f, &f->whole);
    msgpack_sbuffer_write(&f->record, "\xc0", 1);
    add_record(f);
    add_block(f, &f->whole);
    struct leat_batch *batch = batch_of(f);
    leat_batch_fail(batch, 3, "ingest", "earlier", "it failed before");
    f->stage->batch(f->self, batch);
    refused(batch, 0, "warmup_short");
    refused(batch, 2, "record_not_map");
    result_of(batch, 1, &result);
    assert_int_equal(batch->items[3].result.size, 0);
    struct leat_span stage, code, message;
    assert_true(leat_item_error(&batch->items[3], batch->zone, &stage, &code, &message));
    assert_true(leat_wire_is(code, "earlier"));
    leat_batch_destroy(&batch);
}

/* The bound on frames must hold whatever comes in, and keep out nothing that is real. */
static void features_grow_no_further_than_frames_allow(void **state)
{
    struct fixture *f = *state;
    size_t factor = series_flow.growth_factor(f->settings);
    for (int old = 0; old < 2; old++) {
        msgpack_packer pk;
        leat_pack_init(&pk, &f->record);
        leat_pack_map(&pk, 5);
        leat_pack_cstr(&pk, "series");
        leat_pack_cstr(&pk, "X");
        leat_pack_cstr(&pk, "base");
        msgpack_pack_int(&pk, 1);
        leat_pack_cstr(&pk, "start");
        msgpack_pack_true(&pk);
        leat_pack_cstr(&pk, "close");
        msgpack_pack_array(&pk, ROWS);
        for (int i = 0; i < ROWS; i++)
            msgpack_pack_int(&pk, 1 + i % 100);
        leat_pack_cstr(&pk, "ts");
        if (old) {
            msgpack_pack_array(&pk, ROWS);
            for (int i = 0; i < ROWS; i++)
                msgpack_pack_int(&pk, i);
        } else {
            block_pack_times(&pk, f->ts, ROWS, true);
        }
        add_record(f);
        struct leat_batch *batch = run(f);
        if (old) {
            refused(batch, 0, "no_room");
        } else {
            struct series_result result;
            result_of(batch, 0, &result);
            assert_true(batch->items[0].result.size <=
                        factor * batch->items[0].record.size + series_flow.growth);
        }
        leat_batch_destroy(&batch);
    }
}

static void other_windows_may_be_configured(void **state)
{
    struct fixture *f = *state;
    struct leat_error err;
    struct series_result result;
    f->stage->close(&f->self);
    assert_true(leat_settings_assign(f->settings, "regress.windows=tiny=3,odd=37",
                                     LEAT_FROM_COMMAND_LINE, &err));
    open_stage(f);
    add_block(f, &f->whole);
    struct leat_batch *batch = run(f);
    result_of(batch, 0, &result);
    assert_int_equal(result.n_windows, 2);
    assert_int_equal(result.windows[1], 37);
    leat_batch_destroy(&batch);
}

static void wrong_settings_are_refused_at_the_start(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {"regress.windows=w15=2", "series.columns=x,,y"};
    for (size_t i = 0; i < 2; i++) {
        struct leat_error err;
        struct leat_settings *broken = leat_settings_copy(f->settings);
        assert_true(leat_settings_assign(broken, wrong[i], LEAT_FROM_COMMAND_LINE, &err));
        f->stage->close(&f->self);
        f->ctx.settings = broken;
        assert_false(f->stage->open(&f->self, &f->ctx, &err));
        assert_non_null(strstr(err.text, "setting "));
        assert_null(f->self);
        leat_settings_destroy(&broken);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_block_gets_the_figures_of_both_domains),
        TEST(windows_of_bqx_count_from_its_first_defined_row),
        TEST(any_cutting_gives_the_same_bits),
        TEST(months_begin_anew),
        TEST(columns_are_fitted_as_they_come),
        TEST(a_hundred_series_in_one_batch_stay_apart),
        TEST(what_is_wrong_with_one_block_harms_no_other),
        TEST(features_grow_no_further_than_frames_allow),
        TEST(other_windows_may_be_configured),
        TEST(wrong_settings_are_refused_at_the_start),
    };
    return cmocka_run_group_tests_name("regress", tests, NULL, NULL);
}
