#include "services/persist/query_engine.h"
#include "services/persist/store.h"

#include <stdlib.h>

struct query {
    const struct query_engine *engine;
    void *session;
};

/* A store that persist has never opened has none of them. */
static bool has_tables(struct query *self, struct leat_error *err)
{
    static const struct query_sql sql = {"SELECT number FROM leat_migrations", NULL};
    return query_run(self, &sql, NULL, 0, NULL, NULL, err) ||
           leat_fail_in(err, "there are no tables of Leat in it");
}

struct query *query_open(const char *url, struct leat_error *err)
{
    const char *path = store_sqlite_path(url);
    struct query *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->engine = path ? &query_sqlite : &query_postgres;
    self->session = self->engine->open(path ? path : url, err);
    if (!self->session || !has_tables(self, err))
        query_close(&self);
    return self;
}

void query_close(struct query **self)
{
    if (*self && (*self)->session)
        (*self)->engine->close((*self)->session);
    free(*self);
    *self = NULL;
}

const char *query_engine(const struct query *self)
{
    return self->engine->name;
}

bool query_run(struct query *self, const struct query_sql *sql, const char *const *params,
               size_t n_params, query_row_fn *each, void *arg, struct leat_error *err)
{
    const char *text = self->engine == &query_sqlite && sql->sqlite ? sql->sqlite : sql->postgresql;
    return self->engine->run(self->session, text, params, n_params, each, arg, err);
}
