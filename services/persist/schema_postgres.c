#include "services/persist/migrations.h"
#include "services/persist/room.h"
#include "services/persist/schema.h"
#include "services/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_of(enum leat_column_type type)
{
    static const char *const names[] = {
        [LEAT_COL_TEXT] = "text",
        [LEAT_COL_BIGINT] = "bigint",
        [LEAT_COL_BOOL] = "boolean",
        [LEAT_COL_DOUBLE] = "double precision",
        [LEAT_COL_TIMESTAMPTZ] = "timestamp with time zone",
        [LEAT_COL_UUID] = "uuid",
        [LEAT_COL_JSONB] = "jsonb",
        [LEAT_COL_BYTEA] = "bytea",
        [LEAT_COL_REALS] = "real[]",
    };
    return names[type];
}

/* The server's reason. Trying again does not help against what is not there, not allowed or not
 * supported; against anything else it may. */
static bool failed(const struct connection_failure *failure, bool *permanent,
                   struct leat_error *err)
{
    const char *state = failure->sqlstate;
    *permanent = strncmp(state, "42", 2) == 0 || strncmp(state, "3F", 2) == 0 ||
                 strncmp(state, "0A", 2) == 0;
    *err = failure->error;
    return false;
}

static bool run(struct connection *connection, const char *sql, bool *permanent,
                struct leat_error *err)
{
    struct connection_done done;
    struct connection_failure failure;
    return connection_run(connection, sql, NULL, 0, &done, &failure) ||
           failed(&failure, permanent, err);
}

/* The first migration that the database does not have yet, by number; *next is 0 when it has all. A
 * number that stands for something else there is an error. */
static bool first_missing(struct connection *connection, int *next, bool *permanent,
                          struct leat_error *err)
{
    struct connection_failure failure;
    PGresult *there = connection_query(
        connection, "SELECT to_regclass('leat_migrations') IS NOT NULL", NULL, 0, &failure);
    if (!there)
        return failed(&failure, permanent, err);
    bool exists = PQgetvalue(there, 0, 0)[0] == 't';
    PQclear(there);
    *next = migrations_postgresql[0].number;
    if (!exists)
        return true;
    PGresult *applied = connection_query(
        connection, "SELECT number, name FROM leat_migrations ORDER BY number", NULL, 0, &failure);
    if (!applied)
        return failed(&failure, permanent, err);
    const struct migration *migration = migrations_postgresql;
    bool same = true;
    for (int i = 0; i < PQntuples(applied) && migration->number && same; i++, migration++) {
        same = atoi(PQgetvalue(applied, i, 0)) == migration->number &&
               strcmp(PQgetvalue(applied, i, 1), migration->name) == 0;
        if (!same)
            leat_fail(err, "migration %s is '%s' in this database; here it is %d '%s'",
                      PQgetvalue(applied, i, 0), PQgetvalue(applied, i, 1), migration->number,
                      migration->name);
    }
    PQclear(applied);
    *permanent = !same;
    *next = migration->number;
    return same;
}

static bool apply(struct connection *connection, const struct migration *migration, bool *permanent,
                  struct leat_error *err)
{
    char note[256];
    snprintf(note, sizeof note, "INSERT INTO leat_migrations (number, name) VALUES (%d, '%s')",
             migration->number, migration->name);
    if (!run(connection, migration->sql, permanent, err) || !run(connection, note, permanent, err))
        return leat_fail_in(err, "migration %d (%s)", migration->number, migration->name);
    leat_log(LEAT_INFO, "persist", "migration_applied", LEAT_I("number", migration->number),
             LEAT_S("name", migration->name));
    return true;
}

/* Others that start now wait for the lock, then find nothing missing. */
static bool migrate(struct connection *connection, bool *permanent, struct leat_error *err)
{
    static const char begin[] =
        "BEGIN; SET LOCAL lock_timeout = '50s';"
        "SELECT pg_advisory_xact_lock(hashtextextended('leat_migrations', 0));"
        "CREATE TABLE IF NOT EXISTS leat_migrations (number integer PRIMARY KEY,"
        " name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";
    int next;
    if (!run(connection, begin, permanent, err) ||
        !first_missing(connection, &next, permanent, err))
        return false;
    for (const struct migration *m = migrations_postgresql; next && m->number; m++)
        if (m->number >= next && !apply(connection, m, permanent, err))
            return false;
    return run(connection, "COMMIT", permanent, err);
}

/* What the server tells about a table's columns. Strings are the result's. */
struct told {
    PGresult *result;
    struct schema_column *columns;
    size_t n;
};

static void forget(struct told *self)
{
    free(self->columns);
    PQclear(self->result);
    *self = (struct told){0};
}

static bool ask(struct connection *connection, const struct leat_table *table, struct told *told,
                bool *permanent, struct leat_error *err)
{
    static const char sql[] =
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
        " a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '',"
        " coalesce(a.attnum = ANY (i.indkey), false)"
        " FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
        " WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
    struct connection_failure failure;
    const char *params[] = {table->name};
    *told = (struct told){.result = connection_query(connection, sql, params, 1, &failure)};
    if (!told->result)
        return failed(&failure, permanent, err);
    const PGresult *rows = told->result;
    size_t room = 0;
    told->n = (size_t)PQntuples(rows);
    told->columns = room_for(NULL, &room, told->n, sizeof *told->columns);
    for (size_t i = 0; i < told->n; i++)
        told->columns[i] =
            (struct schema_column){.name = PQgetvalue(rows, (int)i, 0),
                                   .type = PQgetvalue(rows, (int)i, 1),
                                   .not_null = PQgetvalue(rows, (int)i, 2)[0] == 't',
                                   .has_default = PQgetvalue(rows, (int)i, 3)[0] == 't',
                                   .is_key = PQgetvalue(rows, (int)i, 4)[0] == 't'};
    return true;
}

/* Makes a configured table or adds its new columns. Others that start now wait for the lock, then
 * find it done. */
static bool complete(struct connection *connection, const struct leat_table *table,
                     struct told *told, bool *permanent, struct leat_error *err)
{
    static const struct schema_engine engine = {
        .type_of = type_of,
        .unless_there = " IF NOT EXISTS",
        .collate = " COLLATE \"C\"",
        .partitions = true,
        .tail = "",
    };
    static const char begin[] =
        "BEGIN; SET LOCAL lock_timeout = '50s';"
        "SELECT pg_advisory_xact_lock(hashtextextended('leat_migrations', 0))";
    char *sql = schema_missing(table, told->columns, told->n, &engine);
    if (!sql)
        return true;
    bool done = run(connection, begin, permanent, err) && run(connection, sql, permanent, err) &&
                run(connection, "COMMIT", permanent, err);
    free(sql);
    if (!done)
        return leat_fail_in(err, "table %s", table->name);
    leat_log(LEAT_INFO, "persist", told->n ? "table_extended" : "table_made",
             LEAT_S("table", table->name));
    forget(told);
    return ask(connection, table, told, permanent, err);
}

static bool check_table(struct connection *connection, const struct leat_table *table,
                        bool *permanent, struct leat_error *err)
{
    struct told told;
    bool good = ask(connection, table, &told, permanent, err) &&
                (!table->configured || complete(connection, table, &told, permanent, err));
    if (good) {
        good = schema_compare(table, told.columns, told.n, type_of, err);
        *permanent = !good;
    }
    forget(&told);
    return good;
}

bool schema_postgres(struct connection *connection, const struct load *load, bool *permanent,
                     struct leat_error *err)
{
    int next;
    if (!first_missing(connection, &next, permanent, err) ||
        (next && !migrate(connection, permanent, err)))
        return false;
    for (size_t i = 0; i < load_table_count(load); i++) {
        enum load_role role;
        const struct leat_table *table = load_table(load, i, &role);
        if (!check_table(connection, table, permanent, err))
            return false;
    }
    return true;
}
