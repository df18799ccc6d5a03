#include "services/leat/cell.h"
#include "services/leat/format.h"
#include "services/leat/points.h"
#include "services/leat/table.h"

#include <stdlib.h>
#include <string.h>

struct points_file {
    struct points points; /* first: what the caller holds */
    const struct fields *fields;
    struct input *input;
    struct lines *lines;
    struct table *table;
    enum cell_unit unit;
};

static void close_file(struct points *points)
{
    struct points_file *self = (struct points_file *)points;
    table_close(&self->table);
    lines_close(&self->lines);
    input_close(&self->input);
    free(self);
}

static bool read_cells(struct points_file *self, const struct row *row, struct point *out)
{
    const struct columns *columns = table_columns(self->table);
    if (row->count != columns->count)
        return draft_refuse(&out->why, "column_count", "%zu column%s where there should be %zu",
                            row->count, row->count == 1 ? "" : "s", columns->count);
    if (!cell_time(row->cells[columns->at[0]], &self->unit, &out->ts, &out->why))
        return false;
    for (size_t i = 1; i < self->fields->count; i++) {
        const char *name = self->fields->kind->fields[i].name;
        const char *prefix = strcmp(name, "close") == 0 ? "close" : "column";
        if (!cell_real(row->cells[columns->at[i]], prefix, name, &out->values[i - 1], &out->why))
            return false;
    }
    return true;
}

static enum points_result next_of_file(struct points *points, struct point *out,
                                       struct leat_error *err)
{
    struct points_file *self = (struct points_file *)points;
    struct row row = {0};
    enum rows_result result = table_next(self->table, &row, &out->why, err);
    out->line = row.line;
    switch (result) {
    case ROWS_ROW:
        return read_cells(self, &row, out) ? POINTS_ROW : POINTS_BAD;
    case ROWS_BAD:
        return POINTS_BAD;
    case ROWS_END:
        return POINTS_END;
    case ROWS_FAILED:
        break;
    }
    return POINTS_FAILED;
}

static const struct points_type of_file = {next_of_file, close_file};

static bool refuse(struct draft_why *why, const char *code, const struct leat_error *err)
{
    return draft_refuse(why, code, "%s", err->text);
}

static bool read_beginning(struct points_file *self, const struct reader_options *options,
                           struct draft_why *why)
{
    struct leat_error err;
    enum reader_format format;
    const char *name = input_name(self->input);
    self->lines = lines_open(self->input, &err);
    if (!self->lines || !format_find(self->lines, name, options->format, &format, &err))
        return refuse(why, "unreadable", &err);
    if (format == READER_NDJSON)
        return draft_refuse(why, "unreadable", "a series is read from CSV or TSV, not from NDJSON");
    /* Whoever refuses it has its name in front. */
    self->table = table_open(self->lines, format, options, "the file", &err);
    if (!self->table)
        return refuse(why, input_stopped(self->input) ? "unreadable" : "column_missing", &err);
    if (table_empty(self->table))
        return draft_refuse(why, "empty", "there is nothing in it, not even a header");
    return true;
}

struct points *points_open_file(struct input *input, const struct reader_options *options,
                                struct draft_why *why)
{
    struct points_file *self = calloc(1, sizeof *self);
    if (!self) {
        input_close(&input);
        draft_refuse(why, "unreadable", "out of memory");
        return NULL;
    }
    self->points.type = &of_file;
    self->input = input;
    self->fields = options->fields;
    if (read_beginning(self, options, why))
        return &self->points;
    close_file(&self->points);
    return NULL;
}
