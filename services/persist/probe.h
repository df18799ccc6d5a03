/* A row that every store must take: the known good statement of triage is to write it, by the same
 * encoder as any other row, and to roll it back. */
#ifndef LEAT_PERSIST_PROBE_H
#define LEAT_PERSIST_PROBE_H

#include "services/persist/copy.h"
#include "services/persist/load.h"

/* Fills a value of the right form into every column, none of them NULL. Nothing is allocated. */
void probe_row(const struct leat_table *table, struct leat_value *values);

/* The whole COPY of a probe for where `rows` go: one row; in a table with partitions one for each
 * month of theirs, at a time of theirs. Another time may have no partition, and what is wrong with
 * one partition shows in no other. */
void probe_copy(struct copy *copy, const struct leat_table *table, const struct load_rows *rows);

#endif
