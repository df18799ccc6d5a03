/* What query.c asks of each engine. */
#ifndef LEAT_PERSIST_QUERY_ENGINE_H
#define LEAT_PERSIST_QUERY_ENGINE_H

#include "services/persist/query.h"

struct query_engine {
    const char *name;
    void *(*open)(const char *where, struct leat_error *err);
    bool (*run)(void *self, const char *sql, const char *const *params, size_t n_params,
                query_row_fn *each, void *arg, struct leat_error *err);
    void (*close)(void *self);
};

extern const struct query_engine query_postgres; /* where: a libpq URL or conninfo */
extern const struct query_engine query_sqlite;   /* where: a path */

#endif
