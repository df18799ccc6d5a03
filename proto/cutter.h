/* Cuts a series into blocks, as the kind `series` wants them (proto/README.md): rows go in one by
 * one in the order of time, and blocks come out, each with the rows that its windows look back on.
 * However many rows a block has, what is found in them is the same, bit by bit.
 *
 *     if (cutter_due (cutter, ts)) { cutter_pack (cutter, &record); … cutter_advance (cutter); }
 *     if (!cutter_add (cutter, ts, values, &why)) …
 *
 * Ensures:
 *  1. A row is in the output of one block at most, and of none before cutter_advance.
 *  2. A block says `start` only while the series' first row is in it, and otherwise begins with as
 *     many rows to look back on as the longest window of the derived domains needs. */
#ifndef LEAT_PROTO_CUTTER_H
#define LEAT_PROTO_CUTTER_H

#include "proto/wire.h"

enum {
    CUTTER_NAME_MAX = 128,  /* bytes of a series' name */
    CUTTER_COLUMNS_MAX = 8, /* domains given ready-made */
    CUTTER_BQX_ROWS = 15,   /* rows that a value of bqx, derived from closes, looks back on */
};

struct cutter_options {
    const char *series; /* 1 to CUTTER_NAME_MAX bytes of UTF-8 */
    const char *const
        *columns; /* names of domains that rows bring; n_columns 0: rows bring close */
    size_t n_columns;
    double base;    /* the close that is 100 in idx; 0: the first one that is given */
    bool start;     /* the series begins with the first row that is given */
    bool monthly;   /* windows do not cross a calendar month */
    size_t rows;    /* output rows of a block, at most: series_rows of the welcome */
    size_t longest; /* rows of the longest window: series_longest of the welcome */
};

/* Why a row is not taken: the codes are those of ingest. */
struct cutter_why {
    const char *code;
    char reason[160];
};

struct cutter;

/* Copies the options. NULL: one of them makes no sense; `err` says which. */
struct cutter *cutter_open(const struct cutter_options *options, struct leat_error *err);
void cutter_close(struct cutter **self);

/* Takes a row that is only looked back on; to be called before any cutter_add. `ts`: microseconds
 * since 1970 UTC, after the row before. `values`: the close, or one of each column. False: it is
 * not taken, and why (ts_range, ts_not_increasing, close_not_finite, close_range, base_range,
 * column_not_finite). */
bool cutter_back(struct cutter *self, int64_t ts, const double *values, struct cutter_why *why);

/* Takes a row of output. False: as cutter_back; or warmup_short: too few rows came before it. Then
 * cutter_back may still take it, for the rows behind it to look back on. */
bool cutter_add(struct cutter *self, int64_t ts, const double *values, struct cutter_why *why);

/* Output rows since the last cutter_advance. */
size_t cutter_rows(const struct cutter *self);

/* Must the block be cut before a row of this time is added? Also false when there is none. */
bool cutter_due(const struct cutter *self, int64_t ts);

/* Appends the block as a packed record. There must be output rows. */
void cutter_pack(const struct cutter *self, msgpack_sbuffer *to);

/* The block is sent: its last rows are what the next one looks back on. */
void cutter_advance(struct cutter *self);

const char *cutter_series(const struct cutter *self);

/* Rows that a row must have before it unless the series starts there. */
size_t cutter_needed(const struct cutter *self);

#endif
