#include "services/leat/rows.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that grow. */
struct bytes {
    uint8_t *data;
    size_t used, size;
};

struct rows {
    struct lines *lines;
    char separator;

    /* CSV: the lines of the row in hand, each with its newline, up to `cursor`; what lies behind it
     * was read for a row that turned out to be broken and is read once more. */
    struct bytes raw;
    size_t begin, cursor;
    uint64_t begin_line; /* number of the line at `begin` */
    bool over_long;      /* the line behind `raw` was too long: to be told when raw is used up */

    struct csv_parser parser;
    struct bytes text; /* the cells' bytes, one after another */
    size_t cells;
    size_t ends[ROWS_CELLS_MAX]; /* of each cell in `text` */
    bool done;                   /* the parser ended the row */
    const char *broken;          /* what is wrong with it */

    struct leat_span spans[ROWS_CELLS_MAX];
};

static int never(unsigned char byte)
{
    (void)byte;
    return 0;
}

struct rows *rows_open(struct lines *lines, char separator, struct leat_error *err)
{
    struct rows *self = calloc(1, sizeof *self);
    if (!self || csv_init(&self->parser, CSV_STRICT) != 0) {
        free(self);
        leat_fail(err, "out of memory");
        return NULL;
    }
    csv_set_space_func(&self->parser, never); /* spaces are part of a value */
    csv_set_blk_size(&self->parser, 4096);
    self->lines = lines;
    self->separator = separator;
    return self;
}

void rows_close(struct rows **self)
{
    if (!*self)
        return;
    csv_free(&(*self)->parser);
    free((*self)->raw.data);
    free((*self)->text.data);
    free(*self);
    *self = NULL;
}

static bool append(struct bytes *to, const void *data, size_t size)
{
    if (to->size - to->used < size) {
        size_t larger = to->size ? to->size : 4096;
        while (larger - to->used < size)
            larger *= 2;
        uint8_t *grown = realloc(to->data, larger);
        if (!grown)
            return false;
        to->data = grown;
        to->size = larger;
    }
    if (size > 0)
        memcpy(to->data + to->used, data, size);
    to->used += size;
    return true;
}

static enum rows_result too_long(uint64_t line, struct row *row, struct draft_why *why)
{
    *row = (struct row){.line = line};
    draft_refuse(why, "line_too_long", "the line is longer than %d MiB", LINES_MAX >> 20);
    return ROWS_BAD;
}

static enum rows_result too_many(struct draft_why *why)
{
    draft_refuse(why, "column_count", "more than %d columns", ROWS_CELLS_MAX);
    return ROWS_BAD;
}

/* --- TSV --- */

static enum rows_result next_tsv(struct rows *self, struct row *row, struct draft_why *why,
                                 struct leat_error *err)
{
    struct leat_span line;
    do {
        switch (lines_next(self->lines, &line, err)) {
        case LINES_LINE:
            break;
        case LINES_TOO_LONG:
            return too_long(lines_number(self->lines), row, why);
        case LINES_END:
            return ROWS_END;
        case LINES_FAILED:
            return ROWS_FAILED;
        }
        line = lines_chomp(line);
    } while (line.size == 0);

    *row = (struct row){.line = lines_number(self->lines), .cells = self->spans};
    for (;;) {
        if (row->count == ROWS_CELLS_MAX)
            return too_many(why);
        const uint8_t *tab = memchr(line.data, '\t', line.size);
        size_t length = tab ? (size_t)(tab - line.data) : line.size;
        self->spans[row->count++] = (struct leat_span){line.data, length};
        if (!tab)
            return ROWS_ROW;
        line.data += length + 1;
        line.size -= length + 1;
    }
}

/* --- CSV --- */

static void on_cell(void *data, size_t size, void *arg)
{
    struct rows *self = arg;
    if (self->done)
        self->broken = "a carriage return outside of quotes";
    if (self->broken)
        return;
    if (self->cells == ROWS_CELLS_MAX)
        self->broken = "too many columns";
    else if (!append(&self->text, data, size))
        self->broken = "out of memory";
    else
        self->ends[self->cells++] = self->text.used;
}

static void on_row(int terminator, void *arg)
{
    (void)terminator;
    struct rows *self = arg;
    self->done = true;
}

static void ignore_cell(void *data, size_t size, void *arg)
{
    (void)data, (void)size, (void)arg;
}

static void ignore_row(int terminator, void *arg)
{
    (void)terminator, (void)arg;
}

static void begin_row(struct rows *self)
{
    csv_fini(&self->parser, ignore_cell, ignore_row, NULL); /* forgets what was open */
    self->text.used = 0;
    self->cells = 0;
    self->done = false;
    self->broken = NULL;
}

/* Raw is moved down when half of it is used up, so a file that is all broken quotes stays small. */
static bool append_line(struct rows *self, struct leat_span line)
{
    size_t live = self->raw.used - self->begin;
    if (self->begin > live) {
        memmove(self->raw.data, self->raw.data + self->begin, live);
        self->raw.used = live;
        self->cursor -= self->begin;
        self->begin = 0;
    }
    return append(&self->raw, line.data, line.size) && append(&self->raw, "\n", 1);
}

/* The next line for the row in hand, with its newline, in raw: read again or read afresh. */
enum fetch { FETCH_LINE, FETCH_END, FETCH_FAILED };

static enum fetch fetch(struct rows *self, struct leat_span *line, struct leat_error *err)
{
    if (self->cursor == self->raw.used) {
        if (self->over_long)
            return FETCH_END;
        struct leat_span fresh;
        switch (lines_next(self->lines, &fresh, err)) {
        case LINES_LINE:
            break;
        case LINES_TOO_LONG:
            self->over_long = true;
            return FETCH_END;
        case LINES_END:
            return FETCH_END;
        case LINES_FAILED:
            return FETCH_FAILED;
        }
        if (!append_line(self, fresh)) {
            leat_fail(err, "out of memory");
            return FETCH_FAILED;
        }
    }
    line->data = self->raw.data + self->cursor;
    const uint8_t *newline = memchr(line->data, '\n', self->raw.used - self->cursor);
    line->size = (size_t)(newline - line->data) + 1;
    self->cursor += line->size;
    return FETCH_LINE;
}

/* What was read for the row is done with, but for what lies behind the cursor. */
static void release(struct rows *self, uint64_t lines)
{
    self->begin = self->cursor;
    self->begin_line += lines;
    if (self->begin == self->raw.used)
        self->begin = self->cursor = self->raw.used = 0;
}

/* The row's first line is passed over; the lines behind it are read again. */
static enum rows_result broken(struct rows *self, struct row *row, struct draft_why *why,
                               const char *reason)
{
    *row = (struct row){.line = self->begin_line + 1};
    draft_refuse(why, "csv_broken", "%s", reason);
    const uint8_t *from = self->raw.data + self->begin;
    const uint8_t *newline = memchr(from, '\n', self->raw.used - self->begin);
    self->cursor = self->begin + (size_t)(newline - from) + 1;
    release(self, 1);
    return ROWS_BAD;
}

static enum rows_result finished(struct rows *self, struct row *row, uint64_t lines)
{
    *row = (struct row){.line = self->begin_line + 1, .count = self->cells, .cells = self->spans};
    /* Before the first cell with anything in it there is no memory for text. */
    const uint8_t *text = self->text.data ? self->text.data : (const uint8_t *)"";
    size_t at = 0;
    for (size_t i = 0; i < self->cells; at = self->ends[i++])
        self->spans[i] = (struct leat_span){text + at, self->ends[i] - at};
    release(self, lines);
    return ROWS_ROW;
}

static const char *parse(struct rows *self, struct leat_span line)
{
    size_t n = csv_parse(&self->parser, line.data, line.size, on_cell, on_row, self);
    if (n == line.size)
        return self->broken;
    return csv_error(&self->parser) == CSV_EPARSE
               ? "a quote that neither opens nor closes a value (inside values it is doubled)"
               : csv_strerror(csv_error(&self->parser));
}

static bool is_blank(struct leat_span line)
{
    return line.size == 1 || (line.size == 2 && line.data[0] == '\r');
}

static enum rows_result next_csv(struct rows *self, struct row *row, struct draft_why *why,
                                 struct leat_error *err)
{
    begin_row(self);
    for (uint64_t lines = 0;;) {
        struct leat_span line;
        switch (fetch(self, &line, err)) {
        case FETCH_LINE:
            break;
        case FETCH_END:
            if (lines > 0)
                return broken(self, row, why, "the quote that is opened here is never closed");
            if (!self->over_long)
                return ROWS_END;
            self->over_long = false;
            return too_long(++self->begin_line, row, why);
        case FETCH_FAILED:
            return ROWS_FAILED;
        }
        if (lines == 0 && is_blank(line)) {
            release(self, 1);
            continue;
        }
        lines++;
        const char *reason = parse(self, line);
        if (reason)
            return broken(self, row, why, reason);
        if (self->done)
            return finished(self, row, lines);
        if (self->cursor - self->begin > LINES_MAX)
            return broken(self, row, why, "the quote that is opened here is not closed in 16 MiB");
    }
}

enum rows_result rows_next(struct rows *self, struct row *row, struct draft_why *why,
                           struct leat_error *err)
{
    return self->separator == '\t' ? next_tsv(self, row, why, err) : next_csv(self, row, why, err);
}
