/* The SQL texts that follow from a table's description. */
#ifndef LEAT_PERSIST_STATEMENTS_H
#define LEAT_PERSIST_STATEMENTS_H

#include "services/persist/gone.h"

/* PostgreSQL: parts of a script; each ends with a semicolon. */
struct statements {
    char *create; /* makes the temporary table, if there is none */
    char *direct; /* COPY into the table itself; NULL: this table is only written the other way */
    char *staged; /* COPY into the temporary table, and from there into the table */
};

/* For a table of a load. */
void statements_make(struct statements *self, const struct load *load, size_t table);
void statements_destroy(struct statements *self);

/* Takes dead letters away. The caller frees it; NULL: there are none to name. */
char *statements_gone(const struct gone *gone);

/* SQLite: one statement with a parameter for each column, in order. The caller frees it. */
char *statements_sqlite(const struct load *load, size_t table);

/* Takes one stretch of dead letters away: parameters are the origin, then the numbers. */
extern const char statements_sqlite_gone[];

#endif
