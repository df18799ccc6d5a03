/* The tables of the store: every flow's, and the dead letters. Made once, because some follow from
 * settings; all loads and stores of a persist share it. */
#ifndef LEAT_PERSIST_CATALOG_H
#define LEAT_PERSIST_CATALOG_H

#include "services/flows/table.h"
#include "services/runtime/settings.h"

enum load_role {
    LOAD_DATA,    /* a flow's table */
    LOAD_LETTERS, /* dead_letters */
};

struct catalog;

/* NULL: a setting that tables follow from is wrong. `settings` may be NULL: then without the tables
 * that need any. */
struct catalog *catalog_open(const struct leat_settings *settings, struct leat_error *err);
void catalog_close(struct catalog **self);

size_t catalog_count(const struct catalog *self);
const struct leat_table *catalog_table(const struct catalog *self, size_t table,
                                       enum load_role *role);

/* The kind whose flow a table is of; NULL: it is no flow's. */
const char *catalog_kind(const struct catalog *self, size_t table);

/* The tables of a kind, ended by NULL; NULL: no flow has this kind. */
const struct leat_table *const *catalog_of_kind(const struct catalog *self, const char *kind);

#endif
