#include "services/regress/features.h"

#include "services/flows/series/domain.h"
#include "services/flows/month.h"
#include "services/flows/series/result.h"
#include "services/regress/kernel.h"

#include <stdio.h>
#include <stdlib.h>

struct features {
    struct kernel *kernel;
    struct series_windows windows;
    struct series_names names;
    size_t fits;

    /* Room for a block, kept for the next one. */
    double *close, *values[2]; /* `rows_room` each; the second: bqx */
    double *figures;           /* windows × metrics × rows_room */
    uint32_t *ends;            /* of the segments: the row behind each one's last */
    size_t rows_room;
    size_t n_segments;
};

static void *or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory for a block\n");
        abort();
    }
    return memory;
}

struct features *features_new(const struct series_windows *windows,
                              const struct series_names *names)
{
    struct features *self = or_end(calloc(1, sizeof *self));
    self->kernel = kernel_new(windows);
    self->windows = *windows;
    self->names = *names;
    return self;
}

static void free_room(struct features *self)
{
    free(self->close);
    free(self->values[0]);
    free(self->values[1]);
    free(self->figures);
    free(self->ends);
}

void features_destroy(struct features **self)
{
    if (!*self)
        return;
    kernel_destroy(&(*self)->kernel);
    free_room(*self);
    free(*self);
    *self = NULL;
}

const char *features_set_name(const struct features *self)
{
    return kernel_set_name(self->kernel);
}

size_t features_fits(const struct features *self)
{
    return self->fits;
}

static void make_room(struct features *self, size_t rows)
{
    if (rows <= self->rows_room)
        return;
    free_room(self);
    self->rows_room = rows;
    self->close = or_end(calloc(rows, sizeof *self->close));
    self->values[0] = or_end(calloc(rows, sizeof *self->values[0]));
    self->values[1] = or_end(calloc(rows, sizeof *self->values[1]));
    self->figures = or_end(calloc(rows, self->windows.n * SERIES_METRICS * sizeof *self->figures));
    self->ends = or_end(calloc(rows, sizeof *self->ends));
}

/* Windows do not cross segments: one for each month, or one for all. */
static void find_segments(struct features *self, const struct series_record *record)
{
    self->n_segments = 0;
    int64_t until = INT64_MIN;
    for (uint32_t row = 0; record->monthly && row < record->n; row++) {
        int64_t us = series_time_at(&record->ts, row);
        if (us < until)
            continue;
        if (row > 0)
            self->ends[self->n_segments++] = row;
        until = leat_month_begin(leat_month(us) + 1);
    }
    self->ends[self->n_segments++] = record->n;
}

/* The part of the segment's rows that has output: [from, end) of the block. */
static uint32_t output_from(const struct series_record *record, uint32_t begin)
{
    return begin > record->warmup ? begin : record->warmup;
}

/* The figures of one domain, whose values are `y`, one a row of the block. */
static void fit(struct features *self, const struct series_record *record, const double *y)
{
    uint32_t begin = 0, rows = record->n - record->warmup;
    for (size_t s = 0; s < self->n_segments; s++) {
        uint32_t end = self->ends[s], from = output_from(record, begin);
        if (from < end)
            kernel_fit(self->kernel, y + begin, end - begin, from - begin,
                       self->figures + (from - record->warmup), rows);
        begin = end;
    }
    self->fits += (size_t)rows * self->windows.n;
}

static void pack(struct features *self, const struct series_record *record, size_t name,
                 const double *y, struct series_packing *packing)
{
    size_t rows = record->n - record->warmup;
    fit(self, record, y);
    series_pack_domain(packing, self->names.items[name], y + record->warmup, rows, self->figures,
                       rows * self->windows.n * SERIES_METRICS);
}

static void derive(struct features *self, const struct series_record *record)
{
    uint32_t begin = 0;
    series_reals(&record->close, self->close);
    series_idx(self->close, record->n, record->base, self->values[0]);
    for (size_t s = 0; s < self->n_segments; begin = self->ends[s++])
        series_bqx(self->values[0] + begin, self->ends[s] - begin, self->values[1] + begin);
}

struct leat_span features_find(struct features *self, const struct series_record *record,
                               struct leat_batch *arena)
{
    struct series_packing packing;
    uint32_t n_domains = record->close.n > 0 ? 2 : (uint32_t)record->n_columns;
    make_room(self, record->n);
    self->fits = 0;
    find_segments(self, record);
    series_pack_begin(&packing, arena, &self->windows, record->n - record->warmup, n_domains);
    if (record->close.n > 0) {
        derive(self, record);
        pack(self, record, SERIES_IDX, self->values[0], &packing);
        pack(self, record, SERIES_BQX, self->values[1], &packing);
    }
    for (size_t i = 0; i < record->n_columns; i++) {
        series_reals(&record->columns[i].values, self->values[0]);
        pack(self, record, record->columns[i].name, self->values[0], &packing);
    }
    return series_pack_end(&packing);
}
