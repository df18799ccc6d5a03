/* What the store has of series: its tables of features, and rows of them. */
#ifndef LEAT_CLI_FEATURES_H
#define LEAT_CLI_FEATURES_H

#include "services/flows/series/windows.h"
#include "services/leat/stored.h"

enum {
    FEATURES_DOMAINS_MAX = 16,
    FEATURES_COLUMNS_MAX = 1600, /* PostgreSQL has no more */
};

/* The domains that have a table features_NAME: idx and bqx first, then by name. */
struct features_domains {
    char names[FEATURES_DOMAINS_MAX][64];
    size_t n;
};

bool features_domains(struct query *query, struct features_domains *out, struct leat_error *err);

/* A row with the columns of its table, as text. */
struct features_row {
    size_t n;                                                         /* 0: there is none */
    char *names[FEATURES_COLUMNS_MAX], *values[FEATURES_COLUMNS_MAX]; /* value NULL: NULL */
};

/* The last row of a series at or before `at` (as the stores write times). To be freed. */
bool features_at(struct query *query, const char *domain, const char *series, const char *at,
                 struct features_row *out, struct leat_error *err);
void features_row_free(struct features_row *self);

/* The value of a column; NULL for NULL, and when there is no such column. */
const char *features_value(const struct features_row *self, const char *name);

/* Takes "rmse_w15" apart: the metric's number, and where the window's name begins. False: it is no
 * column of a metric. */
bool features_split(const char *column, enum series_metric *metric, const char **window);

#endif
