/* A row that every store must take: the known good statement of triage is to write it, by the same
 * encoder as any other row, and to roll it back. */
#ifndef LEAT_PERSIST_PROBE_H
#define LEAT_PERSIST_PROBE_H

#include "services/flows/table.h"

/* Fills a value of the right form into every column, none of them NULL. Nothing is allocated. */
void probe_row(const struct leat_table *table, struct leat_value *values);

#endif
