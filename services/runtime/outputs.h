/* Where a stage sends its batches: to every instance of each stage that comes next. Private to the
 * runtime.
 *
 * One batch at most waits for each next stage; while it does, the loop reads no more, and so the
 * stage's own senders wait. Nothing here blocks. */
#ifndef LEAT_OUTPUTS_H
#define LEAT_OUTPUTS_H

#include "services/runtime/peers.h"
#include "services/runtime/service.h"

enum { OUTPUTS_MAX = 8, OUTPUT_ITEMS = LEAT_PEERS_ITEMS + 1 };

struct output {
    const char *stage; /* the next stage */
    struct leat_peers *peers;
    zmq_msg_t waiting;
    bool full;
};

struct outputs {
    struct output all[OUTPUTS_MAX];
    int n;
};

/* Connects to what follows `stage` in all kinds that pass it; none is fine. */
bool outputs_open(struct outputs *self, const char *stage, struct leat_host *host,
                  struct leat_error *err);

/* The output to a stage that outputs_open met. */
struct output *outputs_find(struct outputs *self, const char *stage);

/* True when every output can take a batch. */
bool outputs_empty(const struct outputs *self);

/* Sends, or keeps until it can be sent. The output must not be full. Takes the message over. */
void output_put(struct output *self, zmq_msg_t *message);

/* Sends what waits if it can be sent now; minds the peers; returns the ms until it wants to be
 * called again. */
int64_t outputs_turn(struct outputs *self);

/* What to poll: at most OUTPUTS_MAX * OUTPUT_ITEMS items. */
int outputs_items(const struct outputs *self, zmq_pollitem_t *items);

void outputs_close(struct outputs *self, int linger_ms);

#endif
