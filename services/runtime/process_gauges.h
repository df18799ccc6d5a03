/* What a process tells of itself in its metrics. Private to the runtime. */
#ifndef LEAT_PROCESS_GAUGES_H
#define LEAT_PROCESS_GAUGES_H

#include "services/runtime/service.h"

enum { PROCESS_GAUGES_SERVICES = 16 };

struct process_gauges {
    struct leat_metric *resident, *ready[PROCESS_GAUGES_SERVICES];
    int64_t turned_us;
};

void process_gauges_open(struct process_gauges *self, struct leat_metrics *metrics,
                         const struct leat_program *program);

/* Sets them, at most once a second. */
void process_gauges_turn(struct process_gauges *self, struct leat_host *const *hosts);

#endif
