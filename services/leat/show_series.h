/* One row of a series with all that was found in it. */
#ifndef LEAT_CLI_SHOW_SERIES_H
#define LEAT_CLI_SHOW_SERIES_H

#include "services/leat/render.h"
#include "services/persist/query.h"

/* Prints the last row of the series at or before `at` (as the stores write times), of every domain.
 * *found: there is one. */
bool show_series(struct query *query, const struct render *to, bool json, const char *series,
                 const char *at, bool *found, struct leat_error *err);

#endif
