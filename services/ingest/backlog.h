/* The backlog: reading the journal's batches for dispatch, in the order of their seqs.
 *
 * Only what has been synced is seen, also while a transaction is open. Nothing is held between two
 * calls but a snapshot that the next journal_begin or journal_commit gives back (an old snapshot
 * would keep deleted pages from being used again), so a backlog of any size is read in flat memory:
 *
 *     uint64_t at = 0;
 *     while (backlog_next(journal, "text", at, &batch, &err) == BACKLOG_BATCH)
 *         at = batch.seq, ...;
 */
#ifndef LEAT_INGEST_BACKLOG_H
#define LEAT_INGEST_BACKLOG_H

#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"

struct journal;

struct backlog_batch {
    uint64_t seq;
    int64_t stamp;
    uint64_t client, client_seq; /* 0, 0: one-way */
    uint32_t count;
    uint32_t flags;
    const void *items; /* in the map, at any alignment; valid until the next call on the journal */
    size_t size;
};

enum backlog_result {
    BACKLOG_BATCH,   /* *out is filled */
    BACKLOG_END,     /* no such batch: nothing behind `after`, or it was acknowledged */
    BACKLOG_DAMAGED, /* out->seq is there, its bytes are not what was written: the reason in err.
                      * Not to be dispatched; journal_set_aside, and go on behind it. */
    BACKLOG_FAILED,  /* the reason in err */
};

/* The first batch of the kind with a seq above `after`, checksum verified. */
enum backlog_result backlog_next(struct journal *journal, const char *kind, uint64_t after,
                                 struct backlog_batch *out, struct leat_error *err);

/* That batch, for sending it again, checksum verified. */
enum backlog_result backlog_read(struct journal *journal, const char *kind, uint64_t seq,
                                 struct backlog_batch *out, struct leat_error *err);

/* Seq and stamp of the kind's oldest batch without reading its items (for the age gauge); the stamp
 * is the largest int64 when it cannot be told. items and size are not filled. */
enum backlog_result backlog_oldest(struct journal *journal, const char *kind,
                                   struct backlog_batch *out, struct leat_error *err);

#endif
