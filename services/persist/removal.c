#include "services/persist/removal.h"

#include "services/persist/feature_tables.h"
#include "services/persist/store.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_MS = 30000 }; /* persist's longest transaction is shorter */

static void write_delete(char *to, size_t size, const char *table, const char *cast)
{
    snprintf(to, size, "DELETE " REMOVAL_ROWS, table, cast, cast, cast, cast);
}

/* --- PostgreSQL --- */

static bool take_message(struct leat_error *err, const char *message)
{
    return leat_fail(err, "%.*s", (int)strcspn(message, "\n"), message);
}

/* Runs a statement; NULL with the reason. */
static PGresult *ask(PGconn *pg, const char *sql, const char *const *params, int n,
                     struct leat_error *err)
{
    PGresult *result = PQexecParams(pg, sql, n, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    take_message(err, PQresultErrorMessage(result));
    PQclear(result);
    return NULL;
}

static bool delete_postgres(PGconn *pg, const struct removal *removal, uint64_t *rows,
                            struct leat_error *err)
{
    static const char tables[] = "SELECT relname" FEATURE_TABLES_POSTGRESQL;
    const char *params[] = {removal->series, removal->from, removal->to};
    PGresult *names = ask(pg, tables, NULL, 0, err);
    bool good = names;
    for (int i = 0; good && i < PQntuples(names); i++) {
        char sql[512];
        write_delete(sql, sizeof sql, PQgetvalue(names, i, 0), "::timestamptz");
        PGresult *result = ask(pg, sql, params, 3, err);
        good = result;
        if (good)
            *rows += strtoull(PQcmdTuples(result), NULL, 10);
        PQclear(result);
    }
    PQclear(names);
    return good;
}

static bool run_postgres(const char *url, const struct removal *removal, uint64_t *rows,
                         struct leat_error *err)
{
    const char *names[] = {"connect_timeout", "fallback_application_name", "target_session_attrs",
                           "dbname",          "client_encoding",           NULL};
    const char *values[] = {"10", "leat delete", "read-write", url, "UTF8", NULL};
    PGconn *pg = PQconnectdbParams(names, values, 1);
    bool good = PQstatus(pg) == CONNECTION_OK || take_message(err, PQerrorMessage(pg));
    static const char *const around[] = {"BEGIN", "COMMIT"};
    for (size_t i = 0; good && i < 2; i++) {
        PGresult *result = ask(pg, around[i], NULL, 0, err);
        PQclear(result);
        good = result && (i == 1 || delete_postgres(pg, removal, rows, err));
    }
    PQfinish(pg); /* a transaction that is open ends with the session, undone */
    return good;
}

/* --- SQLite --- */

static bool sqlite_message(sqlite3 *db, struct leat_error *err)
{
    return leat_fail(err, "%s", sqlite3_errmsg(db));
}

static bool delete_table(sqlite3 *db, const char *table, const struct removal *removal,
                         uint64_t *rows, struct leat_error *err)
{
    const char *params[] = {removal->series, removal->from, removal->to};
    sqlite3_stmt *statement;
    char sql[512], name[8];
    write_delete(sql, sizeof sql, table, "");
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return sqlite_message(db, err);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "$%d", i + 1);
        sqlite3_bind_text(statement, sqlite3_bind_parameter_index(statement, name), params[i], -1,
                          SQLITE_STATIC);
    }
    bool good = sqlite3_step(statement) == SQLITE_DONE || sqlite_message(db, err);
    sqlite3_finalize(statement);
    if (good)
        *rows += (uint64_t)sqlite3_changes64(db);
    return good;
}

static bool delete_sqlite(sqlite3 *db, const struct removal *removal, uint64_t *rows,
                          struct leat_error *err)
{
    sqlite3_stmt *names;
    if (sqlite3_prepare_v2(db, "SELECT name" FEATURE_TABLES_SQLITE, -1, &names, NULL) != SQLITE_OK)
        return sqlite_message(db, err);
    bool good = true;
    while (good && sqlite3_step(names) == SQLITE_ROW)
        good = delete_table(db, (const char *)sqlite3_column_text(names, 0), removal, rows, err);
    sqlite3_finalize(names);
    return good;
}

static bool run_sqlite(const char *path, const struct removal *removal, uint64_t *rows,
                       struct leat_error *err)
{
    sqlite3 *db = NULL;
    bool good = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK ||
                leat_fail(err, "%s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
    if (good) {
        sqlite3_busy_timeout(db, BUSY_MS);
        good =
            (sqlite3_exec(db, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE", NULL, NULL, NULL) ==
                 SQLITE_OK ||
             sqlite_message(db, err)) &&
            delete_sqlite(db, removal, rows, err) &&
            (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK || sqlite_message(db, err));
    }
    sqlite3_close(db);
    return good;
}

bool removal_run(const char *url, const struct removal *removal, uint64_t *rows,
                 struct leat_error *err)
{
    const char *path = store_sqlite_path(url);
    *rows = 0;
    bool good = path ? run_sqlite(path, removal, rows, err) : run_postgres(url, removal, rows, err);
    if (!good)
        *rows = 0;
    return good;
}
