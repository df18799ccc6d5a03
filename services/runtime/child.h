/* Work that can crash, in a child process.
 *
 * The parent starts its own program again (`/proc/self/exe --child NAME`), gives it batches and
 * takes them back; nothing here blocks the parent, but for the moment in which it starts or ends a
 * child.
 *
 * Ensures:
 *  1. Batches come back in the order in which they were given, with their records in their order.
 *  2. When the child dies or takes longer than child.timeout over a batch (then it is killed; what
 *     it waits for outside does not count, as long as it says so: leat_stage_waits; nor does time
 *     in which the parent was stopped), another is
 *     started and given that batch's records in halves until the killer stands alone: only that
 *     record gets the error `crashed` or `timeout`. A batch of one record is given twice: one death
 *     alone may have come from outside.
 *  3. Records that carry an error already are not given to the child.
 *  4. Two batches are with the child, so it never waits for the parent's turn; of small ones as
 *     many as CHILD_GATHERED and CHILD_GATHERED_BYTES allow, for stages that gather. When a child
 *     that may have been at several dies, none of them is to blame yet: all are given again one by
 *     one, and 2 begins. What else was with a child that died over one is given again, too.
 *  5. A child never outlives its parent. */
#ifndef LEAT_CHILD_H
#define LEAT_CHILD_H

#include "services/runtime/service.h"

#include <zmq.h>

enum {
    CHILD_GATHERED = 64,               /* batches with the child at most, */
    CHILD_GATHERED_BYTES = 128 * 1024, /* while they have fewer bytes together */
};

struct leat_child;

/* What the parent's side tells its owner, from within leat_child_turn. */
struct leat_child_events {
    void *owner;
    void (*ready)(void *owner, bool ready, const char *reason); /* said by the stage or for it */
    void (*side)(void *owner, struct leat_span bytes);          /* leat_stage_side in the child */
};

/* A batch that has come back. */
struct leat_done {
    enum leat_verdict verdict;
    struct leat_batch *batch; /* now the caller's: its head; its items are as they were given unless
                                 `items` is NULL */
    uint8_t *items;           /* NULL, or the items as the stage left them, packed; to be freed with
                                 `memory` */
    size_t size;
    void *memory; /* malloc'd; LEAT_BATCH_HEAD_MAX free bytes stand before `items` */
};

/* Starts the first child. NULL: it could not be, and why. */
struct leat_child *leat_child_open(const struct leat_stage *stage, struct leat_host *host,
                                   const struct leat_child_events *events, struct leat_error *err);

/* Is the child opening its stage, which takes turns? */
bool leat_child_is_opening(const struct leat_child *self);

/* When it is not: could the first child open its stage? false: why not. */
bool leat_child_opened(const struct leat_child *self, struct leat_error *err);

/* True when a batch may be given now. */
bool leat_child_wants(const struct leat_child *self);

/* Gives a batch, with the bytes that it was read from (they belong to the batch). Takes it over. */
void leat_child_give(struct leat_child *self, struct leat_batch *batch, struct leat_span frame);

/* The oldest batch if it has come back. */
bool leat_child_take(struct leat_child *self, struct leat_done *out);

/* Batches given and not taken back yet. */
int leat_child_in_hand(const struct leat_child *self);

/* What to poll; returns how many items (0 or 1). */
int leat_child_items(const struct leat_child *self, zmq_pollitem_t items[1]);

/* Reads, writes, judges timeouts, starts another child when it is time. Returns after how many ms
 * it is to be called again at the latest; -1: no wish. */
int64_t leat_child_turn(struct leat_child *self);

/* New settings for the child, and for those that follow it. */
void leat_child_reload(struct leat_child *self, const struct leat_settings *fresh);

/* Ends the child (it closes its stage, then exits; killed when that takes longer than `wait_ms`,
 * and at once while it still opens it) and forgets what was given. Idempotent. */
void leat_child_close(struct leat_child **self, int wait_ms);

/* The child's side: the whole main of `--child NAME`. */
int leat_child_main(const struct leat_program *program, const char *name);

#endif
