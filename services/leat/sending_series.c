/* Time series of an input: rows in, blocks out. Every row is judged by itself: one that is refused
 * is named and left out, and the series goes on without it. */
#include "services/leat/points.h"
#include "services/leat/sending_private.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Rows in a line that have too few before them to look back on: told as one. */
struct shortage {
    uint64_t line, last_line, rows;
};

struct walk {
    struct sending *sending;
    const struct sending_series_options *options;
    uint32_t file;
    struct leat_series_limits limits;
    struct points *points;
    struct cutter *cutter; /* of the series at hand; NULL: none yet */
    msgpack_sbuffer record;
    uint64_t block_line; /* of the block's first row */
    uint64_t seen;       /* rows of any kind */
    struct shortage shortage;
};

/* --- names --- */

/* Bytes of a file's name without folder and endings. */
static struct leat_span stem(const char *path)
{
    static const char *const endings[] = {".gz", ".csv", ".tsv", ".tab", ".txt", NULL};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t size = strlen(name);
    for (size_t i = 0; endings[i]; i++) {
        size_t length = strlen(endings[i]);
        if (size > length && strncasecmp(name + size - length, endings[i], length) == 0) {
            size -= length;
            i = (size_t)-1; /* "a.csv.gz" has two */
        }
    }
    return (struct leat_span){(const uint8_t *)name, size};
}

/* The series that a file is. False: its name is too long for one. */
static bool series_of(const struct sending *self, uint32_t file, char to[CUTTER_NAME_MAX + 1])
{
    const char *given = self->options->series->series;
    struct leat_span name = given ? (struct leat_span){(const uint8_t *)given, strlen(given)}
                                  : stem(self->options->inputs[file]);
    if (name.size > CUTTER_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++)
        to[i] = (char)(given ? name.data[i] : (uint8_t)toupper(name.data[i]));
    to[name.size] = '\0';
    return true;
}

/* The file of the command line that brought this series already; -1: none. */
static int64_t brought_by(const struct sending *self, uint32_t file, const char *series)
{
    char name[CUTTER_NAME_MAX + 1];
    for (uint32_t i = 0; i < file; i++)
        if (series_of(self, i, name) && strcmp(name, series) == 0)
            return i;
    return -1;
}

/* --- what is refused --- */

/* A file as a whole: counted as one row, its first line. */
static bool refuse_file(struct walk *self, const char *code, const char *reason)
{
    struct sending *sending = self->sending;
    struct leat_error err;
    sending->rows++;
    sending_refuse(sending, self->file, 1, 1, code, reason);
    leat_fail(&err, "%s: %s", sending->options->inputs[self->file], reason);
    if (sending->options->quiet)
        sending_trouble(sending, &err);
    else if (!sending->trouble.text[0]) {
        sending->trouble = err; /* it is printed among the reasons */
        draft_mend(sending->trouble.text);
    }
    return false;
}

static void refuse_row(struct walk *self, const struct point *row, const char *code,
                       const char *reason)
{
    self->sending->rows++;
    sending_refuse(self->sending, self->file, row->line, 1, code, reason);
}

static void note_shortage(struct walk *self, const struct point *row)
{
    struct shortage *it = &self->shortage;
    if (it->rows == 0)
        it->line = row->line;
    it->last_line = row->line;
    it->rows++;
}

static void tell_shortage(struct walk *self)
{
    const struct shortage *it = &self->shortage;
    char reason[160];
    if (it->rows == 0)
        return;
    snprintf(reason, sizeof reason,
             "up to line %llu fewer than %zu rows are there to look back on; say --start if the "
             "series begins with this file",
             (unsigned long long)it->last_line, cutter_needed(self->cutter));
    self->sending->rows += it->rows;
    sending_refuse(self->sending, self->file, it->line, it->rows, "warmup_short", reason);
    self->shortage = (struct shortage){0};
}

/* --- blocks --- */

/* Sends the block at hand, if there is one. False when nothing more can be sent. */
static bool cut(struct walk *self, struct leat_error *err)
{
    uint64_t rows = self->cutter ? cutter_rows(self->cutter) : 0;
    if (rows == 0)
        return true;
    const char *name = cutter_series(self->cutter);
    msgpack_sbuffer_clear(&self->record);
    cutter_pack(self->cutter, &self->record);
    cutter_advance(self->cutter);
    return sending_put(self->sending, self->file, self->block_line, rows,
                       (struct leat_span){(const uint8_t *)name, strlen(name)},
                       (struct leat_span){(const uint8_t *)self->record.data, self->record.size},
                       err);
}

static bool begin_series(struct walk *self, const char *name, struct leat_error *err)
{
    const struct sending_series_options *options = self->options;
    const char *columns[FIELDS_MAX];
    const struct fields *fields = self->sending->options->reading.fields;
    for (size_t i = 1; i < fields->count; i++)
        columns[i - 1] = fields->kind->fields[i].name;
    cutter_close(&self->cutter);
    self->cutter =
        cutter_open(&(struct cutter_options){.series = name,
                                             .columns = columns,
                                             .n_columns = options->columns ? fields->count - 1 : 0,
                                             .base = options->base,
                                             .start = !options->has_after || options->start,
                                             .monthly = options->monthly,
                                             .rows = self->limits.rows,
                                             .longest = self->limits.longest},
                    err);
    return self->cutter;
}

/* The series of a query's row. False: the row is refused, or nothing more can be sent (*go_on). */
static bool follow_series(struct walk *self, const struct point *row, bool *go_on,
                          struct leat_error *err)
{
    char name[CUTTER_NAME_MAX + 1];
    if (!row->series.data ||
        (self->cutter && leat_wire_is(row->series, cutter_series(self->cutter))))
        return true;
    tell_shortage(self);
    *go_on = cut(self, err);
    if (!*go_on)
        return false;
    bool fits = row->series.size <= CUTTER_NAME_MAX;
    snprintf(name, sizeof name, "%.*s", fits ? (int)row->series.size : 0,
             (const char *)row->series.data);
    if (begin_series(self, name, err))
        return true;
    refuse_row(self, row, "series_name", err->text);
    return false;
}

/* --- rows --- */

/* A row that is in the store already, or has too few before it, is looked back on. */
static void pass(struct walk *self, const struct point *row)
{
    struct cutter_why why;
    if (cutter_back(self->cutter, row->ts, row->values, &why))
        self->sending->passed++;
    else
        refuse_row(self, row, why.code, why.reason);
}

/* False when nothing more can be sent. */
static bool take_row(struct walk *self, const struct point *row, struct leat_error *err)
{
    struct cutter_why why;
    bool go_on = true;
    if (!follow_series(self, row, &go_on, err))
        return go_on;
    if (self->options->has_after && row->ts <= self->options->after) {
        pass(self, row);
        return true;
    }
    if (cutter_due(self->cutter, row->ts) && !cut(self, err))
        return false;
    if (cutter_add(self->cutter, row->ts, row->values, &why)) {
        tell_shortage(self);
        if (cutter_rows(self->cutter) == 1)
            self->block_line = row->line;
        self->sending->rows++;
    } else if (strcmp(why.code, "warmup_short") == 0) {
        note_shortage(self, row);
        cutter_back(self->cutter, row->ts, row->values, &why);
    } else {
        refuse_row(self, row, why.code, why.reason);
    }
    return true;
}

/* False when nothing more can be sent. */
static bool take_rows(struct walk *self, struct leat_error *err)
{
    struct point row;
    struct sending *sending = self->sending;
    for (;; self->seen++) {
        switch (points_next(self->points, &row, err)) {
        case POINTS_ROW:
            if (!take_row(self, &row, err))
                return sending_trouble(sending, err);
            break;
        case POINTS_BAD:
            refuse_row(self, &row, row.why.code, row.why.reason);
            if (sending->refused % 256 == 0 && !sender_turn(sending->sender, err))
                return sending_trouble(sending, err);
            break;
        case POINTS_END:
            return true;
        case POINTS_FAILED:
            self->seen++; /* what is wrong is told already */
            return sending_unreadable(sending, err);
        }
    }
}

/* --- inputs --- */

static bool open_file(struct walk *self, struct leat_error *err)
{
    struct sending *sending = self->sending;
    const char *path = sending->options->inputs[self->file];
    char name[CUTTER_NAME_MAX + 1];
    struct draft_why why;
    if (!series_of(sending, self->file, name))
        return refuse_file(self, "series_name", "its name is too long for a series");
    int64_t other = brought_by(sending, self->file, name);
    if (other >= 0) {
        draft_refuse(&why, "series_twice", "series %.60s is in %.80s already: one file a series",
                     name, sending->options->inputs[other]);
        return refuse_file(self, why.code, why.reason);
    }
    if (!begin_series(self, name, err))
        return refuse_file(self, "series_name", err->text);
    struct input_idle idle = sending_idle(sending);
    struct input *input = input_open(path, &idle, err);
    if (!input)
        return refuse_file(self, "unreadable", err->text);
    sending->input = input;
    self->points = points_open_file(input, &sending->options->reading, &why);
    if (self->points)
        return true;
    sending->input = NULL;
    if (sender_end(sending->sender) != SENDER_FINE) /* what stopped the reading */
        return leat_fail(err, "%s", why.reason);
    return refuse_file(self, why.code, why.reason);
}

static bool open_query(struct walk *self, struct leat_error *err)
{
    struct input_idle idle = sending_idle(self->sending);
    self->points = points_open_query(self->options->conninfo, self->options->query,
                                     self->sending->options->reading.fields, &idle, err);
    return self->points || sending_trouble(self->sending, err);
}

/* Rows that were read and neither sent nor refused are not counted. */
static void abandon(struct walk *self)
{
    if (self->cutter)
        self->sending->rows -= cutter_rows(self->cutter);
}

static bool send_rows(struct walk *self, struct leat_error *err)
{
    bool go_on = take_rows(self, err);
    if (self->cutter)
        tell_shortage(self);
    if (go_on && !cut(self, err))
        go_on = sending_trouble(self->sending, err);
    if (!go_on)
        abandon(self);
    if (self->seen == 0 && go_on && !self->options->conninfo)
        refuse_file(self, "empty", "there are no rows behind its header");
    if (self->sending->input)
        self->sending->past_bytes += input_taken(self->sending->input);
    return go_on;
}

bool sending_series(struct sending *sending, uint32_t file)
{
    struct leat_error err;
    struct walk self = {.sending = sending, .options = sending->options->series, .file = file};
    if (!sender_series_limits(sending->sender, &self.limits, &err))
        return sending_trouble(sending, &err);
    msgpack_sbuffer_init(&self.record);
    bool go_on;
    if (self.options->conninfo ? open_query(&self, &err) : open_file(&self, &err))
        go_on = send_rows(&self, &err);
    else
        go_on = sender_turn(sending->sender, &err) || sending_trouble(sending, &err);
    sending->input = NULL;
    points_close(&self.points);
    cutter_close(&self.cutter);
    msgpack_sbuffer_destroy(&self.record);
    return go_on;
}
