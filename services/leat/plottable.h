/* Whether a feature is there to be drawn, before SQL is made of its name. */
#ifndef LEAT_CLI_PLOTTABLE_H
#define LEAT_CLI_PLOTTABLE_H

#include "services/leat/stored.h"

/* False: the store has no such domain, or that has no such column; the reason names those that are
 * there. Both names are harmless in SQL. */
bool plottable(struct query *query, const char *domain, const char *metric, struct leat_error *err);

#endif
