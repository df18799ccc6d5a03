#include "proto/cutter.h"

#include <endian.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t time_first = -2208988800000000; /* year 1900 */
static const int64_t time_last = 7289654399999999;   /* the end of year 2200 */

/* A block may span 24 months. From any moment to the same one of the month 24 later it is at least
 * so long. */
static const int64_t span_most = (int64_t)730 * 86400 * 1000000;

struct cutter {
    char series[CUTTER_NAME_MAX + 1];
    char *columns[CUTTER_COLUMNS_MAX];
    size_t n_columns; /* 0: close */
    double base;      /* 0: not known yet */
    bool start;       /* the first row held is the series' first */
    bool monthly;
    size_t rows_most, needed;

    int64_t *ts;
    double *values[CUTTER_COLUMNS_MAX]; /* of each column, or one run of closes */
    size_t room, n;                     /* rows that fit, and rows held */
    size_t back;                        /* of those held: only looked back on; they come first */
    int64_t last_ts;                    /* of the last row taken */
    bool begun;
};

static bool refuse(struct cutter_why *why, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct cutter_why *why, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    why->code = code;
    vsnprintf(why->reason, sizeof why->reason, format, args);
    va_end(args);
    return false;
}

static size_t runs(const struct cutter *self)
{
    return self->n_columns ? self->n_columns : 1;
}

/* --- opening -------------------------------------------------------------------------------- */

static bool check_options(const struct cutter_options *options, struct leat_error *err)
{
    struct leat_span name = {(const uint8_t *)options->series,
                             options->series ? strlen(options->series) : 0};
    if (name.size == 0 || name.size > CUTTER_NAME_MAX || !leat_wire_text_ok(name))
        return leat_fail(err, "a series' name must be 1 to %d bytes of UTF-8", CUTTER_NAME_MAX);
    if (options->n_columns > CUTTER_COLUMNS_MAX)
        return leat_fail(err, "more than %d columns", CUTTER_COLUMNS_MAX);
    if (!isfinite(options->base))
        return leat_fail(err, "the base must be a finite number");
    if (options->rows == 0 || options->longest == 0)
        return leat_fail(err, "kind series is not taken here");
    return true;
}

static bool take_memory(struct cutter *self, const struct cutter_options *options)
{
    /* Twice what is looked back on: rows move down once for as many rows, not for each one. */
    self->room = options->rows + 2 * self->needed + 1;
    self->ts = malloc(self->room * sizeof *self->ts);
    bool good = self->ts;
    for (size_t i = 0; i < runs(self); i++) {
        self->values[i] = malloc(self->room * sizeof(double));
        good = good && self->values[i];
    }
    for (size_t i = 0; i < self->n_columns; i++) {
        self->columns[i] = strdup(options->columns[i]);
        good = good && self->columns[i];
    }
    return good;
}

struct cutter *cutter_open(const struct cutter_options *options, struct leat_error *err)
{
    if (!check_options(options, err))
        return NULL;
    struct cutter *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    memcpy(self->series, options->series, strlen(options->series) + 1);
    self->n_columns = options->n_columns;
    self->base = options->base;
    self->start = options->start;
    self->monthly = options->monthly;
    self->rows_most = options->rows;
    self->needed = options->longest - 1 + (options->n_columns ? 0 : CUTTER_BQX_ROWS);
    if (!take_memory(self, options)) {
        leat_fail(err, "out of memory");
        cutter_close(&self);
    }
    return self;
}

void cutter_close(struct cutter **self)
{
    if (!*self)
        return;
    for (size_t i = 0; i < CUTTER_COLUMNS_MAX; i++) {
        free((*self)->values[i]);
        free((*self)->columns[i]);
    }
    free((*self)->ts);
    free(*self);
    *self = NULL;
}

/* --- rows in -------------------------------------------------------------------------------- */

static bool check_time(const struct cutter *self, int64_t ts, struct cutter_why *why)
{
    if (ts < time_first || ts > time_last)
        return refuse(why, "ts_range", "the time is outside the years 1900 to 2200");
    if (self->begun && ts <= self->last_ts)
        return refuse(why, "ts_not_increasing", "the time is %s",
                      ts == self->last_ts ? "that of the row before"
                                          : "before that of the row before");
    return true;
}

/* Without a base the first close would be it. */
static bool check_close(const struct cutter *self, double close, struct cutter_why *why)
{
    double base = self->base == 0 ? close : self->base;
    if (!isfinite(close))
        return refuse(why, "close_not_finite", "the value is not a finite number");
    if (base == 0)
        return refuse(why, "base_range", "the first value is 0, so there is no base: give one");
    if (!isfinite(100 * close / base))
        return refuse(why, "close_range", "100 * value / base is not finite");
    return true;
}

static bool check_row(const struct cutter *self, int64_t ts, const double *values,
                      struct cutter_why *why)
{
    if (!check_time(self, ts, why))
        return false;
    if (self->n_columns == 0)
        return check_close(self, values[0], why);
    for (size_t i = 0; i < self->n_columns; i++)
        if (!isfinite(values[i]))
            return refuse(why, "column_not_finite", "the value of %s is not a finite number",
                          self->columns[i]);
    return true;
}

/* Lets go of the first rows; from then on the series' beginning is not among them. */
static void drop(struct cutter *self, size_t rows)
{
    if (rows == 0)
        return;
    self->n -= rows;
    self->back -= rows;
    self->start = false;
    memmove(self->ts, self->ts + rows, self->n * sizeof *self->ts);
    for (size_t i = 0; i < runs(self); i++)
        memmove(self->values[i], self->values[i] + rows, self->n * sizeof(double));
}

static void put(struct cutter *self, int64_t ts, const double *values)
{
    if (self->base == 0 && self->n_columns == 0)
        self->base = values[0];
    self->ts[self->n] = ts;
    for (size_t i = 0; i < runs(self); i++)
        self->values[i][self->n] = values[i];
    self->n++;
    self->last_ts = ts;
    self->begun = true;
}

bool cutter_back(struct cutter *self, int64_t ts, const double *values, struct cutter_why *why)
{
    if (!check_row(self, ts, values, why))
        return false;
    if (self->n == self->room)
        drop(self, self->n - self->needed);
    put(self, ts, values);
    self->back++;
    return true;
}

/* Calendar months since the year 0, UTC. */
static int month(int64_t ts)
{
    time_t seconds = (time_t)(ts >= 0 ? ts / 1000000 : -((999999 - ts) / 1000000));
    struct tm at;
    gmtime_r(&seconds, &at);
    return (at.tm_year + 1900) * 12 + at.tm_mon;
}

/* Do the rows held suffice for a first row of output at `ts`? With months that stand alone they do
 * as soon as they begin before its own. */
static bool reaches_back(const struct cutter *self, int64_t ts)
{
    return self->start || self->back >= self->needed ||
           (self->monthly && self->back > 0 && month(self->ts[0]) < month(ts));
}

bool cutter_add(struct cutter *self, int64_t ts, const double *values, struct cutter_why *why)
{
    if (!check_row(self, ts, values, why))
        return false;
    if (self->n == self->room)
        return refuse(why, "too_many_rows", "the block has to be cut first");
    if (self->n == self->back) {
        if (!reaches_back(self, ts))
            return refuse(why, "warmup_short",
                          "%zu rows before it to look back on; %zu are needed unless the series "
                          "starts there",
                          self->back, self->needed);
        if (self->back > self->needed)
            drop(self, self->back - self->needed);
    }
    put(self, ts, values);
    return true;
}

/* --- blocks out ----------------------------------------------------------------------------- */

size_t cutter_rows(const struct cutter *self)
{
    return self->n - self->back;
}

bool cutter_due(const struct cutter *self, int64_t ts)
{
    size_t rows = cutter_rows(self);
    return rows > 0 && (rows >= self->rows_most || ts > self->ts[self->back] + span_most);
}

/* n values of 8 bytes, little-endian. */
static void pack_bits(msgpack_packer *to, const void *values, size_t n)
{
    msgpack_pack_bin(to, n * sizeof(uint64_t));
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, (const uint8_t *)values + i * sizeof bits, sizeof bits);
        bits = htole64(bits);
        msgpack_pack_bin_body(to, &bits, sizeof bits);
    }
}

static void pack_values(const struct cutter *self, msgpack_packer *to)
{
    if (self->n_columns == 0) {
        leat_pack_cstr(to, "close");
        pack_bits(to, self->values[0], self->n);
        leat_pack_cstr(to, "base");
        msgpack_pack_double(to, self->base);
        return;
    }
    leat_pack_cstr(to, "columns");
    leat_pack_map(to, (uint32_t)self->n_columns);
    for (size_t i = 0; i < self->n_columns; i++) {
        leat_pack_cstr(to, self->columns[i]);
        pack_bits(to, self->values[i], self->n);
    }
}

void cutter_pack(const struct cutter *self, msgpack_sbuffer *onto)
{
    msgpack_packer to;
    leat_pack_init(&to, onto);
    uint32_t keys = self->n_columns ? 4 : 5;
    leat_pack_map(&to, keys + (self->start ? 1 : 0) + (self->monthly ? 1 : 0));
    leat_pack_cstr(&to, "series");
    leat_pack_cstr(&to, self->series);
    leat_pack_cstr(&to, "ts");
    pack_bits(&to, self->ts, self->n);
    pack_values(self, &to);
    leat_pack_cstr(&to, "warmup");
    msgpack_pack_uint64(&to, self->back);
    if (self->start) {
        leat_pack_cstr(&to, "start");
        msgpack_pack_true(&to);
    }
    if (self->monthly) {
        leat_pack_cstr(&to, "reset");
        leat_pack_cstr(&to, "month");
    }
}

void cutter_advance(struct cutter *self)
{
    self->back = self->n;
    if (self->back > self->needed)
        drop(self, self->back - self->needed);
}

const char *cutter_series(const struct cutter *self)
{
    return self->series;
}

size_t cutter_needed(const struct cutter *self)
{
    return self->needed;
}
