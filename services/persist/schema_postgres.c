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
    };
    return names[type];
}

/* The server's reason; trying again helps when it did not come from the server itself. */
static bool failed(const struct connection_failure *failure, bool *permanent,
                   struct leat_error *err)
{
    *permanent =
        !failure->broken && failure->sqlstate[0] && strcmp(failure->sqlstate, "25006") != 0;
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

static bool check_table(struct connection *connection, const struct leat_table *table,
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
    PGresult *rows = connection_query(connection, sql, params, 1, &failure);
    if (!rows)
        return failed(&failure, permanent, err);
    size_t n = (size_t)PQntuples(rows), room = 0;
    struct schema_column *found = room_for(NULL, &room, n, sizeof *found);
    for (size_t i = 0; i < n; i++)
        found[i] = (struct schema_column){.name = PQgetvalue(rows, (int)i, 0),
                                          .type = PQgetvalue(rows, (int)i, 1),
                                          .not_null = PQgetvalue(rows, (int)i, 2)[0] == 't',
                                          .has_default = PQgetvalue(rows, (int)i, 3)[0] == 't',
                                          .is_key = PQgetvalue(rows, (int)i, 4)[0] == 't'};
    bool same = schema_compare(table, found, n, type_of, err);
    free(found);
    PQclear(rows);
    *permanent = !same;
    return same;
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
        if (schema_has_table(role) && !check_table(connection, table, permanent, err))
            return false;
    }
    return true;
}
