/* What a cell of a table says: a number, a moment. Nothing is guessed that could be two things. */
#ifndef LEAT_CLI_CELL_H
#define LEAT_CLI_CELL_H

#include "services/leat/draft.h"

/* How a column of times counts. */
enum cell_unit {
    CELL_UNIT_UNKNOWN, /* until the first number is read */
    CELL_SECONDS,
    CELL_MILLISECONDS,
    CELL_MICROSECONDS,
    CELL_NANOSECONDS,
};

/* Without spaces and tabs at either end. */
struct leat_span cell_trim(struct leat_span cell);

/* A decimal number: digits, at most one point, an exponent; nothing else (no grouping, no hex).
 * False: why, with the code PREFIX_missing, PREFIX_value, or PREFIX_not_finite for nan, infinity
 * and what is too large for a float64. `name` is what to call it. */
bool cell_real(struct leat_span cell, const char *prefix, const char *name, double *out,
               struct draft_why *why);

/* A moment in microseconds since 1970 UTC, years 1900 to 2200: RFC 3339; a date, or a date and a
 * time (seconds and their fraction may be missing; T or a space between them), both UTC when there
 * is no offset; or a number since 1970. What a number counts is told by the first one's size
 * (before the point): below 10^11 seconds, below 10^14 milliseconds, below 10^17 microseconds, else
 * nanoseconds; *unit keeps it for the numbers that follow. What is finer than a microsecond is cut.
 * False: why, with the code ts_missing, ts_value or ts_range. */
bool cell_time(struct leat_span cell, enum cell_unit *unit, int64_t *us, struct draft_why *why);

#endif
