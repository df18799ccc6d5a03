/* A block of one series as clients send it: rows in the order of time, of which the first may only
 * be looked back on. */
#ifndef LEAT_SERIES_RECORD_H
#define LEAT_SERIES_RECORD_H

#include "services/flows/flow.h"
#include "services/flows/series/names.h"

enum {
    SERIES_NAME_MAX = 128,   /* bytes of a series' name */
    SERIES_MONTHS_MOST = 24, /* that a block's output rows span: each is a partition of the store */
};

/* n values: a msgpack array, or a bin of 8 bytes each, little-endian. One of the two is set. */
struct series_values {
    uint32_t n;
    const msgpack_object *items;
    const uint8_t *packed;
};

struct series_column {
    size_t name; /* its place in the limits' names */
    struct series_values values;
};

/* Pointers and spans are into the record. */
struct series_record {
    struct leat_span series;
    struct series_values ts;    /* µs since 1970 UTC */
    struct series_values close; /* n 0: the block brings columns */
    double base;                /* with close */
    struct series_column columns[SERIES_NAMES_MOST];
    size_t n_columns;
    uint32_t n, warmup; /* all rows, and those of them that give no output */
    bool start;         /* the series begins with the first row */
    bool monthly;       /* reset: windows do not cross a month */
};

/* What a block may be. */
struct series_limits {
    size_t max_rows; /* output rows; besides them as many as windows look back on */
    size_t longest;  /* rows of the longest window; 0: warm-up is not checked */
    const struct series_names *names; /* of the columns that may come */
};

/* Reads and checks a block. Codes:
 *   record_not_map  series_missing, _type, _empty, _too_long  not_utf8  nul  version_type, _range
 *   ts_missing, ts_type, ts_bytes, ts_value, ts_range, ts_not_increasing, ts_months  no_rows
 *   values_missing  close_and_columns  close_type, _bytes, _length, _value, _not_finite, _range
 *   base_missing, base_type, base_range  columns_type, columns_empty, column_unknown, column_twice,
 *   column_type, _bytes, _length, _value, _not_finite
 *   warmup_type, warmup_range, warmup_short  start_type  reset_type, reset_unknown  too_many_rows
 * What is wrong with one row is told with its index. Unknown keys are ignored. */
bool series_record_read(const msgpack_object *record, const struct series_limits *limits,
                        struct series_record *out, struct leat_why *why);

/* The time of a block's last row, whatever else of the block is wrong; false when it has none. */
bool series_last_time(const msgpack_object *record, int64_t *us);

/* Rows that a block must bring to look back on, unless it has `start` or its months begin anew. */
size_t series_warmup_needed(size_t longest, bool from_close);

/* One value, and all values, of what a record that was read brings. */
int64_t series_time_at(const struct series_values *values, uint32_t i);
double series_real_at(const struct series_values *values, uint32_t i);
void series_times(const struct series_values *values, int64_t *out);
void series_reals(const struct series_values *values, double *out);

#endif
