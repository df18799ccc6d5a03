/* What comes into a stage's inbox: a batch for this stage, or something to drop. Private to the
 * runtime. */
#ifndef LEAT_STAGE_FRAMES_H
#define LEAT_STAGE_FRAMES_H

#include "services/runtime/log.h"
#include "services/runtime/service.h"
#include "services/runtime/stage_counts.h"

struct stage_frames {
    const char *stage;
    const struct leat_routes *routes;
    struct stage_counts *counts;
    struct leat_log_site sites[DROP_REASONS];
};

void stage_frames_open(struct stage_frames *self, const char *stage,
                       const struct leat_routes *routes, struct stage_counts *counts);

/* Reads one frame without waiting; false when there is none. *batch: the batch, with its bytes in
 * *frame (they are the batch's), or NULL when what came was dropped. */
bool stage_frames_read(struct stage_frames *self, void *inbox, struct leat_batch **batch,
                       struct leat_span *frame);

/* Counts a dropped frame and logs it, at most once a second for each reason. `head` may be NULL. */
void stage_frames_drop(struct stage_frames *self, enum stage_drop why,
                       const struct leat_batch_head *head, const char *reason);

#endif
