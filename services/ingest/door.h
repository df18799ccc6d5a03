/* The front door: a ROUTER at which clients say hello, send, are answered, and are told what is
 * done (proto/README.md is the protocol).
 *
 * Ensures:
 *  1. Whatever says that something was taken (ack, welcome, a repeated ack) is sent only after the
 *     transaction that holds it has been synced; the answers of a connection keep their order.
 *  2. A send is taken only as held + 1 of the session that speaks for its client, and once.
 *  3. When a transaction fails, every send in it is answered busy, whatever its answer would have
 *     been, and held is what it was: the client goes back to the first one and sends them again.
 *  4. Behind a send answered busy, the later ones that were in the pipe already are answered busy
 *     as well (not gap), so that a client pauses instead of resending at once.
 *  5. It never waits for a client: an answer that a client does not read is lost, and repeated when
 *     it asks again.
 *  6. A client has at most its credit in one transaction: the rest is answered busy. */
#ifndef LEAT_INGEST_DOOR_H
#define LEAT_INGEST_DOOR_H

#include "services/ingest/commit.h"
#include "services/ingest/journal.h"
#include "services/ingest/meters.h"
#include "services/ingest/records.h"
#include "services/runtime/service.h"

struct door;

/* What it works with; all of it outlives the door. */
struct door_parts {
    struct journal *journal;
    struct commit *commit;
    struct records *records;
    struct meters *meters;
    struct leat_flow_limits *limits;
};

/* Binds. NULL with the reason. */
struct door *door_open(struct leat_host *host, const struct door_parts *parts,
                       struct leat_error *err);
void door_close(struct door **self);

void *door_socket(const struct door *self);

/* Reads what waits, until nothing does or a transaction is full; true when more may wait. */
bool door_read(struct door *self, int64_t now);

/* The transaction ended, or there was none: sends all answers. */
void door_settle(struct door *self, bool committed);

/* A client's batch has left the journal: its `done` may be another one now. */
void door_done_changed(struct door *self, uint64_t client);

/* Whether a session speaks for that client now; for clients_expire. */
bool door_speaks_for(void *door, uint64_t client);

/* Sends `done` to whom it is due, and finds connections that are gone. Only while no transaction is
 * open. Returns microseconds until it wants to be called again; -1: no wish. */
int64_t door_push(struct door *self, int64_t now);

/* From now on nothing is taken. */
void door_drain(struct door *self);

#endif
