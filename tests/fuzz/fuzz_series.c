/* A block of a series as clients send it: what is taken has as many values as rows, in the order of
 * time. */
#include "services/flows/series/record.h"
#include "tests/fuzz/targets.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_MOST = 64, LONGEST = 5 };

static void check_reals(const struct series_values *values, uint32_t n)
{
    double *reals = malloc(n * sizeof *reals);
    FUZZ_CHECK(values->n == n);
    series_reals(values, reals);
    for (uint32_t i = 0; i < n; i++)
        FUZZ_CHECK(isfinite(reals[i]));
    free(reals);
}

static void check_taken(const struct series_record *block)
{
    FUZZ_CHECK(block->series.size > 0 && block->series.size <= SERIES_NAME_MAX);
    FUZZ_CHECK(leat_wire_text_ok(block->series));
    FUZZ_CHECK(block->n > 0 && block->warmup < block->n && block->ts.n == block->n);
    FUZZ_CHECK(block->n - block->warmup <= ROWS_MOST);
    for (uint32_t i = 1; i < block->n; i++)
        FUZZ_CHECK(series_time_at(&block->ts, i - 1) < series_time_at(&block->ts, i));
    FUZZ_CHECK((block->close.n > 0) == (block->n_columns == 0));
    if (block->close.n > 0) {
        check_reals(&block->close, block->n);
        FUZZ_CHECK(isfinite(block->base) && block->base != 0);
    }
    for (size_t i = 0; i < block->n_columns; i++) {
        FUZZ_CHECK(block->columns[i].name < SERIES_NAMES_MOST);
        check_reals(&block->columns[i].values, block->n);
    }
}

void fuzz_series(struct leat_span input)
{
    struct series_names names;
    struct leat_error err;
    FUZZ_CHECK(series_names_parse("idx,bqx,spread,depth", &names, &err));
    const struct series_limits limits = {
        .max_rows = ROWS_MOST, .longest = LONGEST, .names = &names};
    struct leat_why why = {.code = NULL};
    struct series_record block;
    msgpack_object record;
    msgpack_zone zone;
    msgpack_zone_init(&zone, 4096);
    if (leat_wire_unpack(input, &zone, &record, NULL)) {
        bool taken = series_record_read(&record, &limits, &block, &why);
        FUZZ_CHECK(taken || why.code);
        if (taken)
            check_taken(&block);
    }
    msgpack_zone_destroy(&zone);
}
