/* What the journal's own files (journal.c, backlog.c, clients.c) share, and what is on disk.
 *
 * Format 1. Everything is in the machine's own byte order, as LMDB's own pages are: a journal
 * belongs to its machine. Databases of the environment:
 *
 *   state      "journal"       -> struct disk_state
 *              "kind:NAME"     -> struct disk_kind
 *   kind:NAME  seq (integer)   -> struct disk_batch, items
 *   clients    number (integer)-> struct disk_client
 *   names      id              -> number
 *   answers    struct disk_pair {number, client's seq} -> checksum, answer
 *   open       struct disk_pair {number, client's seq} -> seq
 *   damaged    seq (integer)   -> struct disk_batch, items: as they were found, of any kind
 *
 * A change to any of this is a new format number: raise JOURNAL_FORMAT, and either read the old one
 * or refuse it. The first two fields of disk_state never move. */
#ifndef LEAT_INGEST_JOURNAL_PRIVATE_H
#define LEAT_INGEST_JOURNAL_PRIVATE_H

#include <lmdb.h>

#include "services/ingest/journal.h"
#include "services/ingest/journal_file.h"

enum { JOURNAL_FORMAT = 1 };

struct disk_state {
    char magic[8]; /* "LEATJRNL" */
    uint64_t format;
    uint8_t origin[JOURNAL_ORIGIN_BYTES];
    uint64_t next_seq;
    int64_t last_version;
    uint64_t next_session;
    uint64_t next_client;
    uint64_t answer_bytes; /* kept answers of all clients, as counted */
    uint64_t check;        /* XXH3 of all before */
};

struct disk_kind {
    uint64_t batches;
    uint64_t bytes; /* as counted */
    uint64_t check;
};

struct disk_batch {
    int64_t stamp;
    uint64_t client;
    uint64_t client_seq;
    uint32_t count;
    uint32_t flags;
    uint64_t items_check; /* XXH3 of the items */
    uint64_t check;       /* XXH3 of all before, seeded with the seq: read without the items */
};

struct disk_client {
    uint64_t session;
    uint64_t held;
    uint64_t committed;
    uint64_t dead;
    int64_t used_us;
    uint64_t first_answer; /* the oldest kept; held + 1: none is */
    uint64_t answer_bytes; /* as counted */
    uint32_t id_size;
    uint8_t id[128];
    uint32_t instance; /* 0: none was told */
    uint64_t check;
};

/* A key that sorts by client, then by the client's seq: both big-endian. */
struct disk_pair {
    uint8_t bytes[16];
};

_Static_assert(sizeof(struct disk_state) == 80, "on disk");
_Static_assert(sizeof(struct disk_kind) == 24, "on disk");
_Static_assert(sizeof(struct disk_batch) == 48, "on disk");
_Static_assert(sizeof(struct disk_client) == 200, "on disk");

struct journal_kind {
    char name[JOURNAL_KIND_MAX + 1];
    MDB_dbi dbi;
    uint64_t batches, bytes;
};

/* All that is remembered between calls. */
struct journal_memory {
    struct disk_state state;
    struct journal_kind kinds[JOURNAL_KINDS_MAX];
    size_t kinds_count;
    uint64_t damaged, clients;
};

struct journal {
    struct journal_file file;
    struct journal_limits limits;
    MDB_dbi state, clients, names, answers, open, damaged;
    struct journal_memory now, synced;

    MDB_txn *txn;             /* the open transaction, or NULL */
    enum journal_result lost; /* why the open transaction cannot be committed; JOURNAL_OK: it can */
    struct leat_error why;    /* the reason for `lost` */
    bool changed;             /* it has something to sync */
    uint64_t pending;         /* bytes it appended */
    uint64_t deleted;         /* batches it deleted */
    bool full;                /* the map was full: nothing is appended until something is deleted */

    MDB_txn *reader; /* for reading what is synced; NULL: not yet made */
    bool reading;    /* it has a snapshot */
    uint64_t expiry; /* number of the client that clients_expire looked at last */
};

/* The open transaction, else a snapshot of what is synced; NULL with err filled if there is none.
 */
MDB_txn *journal_view(struct journal *self, struct leat_error *err);

/* A snapshot of what is synced; NULL with err filled if there is none. */
MDB_txn *journal_snapshot(struct journal *self, struct leat_error *err);

/* Whether something may be changed: a transaction is open and not lost. */
enum journal_result journal_writable(struct journal *self, struct leat_error *err);

/* Notes that LMDB failed inside the transaction: it is lost. Gives what to return. */
enum journal_result journal_lose(struct journal *self, int code, const char *what,
                                 struct leat_error *err);

/* mdb_put and mdb_del in the open transaction, which is lost when they fail. `value` NULL: room of
 * `size` bytes is made and given in *room. A deletion of what is not there is JOURNAL_OK. */
enum journal_result journal_put(struct journal *self, MDB_dbi dbi, const void *key, size_t key_size,
                                const void *value, size_t size, void **room,
                                struct leat_error *err);
enum journal_result journal_delete(struct journal *self, MDB_dbi dbi, const void *key,
                                   size_t key_size, struct leat_error *err);

/* XXH3 of the `size` bytes of a disk_ struct that come before its check. */
uint64_t journal_check(const void *record, size_t size, uint64_t seed);

/* Bytes kept, as counted, and how many batches. */
uint64_t journal_bytes(const struct journal_memory *memory, uint64_t *batches);

/* Makes sure of disk for what the transaction has appended and for `cost` more. */
bool journal_reserve(struct journal *self, uint64_t cost, struct leat_error *err);

/* Whether the head of a stored batch is what was written; copies it out. */
bool journal_head_read(const MDB_val *value, uint64_t seq, struct disk_batch *head);

/* What a stored value takes of the disk: whole pages when it has pages of its own, and what its
 * keys and its entries elsewhere take. */
uint64_t journal_cost(const struct journal *self, size_t value_size);

/* --- in journal_memory.c ---------------------------------------------------------------------- */

/* Puts the first things into a new journal (journal_file_create calls it). */
bool journal_memory_begin(void *unused, MDB_txn *txn, struct leat_error *err);

/* Opens the databases and reads all that is remembered, into now and synced. Fails when the file is
 * not a journal, is of another format, or contradicts itself. */
bool journal_memory_load(struct journal *self, struct leat_error *err);

/* Puts what differs from `synced` into the open transaction. */
enum journal_result journal_memory_save(struct journal *self, struct leat_error *err);

/* The kind of that name, or NULL. */
struct journal_kind *journal_kind_find(struct journal_memory *memory, const char *name);

/* The kind of that name, made in the open transaction if it is new. JOURNAL_REFUSED for a name out
 * of bounds, or one kind too many. */
enum journal_result journal_kind_make(struct journal *self, const char *name,
                                      struct journal_kind **out, struct leat_error *err);

/* --- in clients.c ----------------------------------------------------------------------------- */

struct disk_pair disk_pair(uint64_t client, uint64_t seq);
void disk_pair_read(const struct disk_pair *pair, uint64_t *client, uint64_t *seq);

/* Reads a client's record. JOURNAL_REFUSED: none of this number, or it is damaged. */
enum journal_result clients_load(struct journal *self, MDB_txn *txn, uint64_t number,
                                 struct disk_client *out, struct leat_error *err);

/* Makes the batch's client_seq the client's held, and keeps the answer. `client` as loaded. */
enum journal_result clients_take(struct journal *self, struct disk_client *client,
                                 const struct journal_batch *batch, int64_t now_us,
                                 struct leat_error *err);

/* Adds to a client's counters; one that is not there or not readable is left alone. */
enum journal_result clients_count(struct journal *self, uint64_t number, uint64_t committed,
                                  uint64_t dead, struct leat_error *err);

#endif
