#include "services/leat/plottable.h"

#include "services/leat/features.h"

#include <string.h>

enum { NAMES_TEXT = 200 };

/* Columns of one metric, for as many windows as a line has room for. */
struct columns {
    const char *wanted;
    enum series_metric metric;
    bool found;
    char names[NAMES_TEXT];
};

static void append(char names[NAMES_TEXT], const char *name)
{
    size_t used = strlen(names);
    if (used + strlen(name) + 3 < NAMES_TEXT)
        snprintf(names + used, NAMES_TEXT - used, "%s%s", used ? ", " : "", name);
}

static bool keep_column(void *arg, const struct query_row *row)
{
    struct columns *self = arg;
    enum series_metric metric;
    const char *window, *name = stored_text(row, 0);
    self->found = self->found || strcmp(name, self->wanted) == 0;
    if (features_split(name, &metric, &window) && metric == self->metric)
        append(self->names, name);
    return true;
}

static bool has_domain(struct query *query, const char *domain, struct leat_error *err)
{
    struct features_domains domains;
    char names[NAMES_TEXT] = "";
    if (!features_domains(query, &domains, err))
        return false;
    for (size_t i = 0; i < domains.n; i++) {
        if (strcmp(domains.names[i], domain) == 0)
            return true;
        append(names, domains.names[i]);
    }
    return leat_fail(err, "no domain '%s' is stored; there are %s", domain, names);
}

static bool has_column(struct query *query, const char *domain, const char *metric,
                       struct leat_error *err)
{
    char table[80];
    const char *window, *params[] = {table};
    struct columns columns = {.wanted = metric};
    const struct query_sql sql = {
        .postgresql = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1)"
                      " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        .sqlite = "SELECT name FROM pragma_table_info($1) ORDER BY cid",
    };
    snprintf(table, sizeof table, "features_%s", domain);
    return features_split(metric, &columns.metric, &window) &&
           query_run(query, &sql, params, 1, keep_column, &columns, err) &&
           (columns.found ||
            leat_fail(err, "no metric '%s' is stored; there are %s", metric, columns.names));
}

bool plottable(struct query *query, const char *domain, const char *metric, struct leat_error *err)
{
    return has_domain(query, domain, err) && has_column(query, domain, metric, err);
}
