/* What persist shows of itself at /metrics. */
#ifndef LEAT_PERSIST_GAUGES_H
#define LEAT_PERSIST_GAUGES_H

#include "services/persist/triage.h"
#include "services/runtime/metrics.h"

struct gauges {
    struct leat_metric *committed, *dead, *batches, *refused_kinds;
    struct leat_metric *direct, *staged, *conflicts, *unchanged, *connects, *ended;
    struct leat_metric *seconds, *retries, *lock_timeouts, *set_aside, *buried, *away;
    struct leat_metric *ready, *waiting_rows, *waiting_bytes;
};

void gauges_open(struct gauges *self, struct leat_metrics *metrics);

/* Copies what the store and triage count. */
void gauges_copy(struct gauges *self, const struct store_counts *store,
                 const struct triage_counts *triage);

#endif
