#include "services/persist/query_engine.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUSY_MS = 5000,
    REAL_MAX = 32, /* bytes of a number as text */
};

/* Who reads a database that is written ahead makes files beside it, unless a writer has them open.
 * SQLite's own words for that speak of a write. Anything else is found by the first question. */
static bool can_read(sqlite3 *db, const char *path, struct leat_error *err)
{
    int status = sqlite3_exec(db, "SELECT 1 FROM sqlite_master", NULL, NULL, NULL) & 0xff;
    if (access(path, R_OK) != 0)
        return leat_fail(err, "%s: %s", path, strerror(errno));
    return (status != SQLITE_READONLY && status != SQLITE_CANTOPEN) ||
           leat_fail(err,
                     "%s: while no Leat runs on it, SQLite reads it only for users who may write "
                     "to it and its folder: do this as the user that Leat runs as",
                     path);
}

static void *open_file(const char *path, struct leat_error *err)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(db, BUSY_MS);
        if (can_read(db, path, err))
            return db;
    } else if (access(path, R_OK) != 0) {
        leat_fail(err, "%s: %s", path, strerror(errno));
    } else {
        leat_fail(err, "%s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
    }
    sqlite3_close(db);
    return NULL;
}

static void bind_params(sqlite3_stmt *statement, const char *const *params, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "$%zu", i + 1);
        int at = sqlite3_bind_parameter_index(statement, name);
        if (at > 0 && params[i])
            sqlite3_bind_text(statement, at, params[i], -1, SQLITE_STATIC);
    }
}

/* The fewest digits that are this number again; SQLite's own text has fifteen. */
static const char *write_real(double value, char to[REAL_MAX])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(to, REAL_MAX, "%.*g", digits, value);
        if (strtod(to, NULL) == value)
            break;
    }
    return to;
}

/* One row as text; a blob stays what it is. */
static bool show_row(sqlite3_stmt *statement, struct query_row *row, const char **values,
                     size_t *sizes, query_row_fn *each, void *arg)
{
    char reals[row->n + 1][REAL_MAX];
    for (size_t i = 0; i < row->n; i++) {
        int column = (int)i, type = sqlite3_column_type(statement, column);
        if (type == SQLITE_FLOAT) {
            values[i] = write_real(sqlite3_column_double(statement, column), reals[i]);
            sizes[i] = strlen(values[i]);
            continue;
        }
        if (type == SQLITE_BLOB)
            values[i] = sqlite3_column_blob(statement, column);
        else
            values[i] = (const char *)sqlite3_column_text(statement, column);
        if (type == SQLITE_BLOB && !values[i])
            values[i] = "";
        sizes[i] = (size_t)sqlite3_column_bytes(statement, column);
    }
    return each(arg, row);
}

static int step_all(sqlite3_stmt *statement, query_row_fn *each, void *arg)
{
    size_t n = (size_t)sqlite3_column_count(statement);
    const char *names[n + 1], *values[n + 1];
    size_t sizes[n + 1];
    struct query_row row = {.n = n, .names = names, .values = values, .sizes = sizes};
    int status;
    for (size_t i = 0; i < n; i++)
        names[i] = sqlite3_column_name(statement, (int)i);
    while ((status = sqlite3_step(statement)) == SQLITE_ROW)
        if (each && !show_row(statement, &row, values, sizes, each, arg))
            return SQLITE_DONE;
    return status;
}

static bool run(void *self, const char *sql, const char *const *params, size_t n_params,
                query_row_fn *each, void *arg, struct leat_error *err)
{
    sqlite3 *db = self;
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return leat_fail(err, "%s", sqlite3_errmsg(db));
    bind_params(statement, params, n_params);
    bool done = step_all(statement, each, arg) == SQLITE_DONE;
    if (!done)
        leat_fail(err, "%s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return done;
}

static void close_file(void *self)
{
    sqlite3_close(self);
}

const struct query_engine query_sqlite = {
    .name = "SQLite",
    .open = open_file,
    .run = run,
    .close = close_file,
};
