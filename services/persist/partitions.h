/* The partitions of tables that are partitioned by months: made when the first row of a month
 * comes, each in a transaction of its own, before the rows are written. A partition is named after
 * its table and month, features_idx_2024_05, or features_idx_2024_05_2 if a table that was detached
 * has that name; one that is there under another name serves as well. */
#ifndef LEAT_PERSIST_PARTITIONS_H
#define LEAT_PERSIST_PARTITIONS_H

#include "services/persist/connection.h"
#include "services/persist/load.h"

/* The months of one table that the session knows to be there. Begins as all zeros. */
struct partitions {
    int32_t *months; /* rising */
    size_t n, room;
};

void partitions_destroy(struct partitions *self);

/* Forgets what is known: another session may meet another server. */
void partitions_forget(struct partitions *self);

/* Makes what `rows` of a table with `monthly` need and what is not known yet. Any number of
 * persists may do so at once: they take turns by an advisory lock, and none waits for writers. For
 * a lock it waits `lock_ms`. false with the failure, which is never a row's (no has_context); the
 * session is out of any transaction then, or broken. */
bool partitions_make(struct partitions *self, struct connection *connection,
                     const struct leat_table *table, const struct load_rows *rows, int64_t lock_ms,
                     struct connection_failure *failure);

#endif
