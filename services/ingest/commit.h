/* Group commit: everything that arrives together goes into one journal transaction with one sync.
 *
 * The parts of ingest (door, one-way port, acks) make their changes between commit_enter and
 * commit_end, and keep what they will answer; the loop calls commit_end when commit_due says so and
 * tells all of them how it ended.
 *
 * Ensures:
 *  1. A change that comes alone is committed at once: waiting for company happens only when the
 *     last transaction had some, and then transactions begin at most every `wait_us`.
 *  2. A transaction with as many bytes as `bytes_most` is committed at once.
 *  3. After a failure nothing is written for RETRY_US; readers and answers go on.
 *  4. While there is trouble it is tried whether that is over, also when nobody comes with a
 *     change: whoever is not ready may be sent nobody. */
#ifndef LEAT_INGEST_COMMIT_H
#define LEAT_INGEST_COMMIT_H

#include "services/ingest/journal.h"
#include "services/ingest/meters.h"

#include "services/flows/flow.h"
#include "services/runtime/log.h"

/* Of one flow in the open transaction. */
struct commit_tally {
    uint64_t sends, accepted, rejected, batches;
};

struct commit {
    struct journal *journal;
    struct meters *meters;
    int64_t wait_us;
    size_t bytes_most;

    bool open;    /* something has been changed since the last end */
    bool spoilt;  /* it must be undone */
    bool unsure;  /* one has failed: what is on disk may be more than is known */
    size_t parts; /* messages in the open transaction */
    size_t bytes; /* of these; 0 when none is open */
    size_t parts_before;
    struct commit_tally tallies[METERS_KINDS + 1]; /* as meters_kind counts */
    uint32_t grew; /* of the last one that ended: a bit for each flow that may have new batches */
    int64_t ended_at, retry_at, tried_at;
    struct leat_log_site refused;
    const char *trouble; /* why nothing can be written now: a constant string, or NULL */
};

void commit_open(struct commit *self, struct journal *journal, struct meters *meters);

/* Before a change. false: the journal cannot be written now; nothing is to be tried. */
bool commit_enter(struct commit *self, int64_t now);

/* A message of so many bytes has taken part. */
void commit_add(struct commit *self, size_t bytes);

/* A send in it had records of that flow (NULL: of none), and made a batch or not. Counted only if
 * all of it gets to disk. */
void commit_count(struct commit *self, const struct leat_flow *flow, uint32_t accepted,
                  uint32_t rejected, bool batch);

/* What a journal operation that was not JOURNAL_OK means for the transaction: JOURNAL_BROKEN spoils
 * it if one is open, JOURNAL_NO_DISK is trouble until there is room again, JOURNAL_REFUSED is
 * logged; a full journal is the caller's affair. */
void commit_note(struct commit *self, enum journal_result result, const struct leat_error *why);

/* What has been changed (if anything has) cannot stay: the end will undo all of it. */
void commit_spoil(struct commit *self, const struct leat_error *why);

/* Ensures 4: to be called every second at least. */
void commit_try(struct commit *self, int64_t now);

/* Microseconds until commit_end should be called; 0: now; -1: nothing is open. */
int64_t commit_due(const struct commit *self, int64_t now);

/* Ends the transaction. true: everything is on disk; false: nothing of it happened. */
bool commit_end(struct commit *self);

#endif
