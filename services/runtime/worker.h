/* Where a stage's work is done: here in the loop's thread, or in a child process. The loop gives
 * batches and takes them back in the same order. Private to the runtime. */
#ifndef LEAT_WORKER_H
#define LEAT_WORKER_H

#include "services/runtime/child.h"
#include "services/runtime/stage_context.h"
#include "services/runtime/stage_counts.h"

struct worker {
    const struct leat_stage *stage;
    struct leat_stage_context *ctx;
    struct stage_counts *counts;
    struct leat_child *child; /* NULL: the stage is open here, as `self` */
    void *self;
    struct leat_done done; /* its batch has come back when `has_done` */
    bool has_done;
};

/* Opens the stage, or begins to: isolated ones are opened in a child, unless child.enabled says no.
 */
bool worker_open(struct worker *self, const struct leat_stage *stage, struct leat_host *host,
                 struct leat_stage_context *ctx, struct stage_counts *counts,
                 struct leat_error *err);

/* Is a child opening it, which takes turns? And when it is not: is it open, or why not? */
bool worker_is_opening(const struct worker *self);
bool worker_opened(const struct worker *self, struct leat_error *err);

bool worker_wants(const struct worker *self);
void worker_give(struct worker *self, struct leat_batch *batch, struct leat_span frame);
bool worker_take(struct worker *self, struct leat_done *out);
int worker_in_hand(const struct worker *self);

/* Polling and turning, as for peers. `idle` as in leat_stage.tick. Returns the ms, or -1. */
int worker_items(const struct worker *self, zmq_pollitem_t items[1]);
int64_t worker_turn(struct worker *self, bool idle);

void worker_side(struct worker *self, struct leat_span frame);
void worker_reload(struct worker *self, const struct leat_settings *fresh);
bool worker_drain(struct worker *self);
void worker_close(struct worker *self);

/* The frame of a batch that has come back, for `next`. Takes over what `done` owns. */
void worker_frame(struct leat_done *done, const char *next, zmq_msg_t *out);

/* Forgets a batch that has come back. */
void worker_forget(struct leat_done *done);

#endif
