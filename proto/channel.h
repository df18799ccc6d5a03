/* A client's session with one ingest: what is collected, what is on the wire, what was answered.
 *
 * Never waits: channel_work does what can be done now, and says how long nothing will be due. */
#ifndef LEAT_PROTO_CHANNEL_H
#define LEAT_PROTO_CHANNEL_H

#include "proto/leat.h"
#include "proto/link.h"
#include "proto/message.h"

struct channel;

/* What all channels of a client share. The counters are added to by the channels. */
struct channel_common {
    const char *client;           /* the name told in hello */
    uint32_t instance;            /* and whose hello it is at first: random, not 0 */
    const struct leat_keys *keys; /* NULL: in the clear */
    size_t batch_bytes;
    int64_t linger_ms;
    void (*on_reject)(void *arg, const struct leat_reject *reject);
    void (*on_event)(void *arg, const char *event);
    void *arg;
    uint64_t rejected, resent;
};

int64_t channel_now_ms(void);

struct channel *channel_open(void *zmq, const char *address, unsigned number,
                             struct channel_common *common, struct leat_error *err);
void channel_close(struct channel **self);

/* Reads, writes, and keeps time. false: this channel can do nothing any more; `err` says why. */
bool channel_work(struct channel *self, struct leat_error *err);

/* Milliseconds until channel_work has something to do if nothing arrives; -1: never. */
int64_t channel_due_ms(const struct channel *self);

/* What zmq_poll must wait for: LINK_POLL_ITEMS items. */
void channel_poll_items(const struct channel *self, zmq_pollitem_t *items);

enum channel_put {
    CHANNEL_TAKEN,
    CHANNEL_TAKEN_LAST, /* taken, and the send it went into is complete: there is work to do */
    CHANNEL_FULL,       /* not taken: wait until sends are answered */
    CHANNEL_REFUSED,    /* not taken, and never will be; `err` says why */
};

/* Collects one record, which is number `number` to the program. */
enum channel_put channel_put(struct channel *self, const char *kind, const void *record,
                             size_t size, uint64_t number, struct leat_error *err);

/* Completes the open send, if any, as soon as there is room for it; to be called until
 * channel_answered. */
void channel_flush(struct channel *self);

/* Asks now and then how far the store is, until told false. */
void channel_follow(struct channel *self, bool on);

bool channel_welcomed(const struct channel *self);  /* in its session */
bool channel_answered(const struct channel *self);  /* nothing open, nothing without an answer */
bool channel_committed(const struct channel *self); /* answered, and all of it done */

/* False when ingest came back with an older journal, so that accepted sends are missing there. */
bool channel_intact(const struct channel *self, struct leat_error *err);

/* Adds the records accepted, committed and dead since the channel was opened. */
void channel_count(const struct channel *self, struct leat_progress *onto);

/* What its ingest allows, as the last welcome told. */
const struct leat_limits *channel_limits(const struct channel *self);

const char *channel_address(const struct channel *self);
const char *channel_trouble(const struct channel *self);

#endif
