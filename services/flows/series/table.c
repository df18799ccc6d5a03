#include "services/flows/series/table.h"

#include "services/flows/series/record.h"
#include "services/flows/series/result.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The columns before the figures; `close` is in features_idx only. */
enum column { COL_SERIES, COL_TS, COL_VERSION, COL_ORIGIN, COL_VALUE, COL_CLOSE, COL_FIXED };

enum { COLUMN_NAME_MAX = 20 + SERIES_WINDOW_NAME_MAX }; /* "extrapolation_error_…" with its NUL */

static const struct leat_column fixed[] = {
    [COL_SERIES] = {"series", LEAT_COL_TEXT, .is_key = true},
    [COL_TS] = {"ts", LEAT_COL_TIMESTAMPTZ, .is_key = true},
    [COL_VERSION] = {"version", LEAT_COL_BIGINT},
    [COL_ORIGIN] = {"origin", LEAT_COL_UUID},
    [COL_VALUE] = {"value", LEAT_COL_DOUBLE, .nullable = true},
    [COL_CLOSE] = {"close", LEAT_COL_DOUBLE, .nullable = true},
};

/* A table and what its description consists of, in one piece of memory. */
struct series_table {
    struct leat_table table; /* first: what the store is given is also this */
    size_t domain;
    struct series_windows windows;
    struct series_names names;
    char name[sizeof "features_" + SERIES_DOMAIN_NAME_MAX];
    struct leat_column columns[COL_FIXED + SERIES_METRICS * SERIES_WINDOWS_MOST + 1];
    char column_names[SERIES_METRICS * SERIES_WINDOWS_MOST][COLUMN_NAME_MAX];
};

static const struct series_table *table_of(const struct leat_row_context *ctx)
{
    return (const struct series_table *)(const void *)ctx->table;
}

/* What a block gave for the table's domain; NULL when it has nothing for it. */
static const struct series_found *find(const struct series_table *self,
                                       const struct series_result *result)
{
    for (size_t i = 0; i < result->n_domains; i++)
        if (leat_wire_is(result->domains[i].name, self->names.items[self->domain]))
            return &result->domains[i];
    return NULL;
}

static uint32_t rows(const struct leat_row_context *ctx, const msgpack_object *record)
{
    (void)record;
    const struct leat_item *item = &ctx->batch->items[ctx->index];
    struct series_result result;
    bool has = item->result.size > 0 &&
               series_result_read(item->result, ctx->batch->zone, &result, NULL) &&
               find(table_of(ctx), &result);
    return has ? result.rows : 0;
}

static bool windows_agree(const struct series_table *self, const struct series_result *result)
{
    bool same = result->n_windows == self->windows.n;
    for (size_t i = 0; same && i < self->windows.n; i++)
        same = result->windows[i] == self->windows.items[i].rows;
    return same;
}

static bool refuse(char code[32], char message[200], const char *which, const char *why)
{
    snprintf(code, 32, "%s", which);
    snprintf(message, 200, "%.199s", why);
    return false;
}

static struct leat_value of_real(const uint8_t *at)
{
    uint64_t bits;
    double real;
    memcpy(&bits, at, sizeof bits);
    bits = le64toh(bits);
    memcpy(&real, &bits, sizeof real);
    return (struct leat_value){.null = isnan(real), .real = real};
}

/* NULL in a block of columns. */
static struct leat_value close_at(const struct series_record *record, uint32_t at)
{
    if (record->close.n == 0)
        return (struct leat_value){.null = true};
    return (struct leat_value){.real = series_real_at(&record->close, at)};
}

static void fill_rows(const struct leat_row_context *ctx, const struct series_record *record,
                      const struct series_found *found, uint32_t n, struct leat_value *values)
{
    const struct leat_table *table = ctx->table;
    const struct leat_span origin = {ctx->batch->head.origin, LEAT_ID_SIZE};
    for (uint32_t row = 0; row < n; row++, values += leat_table_width(table)) {
        uint32_t at = record->warmup + row;
        values[COL_SERIES] = (struct leat_value){.bytes = record->series};
        values[COL_TS] = (struct leat_value){.integer = series_time_at(&record->ts, at)};
        values[COL_VERSION] = (struct leat_value){.integer = ctx->version};
        values[COL_ORIGIN] = (struct leat_value){.bytes = origin};
        values[COL_VALUE] = of_real(found->values + 8 * (size_t)row);
        if (table->run > COL_CLOSE)
            values[COL_CLOSE] = close_at(record, at);
        values[table->run] =
            (struct leat_value){.run = {found->figures + 8 * (size_t)row, 8 * (size_t)n}};
    }
}

static bool fill(const struct leat_row_context *ctx, const msgpack_object *object,
                 struct leat_value *values, struct leat_batch *arena, char code[32],
                 char message[200])
{
    const struct series_table *self = table_of(ctx);
    const struct leat_item *item = &ctx->batch->items[ctx->index];
    /* Ingest and regress have checked the block; its limits are not the store's business. */
    const struct series_limits limits = {.max_rows = SIZE_MAX, .names = &self->names};
    struct series_record record;
    struct series_result result;
    struct leat_why why;
    struct leat_error err;

    if (!series_record_read(object, &limits, &record, &why))
        return refuse(code, message, why.code, why.message);
    if (item->result.size == 0)
        return refuse(code, message, "not_computed",
                      "the block came to the store without features");
    if (!series_result_read(item->result, arena->zone, &result, &err))
        return refuse(code, message, "result_malformed", err.text);
    if (result.rows != record.n - record.warmup)
        return refuse(code, message, "result_malformed", "features and rows differ in number");
    if (!windows_agree(self, &result))
        return refuse(code, message, "windows_differ",
                      "computed over other windows than regress.windows says here");
    const struct series_found *found = find(self, &result);
    if (found)
        fill_rows(ctx, &record, found, result.rows, values);
    return true;
}

static void name_columns(struct series_table *self)
{
    size_t n = self->domain == SERIES_IDX ? COL_FIXED : COL_CLOSE, named = 0;
    memcpy(self->columns, fixed, n * sizeof *fixed);
    self->table.run = n;
    for (size_t w = 0; w < self->windows.n; w++)
        for (size_t m = 0; m < SERIES_METRICS; m++) {
            char *name = self->column_names[named++];
            snprintf(name, COLUMN_NAME_MAX, "%s_%s", series_metric_names[m],
                     self->windows.items[w].name);
            self->columns[n++] = (struct leat_column){name, LEAT_COL_DOUBLE, .nullable = true};
        }
    self->table.n_columns = n;
}

static struct series_table *make(const struct series_windows *windows,
                                 const struct series_names *names, size_t domain)
{
    struct series_table *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->domain = domain;
    self->windows = *windows;
    self->names = *names;
    snprintf(self->name, sizeof self->name, "features_%s", names->items[domain]);
    self->table = (struct leat_table){.name = self->name,
                                      .columns = self->columns,
                                      .monthly = "ts",
                                      .configured = true,
                                      .rows = rows,
                                      .fill = fill};
    name_columns(self);
    return self;
}

const struct leat_table *const *series_tables_make(const struct series_windows *windows,
                                                   const struct series_names *names)
{
    const struct leat_table **tables = calloc(names->n + 1, sizeof *tables);
    if (!tables)
        abort();
    for (size_t i = 0; i < names->n; i++)
        tables[i] = &make(windows, names, i)->table;
    return tables;
}

void series_tables_free(const struct leat_table *const *tables)
{
    if (!tables)
        return;
    for (size_t i = 0; tables[i]; i++)
        free((void *)(uintptr_t)tables[i]);
    free((void *)(uintptr_t)tables);
}
