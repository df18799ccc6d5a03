/* The store's tables: made by the migrations that are missing, then checked against the tables that
 * the flows describe. */
#ifndef LEAT_PERSIST_SCHEMA_H
#define LEAT_PERSIST_SCHEMA_H

#include "services/persist/connection.h"
#include "services/persist/load.h"

#include <sqlite3.h>

/* Applies the missing migrations, all in one transaction under an advisory lock (any number of
 * persists may start at once), and checks every table of `load`: each column there and of its type,
 * the primary key the same, no column besides that a row could not do without. A database whose
 * migrations are all there needs no right to create anything. false: `*permanent` when trying again
 * cannot help. */
bool schema_postgres(struct connection *connection, const struct load *load, bool *permanent,
                     struct leat_error *err);

/* The same for SQLite. */
bool schema_sqlite(sqlite3 *db, const struct load *load, struct leat_error *err);

/* A column as a database tells it, for the check that both share. */
struct schema_column {
    const char *name;
    const char *type;
    bool not_null, has_default, is_key;
};

/* Compares a table with its description; `type_of` names a column's type as that engine does. */
bool schema_compare(const struct leat_table *table, const struct schema_column *found, size_t n,
                    const char *(*type_of)(enum leat_column_type), struct leat_error *err);

/* Is the table with that role a table of the store (and not a temporary one)? */
bool schema_has_table(enum load_role role);

#endif
