/* The store in PostgreSQL: its two paths, locks, and servers that go away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/persist/triage.h"
#include "services/runtime/clock.h"
#include "tests/unit/cluster.h"
#include "tests/unit/silent.h"
#include "tests/unit/texts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { PATIENCE_US = 30000000 };

static struct cluster cluster;

/* A persist without its sockets. */
struct writer {
    struct store_options options;
    struct load *load;
    struct store *store;
    struct triage_counts counts;
    struct leat_error err;
    atomic_bool stopping;
};

static bool writer_stopping(void *arg)
{
    return atomic_load(&((struct writer *)arg)->stopping);
}

static void writer_open_at(struct writer *self, const char *url)
{
    memset(self, 0, sizeof *self);
    self->options = (struct store_options){.url = url,
                                           .lock_timeout_ms = 500,
                                           .blocker_age_ms = 60000,
                                           .timeout_ms = 20000,
                                           .staged = 4,
                                           .stopping = writer_stopping,
                                           .arg = self};
    self->load = load_new(NULL);
    self->store = store_open(&self->options, self->load, &self->err);
    assert_non_null(self->store);
}

static void writer_open(struct writer *self)
{
    writer_open_at(self, cluster.conninfo);
}

static void writer_close(struct writer *self)
{
    store_close(&self->store);
    load_destroy(&self->load);
}

/* With other options than it was opened with. */
static void writer_reopen(struct writer *self)
{
    store_close(&self->store);
    self->store = store_open(&self->options, self->load, &self->err);
    assert_non_null(self->store);
}

static void writer_add(struct writer *self, struct leat_batch *batch)
{
    assert_true(load_add(self->load, batch, 1700000000000000));
}

/* One attempt; what is not written stays in the load. */
static bool writer_try(struct writer *self)
{
    return triage_write(self->store, self->load, 1700000000000000, &self->counts, &self->err);
}

static void writer_write(struct writer *self, struct leat_batch *batch)
{
    writer_add(self, batch);
    if (!writer_try(self))
        fail_msg("%s", self->err.text);
    load_clear(self->load);
}

/* Tries until it is done. */
static void writer_insist(struct writer *self)
{
    int64_t deadline = leat_monotonic_us() + PATIENCE_US;
    while (!writer_try(self)) {
        if (leat_monotonic_us() > deadline)
            fail_msg("%s", self->err.text);
        usleep(20000);
    }
    load_clear(self->load);
}

/* Another session that holds a key: it inserts the row and does not commit. */
static PGconn *hold_as(const char *id, const char *application)
{
    char sql[512];
    snprintf(sql, sizeof sql, "%s application_name=%s", cluster.conninfo, application);
    PGconn *pg = PQconnectdb(sql);
    snprintf(sql, sizeof sql,
             "BEGIN; INSERT INTO texts SELECT '%s', 1, gen_random_uuid(), 1, 't', NULL, NULL, NULL,"
             " NULL, NULL, false, 0, NULL, now(), 'm', 'neutral', 0, 'neutral', 1, '{}', '[]', 1,"
             " 1, NULL, '[]', false",
             id);
    PGresult *result = PQexec(pg, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    return pg;
}

static PGconn *hold(const char *id)
{
    return hold_as(id, "other");
}

static bool make_tables(void)
{
    struct writer writer;
    writer_open(&writer);
    bool permanent, good = writer.store->type->check(writer.store, &permanent, &writer.err);
    writer_close(&writer);
    return good;
}

static int start(void **state)
{
    (void)state;
    return cluster_start(&cluster, "") ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    cluster_do(&cluster, "stop");
    return 0;
}

/* New tables, whatever a test that failed has left: a server that does not run, sessions that hold
 * locks, settings, triggers, other columns. */
static int empty(void **state)
{
    (void)state;
    char url[400];
    snprintf(url, sizeof url,
             "%s options='-c default_transaction_read_only=off -c lock_timeout=10s"
             " -c client_min_messages=warning'",
             cluster.conninfo);
    if (PQping(url) != PQPING_OK && !cluster_start(&cluster, ""))
        return -1;
    return cluster_execute(url, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE"
                                " backend_type = 'client backend' AND pid <> pg_backend_pid();"
                                " ALTER DATABASE leat RESET ALL; DROP SCHEMA public CASCADE;"
                                " CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public;"
                                " DROP ROLE IF EXISTS clerk") &&
                   make_tables()
               ? 0
               : -1;
}

static void new_keys_take_the_direct_path(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 100, "t"));
    writer_write(&writer, texts_many(1, 2, 2000, "b", 100, "t"));
    assert_int_equal(writer.store->counts.direct, 2);
    assert_int_equal(writer.store->counts.staged, 0);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "200");
    writer_close(&writer);
}

static void a_key_that_is_there_takes_the_staged_path_for_a_while(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 100, "old"));
    writer_write(&writer, texts_many(1, 2, 2000, "a", 150, "new"));
    assert_int_equal(writer.store->counts.conflicts, 1);
    assert_int_equal(writer.store->counts.staged, 1);
    assert_answer(cluster.conninfo, "SELECT text, count(*) FROM texts GROUP BY text", "new|150");
    for (unsigned i = 0; i < 5; i++) {
        char prefix[8];
        snprintf(prefix, sizeof prefix, "b%u", i);
        writer_write(&writer, texts_many(1, 3 + i, 3000, prefix, 10, "t"));
    }
    assert_int_equal(writer.store->counts.staged, 4);
    assert_int_equal(writer.store->counts.direct, 3);
    assert_int_equal(writer.store->counts.conflicts, 1);
    writer_close(&writer);
}

struct repeater {
    struct writer writer;
    unsigned rounds;
    bool done;
};

/* Writes the same batches over and over, as a persist to which everything is sent again. */
static void *repeat(void *arg)
{
    struct repeater *self = arg;
    self->done = true;
    for (unsigned i = 0; i < self->rounds && self->done; i++) {
        for (unsigned batch = 0; batch < 4; batch++) {
            char prefix[8];
            snprintf(prefix, sizeof prefix, "k%u", batch);
            writer_add(&self->writer, texts_many(1, 1 + batch, 1000 + i, prefix, 200, "t"));
        }
        self->done = writer_try(&self->writer);
        load_clear(self->writer.load);
    }
    return NULL;
}

static void two_persists_with_the_same_batches_store_each_once(void **state)
{
    (void)state;
    struct repeater repeaters[2] = {{.rounds = 15}, {.rounds = 15}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        writer_open(&repeaters[i].writer);
        repeaters[i].writer.options.lock_timeout_ms = 20000;
        writer_reopen(&repeaters[i].writer);
        pthread_create(&threads[i], NULL, repeat, &repeaters[i]);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++) {
        if (!repeaters[i].done)
            fail_msg("%s", repeaters[i].writer.err.text);
        assert_int_equal(repeaters[i].writer.counts.retries, 0);
        assert_int_equal(repeaters[i].writer.counts.set_aside, 0);
        writer_close(&repeaters[i].writer);
    }
    assert_answer(cluster.conninfo,
                  "SELECT count(*), count(DISTINCT version - substring(id from"
                  " '[0-9]+$')::bigint), min(version) FROM texts",
                  "800|1|1014");
}

/* Three batches, of which the second has a key that another session holds. */
static void write_around_a_held_key(struct writer *writer)
{
    PGconn *holder = hold("b-5");
    writer_add(writer, texts_many(1, 1, 1000, "a", 20, "t"));
    writer_add(writer, texts_many(1, 2, 2000, "b", 20, "t"));
    writer_add(writer, texts_many(1, 3, 3000, "c", 20, "t"));
    assert_true(writer_try(writer));
    assert_false(load_batch(writer->load, 0)->aside);
    assert_true(load_batch(writer->load, 1)->aside);
    assert_false(load_batch(writer->load, 2)->aside);
    assert_int_equal(writer->counts.set_aside, 1);
    load_clear(writer->load);
    PQfinish(holder);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts WHERE id ~ '^[abc]-'", "40");
    writer_write(writer, texts_many(1, 2, 2000, "b", 20, "t"));
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts WHERE id ~ '^[abc]-'", "60");
}

static void a_batch_whose_key_is_held_is_set_aside(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    write_around_a_held_key(&writer);
    writer_close(&writer);
}

static void it_is_found_on_the_staged_path_as_well(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 4, 100, "d", 10, "t"));
    writer_write(&writer, texts_many(1, 4, 100, "d", 10, "t"));
    assert_int_equal(writer.store->counts.staged, 1);
    write_around_a_held_key(&writer);
    assert_int_equal(writer.store->counts.direct, 1);
    writer_close(&writer);
}

static void a_table_that_is_locked_as_a_whole_is_waited_for(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 20, "t"));
    PGconn *holder = PQconnectdb(cluster.conninfo);
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE texts"));
    writer_add(&writer, texts_many(1, 2, 2000, "b", 20, "t"));
    for (int again = 0; again < 2; again++) {
        assert_false(writer_try(&writer));
        assert_non_null(strstr(writer.err.text, "55P03"));
    }
    assert_int_equal(writer.counts.set_aside, 0);
    PQfinish(holder);
    writer_insist(&writer);
    /* The same on the staged path. */
    writer_write(&writer, texts_many(1, 2, 2000, "b", 20, "t"));
    holder = PQconnectdb(cluster.conninfo);
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE texts"));
    writer_add(&writer, texts_many(1, 3, 3000, "c", 20, "t"));
    assert_false(writer_try(&writer));
    PQfinish(holder);
    writer_insist(&writer);
    assert_int_equal(writer.counts.set_aside, 0);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "60");
    writer_close(&writer);
}

static void a_leat_session_that_blocks_for_long_is_ended(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer.options.lock_timeout_ms = 20000;
    writer.options.blocker_age_ms = 500;
    writer_reopen(&writer);
    PGconn *holder = hold_as("a-5", "leat-persist");
    writer_write(&writer, texts_many(1, 1, 1000, "a", 20, "t"));
    assert_int_equal(writer.store->counts.ended, 1);
    assert_int_equal(writer.counts.set_aside, 0);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "20");
    PQfinish(holder);
    writer_close(&writer);
}

/* A server that says nothing would be waited for until the lock has timed out. */
static void it_is_ended_without_a_visit_to_any_other_server(void **state)
{
    (void)state;
    struct writer writer;
    struct silent silent = silent_open("127.0.0.1", 0);
    char url[400];
    snprintf(url, sizeof url,
             "host=127.0.0.1,%s port=%u,5432 user=leat dbname=leat"
             " connect_timeout=1",
             cluster.dir, silent.port);
    writer_open_at(&writer, url);
    writer.options.lock_timeout_ms = 20000;
    writer.options.blocker_age_ms = 500;
    writer_reopen(&writer);
    PGconn *holder = hold_as("a-5", "leat-persist");
    writer_write(&writer, texts_many(1, 1, 1000, "a", 20, "t"));
    assert_int_equal(writer.store->counts.ended, 1);
    assert_int_equal(silent_visits(&silent), 1); /* the writer's own */
    PQfinish(holder);
    writer_close(&writer);
    close(silent.fd);
}

static void other_sessions_that_block_are_not_ended(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer.options.lock_timeout_ms = 2500;
    writer.options.blocker_age_ms = 100;
    writer_reopen(&writer);
    PGconn *holder = hold("a-5");
    writer_add(&writer, texts_many(1, 1, 1000, "a", 20, "t"));
    assert_true(writer_try(&writer));
    assert_int_equal(writer.store->counts.ended, 0);
    assert_int_equal(writer.counts.set_aside, 1);
    PGresult *result = PQexec(holder, "COMMIT");
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfinish(holder);
    writer_close(&writer);
}

/* Waits until a session of persist waits for a lock; then does something. */
struct ambush {
    void (*act)(void *arg);
    void *arg;
    bool seen;
};

static void *wait_for_lock(void *arg)
{
    struct ambush *self = arg;
    int64_t deadline = leat_monotonic_us() + PATIENCE_US;
    while (!self->seen && leat_monotonic_us() < deadline) {
        char *n = cluster_ask(cluster.conninfo,
                              "SELECT count(*) FROM pg_stat_activity WHERE application_name ="
                              " 'leat-persist' AND wait_event_type = 'Lock'");
        self->seen = strcmp(n, "1") == 0;
        free(n);
        usleep(5000);
    }
    self->act(self->arg);
    return NULL;
}

static void crash(void *arg)
{
    (void)arg;
    cluster_do(&cluster, "crash");
}

static void a_server_that_crashes_in_the_middle_loses_nothing(void **state)
{
    (void)state;
    struct writer writer;
    struct ambush ambush = {.act = crash};
    pthread_t thread;
    writer_open(&writer);
    writer.options.lock_timeout_ms = 30000;
    writer_reopen(&writer);
    PGconn *holder = hold("b-9");
    writer_add(&writer, texts_many(1, 1, 1000, "a", 300, "t"));
    writer_add(&writer, texts_many(1, 2, 2000, "b", 300, "t"));
    pthread_create(&thread, NULL, wait_for_lock, &ambush);
    bool written = writer_try(&writer);
    pthread_join(thread, NULL);
    assert_false(written);
    assert_true(ambush.seen);
    assert_false(writer_try(&writer)); /* nobody there */
    PQfinish(holder);
    assert_true(cluster_start(&cluster, ""));
    writer_insist(&writer);
    assert_answer(cluster.conninfo, "SELECT count(*), count(DISTINCT id) FROM texts", "600|600");
    assert_answer(cluster.conninfo, "SELECT count(*) FROM dead_letters", "0");
    writer_close(&writer);
}

static void a_session_that_died_while_idle_is_replaced_unseen(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 10, "t"));
    assert_true(cluster_execute(cluster.conninfo,
                                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE"
                                " application_name = 'leat-persist'"));
    writer_write(&writer, texts_many(1, 2, 2000, "b", 10, "t"));
    assert_int_equal(writer.store->counts.connects, 2);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "20");
    writer_close(&writer);
}

static void stop_writer(void *arg)
{
    atomic_store(&((struct writer *)arg)->stopping, true);
}

static void a_wait_ends_when_the_process_is_told_to_stop(void **state)
{
    (void)state;
    struct writer writer;
    pthread_t thread;
    writer_open(&writer);
    writer.options.lock_timeout_ms = 60000;
    writer.options.timeout_ms = 120000;
    writer_reopen(&writer);
    struct ambush ambush = {.act = stop_writer, .arg = &writer};
    PGconn *holder = hold("a-5");
    writer_add(&writer, texts_many(1, 1, 1000, "a", 20, "t"));
    pthread_create(&thread, NULL, wait_for_lock, &ambush);
    int64_t before = leat_monotonic_us();
    bool written = writer_try(&writer);
    pthread_join(thread, NULL);
    assert_false(written);
    assert_true(ambush.seen);
    assert_true(leat_monotonic_us() - before < PATIENCE_US);
    PQfinish(holder);
    writer_close(&writer);
}

static void a_server_without_progress_is_given_up(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer.options.lock_timeout_ms = 60000;
    writer.options.timeout_ms = 1000;
    writer_reopen(&writer);
    PGconn *holder = hold("a-5");
    writer_add(&writer, texts_many(1, 1, 1000, "a", 20, "t"));
    assert_false(writer_try(&writer));
    assert_non_null(strstr(writer.err.text, "no progress"));
    PQfinish(holder);
    writer_insist(&writer);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "20");
    writer_close(&writer);
}

static void a_read_only_database_is_no_row_s_fault(void **state)
{
    (void)state;
    struct writer writer;
    char url[300];
    snprintf(url, sizeof url, "%s target_session_attrs=any", cluster.conninfo);
    writer_open_at(&writer, url);
    assert_true(cluster_execute(cluster.conninfo,
                                "ALTER DATABASE leat SET default_transaction_read_only = on"));
    writer_add(&writer, texts_many(1, 1, 1000, "a", 1, "t"));
    assert_false(writer_try(&writer));
    assert_non_null(strstr(writer.err.text, "25006"));
    assert_int_equal(writer.counts.buried, 0);
    assert_true(cluster_execute(cluster.conninfo, "BEGIN READ WRITE; ALTER DATABASE leat RESET"
                                                  " default_transaction_read_only; COMMIT"));
    writer_insist(&writer);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "1");
    writer_close(&writer);
}

static void a_table_that_was_changed_under_way_is_no_row_s_fault(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 10, "t"));
    assert_true(cluster_execute(cluster.conninfo, "ALTER TABLE texts ALTER reach TYPE integer"));
    writer_add(&writer, texts_many(1, 2, 2000, "b", 10, "t"));
    assert_false(writer_try(&writer));
    assert_non_null(strstr(writer.err.text, "refuses good rows"));
    assert_int_equal(writer.counts.buried, 0);
    assert_true(cluster_execute(cluster.conninfo, "ALTER TABLE texts ALTER reach TYPE bigint"));
    writer_insist(&writer);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "20");
    writer_close(&writer);
}

static void a_column_that_only_others_fill_is_no_row_s_fault(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    assert_true(writer.store->type->check(writer.store, &(bool){false}, &writer.err));
    assert_true(cluster_execute(cluster.conninfo, "ALTER TABLE texts ADD own integer NOT NULL"));
    writer_add(&writer, texts_many(1, 1, 1000, "a", 10, "t"));
    assert_false(writer_try(&writer));
    assert_non_null(strstr(writer.err.text, "refuses good rows"));
    assert_int_equal(writer.counts.buried, 0);
    assert_true(cluster_execute(cluster.conninfo, "ALTER TABLE texts DROP own"));
    writer_insist(&writer);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "10");
    writer_close(&writer);
}

/* From here on the server answers rows with the text "bad" with that SQLSTATE. */
static void answer_bad_with(const char *sqlstate)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$ BEGIN IF new.text = 'bad'"
             " THEN RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END IF; RETURN new; END $$ LANGUAGE"
             " plpgsql; CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON texts FOR EACH ROW"
             " EXECUTE FUNCTION refuse()",
             sqlstate);
    assert_true(cluster_execute(cluster.conninfo, sql));
}

static void add_three_with_bad_ones(struct writer *writer)
{
    const struct texts_item items[] = {{.id = "x", .text = "good"},
                                       {.id = "y", .text = "bad"},
                                       {.id = "z", .text = "good"},
                                       {.id = "w", .text = "bad"}};
    writer_add(writer, texts_many(1, 1, 1000, "a", 30, "t"));
    writer_add(writer, texts_batch(1, 2, 2000, items, 4));
    writer_add(writer, texts_many(1, 3, 3000, "c", 30, "t"));
}

/* On the direct path the server names the row; on the staged one it is found by halving. */
static void rows_that_fail_alone_and_twice_are_dead_letters(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    for (int staged = 0; staged < 2; staged++) {
        assert_true(cluster_execute(cluster.conninfo, "TRUNCATE texts, dead_letters"));
        if (staged) {
            writer_write(&writer, texts_many(1, 9, 9000, "s", 5, "t"));
            writer_write(&writer, texts_many(1, 9, 9000, "s", 5, "t"));
        }
        answer_bad_with("22003");
        add_three_with_bad_ones(&writer);
        assert_true(writer_try(&writer));
        load_clear(writer.load);
        assert_answer(cluster.conninfo, "SELECT count(*) FROM texts WHERE id NOT LIKE 's-%'", "62");
        assert_answer(cluster.conninfo,
                      "SELECT id, stage, code, message FROM dead_letters ORDER BY id",
                      "w|persist|22003|no\ny|persist|22003|no");
    }
    assert_int_equal(writer.counts.buried, 4);
    assert_int_equal(writer.store->counts.conflicts, 1);
    writer_close(&writer);
}

/* One's own constraints know no probe. That it came as far as them tells that rows arrive. */
static void constraints_of_one_s_own_keep_no_bad_row_from_its_end(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    assert_true(cluster_execute(cluster.conninfo, "ALTER TABLE texts ADD CHECK (id !~ 'probe');"
                                                  "ALTER TABLE texts ADD CHECK (text <> 'bad')"));
    add_three_with_bad_ones(&writer);
    assert_true(writer_try(&writer));
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "62");
    assert_answer(cluster.conninfo, "SELECT id, code FROM dead_letters ORDER BY id",
                  "w|23514\ny|23514");
    writer_close(&writer);
}

static void errors_that_no_row_can_cause_bury_nothing(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    answer_bad_with("P0001");
    add_three_with_bad_ones(&writer);
    assert_false(writer_try(&writer));
    answer_bad_with("53100"); /* disk_full */
    assert_false(writer_try(&writer));
    assert_non_null(strstr(writer.err.text, "53100"));
    assert_int_equal(writer.counts.buried, 0);
    assert_true(cluster_execute(cluster.conninfo, "DROP TRIGGER refuse ON texts"));
    writer_insist(&writer);
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "64");
    writer_close(&writer);
}

static void a_deadlock_is_tried_again_at_once(void **state)
{
    (void)state;
    struct writer writer;
    writer_open(&writer);
    answer_bad_with("40P01");
    add_three_with_bad_ones(&writer);
    assert_false(writer_try(&writer)); /* for ever is not at once */
    assert_int_equal(writer.counts.retries, 7);
    assert_true(cluster_execute(cluster.conninfo, "DROP TRIGGER refuse ON texts"));
    assert_true(writer_try(&writer));
    assert_int_equal(writer.counts.buried + writer.counts.set_aside, 0);
    writer_close(&writer);
}

/* Opening the store says what is wrong with it, and that trying again is no use. */
static void refused(const char *break_it, const char *mend_it, const char *reason)
{
    struct writer writer;
    bool permanent = false;
    assert_true(cluster_execute(cluster.conninfo, break_it));
    writer_open(&writer);
    assert_false(writer.store->type->check(writer.store, &permanent, &writer.err));
    assert_string_equal(writer.err.text, reason);
    assert_true(permanent);
    assert_true(cluster_execute(cluster.conninfo, mend_it));
    assert_true(writer.store->type->check(writer.store, &permanent, &writer.err));
    writer_close(&writer);
}

static void a_wrong_schema_is_refused_by_name(void **state)
{
    (void)state;
    refused("ALTER TABLE texts RENAME reach TO extent", "ALTER TABLE texts RENAME extent TO reach",
            "table texts has no column reach (bigint)");
    refused("ALTER TABLE texts ALTER lang TYPE varchar(5)",
            "ALTER TABLE texts ALTER lang TYPE text",
            "table texts: column lang has type character varying(5); it must be text");
    refused("ALTER TABLE texts ALTER author SET NOT NULL",
            "ALTER TABLE texts ALTER author DROP NOT NULL",
            "table texts: column author must allow NULL");
    refused("ALTER TABLE texts ADD own integer NOT NULL", "ALTER TABLE texts DROP own",
            "table texts: column own is not Leat's; it must allow NULL or have a default");
    refused("ALTER TABLE texts DROP CONSTRAINT texts_pkey",
            "ALTER TABLE texts ADD PRIMARY KEY (id)",
            "table texts: column id must be in the primary key");
    refused("ALTER TABLE dead_letters RENAME TO gone", "ALTER TABLE gone RENAME TO dead_letters",
            "there is no table dead_letters");
    refused("UPDATE leat_migrations SET name = 'other' WHERE number = 2",
            "UPDATE leat_migrations SET name = 'dead_letters' WHERE number = 2",
            "migration 2 is 'other' in this database; here it is 2 'dead_letters'");
}

static void columns_of_one_s_own_may_be_there(void **state)
{
    (void)state;
    struct writer writer;
    assert_true(cluster_execute(cluster.conninfo,
                                "ALTER TABLE texts ADD note text, ADD stored timestamptz NOT NULL"
                                " DEFAULT now()"));
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 10, "t"));
    writer_write(&writer, texts_many(1, 2, 2000, "a", 20, "u"));
    assert_answer(cluster.conninfo, "SELECT text, count(*), count(stored) FROM texts GROUP BY text",
                  "u|20|20");
    writer_close(&writer);
}

static void *check_store(void *arg)
{
    struct writer *writer = arg;
    bool permanent;
    return writer->store->type->check(writer->store, &permanent, &writer->err) ? writer : NULL;
}

static void migrations_are_applied_once_by_many_at_once(void **state)
{
    (void)state;
    enum { MANY = 6 };
    struct writer writers[MANY];
    pthread_t threads[MANY];
    char url[300];
    assert_true(cluster_execute(cluster.conninfo, "CREATE DATABASE fresh"));
    snprintf(url, sizeof url, "%s dbname=fresh", cluster.conninfo);
    for (size_t i = 0; i < MANY; i++) {
        writer_open_at(&writers[i], url);
        pthread_create(&threads[i], NULL, check_store, &writers[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        void *good;
        pthread_join(threads[i], &good);
        if (!good)
            fail_msg("%s", writers[i].err.text);
        writer_close(&writers[i]);
    }
    assert_answer(url, "SELECT number, name FROM leat_migrations ORDER BY number",
                  "1|texts\n2|dead_letters\n3|embedding");
}

/* A store that cannot be opened at all. */
static void unreachable(const char *parameters, bool expected_permanent, const char *reason)
{
    struct writer writer;
    bool permanent = !expected_permanent;
    char url[400];
    snprintf(url, sizeof url, "%s %s", cluster.conninfo, parameters);
    writer_open_at(&writer, url);
    assert_false(writer.store->type->check(writer.store, &permanent, &writer.err));
    assert_null(strstr(writer.err.text, "LOCATION"));
    if (!strstr(writer.err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", writer.err.text, reason);
    assert_int_equal(permanent, expected_permanent);
    writer_close(&writer);
}

static void what_cannot_get_better_is_told_from_what_can(void **state)
{
    (void)state;
    unreachable("dbname=nowhere", true, "does not exist");
    unreachable("user=nobody_known", true, "does not exist");
    unreachable("host=/nowhere", false, "No such file");
    assert_true(cluster_execute(cluster.conninfo, "CREATE ROLE crowd LOGIN CONNECTION LIMIT 0"));
    unreachable("user=crowd", false, "53300: too many connections for role \"crowd\"");
    assert_true(cluster_execute(cluster.conninfo, "CREATE DATABASE shut ALLOW_CONNECTIONS false"));
    unreachable("dbname=shut", false, "not currently accepting connections");
    assert_true(cluster_execute(cluster.conninfo, "CREATE ROLE nologin"));
    unreachable("user=nologin", true, "28000: role \"nologin\" is not permitted to log in");
    unreachable("host=127.0.0.1 port=1", false, "refused");
    unreachable("options='-c default_transaction_read_only=on'", false, "session is read-only");
    assert_true(cluster_execute(cluster.conninfo,
                                "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE"
                                " 'C' TEMPLATE template0"));
    unreachable("dbname=ascii", true, "must be UTF8");
    struct leat_error err;
    struct store_options options = {.url = "nonsense"};
    struct load *load = load_new(NULL);
    assert_null(store_open(&options, load, &err));
    assert_non_null(strstr(err.text, "store.url"));
    load_destroy(&load);
}

static void a_role_without_the_right_to_create_may_write(void **state)
{
    (void)state;
    struct writer writer;
    char url[300];
    assert_true(cluster_execute(cluster.conninfo,
                                "CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON"
                                " texts, dead_letters TO clerk; GRANT SELECT ON leat_migrations TO"
                                " clerk"));
    snprintf(url, sizeof url, "%s user=clerk", cluster.conninfo);
    writer_open_at(&writer, url);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 10, "t"));
    writer_write(&writer, texts_many(1, 1, 1000, "a", 10, "t"));
    assert_answer(cluster.conninfo, "SELECT count(*) FROM texts", "10");
    writer_close(&writer);
}

/* A session of persist cannot be asked for its settings; a trigger can. */
static void watch_settings(void)
{
    assert_true(cluster_execute(
        cluster.conninfo, "CREATE TABLE seen (how text, memory text); CREATE FUNCTION see() RETURNS"
                          " trigger AS $$ BEGIN TRUNCATE seen; INSERT INTO seen VALUES"
                          " (current_setting('synchronous_commit'), current_setting('work_mem'));"
                          " RETURN NULL; END $$ LANGUAGE plpgsql;"
                          "CREATE TRIGGER see AFTER INSERT ON texts EXECUTE FUNCTION see()"));
}

static void commits_are_durable_unless_more_is_asked_for(void **state)
{
    (void)state;
    static const char *const asked[][2] = {
        {"off", "on"}, {"local", "on"}, {"on", "on"}, {"remote_apply", "remote_apply"}};
    watch_settings();
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct writer writer;
        char url[400];
        snprintf(url, sizeof url, "%s options='-c synchronous_commit=%s'", cluster.conninfo,
                 asked[i][0]);
        writer_open_at(&writer, url);
        writer_write(&writer, texts_many(1, 1 + i, 1000 + i, "a", 10, "t"));
        assert_answer(cluster.conninfo, "SELECT how FROM seen", asked[i][1]);
        writer_close(&writer);
    }
}

static void reload_with(const char *settings[2])
{
    for (size_t i = 0; i < 2; i++) /* each must be a statement alone */
        assert_true(cluster_execute(cluster.conninfo, settings[i]));
    assert_true(cluster_execute(cluster.conninfo, "SELECT pg_reload_conf()"));
}

/* Another setting of the same reload tells when the session has read it. */
static void commits_stay_durable_when_the_server_reads_its_settings_again(void **state)
{
    (void)state;
    struct writer writer;
    const char *off[] = {"ALTER SYSTEM SET synchronous_commit = off",
                         "ALTER SYSTEM SET work_mem = '5MB'"};
    const char *as_before[] = {"ALTER SYSTEM RESET synchronous_commit",
                               "ALTER SYSTEM RESET work_mem"};
    watch_settings();
    writer_open(&writer);
    writer_write(&writer, texts_many(1, 1, 1000, "a", 1, "t"));
    assert_answer(cluster.conninfo, "SELECT * FROM seen", "on|4MB");
    reload_with(off);
    char *seen = NULL;
    int64_t deadline = leat_monotonic_us() + PATIENCE_US;
    for (unsigned i = 2; !(seen && strstr(seen, "5MB")) && leat_monotonic_us() < deadline; i++) {
        free(seen);
        writer_write(&writer, texts_many(1, i, 1000 + i, "a", 1, "t"));
        seen = cluster_ask(cluster.conninfo, "SELECT * FROM seen");
        usleep(5000);
    }
    reload_with(as_before);
    assert_string_equal(seen, "on|5MB");
    assert_int_equal(writer.store->counts.connects, 1);
    free(seen);
    writer_close(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(new_keys_take_the_direct_path, empty),
        cmocka_unit_test_setup(a_key_that_is_there_takes_the_staged_path_for_a_while, empty),
        cmocka_unit_test_setup(two_persists_with_the_same_batches_store_each_once, empty),
        cmocka_unit_test_setup(a_batch_whose_key_is_held_is_set_aside, empty),
        cmocka_unit_test_setup(it_is_found_on_the_staged_path_as_well, empty),
        cmocka_unit_test_setup(a_table_that_is_locked_as_a_whole_is_waited_for, empty),
        cmocka_unit_test_setup(a_leat_session_that_blocks_for_long_is_ended, empty),
        cmocka_unit_test_setup(it_is_ended_without_a_visit_to_any_other_server, empty),
        cmocka_unit_test_setup(other_sessions_that_block_are_not_ended, empty),
        cmocka_unit_test_setup(a_server_that_crashes_in_the_middle_loses_nothing, empty),
        cmocka_unit_test_setup(a_session_that_died_while_idle_is_replaced_unseen, empty),
        cmocka_unit_test_setup(a_wait_ends_when_the_process_is_told_to_stop, empty),
        cmocka_unit_test_setup(a_server_without_progress_is_given_up, empty),
        cmocka_unit_test_setup(a_read_only_database_is_no_row_s_fault, empty),
        cmocka_unit_test_setup(a_table_that_was_changed_under_way_is_no_row_s_fault, empty),
        cmocka_unit_test_setup(a_column_that_only_others_fill_is_no_row_s_fault, empty),
        cmocka_unit_test_setup(rows_that_fail_alone_and_twice_are_dead_letters, empty),
        cmocka_unit_test_setup(constraints_of_one_s_own_keep_no_bad_row_from_its_end, empty),
        cmocka_unit_test_setup(errors_that_no_row_can_cause_bury_nothing, empty),
        cmocka_unit_test_setup(a_deadlock_is_tried_again_at_once, empty),
        cmocka_unit_test_setup(a_wrong_schema_is_refused_by_name, empty),
        cmocka_unit_test_setup(columns_of_one_s_own_may_be_there, empty),
        cmocka_unit_test(migrations_are_applied_once_by_many_at_once),
        cmocka_unit_test(what_cannot_get_better_is_told_from_what_can),
        cmocka_unit_test_setup(a_role_without_the_right_to_create_may_write, empty),
        cmocka_unit_test_setup(commits_are_durable_unless_more_is_asked_for, empty),
        cmocka_unit_test_setup(commits_stay_durable_when_the_server_reads_its_settings_again,
                               empty),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
