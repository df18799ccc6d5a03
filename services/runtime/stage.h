/* A stage is a function of a batch: open, batch, tick, close, and nothing about sockets or
 * processes. The loop (stage_loop.c) does the rest: it reads the inbox, runs the stage here or in a
 * child process, sends on to every instance of the next stage, publishes acks, drains and counts.
 */
#ifndef LEAT_STAGE_H
#define LEAT_STAGE_H

#include "proto/acks.h"
#include "proto/batch.h"
#include "services/runtime/metrics.h"
#include "services/runtime/settings.h"

/* What a stage may ask of its surroundings; the same in a thread, a process or a child. */
struct leat_stage_context;

const struct leat_settings *leat_stage_settings(const struct leat_stage_context *ctx);
struct leat_metrics *leat_stage_metrics(const struct leat_stage_context *ctx);

/* Not ready: /readyz says 503 with the reason (any text; better few different ones), and the loop
 * reads no more from the inbox (so senders wait) until it is ready again. A stage starts ready when
 * open succeeds. */
void leat_stage_ready(struct leat_stage_context *ctx, bool ready, const char *reason);

/* Publishes that a batch is committed. Only for a stage with `publishes`, after COMMIT. */
void leat_stage_ack(struct leat_stage_context *ctx, const struct leat_batch_head *head,
                    uint32_t committed, uint32_t dead);

/* Sends bytes to the stage's `side_out`; best effort: dropped (and counted) rather than waited for.
 */
void leat_stage_side(struct leat_stage_context *ctx, struct leat_span bytes);

/* True once the process has been told to stop at once: long waits inside a stage end then. */
bool leat_stage_stopping(const struct leat_stage_context *ctx);

/* To be called several times a second while a batch waits for something outside that may take its
 * time: then the stage is not taken for hanging (child.timeout begins anew). False: the process is
 * to stop at once, and the wait ends. */
bool leat_stage_waits(const struct leat_stage_context *ctx);

enum leat_verdict {
    LEAT_FORWARD, /* send it on to the next stage of its flow, as it is now */
    LEAT_TAKEN,   /* the stage keeps it, acks it later, and destroys it */
    LEAT_DROP,    /* forget it: it is sent again by ingest. Logged by the stage, counted here */
};

struct leat_stage {
    const char *name;                    /* "classify" */
    const char *help;                    /* one line for --help */
    const struct leat_setting *settings; /* rows "classify.…", besides those every stage has */
    bool isolated;         /* runs in a child unless child.enabled = no; then batch only
                              forwards or drops, and there is no side_in or publishes */
    const char *side_in;   /* setting with the address to bind a second inbox, or NULL */
    const char *side_out;  /* setting with the address(es) leat_stage_side goes to */
    const char *publishes; /* setting with the address to bind the acks' PUB, or NULL */

    /* Ready to work, or false with the reason (then the process ends with it). Called in the child
     * when isolated. The context outlives the stage. */
    bool (*open)(void **self, struct leat_stage_context *ctx, struct leat_error *err);

    /* One batch. Items that carry an error are to be left alone. May block (backpressure is the
     * point), but not for ever. LEAT_TAKEN stages own the batch. Never fails: what is wrong with a
     * record is its error (leat_batch_fail). */
    enum leat_verdict (*batch)(void *self, struct leat_batch *batch);

    /* Several batches at once, for work that is cheaper by the dozen: those that waited already
     * when the stage had time for them. Before each further one it is asked: `n` batches of `bytes`
     * in all are in hand; false: enough, begin. A verdict for each, as of `batch`. Both NULL: they
     * come one by one. Isolated stages only; CHILD_GATHERED (child.h) bounds what can wait. */
    bool (*gathers)(void *self, size_t n, size_t bytes);
    void (*batches)(void *self, struct leat_batch *const *batches, size_t n,
                    enum leat_verdict *verdicts);

    /* A frame from the second inbox; NULL when there is none. */
    void (*side)(void *self, struct leat_span frame);

    /* Called whenever the loop turns, and with `idle` true when nothing more waits to be read now.
     * Returns after how many ms it wants to be called again at the latest; -1: no wish. May be
     * NULL. */
    int (*tick)(void *self, bool idle);

    /* Finish what is in hand: called once when draining, before close; false: something that was
     * taken is not done (it comes again from the journal). May be NULL. */
    bool (*drain)(void *self);

    /* New values of reloadable settings. May be NULL. */
    void (*reload)(void *self, const struct leat_settings *fresh);

    void (*close)(void **self);
};

#endif
