/* The store's tables: made by the migrations that are missing, then checked against the tables that
 * the flows describe. */
#ifndef LEAT_PERSIST_SCHEMA_H
#define LEAT_PERSIST_SCHEMA_H

#include "services/persist/connection.h"
#include "services/persist/load.h"

#include <sqlite3.h>

/* Applies the missing migrations, all in one transaction under an advisory lock (any number of
 * persists may start at once), makes the tables that follow from settings or adds columns to them,
 * and checks every table of `load`: each column there and of its type, the primary key the same, no
 * column besides that a row could not do without. A database whose migrations are all there needs
 * no right to create anything. false: `*permanent` when trying again cannot help. */
bool schema_postgres(struct connection *connection, const struct load *load, bool *permanent,
                     struct leat_error *err);

/* The same for SQLite. false: `*code` is the error's, or SQLITE_OK when it is the tables that are
 * wrong. */
bool schema_sqlite(sqlite3 *db, const struct load *load, int *code, struct leat_error *err);

/* A column as a database tells it, for the check that both share. */
struct schema_column {
    const char *name;
    const char *type;
    bool not_null, has_default, is_key;
};

/* Compares a table with its description; `type_of` names a column's type as that engine does. */
bool schema_compare(const struct leat_table *table, const struct schema_column *found, size_t n,
                    const char *(*type_of)(enum leat_column_type), struct leat_error *err);

/* How an engine wants its tables made. */
struct schema_engine {
    const char *(*type_of)(enum leat_column_type);
    const char *unless_there; /* " IF NOT EXISTS", where ADD COLUMN takes it, or "" */
    const char *collate;      /* behind the type of a TEXT in the key */
    bool partitions;          /* a table may be partitioned by months */
    const char *tail;         /* behind the closing parenthesis */
};

/* The statements that make a table from its description or add what it lacks; NULL: it lacks
 * nothing. The caller frees them. */
char *schema_missing(const struct leat_table *table, const struct schema_column *found, size_t n,
                     const struct schema_engine *engine);

#endif
