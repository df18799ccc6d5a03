#include "services/ingest/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services/ingest/journal_private.h"

struct journal_limits journal_limits_default(void)
{
    return (struct journal_limits){
        .max_bytes = UINT64_C(1) << 30,
        .reserve_bytes = UINT64_C(32) << 20,
        .largest_batch = UINT64_C(16) << 20,
        .answer_bytes = UINT64_C(1) << 20,
        .answers = 256,
        .clients = 100000,
    };
}

/* --- opening and closing --------------------------------------------------------------------- */

static bool limits_check(const struct journal_limits *limits, struct leat_error *err)
{
    const uint64_t most = UINT64_C(1)
                          << 44; /* LMDB maps it all: stay inside 47 bits of addresses */
    if (limits->max_bytes < 65536 || limits->max_bytes > most)
        return leat_fail(err, "the journal's bytes must be 64 KB to 16 TB");
    if (limits->reserve_bytes < UINT64_C(1) << 20 || limits->reserve_bytes > most)
        return leat_fail(err, "the journal's reserve must be 1 MB to 16 TB");
    if (limits->largest_batch < 1 || limits->largest_batch > UINT64_C(1) << 31)
        return leat_fail(err, "the journal's largest batch must be 1 byte to 2 GB");
    if (limits->answers < 1 || limits->clients < 1)
        return leat_fail(err, "the journal must keep at least one client and one answer");
    return true;
}

/* Closes the file in the middle of whatever it was doing; what is remembered is as synced. */
static void detach(struct journal *self)
{
    journal_abort(self);
    if (self->reader)
        mdb_txn_abort(self->reader);
    self->reader = NULL;
    self->reading = false;
    journal_file_close(&self->file);
}

static bool attach(struct journal *self, struct leat_error *err)
{
    if (!journal_file_open(&self->file, err))
        return false;
    if (!journal_memory_load(self, err)) {
        journal_file_close(&self->file);
        return false;
    }
    /* On a full disk this fails, and so will appending: that is when it is to be told. */
    journal_file_reserve(&self->file, 0, NULL);
    return true;
}

struct journal *journal_open(const char *dir, const struct journal_limits *limits,
                             struct leat_error *err)
{
    if (!limits_check(limits, err))
        return NULL;
    struct journal *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "no memory for the journal");
        return NULL;
    }
    self->limits = *limits;
    if (!journal_file_lock(&self->file, dir, err)) {
        free(self);
        return NULL;
    }
    /* A quarter more than is counted: pages that are free but too scattered for a large batch, and
     * the trees above. The map costs addresses only. */
    self->file.reserve = limits->reserve_bytes;
    self->file.map = limits->max_bytes + limits->max_bytes / 4 + 2 * limits->largest_batch +
                     limits->reserve_bytes;
    bool exists;
    if (!journal_file_exists(&self->file, &exists, err) ||
        (!exists && !journal_file_create(&self->file, journal_memory_begin, NULL, err)) ||
        !attach(self, err))
        journal_close(&self);
    return self;
}

void journal_close(struct journal **self)
{
    if (!*self)
        return;
    detach(*self);
    journal_file_unlock(&(*self)->file);
    free(*self);
    *self = NULL;
}

/* --- transactions ---------------------------------------------------------------------------- */

enum journal_result journal_lose(struct journal *self, int code, const char *what,
                                 struct leat_error *err)
{
    enum journal_result result = JOURNAL_BROKEN;
    if (code == MDB_MAP_FULL)
        result = JOURNAL_FULL;
    else if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        result = JOURNAL_NO_DISK;
    if (self->lost == JOURNAL_OK) {
        self->lost = result;
        leat_fail(&self->why, "the journal in %s, %s: %s", self->file.dir, what,
                  mdb_strerror(code));
    }
    if (code == MDB_MAP_FULL) /* from here on only deleting, with the wide map */
        self->full = true;
    leat_fail(err, "%s", self->why.text);
    return self->lost;
}

enum journal_result journal_writable(struct journal *self, struct leat_error *err)
{
    if (!self->txn) {
        leat_fail(err, "the journal in %s has no transaction open", self->file.dir);
        return JOURNAL_BROKEN;
    }
    if (self->lost != JOURNAL_OK)
        leat_fail(err, "%s", self->why.text);
    return self->lost;
}

/* An old snapshot would keep the pages that were deleted since. */
static void snapshot_end(struct journal *self)
{
    if (self->reading)
        mdb_txn_reset(self->reader);
    self->reading = false;
}

MDB_txn *journal_snapshot(struct journal *self, struct leat_error *err)
{
    if (self->reading)
        return self->reader;
    if (!self->file.env) {
        leat_fail(err, "the journal in %s is closed after a failure", self->file.dir);
        return NULL;
    }
    int code = self->reader ? mdb_txn_renew(self->reader)
                            : mdb_txn_begin(self->file.env, NULL, MDB_RDONLY, &self->reader);
    if (code != 0) {
        leat_fail(err, "cannot read the journal in %s: %s", self->file.dir, mdb_strerror(code));
        return NULL;
    }
    self->reading = true;
    return self->reader;
}

MDB_txn *journal_view(struct journal *self, struct leat_error *err)
{
    return self->txn ? self->txn : journal_snapshot(self, err);
}

static int transaction_begin(struct journal *self, struct leat_error *err)
{
    snapshot_end(self);
    if (!self->file.env && !attach(self, err))
        return MDB_INVALID;
    if (!journal_file_widen(&self->file, self->full, err)) {
        detach(self); /* it may be without a map now */
        return MDB_INVALID;
    }
    int code = mdb_txn_begin(self->file.env, NULL, 0, &self->txn);
    if (code != 0) {
        self->txn = NULL;
        leat_fail(err, "cannot write to the journal in %s: %s", self->file.dir, mdb_strerror(code));
    }
    return code;
}

bool journal_begin(struct journal *self, struct leat_error *err)
{
    if (self->txn)
        return true;
    self->lost = JOURNAL_OK;
    self->changed = false;
    self->pending = self->deleted = 0;
    int code = transaction_begin(self, err);
    /* A meta page could not be written: LMDB takes no more transactions in this environment. What
     * is on disk is the last transaction or the one before; which, only reading it again tells. */
    if (code == MDB_PANIC) {
        detach(self);
        code = transaction_begin(self, err);
    }
    return code == 0;
}

void journal_abort(struct journal *self)
{
    if (!self->txn)
        return;
    mdb_txn_abort(self->txn);
    self->txn = NULL;
    self->now = self->synced;
    self->pending = 0;
}

/* Ends the wait for something to be deleted; an empty journal has nothing to wait for. */
static void full_end(struct journal *self)
{
    uint64_t batches;
    journal_bytes(&self->now, &batches);
    if (self->deleted > 0 || batches == 0)
        self->full = false;
}

/* Keeps invariant M1 (tests/model). */
enum journal_result journal_commit(struct journal *self, struct leat_error *err)
{
    if (!self->txn)
        return JOURNAL_OK;
    enum journal_result result = journal_writable(self, err);
    if (result == JOURNAL_OK && self->changed)
        result = journal_memory_save(self, err);
    if (result == JOURNAL_OK && self->changed) {
        snapshot_end(self); /* if one was taken since journal_begin */
        int code = mdb_txn_commit(self->txn);
        self->txn = NULL; /* gone in either case */
        if (code != 0) {
            self->now = self->synced;
            self->pending = 0;
            return journal_lose(self, code, "syncing a transaction", err);
        }
        self->synced = self->now;
        self->pending = 0;
    }
    if (result == JOURNAL_OK)
        full_end(self);
    journal_abort(self);
    return result;
}

uint64_t journal_pending_bytes(const struct journal *self)
{
    return self->pending;
}

bool journal_changed(const struct journal *self)
{
    return self->txn && self->changed;
}

enum journal_result journal_put(struct journal *self, MDB_dbi dbi, const void *key, size_t key_size,
                                const void *value, size_t size, void **room, struct leat_error *err)
{
    MDB_val k = {key_size, (void *)(uintptr_t)key}, v = {size, (void *)(uintptr_t)value};
    unsigned int flags = room ? MDB_RESERVE : 0;
    int code = mdb_put(self->txn, dbi, &k, &v, flags);
    if (code != 0)
        return journal_lose(self, code, "writing", err);
    if (room)
        *room = v.mv_data;
    self->changed = true;
    return JOURNAL_OK;
}

enum journal_result journal_delete(struct journal *self, MDB_dbi dbi, const void *key,
                                   size_t key_size, struct leat_error *err)
{
    MDB_val k = {key_size, (void *)(uintptr_t)key};
    int code = mdb_del(self->txn, dbi, &k, NULL);
    if (code == MDB_NOTFOUND)
        return JOURNAL_OK;
    if (code != 0)
        return journal_lose(self, code, "deleting", err);
    self->changed = true;
    return JOURNAL_OK;
}

/* --- questions ------------------------------------------------------------------------------- */

const uint8_t *journal_origin(const struct journal *self)
{
    return self->synced.state.origin;
}

struct journal_totals journal_totals(const struct journal *self)
{
    const struct journal_memory *memory = &self->synced;
    struct journal_totals totals = {
        .last_seq = memory->state.next_seq - 1,
        .last_version = memory->state.last_version,
        .damaged = memory->damaged,
        .clients = memory->clients,
        .file_bytes = self->file.size,
    };
    totals.bytes = journal_bytes(memory, &totals.batches);
    return totals;
}

size_t journal_kinds(const struct journal *self, struct journal_kind_totals *out, size_t max)
{
    size_t count = 0;
    for (; count < self->synced.kinds_count && count < max; count++)
        out[count] = (struct journal_kind_totals){self->synced.kinds[count].name,
                                                  self->synced.kinds[count].batches,
                                                  self->synced.kinds[count].bytes};
    return count;
}
