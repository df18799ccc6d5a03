#include "services/leat/table.h"

#include <stdlib.h>

struct table {
    struct rows *rows;
    struct columns columns;
    bool empty;     /* no header, hence no rows */
    bool has_first; /* without a header the first row tells the number of columns, and is data */
    struct row first;
};

/* Without names the first row says how many columns there are; it is kept as data. */
static bool count_columns(struct table *self, const struct fields *fields, const char *name,
                          struct leat_error *err)
{
    self->has_first = true;
    return columns_find(&self->columns, fields, NULL, self->first.count, name, err);
}

static bool read_header(struct table *self, const struct reader_options *options, const char *name,
                        struct leat_error *err)
{
    if (options->columns) {
        struct leat_span cells[ROWS_CELLS_MAX];
        size_t count = columns_split(options->columns, cells);
        return columns_find(&self->columns, options->fields, cells, count, name, err);
    }
    struct draft_why why;
    switch (rows_next(self->rows, &self->first, &why, err)) {
    case ROWS_ROW:
        break;
    case ROWS_BAD:
        return leat_fail(err, "%s:%llu: its first line cannot be read: %s", name,
                         (unsigned long long)self->first.line, why.reason);
    case ROWS_END:
        self->empty = true;
        return true;
    case ROWS_FAILED:
        return false;
    }
    if (options->no_header)
        return count_columns(self, options->fields, name, err);
    for (size_t i = 0; i < self->first.count; i++)
        if (!draft_check_text(self->first.cells[i], &why))
            return leat_fail(err, "%s:%llu: its header cannot be read: %s", name,
                             (unsigned long long)self->first.line, why.reason);
    return columns_find(&self->columns, options->fields, self->first.cells, self->first.count, name,
                        err);
}

struct table *table_open(struct lines *lines, enum reader_format format,
                         const struct reader_options *options, const char *name,
                         struct leat_error *err)
{
    struct table *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->rows = rows_open(lines, format == READER_TSV ? '\t' : ',', err);
    if (!self->rows || !read_header(self, options, name, err))
        table_close(&self);
    return self;
}

void table_close(struct table **self)
{
    if (!*self)
        return;
    rows_close(&(*self)->rows);
    free(*self);
    *self = NULL;
}

enum rows_result table_next(struct table *self, struct row *row, struct draft_why *why,
                            struct leat_error *err)
{
    if (self->empty)
        return ROWS_END;
    if (!self->has_first)
        return rows_next(self->rows, row, why, err);
    self->has_first = false;
    *row = self->first;
    return ROWS_ROW;
}

const struct columns *table_columns(const struct table *self)
{
    return &self->columns;
}

bool table_empty(const struct table *self)
{
    return self->empty;
}
