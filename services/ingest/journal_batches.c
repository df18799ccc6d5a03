/* Taking batches into the journal and out of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "services/ingest/journal_private.h"

uint64_t journal_check(const void *record, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(record, size, seed);
}

bool journal_head_read(const MDB_val *value, uint64_t seq, struct disk_batch *head)
{
    if (value->mv_size < sizeof *head)
        return false;
    memcpy(head, value->mv_data, sizeof *head);
    return head->check == journal_check(head, offsetof(struct disk_batch, check), seq);
}

uint64_t journal_cost(const struct journal *self, size_t value_size)
{
    enum { PAGE_HEAD = 16, ENTRIES = 128 };
    const uint64_t page = self->file.page, room = page - PAGE_HEAD;
    const uint64_t node = (uint64_t)value_size + 32;
    if (node > room / 2) /* LMDB gives it pages of its own */
        return (value_size + PAGE_HEAD + page - 1) / page * page + ENTRIES;
    return page / (room / node) + ENTRIES;
}

uint64_t journal_bytes(const struct journal_memory *memory, uint64_t *batches)
{
    uint64_t bytes = memory->state.answer_bytes;
    *batches = 0;
    for (size_t i = 0; i < memory->kinds_count; i++) {
        bytes += memory->kinds[i].bytes;
        *batches += memory->kinds[i].batches;
    }
    return bytes;
}

bool journal_reserve(struct journal *self, uint64_t cost, struct leat_error *err)
{
    const uint64_t bytes = self->pending + cost;
    struct leat_error reason;
    if (journal_file_reserve(&self->file, bytes, &reason))
        return true;
    MDB_txn *snapshot = journal_snapshot(self, NULL);
    return (snapshot && journal_file_has_free(&self->file, snapshot, bytes, cost)) ||
           leat_fail(err, "%s", reason.text);
}

bool journal_has_disk(struct journal *self, struct leat_error *err)
{
    if (!self->file.env)
        return leat_fail(err, "the journal in %s is closed after a failure", self->file.dir);
    return journal_reserve(self, journal_cost(self, self->limits.largest_batch), err);
}

static bool cost_fits(const struct journal *self, uint64_t cost)
{
    uint64_t batches, bytes = journal_bytes(&self->now, &batches);
    return !self->full && (batches == 0 || (bytes <= self->limits.max_bytes &&
                                            cost <= self->limits.max_bytes - bytes));
}

bool journal_has_room(const struct journal *self, size_t size)
{
    return cost_fits(self, journal_cost(self, size + sizeof(struct disk_batch)));
}

/* What can be said without looking at anything on disk. */
static bool batch_in_bounds(const struct journal *self, const struct journal_batch *batch,
                            struct leat_error *err)
{
    if (batch->size > self->limits.largest_batch || batch->answer_size > self->limits.largest_batch)
        return leat_fail(err,
                         "a batch of %zu bytes with an answer of %zu: the journal takes %" PRIu64,
                         batch->size, batch->answer_size, self->limits.largest_batch);
    if (batch->count == 0 && (batch->client == 0 || batch->size > 0))
        return leat_fail(err,
                         "a batch without records has neither items nor a place in the journal");
    if (batch->client != 0 && batch->answer_size == 0)
        return leat_fail(err, "a client's send needs an answer to keep");
    return true;
}

/* Keeps invariant M3 (tests/model). */
static bool stamp_give(const struct journal *self, const struct journal_batch *batch,
                       int64_t now_us, struct journal_given *given, struct leat_error *err)
{
    given->seq = 0;
    given->stamp = 0;
    if (batch->count == 0)
        return true;
    const int64_t last = self->now.state.last_version;
    const uint64_t next = (uint64_t)(now_us > last ? now_us - 1 : last) + 1;
    if (self->now.state.next_seq > INT64_MAX) /* above that no other stage takes one */
        return leat_fail(err, "the journal has no numbers left for batches after %" PRId64,
                         INT64_MAX);
    if (next > (uint64_t)INT64_MAX - batch->count)
        return leat_fail(err,
                         "the journal has no versions left for %" PRIu32 " records after %" PRId64
                         " at clock %" PRId64 " us: is the clock right?",
                         batch->count, last, now_us);
    given->seq = self->now.state.next_seq;
    given->stamp = (int64_t)next;
    return true;
}

static enum journal_result batch_put(struct journal *self, const struct journal_batch *batch,
                                     const struct journal_given *given, struct leat_error *err)
{
    struct journal_kind *kind;
    void *room = NULL;
    const size_t size = sizeof(struct disk_batch) + batch->size;
    enum journal_result result = journal_kind_make(self, batch->kind, &kind, err);
    if (result == JOURNAL_OK)
        result =
            journal_put(self, kind->dbi, &given->seq, sizeof given->seq, NULL, size, &room, err);
    if (result != JOURNAL_OK)
        return result;

    struct disk_batch head = {.stamp = given->stamp,
                              .client = batch->client,
                              .client_seq = batch->client_seq,
                              .count = batch->count,
                              .flags = batch->flags,
                              .items_check = journal_check(batch->items, batch->size, given->seq)};
    head.check = journal_check(&head, offsetof(struct disk_batch, check), given->seq);
    memcpy(room, &head, sizeof head);
    if (batch->size > 0)
        memcpy((char *)room + sizeof head, batch->items, batch->size);
    if (batch->client != 0) {
        struct disk_pair pair = disk_pair(batch->client, batch->client_seq);
        result = journal_put(self, self->open, &pair, sizeof pair, &given->seq, sizeof given->seq,
                             NULL, err);
    }
    if (result != JOURNAL_OK)
        return result;
    kind->batches++;
    kind->bytes += journal_cost(self, size);
    self->now.state.next_seq = given->seq + 1;
    self->now.state.last_version = given->stamp + (int64_t)batch->count - 1;
    return JOURNAL_OK;
}

/* Ensures: 1. all that can be refused is refused before anything is changed. */
enum journal_result journal_append(struct journal *self, const struct journal_batch *batch,
                                   int64_t now_us, struct journal_given *given,
                                   struct leat_error *err)
{
    struct disk_client client;
    enum journal_result result = journal_writable(self, err);
    if (result != JOURNAL_OK)
        return result;
    if (!batch_in_bounds(self, batch, err) || !stamp_give(self, batch, now_us, given, err))
        return JOURNAL_REFUSED;
    if (batch->client != 0) {
        result = clients_load(self, self->txn, batch->client, &client, err);
        if (result != JOURNAL_OK)
            return result;
        /* Keeps invariant M6 (tests/model). */
        if (batch->client_seq != client.held + 1) {
            leat_fail(err, "send %" PRIu64 " of client %" PRIu64 " is not the one after %" PRIu64,
                      batch->client_seq, batch->client, client.held);
            return JOURNAL_REFUSED;
        }
    }
    uint64_t cost = batch->client != 0 ? journal_cost(self, batch->answer_size + 8) : 0;
    if (batch->count > 0)
        cost += journal_cost(self, batch->size + sizeof(struct disk_batch));
    if (!cost_fits(self, cost)) {
        leat_fail(err, "the journal in %s is full", self->file.dir);
        return JOURNAL_FULL;
    }
    if (!journal_reserve(self, cost, err))
        return JOURNAL_NO_DISK;

    if (batch->count > 0)
        result = batch_put(self, batch, given, err);
    if (result == JOURNAL_OK && batch->client != 0)
        result = clients_take(self, &client, batch, now_us, err);
    if (result == JOURNAL_OK)
        self->pending += cost;
    return result;
}

/* Whose batch it is when its own head cannot be believed: the index of open ones still knows. */
static enum journal_result owner_find(struct journal *self, uint64_t seq,
                                      struct journal_acked *acked, struct leat_error *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    uint64_t found = 0;
    int code = mdb_cursor_open(self->txn, self->open, &cursor);
    for (MDB_cursor_op op = MDB_FIRST; code == 0 && found != seq; op = MDB_NEXT)
        if ((code = mdb_cursor_get(cursor, &key, &value, op)) == 0)
            memcpy(&found, value.mv_data, sizeof found);
    if (code == 0) {
        struct disk_pair pair;
        memcpy(&pair, key.mv_data, sizeof pair);
        disk_pair_read(&pair, &acked->client, &acked->client_seq);
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND
               ? JOURNAL_OK
               : journal_lose(self, code, "looking for a batch's client", err);
}

/* Finds a batch and what its removal will say. kind NULL or not acked->found: it is not there.
 * head->count is 0 when the head is damaged. */
static enum journal_result batch_find(struct journal *self, const char *name, uint64_t seq,
                                      struct journal_kind **kind, MDB_val *value,
                                      struct disk_batch *head, struct journal_acked *acked,
                                      struct leat_error *err)
{
    *acked = (struct journal_acked){0};
    enum journal_result result = journal_writable(self, err);
    *kind = journal_kind_find(&self->now, name);
    if (result != JOURNAL_OK || !*kind)
        return result;
    MDB_val key = {sizeof seq, &seq};
    int code = mdb_get(self->txn, (*kind)->dbi, &key, value);
    if (code == MDB_NOTFOUND)
        return JOURNAL_OK;
    if (code != 0)
        return journal_lose(self, code, "looking for a batch", err);
    acked->found = true;
    if (!journal_head_read(value, seq, head)) {
        head->count = 0;
        return owner_find(self, seq, acked, err);
    }
    acked->client = head->client;
    acked->client_seq = head->client_seq;
    return JOURNAL_OK;
}

static enum journal_result batch_remove(struct journal *self, struct journal_kind *kind,
                                        uint64_t seq, size_t size, uint64_t committed,
                                        uint64_t dead, const struct journal_acked *acked,
                                        struct leat_error *err)
{
    enum journal_result result = journal_delete(self, kind->dbi, &seq, sizeof seq, err);
    if (result == JOURNAL_OK && acked->client != 0) {
        struct disk_pair pair = disk_pair(acked->client, acked->client_seq);
        result = journal_delete(self, self->open, &pair, sizeof pair, err);
        if (result == JOURNAL_OK)
            result = clients_count(self, acked->client, committed, dead, err);
    }
    if (result != JOURNAL_OK)
        return result;
    kind->batches--;
    kind->bytes -= journal_cost(self, size);
    self->deleted++;
    return JOURNAL_OK;
}

enum journal_result journal_ack(struct journal *self, const char *name, uint64_t seq,
                                uint64_t committed, uint64_t dead, struct journal_acked *acked,
                                struct leat_error *err)
{
    struct journal_kind *kind;
    struct disk_batch head;
    MDB_val value;
    enum journal_result result = batch_find(self, name, seq, &kind, &value, &head, acked, err);
    if (result != JOURNAL_OK || !acked->found)
        return result;
    return batch_remove(self, kind, seq, value.mv_size, committed, dead, acked, err);
}

enum journal_result journal_set_aside(struct journal *self, const char *name, uint64_t seq,
                                      struct journal_acked *acked, struct leat_error *err)
{
    struct journal_kind *kind;
    struct disk_batch head;
    MDB_val value;
    enum journal_result result = batch_find(self, name, seq, &kind, &value, &head, acked, err);
    if (result != JOURNAL_OK || !acked->found)
        return result;
    void *copy = malloc(value.mv_size + 1); /* the map's may move while it is put elsewhere */
    if (!copy)
        return journal_lose(self, ENOMEM, "setting a batch aside", err);
    memcpy(copy, value.mv_data, value.mv_size);
    result = journal_put(self, self->damaged, &seq, sizeof seq, copy, value.mv_size, NULL, err);
    free(copy);
    if (result == JOURNAL_OK) /* of a damaged head no more is known than that there was a record */
        result = batch_remove(self, kind, seq, value.mv_size, 0, head.count > 0 ? head.count : 1,
                              acked, err);
    if (result == JOURNAL_OK)
        self->now.damaged++;
    return result;
}
