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

/* Deletes from every table of features that the store behind the URL has, in one transaction.
 * *rows: how many went, of all tables. false: nothing was deleted, and why. */
bool removal_run(const char *url, const struct removal *removal, uint64_t *rows,
                 struct leat_error *err);

#endif
