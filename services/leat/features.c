#include "services/leat/features.h"

#include "services/persist/feature_tables.h"

#include <stdlib.h>
#include <string.h>

static const struct query_sql select_tables = {
    .postgresql = "SELECT substr(relname, 10)" FEATURE_TABLES_POSTGRESQL
                  " ORDER BY relname = 'features_idx' DESC, relname = 'features_bqx' DESC, relname",
    .sqlite = "SELECT substr(name, 10)" FEATURE_TABLES_SQLITE
              " ORDER BY name = 'features_idx' DESC, name = 'features_bqx' DESC, name",
};

static bool keep_domain(void *arg, const struct query_row *row)
{
    struct features_domains *out = arg;
    if (out->n < FEATURES_DOMAINS_MAX)
        snprintf(out->names[out->n++], sizeof out->names[0], "%s", stored_text(row, 0));
    return true;
}

bool features_domains(struct query *query, struct features_domains *out, struct leat_error *err)
{
    out->n = 0;
    return query_run(query, &select_tables, NULL, 0, keep_domain, out, err);
}

static char *copy(const char *text)
{
    char *out = text ? strdup(text) : NULL;
    if (text && !out)
        abort();
    return out;
}

static bool keep_row(void *arg, const struct query_row *row)
{
    struct features_row *out = arg;
    out->n = row->n < FEATURES_COLUMNS_MAX ? row->n : FEATURES_COLUMNS_MAX;
    for (size_t i = 0; i < out->n; i++) {
        out->names[i] = copy(row->names[i]);
        out->values[i] = copy(row->values[i]);
    }
    return false;
}

bool features_at(struct query *query, const char *domain, const char *series, const char *at,
                 struct features_row *out, struct leat_error *err)
{
    char postgres[256], sqlite[256];
    snprintf(postgres, sizeof postgres,
             "SELECT * FROM features_%.64s WHERE series = $1 AND ts <= $2::timestamptz "
             "ORDER BY ts DESC LIMIT 1",
             domain);
    snprintf(sqlite, sizeof sqlite,
             "SELECT * FROM features_%.64s WHERE series = $1 AND ts <= $2 ORDER BY ts DESC LIMIT 1",
             domain);
    const struct query_sql sql = {postgres, sqlite};
    const char *params[] = {series, at};
    out->n = 0;
    return query_run(query, &sql, params, 2, keep_row, out, err);
}

void features_row_free(struct features_row *self)
{
    for (size_t i = 0; i < self->n; i++) {
        free(self->names[i]);
        free(self->values[i]);
    }
    self->n = 0;
}

const char *features_value(const struct features_row *self, const char *name)
{
    for (size_t i = 0; i < self->n; i++)
        if (strcmp(self->names[i], name) == 0)
            return self->values[i];
    return NULL;
}

bool features_split(const char *column, enum series_metric *metric, const char **window)
{
    size_t longest = 0;
    for (int m = 0; m < SERIES_METRICS; m++) {
        size_t size = strlen(series_metric_names[m]);
        if (size <= longest || strncmp(column, series_metric_names[m], size) != 0 ||
            column[size] != '_' || !column[size + 1])
            continue;
        longest = size;
        *metric = (enum series_metric)m;
        *window = column + size + 1;
    }
    return longest > 0;
}
