/* The store in PostgreSQL.
 *
 * A load is one script, sent in one round trip: BEGIN, the COPYs, COMMIT. Its data is built before.
 * Two paths lead into a flow's table: directly, by COPY, as long as no key is there yet; and
 * staged, through a temporary table and an upsert, after a key was (23505) and for the next few
 * transactions, which are likely to meet more of what was sent again.
 *
 * Ensures: 1. A transaction has all rows of its range or none. 2. STORE_COMMITTED only after the
 * server said COMMIT, with synchronous_commit at least on. 3. After STORE_AWAY the session is gone,
 * so that the next one looks at everything anew (another server may answer, of another state). */
#include "services/persist/blockers.h"
#include "services/persist/connection.h"
#include "services/persist/copy.h"
#include "services/persist/partitions.h"
#include "services/persist/probe.h"
#include "services/persist/room.h"
#include "services/persist/schema.h"
#include "services/persist/statements.h"
#include "services/persist/store.h"
#include "services/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STAGED_MOST = 64, /* transactions on the staged path at most, before the direct one is tried */
    PARTITION_PATIENCE = 5, /* lock timeouts: one waits for another that makes partitions, too */
    BUFFER_KEEP = 32 << 20, /* a COPY buffer larger than this is not kept */
};

/* One table of the load, in order. */
struct target {
    const struct leat_table *table;
    enum load_role role;
    struct statements sql;
    struct copy copy;
    struct partitions partitions;
};

struct postgres {
    struct store base;
    struct store_options options;
    struct connection_options connecting;
    struct connection *connection; /* NULL: none */
    bool has_temporary;            /* this session has made its temporary tables */
    bool writing;                  /* what waits now is a load, which others may block */
    struct target *targets;
    size_t n_targets;
    const struct load *load;
    struct gone gone;    /* of the range that is being written */
    int64_t staged_left; /* transactions that still go the staged path */
    int64_t
        staged_after; /* a conflict: doubled by each, halved by each success of the direct path */
    char *script;     /* reused */
    size_t script_room;
};

static struct postgres *of(struct store *store)
{
    return (struct postgres *)store;
}

static void forget_partitions(struct postgres *self)
{
    for (size_t i = 0; i < self->n_targets; i++)
        partitions_forget(&self->targets[i].partitions);
}

static void disconnect(struct postgres *self)
{
    connection_close(&self->connection);
    self->has_temporary = false;
    forget_partitions(self);
}

static void stalled(void *arg, int64_t waited_ms)
{
    struct postgres *self = arg;
    if (!self->connection || !self->writing)
        return;
    leat_log(LEAT_DEBUG, "persist", "waiting_for_server", LEAT_I("ms", waited_ms));
    struct connection_options connecting = self->connecting;
    connecting.arg = self->options.arg;
    connecting.stopping = self->options.stopping;
    connecting.beside = self->connection;
    self->base.counts.ended += (uint64_t)blockers_end(&connecting, connection_pid(self->connection),
                                                      self->options.blocker_age_ms);
}

/* Who blocks us is looked for well before our own wait is over. */
static int64_t stall_ms(const struct store_options *options)
{
    return options->lock_timeout_ms < 2000 ? options->lock_timeout_ms / 2 : 1000;
}

static bool stopping(void *arg)
{
    const struct postgres *self = arg;
    return self->options.stopping && self->options.stopping(self->options.arg);
}

/* Every session: durable commits (synchronous_commit may be more than on, not less), no endless
 * waits for locks, and room for a load in the temporary tables' memory. What is set here stays for
 * the session, whatever the server reads in its settings later; so synchronous_commit is set even
 * where it is right. */
static bool set_up(struct postgres *self, struct connection_failure *failure)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SET lock_timeout = %lld; SET statement_timeout = 0; SET TimeZone = 'UTC';"
             "SET idle_in_transaction_session_timeout = '60s'; SET temp_buffers = '32MB';"
             "SET default_transaction_isolation = 'read committed';"
             "SELECT set_config('synchronous_commit', CASE WHEN how IN ('off', 'local') THEN 'on'"
             " ELSE how END, false) FROM current_setting('synchronous_commit') how",
             (long long)self->options.lock_timeout_ms);
    struct connection_done done;
    return connection_run(self->connection, sql, NULL, 0, &done, failure);
}

static bool session_good(struct postgres *self, bool *permanent, struct leat_error *err)
{
    struct connection_failure failure;
    if (!set_up(self, &failure)) {
        *err = failure.error;
        return false;
    }
    return schema_postgres(self->connection, self->load, permanent, err);
}

static bool connect_to(struct postgres *self, bool *permanent, struct leat_error *err)
{
    *permanent = false;
    if (self->connection)
        return true;
    self->connection = connection_open(&self->connecting, permanent, err);
    if (!self->connection)
        return false;
    if (!session_good(self, permanent, err)) {
        disconnect(self);
        return false;
    }
    self->base.counts.connects++;
    leat_log(LEAT_INFO, "persist", "store_opened", LEAT_S("store", "postgresql"),
             LEAT_I("server_pid", connection_pid(self->connection)));
    return true;
}

/* A script ran into an error: out of its transaction, if the connection still serves. */
static void roll_back(struct postgres *self)
{
    struct connection_done done;
    struct connection_failure failure;
    if (!connection_run(self->connection, "ROLLBACK", NULL, 0, &done, &failure))
        disconnect(self);
}

static bool in_class(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, 2) == 0;
}

/* Only what a row can have caused may ever be held against it. */
static bool may_be_the_row(const struct connection_failure *failure)
{
    const char *state = failure->sqlstate;
    return in_class(state, "22") || strcmp(state, "23502") == 0 || strcmp(state, "54000") == 0 ||
           (strcmp(state, "23514") == 0 && failure->constraint[0]);
}

/* A lock on a key is waited for in the middle of a row's work; one on a whole table (somebody
 * alters it) at the statement's beginning: that is no batch's business. */
static enum store_outcome judge(const struct connection_failure *failure)
{
    const char *state = failure->sqlstate;
    if (failure->broken)
        return STORE_AWAY;
    if (strcmp(state, "40P01") == 0 || strcmp(state, "40001") == 0)
        return STORE_AGAIN;
    if (strcmp(state, "55P03") == 0 && failure->has_context)
        return STORE_HELD;
    return may_be_the_row(failure) ? STORE_ROW : STORE_AWAY;
}

/* Builds the COPY data of a range; `picked[i]` gets the rows for target i. */
static void build(struct postgres *self, struct load *load, struct load_range range,
                  struct load_rows *picked)
{
    for (size_t i = 0; i < self->n_targets; i++) {
        struct target *target = &self->targets[i];
        picked[i] = load_pick(load, i, range);
        if (target->copy.room > BUFFER_KEEP)
            copy_destroy(&target->copy);
        target->copy.size = 0;
        if (picked[i].n == 0)
            continue;
        copy_begin(&target->copy);
        for (size_t row = 0; row < picked[i].n; row++)
            copy_row(&target->copy, target->table, picked[i].values[row]);
        copy_end(&target->copy);
    }
    gone_collect(&self->gone, load, range);
}

static void append(struct postgres *self, const char *sql)
{
    size_t size = strlen(self->script), more = strlen(sql);
    self->script = room_for(self->script, &self->script_room, size + more + 1, 1);
    memcpy(self->script + size, sql, more + 1);
}

/* Last, so that it also finds what this transaction has written. */
static void append_gone(struct postgres *self)
{
    char *sql = statements_gone(&self->gone);
    if (sql)
        append(self, sql);
    free(sql);
}

/* The whole transaction as one script, and its COPYs in order; returns how many. */
static size_t compose(struct postgres *self, bool staged, bool hasty, struct leat_span *copies)
{
    size_t n = 0;
    self->script[0] = 0;
    append(self, "BEGIN;");
    if (hasty) {
        char sql[64];
        snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %lld;",
                 (long long)self->options.lock_timeout_ms / 10 + 1);
        append(self, sql);
    }
    for (size_t i = 0; i < self->n_targets; i++) {
        const struct target *target = &self->targets[i];
        if (target->copy.size == 0)
            continue;
        append(self, staged || !target->sql.direct ? target->sql.staged : target->sql.direct);
        copies[n++] = (struct leat_span){target->copy.data, target->copy.size};
    }
    append_gone(self);
    append(self, "COMMIT");
    return n;
}

static bool make_temporary(struct postgres *self, struct connection_failure *failure)
{
    struct connection_done done;
    self->script[0] = 0;
    for (size_t i = 0; i < self->n_targets; i++)
        append(self, self->targets[i].sql.create);
    self->has_temporary = connection_run(self->connection, self->script, NULL, 0, &done, failure);
    return self->has_temporary;
}

/* The record that an error names by the line of its COPY. */
static uint32_t record_of(const struct postgres *self, const struct load_rows *picked,
                          const struct connection_failure *failure)
{
    static const char prefix[] = "leat_in_";
    const char *name = failure->copy_table;
    if (strncmp(name, prefix, sizeof prefix - 1) == 0)
        name += sizeof prefix - 1;
    for (size_t i = 0; i < self->n_targets; i++)
        if (strcmp(self->targets[i].table->name, name) == 0 && failure->copy_line > 0 &&
            failure->copy_line <= picked[i].n)
            return picked[i].records[failure->copy_line - 1];
    return UINT32_MAX;
}

static enum store_outcome fail(struct postgres *self, const struct load_rows *picked,
                               const struct connection_failure *why, struct store_failure *failure)
{
    enum store_outcome outcome = judge(why);
    *failure = (struct store_failure){.record = record_of(self, picked, why), .error = why->error};
    snprintf(failure->code, sizeof failure->code, "%s", why->sqlstate);
    snprintf(failure->constraint, sizeof failure->constraint, "%s", why->constraint);
    if (outcome == STORE_AWAY)
        disconnect(self);
    else
        roll_back(self);
    return outcome;
}

/* Which path the next transaction takes. While what is sent shows that it was there already, the
 * staged path stays; a conflict soon after it was left makes it stay twice as long. */
static void learn(struct postgres *self, bool staged, bool conflict)
{
    if (staged) {
        self->staged_left = conflict ? self->staged_after : self->staged_left - 1;
        return;
    }
    if (!conflict) {
        self->staged_after /= 2;
        if (self->staged_after < self->options.staged)
            self->staged_after = self->options.staged;
        return;
    }
    self->base.counts.conflicts++;
    self->staged_left = self->staged_after;
    self->staged_after *= 2;
    if (self->staged_after > STAGED_MOST)
        self->staged_after = STAGED_MOST;
}

static size_t rows_to_insert(const struct postgres *self, const struct load_rows *picked)
{
    size_t n = 0;
    for (size_t i = 0; i < self->n_targets; i++)
        n += picked[i].n;
    return n;
}

static bool make_partitions(struct postgres *self, const struct load_rows *picked,
                            struct connection_failure *why)
{
    int64_t lock_ms = PARTITION_PATIENCE * self->options.lock_timeout_ms;
    for (size_t i = 0; i < self->n_targets; i++) {
        struct target *target = &self->targets[i];
        if (target->table->monthly && !partitions_make(&target->partitions, self->connection,
                                                       target->table, &picked[i], lock_ms, why))
            return false;
    }
    return true;
}

/* One try over one path. */
static bool try_path(struct postgres *self, bool staged, bool hasty, const struct load_rows *picked,
                     struct connection_failure *why)
{
    struct leat_span copies[self->n_targets];
    struct connection_done done;
    bool temporary = staged;
    for (size_t i = 0; i < self->n_targets; i++)
        temporary |= picked[i].n > 0 && !self->targets[i].sql.direct;
    if (!make_partitions(self, picked, why) ||
        (temporary && !self->has_temporary && !make_temporary(self, why)))
        return false;
    size_t n = compose(self, staged, hasty, copies);
    self->writing = true;
    bool ran = connection_run(self->connection, self->script, copies, n, &done, why);
    self->writing = false;
    if (!ran)
        return false;
    if (!done.committed) {
        why->broken = true;
        return leat_fail(&why->error, "the server did not confirm the COMMIT");
    }
    if (staged) {
        size_t rows = rows_to_insert(self, picked);
        self->base.counts.staged++;
        self->base.counts.unchanged += rows > done.inserted ? rows - done.inserted : 0;
        learn(self, true, done.inserted < rows);
    } else {
        self->base.counts.direct++;
        learn(self, false, false);
    }
    return true;
}

/* One that this session has seen may be detached or dropped by now. A CHECK would have a name. */
static bool lacks_partition(const struct connection_failure *why)
{
    return !why->broken && strcmp(why->sqlstate, "23514") == 0 && !why->constraint[0];
}

static enum store_outcome write_range(struct store *store, struct load *load,
                                      struct load_range range, bool hasty,
                                      struct store_failure *failure)
{
    struct postgres *self = of(store);
    struct load_rows picked[self->n_targets];
    struct connection_failure why;
    bool permanent, fresh = !self->connection, looked = false;

    *failure = (struct store_failure){.record = UINT32_MAX};
    build(self, load, range, picked);
    for (;;) {
        if (!connect_to(self, &permanent, &failure->error))
            return STORE_AWAY;
        bool staged = self->staged_left > 0;
        if (try_path(self, staged, hasty, picked, &why))
            return STORE_COMMITTED;
        if (why.broken && !fresh && !stopping(self)) {
            /* A session that has been idle may be dead without anyone's fault: once more, at once,
             * and staged, since nobody knows whether the COMMIT was done. */
            disconnect(self);
            self->staged_left = self->staged_left > 0 ? self->staged_left : 1;
            fresh = true;
        } else if (!staged && !why.broken && strcmp(why.sqlstate, "23505") == 0) {
            roll_back(self);
            learn(self, false, true);
        } else if (!looked && lacks_partition(&why)) {
            roll_back(self);
            forget_partitions(self);
            looked = true;
        } else {
            break;
        }
    }
    return fail(self, picked, &why, failure);
}

static bool check(struct store *store, bool *permanent, struct leat_error *err)
{
    struct postgres *self = of(store);
    struct connection_done done;
    struct connection_failure failure;
    if (!connect_to(self, permanent, err))
        return false;
    if (connection_run(self->connection, "SELECT 1", NULL, 0, &done, &failure))
        return true;
    *err = failure.error;
    disconnect(self);
    return false;
}

/* A probe may break constraints of others' making that good rows keep: a CHECK, which has a name,
 * unlike a partition that is missing; a key of whatever kind. As far as there its row has come. But
 * it has no NULL: a column that must not be NULL and is would be so in good rows, too. */
static bool arrived(const struct connection_failure *failure)
{
    const char *state = failure->sqlstate;
    return !failure->broken && ((strcmp(state, "23514") == 0 && failure->constraint[0]) ||
                                strcmp(state, "23505") == 0 || strcmp(state, "23503") == 0 ||
                                strcmp(state, "23P01") == 0);
}

/* Writes good rows into a table by the same encoder, and rolls them back. */
static bool probe_table(struct postgres *self, struct target *target, const struct load_rows *rows,
                        struct leat_error *err)
{
    struct connection_done done;
    struct connection_failure failure;
    probe_copy(&target->copy, target->table, rows);
    const struct leat_span data = {target->copy.data, target->copy.size};
    self->script[0] = 0;
    append(self, "BEGIN;");
    append(self, target->sql.direct);
    append(self, "ROLLBACK");
    if (connection_run(self->connection, self->script, &data, 1, &done, &failure))
        return true;
    *err = failure.error;
    roll_back(self);
    return arrived(&failure) && self->connection;
}

static bool probe(struct store *store, struct load *load, uint32_t record, struct leat_error *err)
{
    struct postgres *self = of(store);
    const struct load_range alone = {record, record + 1};
    if (!self->connection)
        return leat_fail(err, "the connection is gone");
    for (size_t i = 0; i < self->n_targets; i++) {
        struct target *target = &self->targets[i];
        const struct load_rows rows = load_pick(load, i, alone);
        if (target->sql.direct && rows.n > 0 && !probe_table(self, target, &rows, err))
            return false;
    }
    return true;
}

static void close_store(struct store *store)
{
    struct postgres *self = of(store);
    disconnect(self);
    for (size_t i = 0; i < self->n_targets; i++) {
        statements_destroy(&self->targets[i].sql);
        copy_destroy(&self->targets[i].copy);
        partitions_destroy(&self->targets[i].partitions);
    }
    gone_destroy(&self->gone);
    free(self->targets);
    free(self->script);
    free(self);
}

static const struct store_type type = {
    .name = "postgresql",
    .check = check,
    .write = write_range,
    .probe = probe,
    .close = close_store,
};

struct store *postgres_open(const struct store_options *options, const struct load *load,
                            struct leat_error *err)
{
    if (!connection_url_ok(options->url, err)) {
        leat_fail_in(err, "store.url is neither sqlite:PATH nor what PostgreSQL takes");
        return NULL;
    }
    struct postgres *self = calloc(1, sizeof *self);
    size_t n = load_table_count(load);
    struct target *targets = calloc(n, sizeof *targets);
    if (!self || !targets)
        abort();
    *self = (struct postgres){
        .base.type = &type,
        .options = *options,
        .connecting = {.url = options->url,
                       .timeout_ms = options->timeout_ms,
                       .stopping = stopping,
                       .stalled = stalled,
                       .stall_ms = stall_ms(options),
                       .arg = self},
        .targets = targets,
        .n_targets = n,
        .load = load,
        .staged_after = options->staged,
    };
    self->script = room_for(NULL, &self->script_room, 4096, 1);
    for (size_t i = 0; i < n; i++) {
        targets[i].table = load_table(load, i, &targets[i].role);
        statements_make(&targets[i].sql, load, i);
    }
    return &self->base;
}
