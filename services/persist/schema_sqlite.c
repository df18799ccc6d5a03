#include "services/persist/migrations.h"
#include "services/persist/room.h"
#include "services/persist/schema.h"
#include "services/runtime/log.h"

#include <stdlib.h>
#include <string.h>

static const char *type_of(enum leat_column_type type)
{
    static const char *const names[] = {
        [LEAT_COL_TEXT] = "TEXT",   [LEAT_COL_BIGINT] = "INTEGER",   [LEAT_COL_BOOL] = "INTEGER",
        [LEAT_COL_DOUBLE] = "REAL", [LEAT_COL_TIMESTAMPTZ] = "TEXT", [LEAT_COL_UUID] = "TEXT",
        [LEAT_COL_JSONB] = "TEXT",  [LEAT_COL_BYTEA] = "BLOB",       [LEAT_COL_REALS] = "BLOB",
    };
    return names[type];
}

static bool failed(sqlite3 *db, struct leat_error *err)
{
    return leat_fail(err, "%s", sqlite3_errmsg(db));
}

static bool run(sqlite3 *db, const char *sql, struct leat_error *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || failed(db, err);
}

/* The migration behind the last one that the database has; a number that stands for something else
 * there is an error. */
static bool first_missing(sqlite3 *db, const struct migration **next, struct leat_error *err)
{
    sqlite3_stmt *rows;
    *next = migrations_sqlite;
    if (sqlite3_prepare_v2(db, "SELECT number, name FROM leat_migrations ORDER BY number", -1,
                           &rows, NULL) != SQLITE_OK)
        return failed(db, err);
    bool same = true;
    for (; same && (*next)->number && sqlite3_step(rows) == SQLITE_ROW; (*next)++) {
        const char *name = (const char *)sqlite3_column_text(rows, 1);
        same = sqlite3_column_int(rows, 0) == (*next)->number && strcmp(name, (*next)->name) == 0;
        if (!same)
            leat_fail(err, "migration %d is '%s' in this database; here it is %d '%s'",
                      sqlite3_column_int(rows, 0), name, (*next)->number, (*next)->name);
    }
    return (sqlite3_finalize(rows) == SQLITE_OK || failed(db, err)) && same;
}

static bool apply(sqlite3 *db, const struct migration *migration, struct leat_error *err)
{
    char *note = sqlite3_mprintf("INSERT INTO leat_migrations (number, name) VALUES (%d, %Q)",
                                 migration->number, migration->name);
    bool done = run(db, migration->sql, err) && run(db, note, err);
    sqlite3_free(note);
    if (!done)
        return leat_fail_in(err, "migration %d (%s)", migration->number, migration->name);
    leat_log(LEAT_INFO, "persist", "migration_applied", LEAT_I("number", migration->number),
             LEAT_S("name", migration->name));
    return true;
}

static bool migrate(sqlite3 *db, struct leat_error *err)
{
    const struct migration *next;
    if (!run(db,
             "CREATE TABLE IF NOT EXISTS leat_migrations (number INTEGER NOT NULL PRIMARY KEY,"
             " name TEXT NOT NULL,"
             " applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z'))) STRICT",
             err) ||
        !first_missing(db, &next, err))
        return false;
    for (; next->number; next++)
        if (!apply(db, next, err))
            return false;
    return true;
}

/* The columns of a table; strings are its own. */
struct told {
    struct schema_column *columns;
    size_t n;
};

static void forget(struct told *self)
{
    for (size_t i = 0; i < self->n; i++) {
        free((char *)self->columns[i].name);
        free((char *)self->columns[i].type);
    }
    free(self->columns);
    *self = (struct told){0};
}

static bool ask(sqlite3 *db, const struct leat_table *table, struct told *told,
                struct leat_error *err)
{
    sqlite3_stmt *rows;
    *told = (struct told){0};
    if (sqlite3_prepare_v2(db,
                           "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk > 0"
                           " FROM pragma_table_info(?)",
                           -1, &rows, NULL) != SQLITE_OK)
        return failed(db, err);
    sqlite3_bind_text(rows, 1, table->name, -1, SQLITE_STATIC);
    size_t room = 0;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        told->columns = room_for(told->columns, &room, told->n + 1, sizeof *told->columns);
        told->columns[told->n++] = (struct schema_column){
            .name = strdup((const char *)sqlite3_column_text(rows, 0)),
            .type = strdup((const char *)sqlite3_column_text(rows, 1)),
            .not_null = sqlite3_column_int(rows, 2),
            .has_default = sqlite3_column_int(rows, 3),
            .is_key = sqlite3_column_int(rows, 4),
        };
    }
    return sqlite3_finalize(rows) == SQLITE_OK || failed(db, err);
}

/* Makes a configured table or adds its new columns. */
static bool complete(sqlite3 *db, const struct leat_table *table, struct told *told,
                     struct leat_error *err)
{
    static const struct schema_engine engine = {
        .type_of = type_of, .unless_there = "", .collate = "", .tail = " STRICT"};
    char *sql = schema_missing(table, told->columns, told->n, &engine);
    if (!sql)
        return true;
    bool done = run(db, sql, err);
    free(sql);
    if (!done)
        return leat_fail_in(err, "table %s", table->name);
    leat_log(LEAT_INFO, "persist", told->n ? "table_extended" : "table_made",
             LEAT_S("table", table->name));
    forget(told);
    return ask(db, table, told, err);
}

static bool check_table(sqlite3 *db, const struct leat_table *table, struct leat_error *err)
{
    struct told told;
    bool same = ask(db, table, &told, err) &&
                (!table->configured || complete(db, table, &told, err)) &&
                schema_compare(table, told.columns, told.n, type_of, err);
    forget(&told);
    return same;
}

/* All missing ones or none. The error's code is taken before a ROLLBACK that succeeds replaces it.
 */
static bool migrate_whole(sqlite3 *db, int *code, struct leat_error *err)
{
    bool good = run(db, "BEGIN IMMEDIATE", err) && migrate(db, err) && run(db, "COMMIT", err);
    *code = sqlite3_errcode(db);
    if (!good && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return good;
}

bool schema_sqlite(sqlite3 *db, const struct load *load, int *code, struct leat_error *err)
{
    if (!migrate_whole(db, code, err))
        return false;
    bool good = true;
    for (size_t i = 0; good && i < load_table_count(load); i++) {
        enum load_role role;
        good = check_table(db, load_table(load, i, &role), err);
    }
    *code = sqlite3_errcode(db);
    return good;
}
