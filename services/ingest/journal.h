/* The journal: what was accepted and is not yet committed, kept in one LMDB file.
 *
 * One owner, one thread. Everything that changes something happens inside a transaction
 * (journal_begin ... journal_commit) that ends with one sync: group commit. Everything that reads
 * for dispatch (backlog.h) sees only what has been synced. The table of clients is in clients.h.
 *
 *     journal_begin(journal, &err);
 *     journal_append(journal, &batch, now_us, &given, &err);     for every send that came
 *     journal_ack(journal, kind, seq, committed, dead, &acked, &err);   for every ack that came
 *     switch (journal_commit(journal, &err)) ...                 now, and only now, answer
 *
 * Ensures:
 *   1. What journal_commit reported as JOURNAL_OK survives a kill and a power cut.
 *   2. A transaction is all or nothing, on disk and in memory: after a failure every number (next
 *      seq, last version, bytes, sessions) is as it was at journal_begin, and the journal can be
 *      used again at once.
 *   3. A seq is given once, a version is given once, and neither goes back, whatever the clock
 *      does.
 *   4. Deleting works when the journal is full, and when the disk is: a reserve of map and disk is
 *      kept that appending never uses.
 *   5. Memory is flat: a transaction's new values are in anonymous memory until it ends
 *      (journal_pending_bytes says how many), everything else is the page cache's.
 *
 * Not promised: a disk that fails to read gives SIGBUS, as any memory-mapped file does. */
#ifndef LEAT_INGEST_JOURNAL_H
#define LEAT_INGEST_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"

struct journal;

enum {
    JOURNAL_ORIGIN_BYTES = 16,
    JOURNAL_KINDS_MAX = 16, /* databases of LMDB are opened for good: a bounded number */
    JOURNAL_KIND_MAX = 32,  /* bytes of a kind's name: a-z 0-9 _ - */
};

/* How big it may become. Take journal_limits_default and change what the settings say. */
struct journal_limits {
    uint64_t max_bytes;     /* counted by journal_append as bytes of disk; at least 64 KB */
    uint64_t reserve_bytes; /* map and disk kept above it so that deleting works; at least 1 MB.
                             * The file is made this much larger than what is in it. */
    uint64_t largest_batch; /* bytes of items; larger ones are JOURNAL_REFUSED */
    uint64_t answer_bytes;  /* kept answers of one client, in bytes; the newest is always kept. All
                             * clients' together take a quarter of max_bytes at most. */
    uint32_t answers;       /* kept answers of one client, in number; at least 1 */
    uint32_t clients;       /* client ids known at once */
};

/* 1 GB, reserve 32 MB, largest batch 16 MB, 256 answers or 1 MB of them a client, 100000 clients.
 */
struct journal_limits journal_limits_default(void);

/* What became of a change.
 *
 * JOURNAL_OK        done (on disk only once journal_commit says so).
 * JOURNAL_FULL      over a limit: from an operation, it did nothing and the transaction goes on;
 *                   from journal_commit, the map was full and the whole transaction is undone.
 *                   Either way: answer `busy`. Acks are still taken (in a transaction without
 *                   appends after a full map; appends are JOURNAL_FULL until one was committed).
 * JOURNAL_NO_DISK   the same, but it is the disk that has no space (or no quota).
 * JOURNAL_REFUSED   what was asked can never be done (a count of 0, a name out of bounds, numbers
 *                   used up). It did nothing and the transaction goes on.
 * JOURNAL_BROKEN    LMDB or the disk failed. From an operation: the transaction is lost, what is
 *                   still called on it is JOURNAL_BROKEN too. journal_begin tries afresh. */
enum journal_result {
    JOURNAL_OK,
    JOURNAL_FULL,
    JOURNAL_NO_DISK,
    JOURNAL_REFUSED,
    JOURNAL_BROKEN,
};

/* Opens the journal in folder `dir` (made if its parent is there), makes it if there is none: files
 * `lock`, `journal.mdb`, `journal.mdb-lock`. Locked until journal_close: a second open, of any
 * process, fails. Fails with what to do about it when journal.mdb is not a Leat journal, is cut
 * off, is damaged (all but the items are checked, before the file is mapped: lmdb_check.h), or is
 * of another format; it is then left as it is. On a full disk it opens, to be emptied. NULL on
 * failure. */
struct journal *journal_open(const char *dir, const struct journal_limits *limits,
                             struct leat_error *err);

/* Ends an open transaction without effect, closes, unlocks, sets *self to NULL. Idempotent. */
void journal_close(struct journal **self);

/* --- transactions ---------------------------------------------------------------------------- */

/* Begins a transaction; true at once when one is open. Opens the file anew when a failure made LMDB
 * give it up. False: the journal cannot be written now (the reason in err); may be tried again. */
bool journal_begin(struct journal *self, struct leat_error *err);

/* Syncs everything since journal_begin to disk. On anything but JOURNAL_OK nothing of it happened.
 * JOURNAL_OK without a transaction. */
enum journal_result journal_commit(struct journal *self, struct leat_error *err);

/* Forgets everything since journal_begin. Nothing to do without a transaction. */
void journal_abort(struct journal *self);

/* Bytes that the open transaction has appended: commit it when this passes a few MB. */
uint64_t journal_pending_bytes(const struct journal *self);

/* Whether committing the open transaction writes anything. */
bool journal_changed(const struct journal *self);

/* --- changes, inside a transaction ----------------------------------------------------------- */

/* A send to take. `items` are opaque here: they come back byte for byte. */
struct journal_batch {
    const char *kind;
    uint32_t count; /* records in it; 0: all were rejected, there is only an answer to keep */
    uint32_t flags; /* the caller's own */
    const void *items;
    size_t size;

    uint64_t client;     /* number of the client (clients.h); 0: one-way, without an answer */
    uint64_t client_seq; /* the client's seq of this send: exactly its held + 1 */
    const void *answer;  /* what it will be answered, kept for clients_answer */
    size_t answer_size;  /* above 0 */
};

/* What the journal gave it. Record i has version stamp + i. */
struct journal_given {
    uint64_t seq;  /* 1, 2, ... INT64_MAX over all kinds; 0 with a count of 0 */
    int64_t stamp; /* max(now_us, last version + 1), µs; 0 with a count of 0 */
};

/* Takes a send as one: appends the batch under the next seq, notes it as open, makes the client's
 * held its client_seq and keeps the answer (the oldest go when there are too many).
 * JOURNAL_FULL when max_bytes would be passed, except in an empty journal; JOURNAL_NO_DISK when
 * disk for it cannot be reserved; JOURNAL_REFUSED when stamp + count would pass INT64_MAX (a clock
 * gone wild must not use the numbers up silently), when the seq would, when client_seq is not held
 * + 1, or when something is out of bounds. */
enum journal_result journal_append(struct journal *self, const struct journal_batch *batch,
                                   int64_t now_us, struct journal_given *given,
                                   struct leat_error *err);

/* Of a batch that was acknowledged. */
struct journal_acked {
    bool found;          /* false: it was not there (acknowledged before); nothing changed */
    uint64_t client;     /* whose `done` may have changed; 0: nobody's */
    uint64_t client_seq; /* 0 with client 0 */
};

/* Deletes a batch and its open entry, and adds to its client's counters of records. */
enum journal_result journal_ack(struct journal *self, const char *kind, uint64_t seq,
                                uint64_t committed, uint64_t dead, struct journal_acked *acked,
                                struct leat_error *err);

/* Moves a batch that backlog_next found damaged out of the way, into the database `damaged` where
 * tools for LMDB can look at it. Its client sees its records as dead. */
enum journal_result journal_set_aside(struct journal *self, const char *kind, uint64_t seq,
                                      struct journal_acked *acked, struct leat_error *err);

/* Changes nothing, and yet the transaction is written: whether it can be is seen at its commit. */
enum journal_result journal_touch(struct journal *self, struct leat_error *err);

/* --- questions ------------------------------------------------------------------------------- */

/* 16 random bytes made with the journal. */
const uint8_t *journal_origin(const struct journal *self);

/* Whether a batch with `size` bytes of items would be taken now as far as max_bytes goes, counting
 * what the open transaction has appended. */
bool journal_has_room(const struct journal *self, size_t size);

/* Whether there is disk for the largest batch that may come, which is then kept for it. */
bool journal_has_disk(struct journal *self, struct leat_error *err);

struct journal_totals {
    uint64_t last_seq;    /* 0: none given yet */
    int64_t last_version; /* 0: none given yet */
    uint64_t batches;     /* kept, all kinds */
    uint64_t bytes;       /* kept, as counted against max_bytes */
    uint64_t damaged;     /* set aside */
    uint64_t clients;
    uint64_t file_bytes; /* size of journal.mdb, reserve included */
};

/* As synced: an open transaction is not in it. */
struct journal_totals journal_totals(const struct journal *self);

struct journal_kind_totals {
    const char *kind; /* valid until journal_close */
    uint64_t batches, bytes;
};

/* The kinds that the journal has seen, as synced, into out[max]; gives how many. */
size_t journal_kinds(const struct journal *self, struct journal_kind_totals *out, size_t max);

#endif
