/* The tables of the store: every flow's, the dead letters, and the dead letters that go. Made once,
 * because some follow from settings; all loads and stores of a persist share it. */
#ifndef LEAT_PERSIST_CATALOG_H
#define LEAT_PERSIST_CATALOG_H

#include "services/flows/table.h"
#include "services/runtime/settings.h"

enum load_role {
    LOAD_DATA,    /* a flow's table */
    LOAD_LETTERS, /* dead_letters */
    LOAD_GONE,    /* dead letters that are stored now: deleted from dead_letters */
};

struct catalog;

/* NULL: a setting that tables follow from is wrong. `settings` may be NULL: then without the tables
 * that need any. */
struct catalog *catalog_open(const struct leat_settings *settings, struct leat_error *err);
void catalog_close(struct catalog **self);

size_t catalog_count(const struct catalog *self);
const struct leat_table *catalog_table(const struct catalog *self, size_t table,
                                       enum load_role *role);

/* The tables of a kind, ended by NULL; NULL: no flow has this kind. */
const struct leat_table *const *catalog_of_kind(const struct catalog *self, const char *kind);

#endif
