/* Dispatch: batches go from the journal to the first stage of their flow, and again if they do not
 * come back (flights.h has the rules). Streamed from the journal by cursor, so memory does not grow
 * with the backlog; nothing here blocks. */
#ifndef LEAT_INGEST_DISPATCH_H
#define LEAT_INGEST_DISPATCH_H

#include "proto/acks.h"
#include "services/ingest/journal.h"
#include "services/ingest/meters.h"
#include "services/ingest/removals.h"
#include "services/runtime/peers.h"
#include "services/runtime/service.h"

struct dispatch;

/* Connects to the first stage of every flow. `run` names this process' dispatches. Everything given
 * outlives it. NULL with the reason. */
struct dispatch *dispatch_open(struct leat_host *host, struct journal *journal,
                               struct removals *removals, struct meters *meters,
                               const uint8_t run[LEAT_ID_SIZE], struct leat_error *err);
void dispatch_close(struct dispatch **self, int linger_ms);
void dispatch_reload(struct dispatch *self, const struct leat_settings *settings);

/* Flows have new batches: a bit for each, by their place in leat_flows. */
void dispatch_wake(struct dispatch *self, uint32_t flows);

/* An acknowledgement was read: a removal when its batch is in flight. */
void dispatch_acked(struct dispatch *self, const struct leat_ack *ack, int64_t now);

/* Sends again what is due, and (if `fresh`) what has not been sent yet. Only after all
 * acknowledgements that wait have been told. Returns microseconds until it wants to be called again
 * at the latest. */
int64_t dispatch_turn(struct dispatch *self, bool fresh, int64_t now);

/* What to poll; at most DISPATCH_ITEMS. `fresh` as for dispatch_turn. */
enum { DISPATCH_ITEMS = METERS_KINDS * (LEAT_PEERS_ITEMS + 1) };
int dispatch_items(const struct dispatch *self, bool fresh, zmq_pollitem_t *items);

size_t dispatch_in_flight(const struct dispatch *self); /* batches, all flows */

/* Sets the gauges. */
void dispatch_measure(struct dispatch *self);

#endif
