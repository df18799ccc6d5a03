/* The SQL texts that follow from a table's description. */
#ifndef LEAT_PERSIST_STATEMENTS_H
#define LEAT_PERSIST_STATEMENTS_H

#include "services/persist/load.h"

/* PostgreSQL: parts of a script; each ends with a semicolon. */
struct statements {
    char *create; /* makes the temporary table, if there is none */
    char *direct; /* COPY into the table itself; NULL: this table is only written the other way */
    char *staged; /* COPY into the temporary table, and from there into (or out of) the table */
};

void statements_make(struct statements *self, const struct leat_table *table, enum load_role role);
void statements_destroy(struct statements *self);

/* SQLite: one statement with a parameter for each column, in order. The caller frees it. */
char *statements_sqlite(const struct leat_table *table, enum load_role role);

#endif
