/* The window of one flow: which batches are in flight, whether another may follow, and which must
 * be sent again. Pure logic: no sockets, no journal, and time is what the caller says it is
 * (monotonic, microseconds).
 *
 * A batch is in flight from its first dispatch until its acknowledgement.
 *
 * Ensures:
 *  1. Another batch may follow while the bytes in flight are fewer than what came back within the
 *     last two busy seconds and twice the time that a batch takes when it waits for no other (so
 *     batches wait about two seconds, or as long as they take themselves, however slow the store
 *     is), or while there are fewer batches in flight than instances to work on them. What is
 *     allowed is never less than one batch and overshoots by less than one. What was sent again
 *     does not count any more: it was lost, or is set aside (somebody holds its row), for as long
 *     as that takes.
 *  2. A batch is sent again only after its timeout (rtt.h), and only if something that was sent
 *     later than its last copy has come back: a slow store alone makes nothing due.
 *  3. While nothing comes back at all, only one batch is sent again at a time, as a probe, at
 * pauses that double up to FLIGHTS_PROBE_MOST_US: the one that was sent the fewest times, so that
 * one which never comes back keeps no others from being found.
 *  4. After a stop of the caller itself (no flights_due for FLIGHTS_GAP_US) nothing is judged for
 *     FLIGHTS_GRACE_US, so that the acks which wait in sockets can be read first.
 *  5. A standstill (nothing came back for a timeout: an outage, a stop of the caller, a stage that
 *     has become slow) makes the timeout longer within bounds (rtt.h), however long it was, and
 *     what waits behind it has its whole timeout when it is over.
 */
#ifndef LEAT_INGEST_FLIGHTS_H
#define LEAT_INGEST_FLIGHTS_H

#include "services/ingest/rtt.h"

#include <stddef.h>
#include <stdint.h>

enum {
    FLIGHTS_SPAN_US = 2 * 1000 * 1000,        /* how long batches may wait for others */
    FLIGHTS_LEARN_US = 200 * 1000,            /* busy time before the rate is believed */
    FLIGHTS_PROBE_MOST_US = 30 * 1000 * 1000, /* longest pause between probes */
    FLIGHTS_GAP_US = 1000 * 1000,
    FLIGHTS_GRACE_US = 500 * 1000,
    FLIGHTS_BATCHES_MOST = 65536, /* in flight at once: 148 bytes of memory each */
};

struct flights;

/* `initial_bytes` may be in flight before the rate is known, `max_bytes` ever. */
struct flights *flights_new(size_t initial_bytes, size_t max_bytes);
void flights_destroy(struct flights **self);
void flights_limit(struct flights *self, size_t initial_bytes, size_t max_bytes);

/* True when another batch may be dispatched; `instances` (at least 1 is assumed) work on them. */
bool flights_open(const struct flights *self, size_t instances);

/* A batch was dispatched for the first time. Seqs come in ascending order. */
void flights_sent(struct flights *self, uint64_t seq, size_t bytes, int64_t now);

/* A batch was sent again; returns the number of this attempt. It must be in flight. */
uint32_t flights_resent(struct flights *self, uint64_t seq, int64_t now);

/* A batch came back; `attempt` tells which copy. false: it is not in flight (any more). */
bool flights_acked(struct flights *self, uint64_t seq, uint32_t attempt, int64_t now);

/* A batch that must not be sent again (its journal entry is gone or unreadable). */
void flights_forget(struct flights *self, uint64_t seq);

/* One batch that is due to be sent again now, and the attempt it would be. Call flights_resent once
 * it is sent, then ask again; ask only when all acks that wait have been told. */
struct flights_due {
    uint64_t seq;
    uint32_t attempt;
    bool probe;
};
bool flights_due(struct flights *self, int64_t now, struct flights_due *out);

size_t flights_batches(const struct flights *self); /* in flight */
size_t flights_bytes(const struct flights *self);   /* in flight */
size_t flights_size(const struct flights *self);    /* what may be in flight, in bytes */
const struct rtt *flights_rtt(const struct flights *self);

#endif
