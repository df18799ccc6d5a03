#include "services/persist/catalog.h"

#include "services/flows/flow.h"
#include "services/persist/letters.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    const struct leat_table *table;
    enum load_role role;
    const char *kind;
};

struct kind {
    const struct leat_flow *flow;
    const struct leat_table *const *tables;
};

struct catalog {
    struct entry *entries;
    size_t n;
    struct kind *kinds;
    size_t n_kinds;
};

static void add(struct catalog *self, const struct leat_table *table, enum load_role role,
                const char *kind)
{
    self->entries = reallocarray(self->entries, self->n + 1, sizeof *self->entries);
    if (!self->entries)
        abort();
    self->entries[self->n++] = (struct entry){table, role, kind};
}

static bool add_flow(struct catalog *self, const struct leat_flow *flow,
                     const struct leat_settings *settings, struct leat_error *err)
{
    if (flow->make_tables && !settings)
        return true;
    const struct leat_table *const *tables = leat_flow_tables(flow, settings, err);
    if (!tables)
        return false;
    self->kinds = reallocarray(self->kinds, self->n_kinds + 1, sizeof *self->kinds);
    if (!self->kinds)
        abort();
    self->kinds[self->n_kinds++] = (struct kind){flow, tables};
    for (const struct leat_table *const *table = tables; *table; table++)
        add(self, *table, LOAD_DATA, flow->kind);
    return true;
}

struct catalog *catalog_open(const struct leat_settings *settings, struct leat_error *err)
{
    struct catalog *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    for (const struct leat_flow *const *flow = leat_flows; *flow; flow++)
        if (!add_flow(self, *flow, settings, err)) {
            catalog_close(&self);
            return NULL;
        }
    add(self, &letters_table, LOAD_LETTERS, NULL);
    return self;
}

void catalog_close(struct catalog **self)
{
    struct catalog *catalog = *self;
    if (!catalog)
        return;
    for (size_t i = 0; i < catalog->n_kinds; i++)
        leat_flow_tables_free(catalog->kinds[i].flow, catalog->kinds[i].tables);
    free(catalog->kinds);
    free(catalog->entries);
    free(catalog);
    *self = NULL;
}

size_t catalog_count(const struct catalog *self)
{
    return self->n;
}

const struct leat_table *catalog_table(const struct catalog *self, size_t table,
                                       enum load_role *role)
{
    *role = self->entries[table].role;
    return self->entries[table].table;
}

const char *catalog_kind(const struct catalog *self, size_t table)
{
    return self->entries[table].kind;
}

const struct leat_table *const *catalog_of_kind(const struct catalog *self, const char *kind)
{
    for (size_t i = 0; i < self->n_kinds; i++)
        if (strcmp(self->kinds[i].flow->kind, kind) == 0)
            return self->kinds[i].tables;
    return NULL;
}
