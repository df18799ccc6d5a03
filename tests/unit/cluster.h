/* A private PostgreSQL server for one test program, by tests/postgres; and what tests ask a store.
 */
#ifndef TESTS_UNIT_CLUSTER_H
#define TESTS_UNIT_CLUSTER_H

#include "services/persist/query.h"
#include "services/persist/store.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct cluster {
    char dir[64];
    char conninfo[256];
};

/* Starts it (again); server settings may be given. false: it does not start, and said why. */
static inline bool cluster_start(struct cluster *self, const char *settings)
{
    char command[256];
    if (!self->dir[0]) {
        strcpy(self->dir, "/tmp/leat-pg-XXXXXX");
        if (!mkdtemp(self->dir))
            return false;
    }
    snprintf(command, sizeof command, "tests/postgres start %s %s", self->dir, settings);
    FILE *out = popen(command, "r");
    bool read = out && fgets(self->conninfo, sizeof self->conninfo, out);
    if (read)
        self->conninfo[strcspn(self->conninfo, "\n")] = 0;
    return out && pclose(out) == 0 && read;
}

static inline void cluster_do(const struct cluster *self, const char *action)
{
    char command[256];
    snprintf(command, sizeof command, "tests/postgres %s %s", action, self->dir);
    if (system(command) != 0)
        fprintf(stderr, "%s failed\n", command);
}

/* Everything that a query gives: values with '|' between them, rows with a line break; NULL as
 * "null". The caller frees it. */
static inline bool cluster_take_row(void *arg, const struct query_row *row)
{
    for (size_t i = 0; i < row->n; i++)
        fprintf(arg, "%s%s", row->values[i] ? row->values[i] : "null", i + 1 < row->n ? "|" : "\n");
    return true;
}

/* `sqlite` may be NULL. A failing query gives its reason. */
static inline char *cluster_ask_both(const char *url, const char *postgresql, const char *sqlite)
{
    struct leat_error err;
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    const struct query_sql sql = {postgresql, sqlite};
    struct query *query = query_open(url, &err);
    if (!query || !query_run(query, &sql, NULL, 0, cluster_take_row, to, &err))
        fprintf(to, "%s", err.text);
    query_close(&query);
    fclose(to);
    if (size > 0 && text[size - 1] == '\n')
        text[size - 1] = 0;
    return text;
}

static inline char *cluster_ask(const char *url, const char *sql)
{
    return cluster_ask_both(url, sql, NULL);
}

/* Does something to a store behind persist's back. */
static inline bool cluster_execute(const char *url, const char *sql)
{
    const char *path = store_sqlite_path(url);
    bool done;
    if (path) {
        sqlite3 *db;
        done = sqlite3_open(path, &db) == SQLITE_OK &&
               sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
        if (!done)
            fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
        sqlite3_close(db);
        return done;
    }
    PGconn *pg = PQconnectdb(url);
    PGresult *result = PQexec(pg, sql);
    done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!done)
        fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(pg));
    PQclear(result);
    PQfinish(pg);
    return done;
}

#define assert_answer(url, sql, expected)                                                          \
    do {                                                                                           \
        char *answer_ = cluster_ask((url), (sql));                                                 \
        assert_string_equal(answer_, (expected));                                                  \
        free(answer_);                                                                             \
    } while (0)

#endif
