/* The store in a SQLite file: WAL, so that readers never wait; synchronous FULL, so that COMMIT is
 * a promise; one writer, kept alone by a lock on the file PATH-lock beside the database.
 *
 * Ensures: 1. A transaction has all rows of its range or none. 2. STORE_COMMITTED only after
 * COMMIT.
 * 3. After STORE_AWAY the database is closed and opened again at the next try: full disks and
 * broken files are then seen as they are. The lock is kept. */
#include "services/persist/iso.h"
#include "services/persist/probe.h"
#include "services/persist/schema.h"
#include "services/persist/statements.h"
#include "services/persist/store.h"
#include "services/runtime/log.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* One table of the load, in order. */
struct target {
    const struct leat_table *table;
    enum load_role role;
    char *sql;
    sqlite3_stmt *statement; /* of this session, or NULL */
};

struct sqlite {
    struct store base;
    const char *path;
    int64_t lock_timeout_ms;
    int lock; /* -1: not held */
    sqlite3 *db;
    struct target *targets;
    size_t n_targets;
    sqlite3_stmt *take_away; /* stretches of dead letters */
    const struct load *load;
    struct gone gone;            /* of the range that is being written */
    char (*texts)[ISO_TIME_MAX]; /* a time or UUID for each column of the widest table */
};

static const struct {
    int code;
    const char *name;
    bool by_row; /* a row can have caused it */
} errors[] = {
    {SQLITE_CONSTRAINT_NOTNULL, "SQLITE_CONSTRAINT_NOTNULL", true},
    {SQLITE_CONSTRAINT_CHECK, "SQLITE_CONSTRAINT_CHECK", true},
    {SQLITE_CONSTRAINT_DATATYPE, "SQLITE_CONSTRAINT_DATATYPE", true},
    {SQLITE_TOOBIG, "SQLITE_TOOBIG", true},
    {SQLITE_MISMATCH, "SQLITE_MISMATCH", true},
    {SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT", false},
    {SQLITE_FULL, "SQLITE_FULL", false},
    {SQLITE_IOERR, "SQLITE_IOERR", false},
    {SQLITE_BUSY, "SQLITE_BUSY", false},
    {SQLITE_LOCKED, "SQLITE_LOCKED", false},
    {SQLITE_READONLY, "SQLITE_READONLY", false},
    {SQLITE_CORRUPT, "SQLITE_CORRUPT", false},
    {SQLITE_NOTADB, "SQLITE_NOTADB", false},
    {SQLITE_CANTOPEN, "SQLITE_CANTOPEN", false},
    {SQLITE_PERM, "SQLITE_PERM", false},
    {SQLITE_SCHEMA, "SQLITE_SCHEMA", false},
    {SQLITE_NOMEM, "SQLITE_NOMEM", false},
};

static struct sqlite *of(struct store *store)
{
    return (struct sqlite *)store;
}

static void close_db(struct sqlite *self)
{
    for (size_t i = 0; i < self->n_targets; i++) {
        sqlite3_finalize(self->targets[i].statement);
        self->targets[i].statement = NULL;
    }
    sqlite3_finalize(self->take_away);
    self->take_away = NULL;
    sqlite3_close(self->db);
    self->db = NULL;
}

/* A folder that is not there will not come; space on a disk may. */
static bool take_lock(struct sqlite *self, bool *permanent, struct leat_error *err)
{
    char path[4096];
    if (self->lock >= 0)
        return true;
    snprintf(path, sizeof path, "%s-lock", self->path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        *permanent = errno != ENOSPC && errno != EDQUOT && errno != EMFILE && errno != ENFILE;
        return leat_fail(err, "%s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        *permanent = errno == EWOULDBLOCK;
        leat_fail(err, "%s: %s", path,
                  *permanent ? "another process writes to this database" : strerror(errno));
        close(fd);
        return false;
    }
    self->lock = fd;
    return true;
}

/* Which of SQLite's errors will still be there after a while. */
static bool is_lasting(int code)
{
    return code == SQLITE_NOTADB || code == SQLITE_CANTOPEN || code == SQLITE_PERM ||
           code == SQLITE_READONLY;
}

static bool open_db(struct sqlite *self, struct leat_error *err)
{
    static const char setup[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
                                "PRAGMA wal_autocheckpoint = 4000;"
                                "PRAGMA journal_size_limit = 67108864";
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(self->path, &self->db, flags, NULL) != SQLITE_OK)
        return leat_fail(err, "%s: %s", self->path,
                         self->db ? sqlite3_errmsg(self->db) : "out of memory");
    sqlite3_extended_result_codes(self->db, 1);
    sqlite3_busy_timeout(self->db, (int)self->lock_timeout_ms);
    if (sqlite3_exec(self->db, setup, NULL, NULL, NULL) != SQLITE_OK)
        return leat_fail(err, "%s: %s", self->path, sqlite3_errmsg(self->db));
    return true;
}

static bool prepare(struct sqlite *self, const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(self->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) ==
           SQLITE_OK;
}

static bool prepare_all(struct sqlite *self, struct leat_error *err)
{
    bool good = prepare(self, statements_sqlite_gone, &self->take_away);
    for (size_t i = 0; good && i < self->n_targets; i++)
        good = prepare(self, self->targets[i].sql, &self->targets[i].statement);
    return good || leat_fail(err, "%s: %s", self->path, sqlite3_errmsg(self->db));
}

static bool make_ready(struct sqlite *self, int *code, struct leat_error *err)
{
    if (!schema_sqlite(self->db, self->load, code, err))
        return leat_fail_in(err, "%s", self->path);
    bool good = prepare_all(self, err);
    *code = sqlite3_errcode(self->db);
    return good;
}

static bool connect_to(struct sqlite *self, bool *permanent, struct leat_error *err)
{
    *permanent = false;
    if (self->db)
        return true;
    if (!take_lock(self, permanent, err))
        return false;
    bool opened = open_db(self, err);
    int code = self->db ? sqlite3_errcode(self->db) : SQLITE_NOMEM;
    if (!opened || !make_ready(self, &code, err)) {
        code &= 0xff;
        *permanent = is_lasting(code) || (opened && (code == SQLITE_OK || code == SQLITE_ERROR));
        close_db(self);
        return false;
    }
    self->base.counts.connects++;
    leat_log(LEAT_INFO, "persist", "store_opened", LEAT_S("store", "sqlite"),
             LEAT_S("path", self->path));
    return true;
}

static void bind_text(sqlite3_stmt *statement, int at, const void *text, size_t size)
{
    sqlite3_bind_text64(statement, at, text, size, SQLITE_STATIC, SQLITE_UTF8);
}

/* What is bound stays where it is until the row is written: no copies. `text` is room for what has
 * to be written as text first. */
static void bind_value(sqlite3_stmt *statement, int at, enum leat_column_type type,
                       const struct leat_value *value, char text[ISO_TIME_MAX])
{
    switch (type) {
    case LEAT_COL_TEXT:
    case LEAT_COL_JSONB:
        bind_text(statement, at, value->bytes.size ? (const char *)value->bytes.data : "",
                  value->bytes.size);
        break;
    case LEAT_COL_BYTEA:
    case LEAT_COL_REALS:
        sqlite3_bind_blob64(statement, at, value->bytes.size ? (const void *)value->bytes.data : "",
                            value->bytes.size, SQLITE_STATIC);
        break;
    case LEAT_COL_UUID:
        iso_uuid(value->bytes.data, text);
        bind_text(statement, at, text, ISO_UUID_SIZE);
        break;
    case LEAT_COL_TIMESTAMPTZ:
        bind_text(statement, at, text, iso_time(value->integer, text));
        break;
    case LEAT_COL_DOUBLE:
        sqlite3_bind_double(statement, at, value->real);
        break;
    case LEAT_COL_BIGINT:
    case LEAT_COL_BOOL:
        sqlite3_bind_int64(statement, at, value->integer);
        break;
    }
}

/* SQLite takes NaN for NULL by itself. */
static void bind_run(sqlite3_stmt *statement, size_t from, size_t n, const struct leat_value *value)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        double real;
        memcpy(&bits, value->run.at + i * value->run.stride, sizeof bits);
        bits = le64toh(bits);
        memcpy(&real, &bits, sizeof real);
        sqlite3_bind_double(statement, (int)(from + i) + 1, real);
    }
}

static void bind_row(struct sqlite *self, const struct target *target,
                     const struct leat_value *values)
{
    const struct leat_table *table = target->table;
    size_t own = leat_table_singles(table);
    if (table->run)
        bind_run(target->statement, own, table->n_columns - own, &values[own]);
    for (size_t i = 0; i < own; i++) {
        if (values[i].null)
            sqlite3_bind_null(target->statement, (int)i + 1);
        else
            bind_value(target->statement, (int)i + 1, table->columns[i].type, &values[i],
                       self->texts[i]);
    }
}

static bool run(struct sqlite *self, const char *sql)
{
    return sqlite3_exec(self->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Some errors end the transaction by themselves. */
static void roll_back(struct sqlite *self)
{
    if (!sqlite3_get_autocommit(self->db))
        run(self, "ROLLBACK");
}

/* What the last error means; its whole code first, then what it is a kind of. */
static enum store_outcome judge(struct sqlite *self, struct store_failure *failure)
{
    int code = sqlite3_extended_errcode(self->db);
    leat_fail(&failure->error, "%s: %s", self->path, sqlite3_errmsg(self->db));
    for (int mask = -1; mask; mask = mask == -1 ? 0xff : 0)
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
            if (errors[i].code == (code & mask)) {
                snprintf(failure->code, sizeof failure->code, "%s", errors[i].name);
                return errors[i].by_row ? STORE_ROW : STORE_AWAY;
            }
    snprintf(failure->code, sizeof failure->code, "SQLITE_%d", code);
    return STORE_AWAY;
}

static enum store_outcome fail(struct sqlite *self, uint32_t record, struct store_failure *failure)
{
    enum store_outcome outcome = judge(self, failure);
    failure->record = outcome == STORE_ROW ? record : UINT32_MAX;
    roll_back(self);
    if (outcome == STORE_AWAY)
        close_db(self);
    return outcome;
}

static bool step(sqlite3_stmt *statement)
{
    bool done = sqlite3_step(statement) == SQLITE_DONE;
    /* After a failure reset tells the same error again, which is what judge reads. */
    sqlite3_reset(statement);
    return done;
}

static bool write_row(struct sqlite *self, const struct target *target,
                      const struct leat_value *values)
{
    bind_row(self, target, values);
    return step(target->statement);
}

/* Last, so that it also finds what this transaction has written. */
static bool take_away(struct sqlite *self, const struct load *load, struct load_range range)
{
    char origin[ISO_UUID_SIZE];
    bool done = true;
    gone_collect(&self->gone, load, range);
    for (size_t i = 0; done && i < self->gone.n; i++) {
        iso_uuid(self->gone.items[i].origin, origin);
        bind_text(self->take_away, 1, origin, sizeof origin);
        for (int n = 0; n < GONE_NUMBERS; n++)
            sqlite3_bind_int64(self->take_away, 2 + n, self->gone.items[i].numbers[n]);
        done = step(self->take_away);
    }
    return done;
}

static enum store_outcome write_range(struct store *store, struct load *load,
                                      struct load_range range, bool hasty,
                                      struct store_failure *failure)
{
    struct sqlite *self = of(store);
    bool permanent;
    (void)hasty; /* there is one writer: no keys are held by others */
    uint64_t unchanged = 0;
    *failure = (struct store_failure){.record = UINT32_MAX};
    if (!connect_to(self, &permanent, &failure->error))
        return STORE_AWAY;
    if (!run(self, "BEGIN IMMEDIATE"))
        return fail(self, UINT32_MAX, failure);
    for (size_t i = 0; i < self->n_targets; i++) {
        struct load_rows rows = load_pick(load, i, range);
        for (size_t row = 0; row < rows.n; row++) {
            if (!write_row(self, &self->targets[i], rows.values[row]))
                return fail(self, rows.records[row], failure);
            unchanged += sqlite3_changes(self->db) == 0;
        }
    }
    if (!take_away(self, load, range) || !run(self, "COMMIT"))
        return fail(self, UINT32_MAX, failure);
    self->base.counts.direct++;
    self->base.counts.unchanged += unchanged;
    return STORE_COMMITTED;
}

static bool check(struct store *store, bool *permanent, struct leat_error *err)
{
    struct sqlite *self = of(store);
    if (!connect_to(self, permanent, err))
        return false;
    if (run(self, "SELECT 1 FROM leat_migrations"))
        return true;
    leat_fail(err, "%s: %s", self->path, sqlite3_errmsg(self->db));
    close_db(self);
    return false;
}

/* A constraint that the probe breaks is none of its form: rows do arrive. */
static bool probe_table(struct sqlite *self, const struct target *target, struct leat_error *err)
{
    struct leat_value values[target->table->n_columns];
    probe_row(target->table, values);
    bool arrived =
        run(self, "BEGIN IMMEDIATE") && (write_row(self, target, values) ||
                                         (sqlite3_errcode(self->db) & 0xff) == SQLITE_CONSTRAINT);
    if (!arrived)
        leat_fail(err, "%s: %s", self->path, sqlite3_errmsg(self->db));
    roll_back(self);
    return arrived;
}

static bool probe(struct store *store, struct load *load, uint32_t record, struct leat_error *err)
{
    struct sqlite *self = of(store);
    (void)load;
    (void)record;
    if (!self->db)
        return leat_fail(err, "%s is closed", self->path);
    for (size_t i = 0; i < self->n_targets; i++)
        if (self->targets[i].role == LOAD_DATA && !probe_table(self, &self->targets[i], err))
            return false;
    return true;
}

static void close_store(struct store *store)
{
    struct sqlite *self = of(store);
    close_db(self);
    for (size_t i = 0; i < self->n_targets; i++)
        free(self->targets[i].sql);
    if (self->lock >= 0)
        close(self->lock);
    gone_destroy(&self->gone);
    free(self->targets);
    free(self->texts);
    free(self);
}

static const struct store_type type = {
    .name = "sqlite",
    .check = check,
    .write = write_range,
    .probe = probe,
    .close = close_store,
};

struct store *sqlite_open(const struct store_options *options, const struct load *load,
                          struct leat_error *err)
{
    const char *path = store_sqlite_path(options->url);
    if (!*path) {
        leat_fail(err, "store.url names no file: write sqlite:PATH");
        return NULL;
    }
    struct sqlite *self = calloc(1, sizeof *self);
    size_t n = load_table_count(load), widest = 1;
    struct target *targets = calloc(n, sizeof *targets);
    if (!self || !targets)
        abort();
    for (size_t i = 0; i < n; i++) {
        targets[i].table = load_table(load, i, &targets[i].role);
        targets[i].sql = statements_sqlite(load, i);
        if (targets[i].table->n_columns > widest)
            widest = targets[i].table->n_columns;
    }
    *self = (struct sqlite){
        .base.type = &type,
        .path = path,
        .lock_timeout_ms = options->lock_timeout_ms,
        .lock = -1,
        .targets = targets,
        .n_targets = n,
        .load = load,
        .texts = calloc(widest, sizeof *self->texts),
    };
    if (!self->texts)
        abort();
    return &self->base;
}
