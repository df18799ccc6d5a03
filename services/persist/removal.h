/* Taking rows of a series out of the store, by hand: the only thing that is ever deleted there but
 * dead letters. */
#ifndef LEAT_PERSIST_REMOVAL_H
#define LEAT_PERSIST_REMOVAL_H

#include "proto/error.h"

#include <stdint.h>

struct removal {
    const char *series;
    const char *from, *to; /* RFC 3339 in UTC with microseconds, as query.h writes times; rows at
                              `from` go, rows at `to` stay; NULL: no bound */
};

/* The rows of a table, whose name goes into the first %s; what casts a text to a time, if anything
 * must, goes into the others. $1 series, $2 from, $3 to. */
#define REMOVAL_ROWS                                                                               \
    "FROM %s WHERE series = $1 AND ($2%s IS NULL OR ts >= $2%s) AND ($3%s IS NULL OR ts < $3%s)"

/* Deletes from every table of features that the store behind the URL has, in one transaction.
 * *rows: how many went, of all tables. false: nothing was deleted, and why. */
bool removal_run(const char *url, const struct removal *removal, uint64_t *rows,
                 struct leat_error *err);

#endif
