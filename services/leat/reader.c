#include "services/leat/reader.h"

#include "services/leat/format.h"
#include "services/leat/ndjson.h"
#include "services/leat/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
    struct input *input;
    struct lines *lines;
    enum reader_format format;
    struct draft draft;
    json_t *tree; /* NDJSON: of the row that was given last */

    struct table *table; /* CSV, TSV; else NULL */
};

bool reader_format_parse(const char *text, enum reader_format *out)
{
    static const struct {
        const char *name;
        enum reader_format format;
    } names[] = {
        {"ndjson", READER_NDJSON}, {"jsonl", READER_NDJSON}, {"json", READER_NDJSON},
        {"csv", READER_CSV},       {"tsv", READER_TSV},      {"tab", READER_TSV},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(text, names[i].name) == 0) {
            *out = names[i].format;
            return true;
        }
    return false;
}

struct reader *reader_open(struct input *input, const struct reader_options *options,
                           struct leat_error *err)
{
    struct reader *self = calloc(1, sizeof *self);
    if (!self) {
        input_close(&input);
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->input = input;
    draft_init(&self->draft, options->fields);
    self->lines = lines_open(input, err);
    const char *name = input_name(input);
    bool ready = self->lines && format_find(self->lines, name, options->format, &self->format, err);
    if (ready && self->format != READER_NDJSON) {
        self->table = table_open(self->lines, self->format, options, name, err);
        ready = self->table;
    }
    if (!ready)
        reader_close(&self);
    return self;
}

void reader_close(struct reader **self)
{
    if (!*self)
        return;
    table_close(&(*self)->table);
    lines_close(&(*self)->lines);
    draft_end(&(*self)->draft);
    json_decref((*self)->tree);
    input_close(&(*self)->input);
    free(*self);
    *self = NULL;
}

enum reader_format reader_format(const struct reader *self)
{
    return self->format;
}

static bool is_blank(struct leat_span line)
{
    for (size_t i = 0; i < line.size; i++)
        if (!strchr(" \t\r", line.data[i]) || line.data[i] == 0)
            return false;
    return true;
}

static enum reader_result next_ndjson(struct reader *self, struct reader_row *row,
                                      struct leat_error *err)
{
    struct leat_span line;
    json_decref(self->tree);
    self->tree = NULL;
    do {
        switch (lines_next(self->lines, &line, err)) {
        case LINES_LINE:
            break;
        case LINES_TOO_LONG:
            row->line = lines_number(self->lines);
            draft_refuse(&row->why, "line_too_long", "the line is longer than %d MiB",
                         LINES_MAX >> 20);
            return READER_BAD;
        case LINES_END:
            return READER_END;
        case LINES_FAILED:
            return READER_FAILED;
        }
    } while (is_blank(line));
    row->line = lines_number(self->lines);
    return ndjson_read(&self->draft, lines_chomp(line), &self->tree, &row->why) ? READER_RECORD
                                                                                : READER_BAD;
}

static enum reader_result next_row(struct reader *self, struct reader_row *row,
                                   struct leat_error *err)
{
    struct row cells = {0};
    enum rows_result result = table_next(self->table, &cells, &row->why, err);
    row->line = cells.line;
    switch (result) {
    case ROWS_ROW:
        break;
    case ROWS_BAD:
        return READER_BAD;
    case ROWS_END:
        return READER_END;
    case ROWS_FAILED:
        return READER_FAILED;
    }
    return columns_take(table_columns(self->table), &self->draft, &cells, &row->why) ? READER_RECORD
                                                                                     : READER_BAD;
}

enum reader_result reader_next(struct reader *self, struct reader_row *row, struct leat_error *err)
{
    draft_begin(&self->draft);
    enum reader_result result =
        self->table ? next_row(self, row, err) : next_ndjson(self, row, err);
    if (result == READER_RECORD) {
        row->record = draft_finish(&self->draft);
        row->key = self->draft.key;
    }
    return result;
}
