/* The rows of time series, wherever they come from: a table in a file, or a query of PostgreSQL. */
#ifndef LEAT_CLI_POINTS_H
#define LEAT_CLI_POINTS_H

#include "proto/cutter.h"
#include "services/leat/reader.h"

/* One row, or why a row is none. Lives until the next call. */
struct point {
    uint64_t line;           /* where it begins, from 1; of a query: the row's number */
    struct leat_span series; /* of a query; data NULL: the file is one series */
    int64_t ts;              /* microseconds since 1970 UTC */
    double values[CUTTER_COLUMNS_MAX];
    struct draft_why why;
};

enum points_result {
    POINTS_ROW,
    POINTS_BAD, /* the row is refused; reading goes on */
    POINTS_END,
    POINTS_FAILED, /* nothing more can be read; the reason is in err */
};

struct points;

/* A table of CSV or TSV. The options' fields are the time and then the values; their names are
 * those of the domains, and all of them must be there. Takes over `input`. NULL: the file is
 * refused, and why: empty, column_missing, or unreadable for anything else. */
struct points *points_open_file(struct input *input, const struct reader_options *options,
                                struct draft_why *why);

/* Asks PostgreSQL (a libpq URL or conninfo): the columns of `query` are series, time and one value
 * for each field but the time. In whatever order it gives rows, they come by series and time.
 * `idle`: as in input.h. NULL: no connection, or the server refuses the query. */
struct points *points_open_query(const char *conninfo, const char *query,
                                 const struct fields *fields, const struct input_idle *idle,
                                 struct leat_error *err);

void points_close(struct points **self);

enum points_result points_next(struct points *self, struct point *out, struct leat_error *err);

/* What both begin with. */
struct points_type {
    enum points_result (*next)(struct points *self, struct point *out, struct leat_error *err);
    void (*close)(struct points *self);
};

struct points {
    const struct points_type *type;
};

#endif
