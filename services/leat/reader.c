#include "services/leat/reader.h"

#include "services/leat/columns.h"
#include "services/leat/lines.h"
#include "services/leat/ndjson.h"
#include "services/leat/rows.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PEEK = 8192 }; /* bytes that tell the format */

struct reader {
    struct input *input;
    struct lines *lines;
    enum reader_format format;
    struct draft draft;
    json_t *tree; /* NDJSON: of the row that was given last */

    struct rows *rows; /* CSV, TSV */
    struct columns columns;
    bool empty;     /* no header, hence no rows */
    bool has_first; /* without a header the first row tells the number of columns, and is data */
    struct row first;
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

/* By what stands behind the last dot, a ".gz" left aside. */
static enum reader_format by_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char name[256];
    strncpy(name, slash ? slash + 1 : path, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    char *dot = strrchr(name, '.');
    if (dot && strcasecmp(dot, ".gz") == 0) {
        *dot = '\0';
        dot = strrchr(name, '.');
    }
    enum reader_format format = READER_AUTO;
    if (dot)
        reader_format_parse(dot + 1, &format);
    return format;
}

/* The first byte that says something. */
static uint8_t first_byte(struct leat_span head)
{
    for (size_t i = 0; i < head.size; i++)
        if (!strchr(" \t\r\n", head.data[i]))
            return head.data[i];
    return 0;
}

static enum reader_format by_content(struct leat_span head)
{
    if (first_byte(head) == '{')
        return READER_NDJSON;
    const uint8_t *newline = memchr(head.data, '\n', head.size);
    size_t length = newline ? (size_t)(newline - head.data) : head.size;
    return memchr(head.data, '\t', length) ? READER_TSV : READER_CSV;
}

/* What is certainly none of the formats is refused whole, not line by line. */
static bool refuse_foreign(struct reader *self, struct leat_span head, struct leat_error *err)
{
    const char *name = input_name(self->input);
    if (head.size >= 2 &&
        (memcmp(head.data, "\xff\xfe", 2) == 0 || memcmp(head.data, "\xfe\xff", 2) == 0))
        return leat_fail(err, "%s is UTF-16; make it UTF-8 first: iconv -f UTF-16 -t UTF-8", name);
    const uint8_t *nul = memchr(head.data, 0, head.size);
    if (nul && self->format == READER_AUTO)
        return leat_fail(err, "%s is binary (byte %zu is NUL), not NDJSON, CSV or TSV", name,
                         (size_t)(nul - head.data) + 1);
    return true;
}

static bool find_format(struct reader *self, enum reader_format given, struct leat_error *err)
{
    struct leat_span head;
    if (!lines_peek(self->lines, PEEK, &head, err))
        return false;
    self->format = given;
    if (given == READER_AUTO)
        self->format = by_name(input_name(self->input));
    if (!refuse_foreign(self, head, err))
        return false;
    if (head.size >= 3 && memcmp(head.data, "\xef\xbb\xbf", 3) == 0) {
        head.data += 3;
        head.size -= 3;
    }
    /* A name that ends in .json is usually one JSON text, not one a line. */
    const char *dot = strrchr(input_name(self->input), '.');
    bool lines_meant = given == READER_NDJSON ||
                       (self->format == READER_NDJSON && dot && strcasecmp(dot, ".json") != 0);
    if (!lines_meant && (self->format == READER_AUTO || self->format == READER_NDJSON) &&
        first_byte(head) == '[')
        return leat_fail(err,
                         "%s is one JSON array; Leat reads one object a line: jq -c '.[]' makes "
                         "that of it",
                         input_name(self->input));
    if (self->format == READER_AUTO)
        self->format = by_content(head);
    return true;
}

/* Without names the first row says how many columns there are; it is kept as data. */
static bool count_columns(struct reader *self, const struct fields *fields, struct leat_error *err)
{
    self->has_first = true;
    return columns_find(&self->columns, fields, NULL, self->first.count, input_name(self->input),
                        err);
}

static bool read_header(struct reader *self, const struct reader_options *options,
                        struct leat_error *err)
{
    const char *name = input_name(self->input);
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
        return count_columns(self, options->fields, err);
    for (size_t i = 0; i < self->first.count; i++)
        if (!draft_check_text(self->first.cells[i], &why))
            return leat_fail(err, "%s:%llu: its header cannot be read: %s", name,
                             (unsigned long long)self->first.line, why.reason);
    return columns_find(&self->columns, options->fields, self->first.cells, self->first.count, name,
                        err);
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
    bool ready = self->lines && find_format(self, options->format, err);
    if (ready && self->format != READER_NDJSON) {
        self->rows = rows_open(self->lines, self->format == READER_TSV ? '\t' : ',', err);
        ready = self->rows && read_header(self, options, err);
    }
    if (!ready)
        reader_close(&self);
    return self;
}

void reader_close(struct reader **self)
{
    if (!*self)
        return;
    rows_close(&(*self)->rows);
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
    struct row cells = self->first;
    if (self->empty)
        return READER_END;
    if (!self->has_first) {
        switch (rows_next(self->rows, &cells, &row->why, err)) {
        case ROWS_ROW:
            break;
        case ROWS_BAD:
            row->line = cells.line;
            return READER_BAD;
        case ROWS_END:
            return READER_END;
        case ROWS_FAILED:
            return READER_FAILED;
        }
    }
    self->has_first = false;
    row->line = cells.line;
    return columns_take(&self->columns, &self->draft, &cells, &row->why) ? READER_RECORD
                                                                         : READER_BAD;
}

enum reader_result reader_next(struct reader *self, struct reader_row *row, struct leat_error *err)
{
    draft_begin(&self->draft);
    enum reader_result result = self->rows ? next_row(self, row, err) : next_ndjson(self, row, err);
    if (result == READER_RECORD) {
        row->record = draft_finish(&self->draft);
        row->key = self->draft.key;
    }
    return result;
}
