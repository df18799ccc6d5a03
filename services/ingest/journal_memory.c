/* What the journal remembers between calls (state, kinds), from disk and to disk. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "services/ingest/journal_private.h"

static const char MAGIC[8] = {'L', 'E', 'A', 'T', 'J', 'R', 'N', 'L'};
static const char STATE_KEY[] = "journal";
static const char KIND_PREFIX[] = "kind:";

static const char ADVICE[] =
    "put back a copy of its folder, or move the folder away to begin with an "
    "empty journal (what is only in this one is then not delivered)";

enum { KIND_KEY_MAX = sizeof KIND_PREFIX + JOURNAL_KIND_MAX };

/* The databases that every journal has. */
static const struct {
    const char *name;
    unsigned int flags;
    size_t at;
} DATABASES[] = {
    {"state", 0, offsetof(struct journal, state)},
    {"clients", MDB_INTEGERKEY, offsetof(struct journal, clients)},
    {"names", 0, offsetof(struct journal, names)},
    {"answers", 0, offsetof(struct journal, answers)},
    {"open", 0, offsetof(struct journal, open)},
    {"damaged", MDB_INTEGERKEY, offsetof(struct journal, damaged)},
};

enum { DATABASES_COUNT = sizeof DATABASES / sizeof DATABASES[0] };

bool journal_memory_begin(void *unused, MDB_txn *txn, struct leat_error *err)
{
    (void)unused;
    struct disk_state state = {
        .format = JOURNAL_FORMAT, .next_seq = 1, .next_session = 1, .next_client = 1};
    memcpy(state.magic, MAGIC, sizeof MAGIC);
    if (getrandom(state.origin, sizeof state.origin, 0) != (ssize_t)sizeof state.origin)
        return leat_fail(err, "no random bytes for the journal's origin");
    state.check = journal_check(&state, offsetof(struct disk_state, check), 0);

    MDB_dbi dbi;
    int code = 0;
    for (size_t i = DATABASES_COUNT; code == 0 && i-- > 0;)
        code = mdb_dbi_open(txn, DATABASES[i].name, MDB_CREATE | DATABASES[i].flags, &dbi);
    MDB_val key = {sizeof STATE_KEY - 1, (void *)(uintptr_t)STATE_KEY};
    MDB_val value = {sizeof state, &state};
    if (code == 0) /* the loop ended with `state` */
        code = mdb_put(txn, dbi, &key, &value, 0);
    return code == 0 || leat_fail(err, "cannot begin a journal: %s", mdb_strerror(code));
}

/* --- reading --------------------------------------------------------------------------------- */

static bool damaged(const struct journal *self, const char *what, struct leat_error *err)
{
    return leat_fail(err, "%s/journal.mdb is damaged (%s): %s", self->file.dir, what, ADVICE);
}

static bool state_load(struct journal *self, MDB_txn *txn, struct leat_error *err)
{
    struct disk_state *state = &self->now.state;
    MDB_val key = {sizeof STATE_KEY - 1, (void *)(uintptr_t)STATE_KEY}, value;
    int code = mdb_get(txn, self->state, &key, &value);
    if (code != 0 && code != MDB_NOTFOUND)
        return damaged(self, mdb_strerror(code), err);
    if (code != 0 || value.mv_size < offsetof(struct disk_state, origin) ||
        memcmp(value.mv_data, MAGIC, sizeof MAGIC) != 0)
        return leat_fail(err, "%s/journal.mdb is not a Leat journal: name another folder for it",
                         self->file.dir);
    uint64_t format;
    memcpy(&format, (const char *)value.mv_data + sizeof MAGIC, sizeof format);
    if (format != JOURNAL_FORMAT)
        return leat_fail(
            err,
            "%s/journal.mdb has journal format %" PRIu64 ", this program reads %d: let "
            "the version of Leat that wrote it deliver what is in it, then move it away",
            self->file.dir, format, JOURNAL_FORMAT);
    if (value.mv_size != sizeof *state)
        return damaged(self, "its state record has another length", err);
    memcpy(state, value.mv_data, sizeof *state);
    if (state->check != journal_check(state, offsetof(struct disk_state, check), 0) ||
        state->next_seq == 0 || state->last_version < 0 || state->next_session == 0 ||
        state->next_client == 0)
        return damaged(self, "its state record does not match its checksum", err);
    return true;
}

/* The numbers of the kind against what is in its database. */
static bool kind_agrees(struct journal *self, MDB_txn *txn, const struct journal_kind *kind,
                        bool *agrees, struct leat_error *err)
{
    MDB_stat facts;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int code = mdb_stat(txn, kind->dbi, &facts);
    if (code == 0 && (code = mdb_cursor_open(txn, kind->dbi, &cursor)) == 0)
        code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    mdb_cursor_close(cursor);
    if (code != 0 && code != MDB_NOTFOUND)
        return damaged(self, mdb_strerror(code), err);
    uint64_t last = 0;
    if (code == 0 && key.mv_size == sizeof last)
        memcpy(&last, key.mv_data, sizeof last);
    *agrees = facts.ms_entries == kind->batches && last < self->now.state.next_seq &&
              (code == 0) == (kind->batches > 0);
    return true;
}

static bool kind_load(struct journal *self, MDB_txn *txn, const MDB_val *key, const MDB_val *value,
                      struct leat_error *err)
{
    struct disk_kind disk;
    char name[KIND_KEY_MAX];
    if (self->now.kinds_count == JOURNAL_KINDS_MAX || key->mv_size >= sizeof name ||
        value->mv_size != sizeof disk)
        return damaged(self, "its list of kinds", err);
    memcpy(name, key->mv_data, key->mv_size);
    name[key->mv_size] = '\0';
    memcpy(&disk, value->mv_data, sizeof disk);
    if (disk.check != journal_check(&disk, offsetof(struct disk_kind, check), 0))
        return damaged(self, "its list of kinds", err);

    struct journal_kind *kind = &self->now.kinds[self->now.kinds_count];
    strcpy(kind->name, name + sizeof KIND_PREFIX - 1);
    kind->batches = disk.batches;
    kind->bytes = disk.bytes;
    bool agrees = false;
    int code = mdb_dbi_open(txn, name, MDB_INTEGERKEY, &kind->dbi);
    if (code != 0)
        return damaged(self, "the batches of a kind are missing", err);
    if (!kind_agrees(self, txn, kind, &agrees, err))
        return false;
    if (!agrees)
        return damaged(self, "its batches are not those that were counted", err);
    self->now.kinds_count++;
    return true;
}

static bool kinds_load(struct journal *self, MDB_txn *txn, struct leat_error *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val key = {sizeof KIND_PREFIX - 1, (void *)(uintptr_t)KIND_PREFIX}, value;
    int code = mdb_cursor_open(txn, self->state, &cursor);
    bool good = true;
    if (code == 0)
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (good && code == 0 && key.mv_size >= sizeof KIND_PREFIX - 1 &&
           memcmp(key.mv_data, KIND_PREFIX, sizeof KIND_PREFIX - 1) == 0) {
        good = kind_load(self, txn, &key, &value, err);
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (good && code != 0 && code != MDB_NOTFOUND)
        return damaged(self, mdb_strerror(code), err);
    return good;
}

static bool all_load(struct journal *self, MDB_txn *txn, struct leat_error *err)
{
    for (size_t i = 0; i < DATABASES_COUNT; i++) {
        MDB_dbi *dbi = (MDB_dbi *)((char *)self + DATABASES[i].at);
        int code = mdb_dbi_open(txn, DATABASES[i].name, DATABASES[i].flags, dbi);
        if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE)
            return leat_fail(err,
                             "%s/journal.mdb is an LMDB file, but not a Leat journal: name another "
                             "folder for the journal",
                             self->file.dir);
        if (code != 0)
            return damaged(self, mdb_strerror(code), err);
    }
    MDB_stat aside, clients;
    if (!state_load(self, txn, err) || !kinds_load(self, txn, err))
        return false;
    if (mdb_stat(txn, self->damaged, &aside) != 0 || mdb_stat(txn, self->clients, &clients) != 0)
        return damaged(self, "its tables", err);
    self->now.damaged = aside.ms_entries;
    self->now.clients = clients.ms_entries;
    return true;
}

bool journal_memory_load(struct journal *self, struct leat_error *err)
{
    MDB_txn *txn = NULL;
    memset(&self->now, 0, sizeof self->now);
    int code = mdb_txn_begin(self->file.env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return damaged(self, mdb_strerror(code), err);
    bool good = all_load(self, txn, err);
    if (!good)
        mdb_txn_abort(txn);
    else if ((code = mdb_txn_commit(txn)) != 0) /* commit, or the handles of the databases go */
        good = damaged(self, mdb_strerror(code), err);
    if (good)
        self->synced = self->now;
    return good;
}

/* --- writing --------------------------------------------------------------------------------- */

static enum journal_result kind_save(struct journal *self, const struct journal_kind *kind,
                                     struct leat_error *err)
{
    char key[KIND_KEY_MAX];
    struct disk_kind disk = {.batches = kind->batches, .bytes = kind->bytes};
    int length = snprintf(key, sizeof key, "%s%s", KIND_PREFIX, kind->name);
    disk.check = journal_check(&disk, offsetof(struct disk_kind, check), 0);
    return journal_put(self, self->state, key, (size_t)length, &disk, sizeof disk, NULL, err);
}

static enum journal_result state_save(struct journal *self, struct leat_error *err)
{
    return journal_put(self, self->state, STATE_KEY, sizeof STATE_KEY - 1, &self->now.state,
                       sizeof self->now.state, NULL, err);
}

enum journal_result journal_touch(struct journal *self, struct leat_error *err)
{
    enum journal_result result = journal_writable(self, err);
    return result == JOURNAL_OK ? state_save(self, err) : result;
}

enum journal_result journal_memory_save(struct journal *self, struct leat_error *err)
{
    enum journal_result result = JOURNAL_OK;
    for (size_t i = 0; i < self->now.kinds_count && result == JOURNAL_OK; i++) {
        const struct journal_kind *kind = &self->now.kinds[i], *before = &self->synced.kinds[i];
        if (i >= self->synced.kinds_count || kind->batches != before->batches ||
            kind->bytes != before->bytes)
            result = kind_save(self, kind, err);
    }
    struct disk_state *state = &self->now.state;
    state->check = journal_check(state, offsetof(struct disk_state, check), 0);
    if (result != JOURNAL_OK || state->check == self->synced.state.check)
        return result;
    return state_save(self, err);
}

struct journal_kind *journal_kind_find(struct journal_memory *memory, const char *name)
{
    for (size_t i = 0; i < memory->kinds_count; i++)
        if (strcmp(memory->kinds[i].name, name) == 0)
            return &memory->kinds[i];
    return NULL;
}

enum journal_result journal_kind_make(struct journal *self, const char *name,
                                      struct journal_kind **out, struct leat_error *err)
{
    if ((*out = journal_kind_find(&self->now, name)))
        return JOURNAL_OK;
    size_t length = strnlen(name, JOURNAL_KIND_MAX + 1);
    if (length == 0 || length > JOURNAL_KIND_MAX ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != length) {
        leat_fail(err, "a kind's name has 1 to %d of a-z 0-9 _ -", JOURNAL_KIND_MAX);
        return JOURNAL_REFUSED;
    }
    if (self->now.kinds_count == JOURNAL_KINDS_MAX) {
        leat_fail(err, "the journal has %d kinds already, kind %s is one too many",
                  JOURNAL_KINDS_MAX, name);
        return JOURNAL_REFUSED;
    }
    struct journal_kind kind = {0};
    char key[KIND_KEY_MAX];
    strcpy(kind.name, name);
    snprintf(key, sizeof key, "%s%s", KIND_PREFIX, name);
    int code = mdb_dbi_open(self->txn, key, MDB_CREATE | MDB_INTEGERKEY, &kind.dbi);
    if (code != 0)
        return journal_lose(self, code, "making a kind", err);
    *out = &self->now.kinds[self->now.kinds_count++];
    **out = kind;
    return JOURNAL_OK;
}
