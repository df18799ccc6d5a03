/* The one-way port: a PULL that takes {v, kind, records} from plain PUSH sockets and answers
 * nothing. At most once until journaled; a record that is not fit travels on with its error and
 * becomes a dead letter, as nobody can be told.
 *
 * Ensures:
 *  1. Frames that were read wait here until their transaction is on disk: when it fails they are
 *     tried again, and meanwhile nothing more is read, so that senders wait.
 *  2. A frame of which nothing can be made is counted and logged. */
#ifndef LEAT_INGEST_ONEWAY_H
#define LEAT_INGEST_ONEWAY_H

#include "services/ingest/commit.h"
#include "services/ingest/records.h"
#include "services/runtime/service.h"

enum { ONEWAY_RETRY_US = 200 * 1000 }; /* after a journal that did not take a frame */

struct oneway;

struct oneway_parts {
    struct journal *journal;
    struct commit *commit;
    struct records *records;
    struct meters *meters;
    struct leat_flow_limits *limits;
};

/* Binds to setting ingest.oneway; when that is empty there is no socket and nothing is ever read.
 * NULL with the reason. */
struct oneway *oneway_open(struct leat_host *host, const struct oneway_parts *parts,
                           struct leat_error *err);
void oneway_close(struct oneway **self);

/* To be polled for input; NULL while nothing would be read: no port, a full or failing journal. */
void *oneway_socket(const struct oneway *self);

/* Takes what waits; true when more may wait. */
bool oneway_read(struct oneway *self, int64_t now);

/* The transaction ended. */
void oneway_settle(struct oneway *self, bool committed, int64_t now);

/* From now on nothing is read; what was read is still taken. */
void oneway_drain(struct oneway *self);

/* Frames read that are not on disk. */
size_t oneway_waiting(const struct oneway *self);

#endif
