/* What stands behind leat_stage_…: the loop's own, or the child's. Private to the runtime. */
#ifndef LEAT_STAGE_CONTEXT_H
#define LEAT_STAGE_CONTEXT_H

#include "services/runtime/stage.h"

struct leat_stage_context {
    const struct leat_settings *settings;
    struct leat_metrics *metrics;
    void *owner;
    void (*ready)(void *owner, bool ready, const char *reason);
    void (*ack)(void *owner, const struct leat_batch_head *head, uint32_t committed, uint32_t dead);
    void (*side)(void *owner, struct leat_span bytes);
    bool (*stopping)(void *owner);
    bool (*waits)(void *owner);
};

#endif
