#include "services/ingest/clients.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "services/ingest/journal_private.h"

enum { NEW_CLIENT_BYTES = 1024 }; /* roughly what one takes of the disk */

struct disk_pair disk_pair(uint64_t client, uint64_t seq)
{
    struct disk_pair pair;
    client = htobe64(client);
    seq = htobe64(seq);
    memcpy(pair.bytes, &client, 8);
    memcpy(pair.bytes + 8, &seq, 8);
    return pair;
}

void disk_pair_read(const struct disk_pair *pair, uint64_t *client, uint64_t *seq)
{
    memcpy(client, pair->bytes, 8);
    memcpy(seq, pair->bytes + 8, 8);
    *client = be64toh(*client);
    *seq = be64toh(*seq);
}

/* --- one client's record --------------------------------------------------------------------- */

static enum journal_result read_failed(struct journal *self, int code, struct leat_error *err)
{
    if (self->txn)
        return journal_lose(self, code, "reading a client", err);
    leat_fail(err, "cannot read a client in %s: %s", self->file.dir, mdb_strerror(code));
    return JOURNAL_BROKEN;
}

enum journal_result clients_load(struct journal *self, MDB_txn *txn, uint64_t number,
                                 struct disk_client *out, struct leat_error *err)
{
    MDB_val key = {sizeof number, &number}, value;
    int code = mdb_get(txn, self->clients, &key, &value);
    if (code == MDB_NOTFOUND) {
        leat_fail(err, "there is no client %" PRIu64, number);
        return JOURNAL_REFUSED;
    }
    if (code != 0)
        return read_failed(self, code, err);
    if (value.mv_size == sizeof *out) {
        memcpy(out, value.mv_data, sizeof *out);
        if (out->check == journal_check(out, offsetof(struct disk_client, check), number) &&
            out->id_size <= sizeof out->id)
            return JOURNAL_OK;
    }
    leat_fail(err,
              "the record of client %" PRIu64 " in %s/journal.mdb is damaged: let it take "
              "another client id",
              number, self->file.dir);
    return JOURNAL_REFUSED;
}

static enum journal_result store(struct journal *self, uint64_t number, struct disk_client *client,
                                 struct leat_error *err)
{
    client->check = journal_check(client, offsetof(struct disk_client, check), number);
    return journal_put(self, self->clients, &number, sizeof number, client, sizeof *client, NULL,
                       err);
}

/* The client's first open send, or 0. */
static enum journal_result first_open(struct journal *self, MDB_txn *txn, uint64_t number,
                                      uint64_t *seq, struct leat_error *err)
{
    struct disk_pair pair = disk_pair(number, 0);
    MDB_cursor *cursor = NULL;
    MDB_val key = {sizeof pair, &pair}, value;
    uint64_t owner = 0;
    int code = mdb_cursor_open(txn, self->open, &cursor);
    *seq = 0;
    if (code == 0)
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code == 0) {
        memcpy(&pair, key.mv_data, sizeof pair);
        disk_pair_read(&pair, &owner, seq);
    }
    mdb_cursor_close(cursor);
    if (owner != number)
        *seq = 0;
    return code == 0 || code == MDB_NOTFOUND ? JOURNAL_OK : read_failed(self, code, err);
}

static enum journal_result describe(struct journal *self, MDB_txn *txn, uint64_t number,
                                    const struct disk_client *client, struct client *out,
                                    struct leat_error *err)
{
    uint64_t open;
    enum journal_result result = first_open(self, txn, number, &open, err);
    *out = (struct client){.number = number,
                           .session = client->session,
                           .instance = client->instance,
                           .held = client->held,
                           .done = open ? open - 1 : client->held,
                           .committed = client->committed,
                           .dead = client->dead,
                           .used_us = client->used_us};
    return result;
}

enum journal_result clients_get(struct journal *self, uint64_t number, struct client *out,
                                struct leat_error *err)
{
    struct disk_client client;
    MDB_txn *txn = journal_view(self, err);
    if (!txn)
        return JOURNAL_BROKEN;
    enum journal_result result = clients_load(self, txn, number, &client, err);
    return result == JOURNAL_OK ? describe(self, txn, number, &client, out, err) : result;
}

enum journal_result clients_count(struct journal *self, uint64_t number, uint64_t committed,
                                  uint64_t dead, struct leat_error *err)
{
    struct disk_client client;
    enum journal_result result = clients_load(self, self->txn, number, &client, err);
    if (result != JOURNAL_OK) /* a batch must be deletable whatever became of its client */
        return result == JOURNAL_REFUSED ? JOURNAL_OK : result;
    client.committed += committed;
    client.dead += dead;
    return store(self, number, &client, err);
}

/* --- hello ----------------------------------------------------------------------------------- */

static enum journal_result add(struct journal *self, const void *id, size_t size, uint64_t *number,
                               struct disk_client *client, struct leat_error *err)
{
    if (self->now.clients >= self->limits.clients || self->full) {
        leat_fail(err, "the journal in %s has no room for another client beside its %" PRIu64,
                  self->file.dir, self->now.clients);
        return JOURNAL_FULL;
    }
    if (!journal_reserve(self, NEW_CLIENT_BYTES, err))
        return JOURNAL_NO_DISK;
    *number = self->now.state.next_client;
    *client = (struct disk_client){.first_answer = 1, .id_size = (uint32_t)size};
    enum journal_result result =
        journal_put(self, self->names, id, size, number, sizeof *number, NULL, err);
    if (result != JOURNAL_OK)
        return result;
    memcpy(client->id, id, size);
    self->now.state.next_client++;
    self->now.clients++;
    self->pending += NEW_CLIENT_BYTES;
    return JOURNAL_OK;
}

/* Whether the name is another instance's now; one that tells no number is another one. A session
 * above the one kept here is of a time that this journal, restored from a backup, does not know. A
 * first hello that was said before may have been read then, and this one is late: that the caller
 * was in before the other one cannot be ruled out, so it has to begin as another instance. */
static bool superseded(const struct disk_client *client, const struct caller *caller)
{
    if (!caller->instance || caller->instance == client->instance)
        return false;
    return caller->session > 0 ? caller->session < client->session
                               : caller->again && client->session > 0;
}

/* Keeps invariants M5 and M9 (tests/model). */
enum journal_result clients_hello(struct journal *self, const struct caller *caller, int64_t now_us,
                                  struct client *out, struct leat_error *err)
{
    struct disk_client client;
    uint64_t number = 0;
    enum journal_result result = journal_writable(self, err);
    if (result != JOURNAL_OK)
        return result;
    if (caller->size < 1 || caller->size > CLIENTS_ID_MAX) {
        leat_fail(err, "a client id has 1 to %d bytes, not %zu", CLIENTS_ID_MAX, caller->size);
        return JOURNAL_REFUSED;
    }
    MDB_val key = {caller->size, (void *)(uintptr_t)caller->id}, value;
    int code = mdb_get(self->txn, self->names, &key, &value);
    if (code == 0 && value.mv_size == sizeof number) {
        memcpy(&number, value.mv_data, sizeof number);
        result = clients_load(self, self->txn, number, &client, err);
    } else if (code == 0 || code == MDB_NOTFOUND)
        result = add(self, caller->id, caller->size, &number, &client, err);
    else
        return read_failed(self, code, err);
    if (result != JOURNAL_OK)
        return result;
    if (superseded(&client, caller))
        return describe(self, self->txn, number, &client, out, err);
    client.session = self->now.state.next_session;
    client.instance = caller->instance;
    client.used_us = now_us;
    result = store(self, number, &client, err);
    if (result != JOURNAL_OK)
        return result;
    self->now.state.next_session++;
    return describe(self, self->txn, number, &client, out, err);
}

/* --- answers --------------------------------------------------------------------------------- */

/* The stored answer: checksum, then bytes. */
static enum journal_result answer_put(struct journal *self, const struct journal_batch *batch,
                                      struct leat_error *err)
{
    void *room;
    const struct disk_pair pair = disk_pair(batch->client, batch->client_seq);
    const uint64_t check = journal_check(batch->answer, batch->answer_size, batch->client_seq);
    enum journal_result result = journal_put(self, self->answers, &pair, sizeof pair, NULL,
                                             sizeof check + batch->answer_size, &room, err);
    if (result != JOURNAL_OK)
        return result;
    memcpy(room, &check, sizeof check);
    memcpy((char *)room + sizeof check, batch->answer, batch->answer_size);
    return JOURNAL_OK;
}

/* Forgets the client's oldest answer. */
static enum journal_result answer_drop(struct journal *self, uint64_t number,
                                       struct disk_client *client, struct leat_error *err)
{
    struct disk_pair pair = disk_pair(number, client->first_answer);
    MDB_val key = {sizeof pair, &pair}, value;
    int code = mdb_get(self->txn, self->answers, &key, &value);
    client->first_answer++;
    if (code == MDB_NOTFOUND)
        return JOURNAL_OK;
    if (code != 0)
        return read_failed(self, code, err);
    const uint64_t cost = journal_cost(self, value.mv_size);
    enum journal_result result = journal_delete(self, self->answers, &pair, sizeof pair, err);
    if (result != JOURNAL_OK)
        return result;
    client->answer_bytes -= cost;
    self->now.state.answer_bytes -= cost;
    return JOURNAL_OK;
}

enum journal_result clients_take(struct journal *self, struct disk_client *client,
                                 const struct journal_batch *batch, int64_t now_us,
                                 struct leat_error *err)
{
    enum journal_result result = answer_put(self, batch, err);
    const uint64_t cost = journal_cost(self, sizeof(uint64_t) + batch->answer_size);
    if (result != JOURNAL_OK)
        return result;
    client->held = batch->client_seq;
    client->used_us = now_us;
    client->answer_bytes += cost;
    self->now.state.answer_bytes += cost;
    /* Answers of all clients together take at most a quarter of the journal, or one a client. */
    while (result == JOURNAL_OK && client->first_answer < client->held &&
           (client->held - client->first_answer >= self->limits.answers ||
            client->answer_bytes > self->limits.answer_bytes ||
            self->now.state.answer_bytes > self->limits.max_bytes / 4))
        result = answer_drop(self, batch->client, client, err);
    return result == JOURNAL_OK ? store(self, batch->client, client, err) : result;
}

bool clients_answer(struct journal *self, uint64_t number, uint64_t seq, const void **answer,
                    size_t *size)
{
    struct disk_pair pair = disk_pair(number, seq);
    MDB_val key = {sizeof pair, &pair}, value;
    MDB_txn *txn = journal_view(self, NULL);
    uint64_t check;
    if (!txn || mdb_get(txn, self->answers, &key, &value) != 0 || value.mv_size < sizeof check)
        return false;
    memcpy(&check, value.mv_data, sizeof check);
    *answer = (const char *)value.mv_data + sizeof check;
    *size = value.mv_size - sizeof check;
    return check == journal_check(*answer, *size, seq);
}

/* --- forgetting ------------------------------------------------------------------------------ */

static enum journal_result forget(struct journal *self, uint64_t number, struct disk_client *client,
                                  struct leat_error *err)
{
    enum journal_result result = JOURNAL_OK;
    while (result == JOURNAL_OK && client->first_answer <= client->held)
        result = answer_drop(self, number, client, err);
    if (result == JOURNAL_OK)
        result = journal_delete(self, self->names, client->id, client->id_size, err);
    if (result == JOURNAL_OK)
        result = journal_delete(self, self->clients, &number, sizeof number, err);
    if (result == JOURNAL_OK)
        self->now.clients--;
    return result;
}

/* Looks at one client. */
static enum journal_result judge(struct journal *self, uint64_t number,
                                 const struct clients_expiry *expiry, uint64_t *forgotten,
                                 struct leat_error *err)
{
    struct disk_client client;
    uint64_t open = 0;
    enum journal_result result = clients_load(self, self->txn, number, &client, NULL);
    if (result == JOURNAL_REFUSED)
        return JOURNAL_OK; /* damaged: left for a person to look at */
    if (result == JOURNAL_OK)
        result = first_open(self, self->txn, number, &open, err);
    /* A clock that was ahead when the client was last used makes it young, not old. */
    if (result != JOURNAL_OK || open != 0 || expiry->now_us < client.used_us ||
        (uint64_t)expiry->now_us - (uint64_t)client.used_us <= (uint64_t)expiry->ttl_us ||
        (expiry->spoken_for && expiry->spoken_for(expiry->arg, number)))
        return result;
    result = forget(self, number, &client, err);
    if (result == JOURNAL_OK && forgotten)
        (*forgotten)++;
    return result;
}

enum journal_result clients_expire(struct journal *self, const struct clients_expiry *expiry,
                                   uint64_t *forgotten, struct leat_error *err)
{
    enum journal_result result = journal_writable(self, err);
    for (uint32_t step = 0; result == JOURNAL_OK && step < expiry->steps; step++) {
        uint64_t next = self->expiry + 1;
        MDB_cursor *cursor = NULL;
        MDB_val key = {sizeof next, &next}, value;
        int code = mdb_cursor_open(self->txn, self->clients, &cursor);
        if (code == 0)
            code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (code == 0)
            memcpy(&next, key.mv_data, sizeof next);
        mdb_cursor_close(cursor);
        self->expiry = code == 0 ? next : 0;
        if (code == MDB_NOTFOUND)
            break;
        result =
            code == 0 ? judge(self, next, expiry, forgotten, err) : read_failed(self, code, err);
    }
    return result;
}
