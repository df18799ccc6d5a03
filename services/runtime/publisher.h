/* Publishes acks: at once, and again with every publication of the next two seconds; while there
 * are any to repeat, one goes out at least every 200 ms. So an ingest that reconnects, or misses
 * one, hears the next. (When publications come faster than every 20 ms, those in between leave the
 * repetitions out.) Private to the runtime. */
#ifndef LEAT_PUBLISHER_H
#define LEAT_PUBLISHER_H

#include "proto/acks.h"
#include "proto/batch.h"
#include "services/runtime/security.h"

struct publisher;

/* Binds. NULL: it could not, and why. */
struct publisher *publisher_open(void *zmq, const struct leat_security *security,
                                 const char *address, const char *setting, struct leat_error *err);

/* Takes an ack for the next publication. */
void publisher_add(struct publisher *self, const struct leat_batch_head *head, uint32_t committed,
                   uint32_t dead);

/* Publishes when something is new or a repetition is due; returns the ms until it is, -1: nothing
 * to repeat. */
int64_t publisher_turn(struct publisher *self);

/* Publishes once more, and closes. Idempotent. */
void publisher_close(struct publisher **self, int linger_ms);

#endif
