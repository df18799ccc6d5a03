#include "services/ingest/backlog.h"

#include <inttypes.h>
#include <string.h>

#include "services/ingest/journal_private.h"

static enum backlog_result failed(const struct journal *journal, int code, struct leat_error *err)
{
    leat_fail(err, "cannot read the journal in %s: %s", journal->file.dir, mdb_strerror(code));
    return BACKLOG_FAILED;
}

/* Finds the first batch at or behind `seq`, of what is synced: out->seq and the value. Keeps
 * invariant M1 (tests/model): what is not on disk does not travel either. */
static enum backlog_result find(struct journal *journal, const char *name, uint64_t seq,
                                uint64_t *found, MDB_val *value, struct leat_error *err)
{
    struct journal_kind *kind = journal_kind_find(&journal->synced, name);
    if (!kind || kind->batches == 0)
        return BACKLOG_END;
    MDB_txn *txn = journal_snapshot(journal, err);
    if (!txn)
        return BACKLOG_FAILED;
    MDB_cursor *cursor = NULL;
    MDB_val key = {sizeof seq, &seq};
    int code = mdb_cursor_open(txn, kind->dbi, &cursor);
    if (code != 0)
        return failed(journal, code, err);
    code = mdb_cursor_get(cursor, &key, value, MDB_SET_RANGE);
    if (code == 0)
        memcpy(found, key.mv_data, sizeof *found);
    mdb_cursor_close(cursor);
    if (code == MDB_NOTFOUND)
        return BACKLOG_END;
    return code == 0 ? BACKLOG_BATCH : failed(journal, code, err);
}

static enum backlog_result damaged(const struct journal *journal, const char *kind, uint64_t seq,
                                   struct leat_error *err)
{
    leat_fail(err, "batch %" PRIu64 " of kind %s in %s/journal.mdb is damaged", seq, kind,
              journal->file.dir);
    return BACKLOG_DAMAGED;
}

static enum backlog_result head_read(const struct journal *journal, const char *kind, uint64_t seq,
                                     const MDB_val *value, struct disk_batch *head,
                                     struct backlog_batch *out, struct leat_error *err)
{
    *out = (struct backlog_batch){.seq = seq, .stamp = INT64_MAX};
    if (!journal_head_read(value, seq, head))
        return damaged(journal, kind, seq, err);
    out->stamp = head->stamp;
    out->client = head->client;
    out->client_seq = head->client_seq;
    out->count = head->count;
    out->flags = head->flags;
    return BACKLOG_BATCH;
}

static enum backlog_result whole_read(const struct journal *journal, const char *kind, uint64_t seq,
                                      const MDB_val *value, struct backlog_batch *out,
                                      struct leat_error *err)
{
    struct disk_batch head;
    enum backlog_result result = head_read(journal, kind, seq, value, &head, out, err);
    if (result != BACKLOG_BATCH)
        return result;
    const char *items = (const char *)value->mv_data + sizeof head;
    size_t size = value->mv_size - sizeof head;
    if (journal_check(items, size, seq) != head.items_check)
        return damaged(journal, kind, seq, err);
    out->items = items;
    out->size = size;
    return BACKLOG_BATCH;
}

enum backlog_result backlog_next(struct journal *journal, const char *kind, uint64_t after,
                                 struct backlog_batch *out, struct leat_error *err)
{
    MDB_val value;
    uint64_t seq;
    if (after == UINT64_MAX)
        return BACKLOG_END;
    enum backlog_result result = find(journal, kind, after + 1, &seq, &value, err);
    return result == BACKLOG_BATCH ? whole_read(journal, kind, seq, &value, out, err) : result;
}

enum backlog_result backlog_read(struct journal *journal, const char *kind, uint64_t seq,
                                 struct backlog_batch *out, struct leat_error *err)
{
    MDB_val value;
    uint64_t found;
    enum backlog_result result = find(journal, kind, seq, &found, &value, err);
    if (result == BACKLOG_BATCH && found != seq)
        return BACKLOG_END;
    return result == BACKLOG_BATCH ? whole_read(journal, kind, seq, &value, out, err) : result;
}

enum backlog_result backlog_oldest(struct journal *journal, const char *kind,
                                   struct backlog_batch *out, struct leat_error *err)
{
    MDB_val value;
    uint64_t seq;
    struct disk_batch head;
    enum backlog_result result = find(journal, kind, 0, &seq, &value, err);
    return result == BACKLOG_BATCH ? head_read(journal, kind, seq, &value, &head, out, err)
                                   : result;
}
