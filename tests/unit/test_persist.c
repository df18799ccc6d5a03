/* The stage: when it commits, what it acknowledges, and how it waits for a store that is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/persist/persist.h"
#include "services/runtime/clock.h"
#include "services/runtime/stage_context.h"
#include "services/tables.h"
#include "tests/unit/cluster.h"
#include "tests/unit/texts.h"

#include <unistd.h>

enum { PATIENCE_US = 20000000, ACKS_MOST = 64 };

struct ack {
    uint64_t seq;
    uint32_t attempt, committed, dead;
};

struct fixture {
    char dir[64], url[160];
    struct cluster cluster; /* of those that want a server */
    struct leat_settings *settings;
    struct leat_metrics *metrics;
    struct leat_stage_context ctx;
    void *stage;
    struct ack acks[ACKS_MOST];
    size_t n_acks;
    bool ready, stopping;
};

static void on_ready(void *owner, bool ready, const char *reason)
{
    struct fixture *f = owner;
    assert_true(ready == (reason == NULL));
    f->ready = ready;
}

static void on_ack(void *owner, const struct leat_batch_head *head, uint32_t committed,
                   uint32_t dead)
{
    struct fixture *f = owner;
    assert_true(f->n_acks < ACKS_MOST);
    f->acks[f->n_acks++] = (struct ack){head->seq, head->attempt, committed, dead};
}

static void on_side(void *owner, struct leat_span bytes)
{
    (void)owner;
    (void)bytes;
    fail();
}

static bool on_stopping(void *owner)
{
    return ((struct fixture *)owner)->stopping;
}

static void set(struct fixture *f, const char *name, const char *value)
{
    struct leat_error err;
    if (!leat_settings_set(f->settings, name, value, LEAT_FROM_PROGRAM, "test", &err))
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    struct leat_error err;
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    strcpy(f->dir, "/tmp/leat-persist-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->url, sizeof f->url, "sqlite:%s/leat.db", f->dir);
    f->settings = leat_settings_new(leat_tables);
    f->metrics = leat_metrics_new(&err);
    f->ready = true;
    f->ctx = (struct leat_stage_context){.settings = f->settings,
                                         .metrics = f->metrics,
                                         .owner = f,
                                         .ready = on_ready,
                                         .ack = on_ack,
                                         .side = on_side,
                                         .stopping = on_stopping};
    set(f, "store.url", f->url);
    set(f, "persist.retry_least", "5ms");
    set(f, "persist.retry_most", "40ms");
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    persist_stage.close(&f->stage);
    if (f->cluster.dir[0])
        cluster_do(&f->cluster, "stop");
    leat_settings_destroy(&f->settings);
    leat_metrics_destroy(&f->metrics);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    int status = system(command);
    free(f);
    return status;
}

static void open_stage(struct fixture *f)
{
    struct leat_error err;
    if (!persist_stage.open(&f->stage, &f->ctx, &err))
        fail_msg("%s", err.text);
}

static void give(struct fixture *f, struct leat_batch *batch)
{
    assert_int_equal(persist_stage.batch(f->stage, batch), LEAT_TAKEN);
}

/* Turns as the loop does, which does so every now and then, until there are so many acks. `idle`:
 * nothing more is coming in. */
static void turn(struct fixture *f, size_t n_acks, bool idle)
{
    int64_t deadline = leat_monotonic_us() + PATIENCE_US;
    while (f->n_acks < n_acks) {
        int ms = persist_stage.tick(f->stage, idle);
        assert_true(leat_monotonic_us() < deadline);
        assert_true(f->n_acks >= n_acks || ms >= 0);
        if (f->n_acks < n_acks)
            usleep(ms < 20 ? (unsigned)ms * 1000 : 20000);
    }
    assert_int_equal(f->n_acks, n_acks);
}

static void turn_until(struct fixture *f, size_t n_acks)
{
    turn(f, n_acks, true);
}

static void turn_once(struct fixture *f)
{
    int ms = persist_stage.tick(f->stage, true);
    usleep(ms < 0 || ms > 20 ? 20000 : (unsigned)ms * 1000);
}

static void turn_until_ready_is(struct fixture *f, bool ready)
{
    int64_t deadline = leat_monotonic_us() + PATIENCE_US;
    while (f->ready != ready) {
        assert_true(leat_monotonic_us() < deadline);
        turn_once(f);
    }
}

static int64_t metric(struct fixture *f, const char *name, const char *labels)
{
    return leat_metric_get(
        leat_metrics_add(f->metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels, ""));
}

static void a_batch_is_acknowledged_once_it_is_committed(void **state)
{
    struct fixture *f = *state;
    const struct texts_item items[] = {{.id = "a", .text = "x"},
                                       {.id = "b", .text = "y", .error = "crashed"},
                                       {.id = "c", .text = "z"}};
    open_stage(f);
    struct leat_batch *batch = texts_batch(1, 42, 1000, items, 3);
    batch->head.attempt = 7;
    give(f, batch);
    assert_int_equal(f->n_acks, 0);
    turn_until(f, 1);
    assert_int_equal(f->acks[0].seq, 42);
    assert_int_equal(f->acks[0].attempt, 7);
    assert_int_equal(f->acks[0].committed, 2);
    assert_int_equal(f->acks[0].dead, 1);
    assert_answer(f->url, "SELECT count(*) FROM texts", "2");
    assert_int_equal(metric(f, "leat_persist_records_total", "result=\"committed\""), 2);
    assert_int_equal(metric(f, "leat_persist_records_total", "result=\"dead\""), 1);
    assert_int_equal(persist_stage.tick(f->stage, true), -1);
}

static void a_batch_without_records_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    open_stage(f);
    give(f, texts_batch(1, 1, 1000, NULL, 0));
    turn_until(f, 1);
    assert_int_equal(f->acks[0].committed + f->acks[0].dead, 0);
}

static void batches_that_come_together_share_a_transaction(void **state)
{
    struct fixture *f = *state;
    open_stage(f);
    for (unsigned i = 0; i < 20; i++)
        give(f, texts_many(1, i + 1, 1000 * i, "x", 5, "t"));
    turn_until(f, 20);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(f->acks[i].seq, i + 1);
    assert_int_equal(metric(f, "leat_persist_transactions_total", "path=\"direct\""), 1);
    assert_answer(f->url, "SELECT count(*), min(version) FROM texts", "5|19000");
}

static void a_full_load_does_not_wait_for_more(void **state)
{
    struct fixture *f = *state;
    set(f, "persist.rows", "100");
    set(f, "persist.wait_most", "50s");
    open_stage(f);
    give(f, texts_many(1, 1, 1000, "a", 60, "t"));
    assert_int_equal(f->n_acks, 0);
    give(f, texts_many(1, 2, 2000, "b", 60, "t"));
    turn(f, 2, false);
    give(f, texts_many(1, 3, 3000, "c", 500, "t")); /* larger than any load may be: alone */
    turn(f, 3, false);
    assert_answer(f->url, "SELECT count(*) FROM texts", "620");
}

static void bytes_fill_a_load_as_well(void **state)
{
    struct fixture *f = *state;
    set(f, "persist.bytes", "4KB");
    set(f, "persist.wait_most", "50s");
    open_stage(f);
    give(f, texts_many(1, 1, 1000, "a", 100, "t"));
    turn(f, 1, false);
}

static void what_comes_faster_than_it_is_written_waits_outside(void **state)
{
    struct fixture *f = *state;
    set(f, "persist.rows", "50");
    open_stage(f);
    for (unsigned i = 0; i < 40; i++) {
        char prefix[8];
        snprintf(prefix, sizeof prefix, "p%u", i);
        give(f, texts_many(1, i + 1, 1000 * (i + 1), prefix, 50, "t"));
        /* One load is written, one may be full: no more than these are in hand. */
        assert_in_range(i + 1 - f->n_acks, 0, 3);
    }
    turn_until(f, 40);
    assert_answer(f->url, "SELECT count(*) FROM texts", "2000");
}

static void a_load_waits_while_more_is_coming_in(void **state)
{
    struct fixture *f = *state;
    set(f, "persist.wait", "0ms");
    set(f, "persist.wait_most", "50s");
    open_stage(f);
    give(f, texts_many(1, 1, 1000, "a", 10, "t"));
    int ms = persist_stage.tick(f->stage, false);
    assert_int_equal(f->n_acks, 0);
    assert_in_range(ms, 1, 50000);
    turn_until(f, 1);
}

static void after_much_it_waits_longer_for_more(void **state)
{
    struct fixture *f = *state;
    set(f, "persist.wait", "0ms");
    set(f, "persist.wait_busy", "50s");
    set(f, "persist.rows", "100");
    open_stage(f);
    give(f, texts_many(1, 1, 1000, "a", 100, "t"));
    turn(f, 1, false);
    give(f, texts_many(1, 2, 2000, "b", 10, "t"));
    assert_in_range(persist_stage.tick(f->stage, true), 1, 50000);
    assert_int_equal(f->n_acks, 1);
    turn_until(f, 2); /* but only as long as much was coming in lately */
}

static void what_is_in_hand_is_committed_at_a_drain(void **state)
{
    struct fixture *f = *state;
    open_stage(f);
    assert_true(persist_stage.drain(f->stage));
    give(f, texts_many(1, 1, 1000, "a", 10, "t"));
    assert_true(persist_stage.drain(f->stage));
    assert_int_equal(f->n_acks, 1);
}

static void an_unknown_kind_is_dropped(void **state)
{
    struct fixture *f = *state;
    open_stage(f);
    struct leat_batch *batch = texts_many(1, 1, 1000, "a", 1, "t");
    strcpy(batch->head.kind, "unheard");
    assert_int_equal(persist_stage.batch(f->stage, batch), LEAT_DROP);
    leat_batch_destroy(&batch);
    assert_int_equal(persist_stage.tick(f->stage, true), -1);
    assert_int_equal(metric(f, "leat_persist_unknown_kinds_total", ""), 1);
}

static void a_store_that_is_away_is_waited_for(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;
    set(f, "persist.lock_timeout", "500ms");
    open_stage(f);
    assert_int_equal(sqlite3_open(f->url + strlen("sqlite:"), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    give(f, texts_many(1, 1, 1000, "a", 10, "t"));
    turn_until_ready_is(f, false);
    assert_int_equal(f->n_acks, 0);
    assert_false(persist_stage.drain(f->stage));
    /* What still comes is taken, and waits. */
    give(f, texts_many(1, 2, 2000, "b", 10, "t"));
    for (int i = 0; i < 5; i++)
        turn_once(f);
    assert_false(f->ready);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    turn_until(f, 2);
    assert_true(f->ready);
    assert_answer(f->url, "SELECT count(*) FROM texts", "20");
}

static void a_server_that_is_not_there_yet_is_waited_for(void **state)
{
    struct fixture *f = *state;
    assert_true(cluster_start(&f->cluster, ""));
    cluster_do(&f->cluster, "crash");
    set(f, "store.url", f->cluster.conninfo);
    open_stage(f);
    assert_false(f->ready);
    give(f, texts_many(1, 1, 1000, "a", 10, "t"));
    for (int i = 0; i < 5; i++)
        turn_once(f);
    assert_int_equal(f->n_acks, 0);
    assert_true(cluster_start(&f->cluster, ""));
    turn_until(f, 1);
    assert_true(f->ready);
    assert_answer(f->cluster.conninfo, "SELECT count(*) FROM texts", "10");
}

static PGconn *hold_key(struct fixture *f, const char *id)
{
    char sql[512];
    PGconn *pg = PQconnectdb(f->cluster.conninfo);
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

/* A stage on a server of its own, with two sessions and small loads. */
static void open_with_sessions(struct fixture *f)
{
    assert_true(cluster_start(&f->cluster, ""));
    set(f, "store.url", f->cluster.conninfo);
    set(f, "persist.rows", "50");
    set(f, "persist.sessions", "2");
    set(f, "persist.lock_timeout", "50s");
    open_stage(f);
}

static void wait_for_answer(struct fixture *f, const char *url, const char *sql,
                            const char *expected)
{
    int64_t deadline = leat_monotonic_us() + PATIENCE_US;
    for (bool same = false; !same;) {
        assert_true(leat_monotonic_us() < deadline);
        turn_once(f);
        char *answer = cluster_ask(url, sql);
        same = strcmp(answer, expected) == 0;
        free(answer);
    }
}

static void another_session_writes_while_one_is_held_up(void **state)
{
    struct fixture *f = *state;
    open_with_sessions(f);
    PGconn *holder = hold_key(f, "a-7");
    give(f, texts_many(1, 1, 1000, "a", 50, "t"));
    give(f, texts_many(1, 2, 2000, "b", 50, "t"));
    wait_for_answer(f, f->cluster.conninfo, "SELECT count(*) FROM texts", "50");
    assert_int_equal(f->n_acks, 0); /* they keep their order */
    PQfinish(holder);
    turn_until(f, 2);
    assert_int_equal(f->acks[0].seq, 1);
    assert_int_equal(f->acks[1].seq, 2);
    assert_answer(f->cluster.conninfo, "SELECT count(*) FROM texts", "100");
}

static void all_sessions_come_through_a_crash(void **state)
{
    struct fixture *f = *state;
    open_with_sessions(f);
    PGconn *holders[] = {hold_key(f, "a-7"), hold_key(f, "b-7")};
    give(f, texts_many(1, 1, 1000, "a", 50, "t"));
    give(f, texts_many(1, 2, 2000, "b", 50, "t"));
    give(f, texts_many(1, 3, 3000, "c", 10, "t"));
    persist_stage.tick(f->stage, true);
    cluster_do(&f->cluster, "crash");
    PQfinish(holders[0]);
    PQfinish(holders[1]);
    turn_until_ready_is(f, false);
    assert_false(persist_stage.drain(f->stage));
    assert_true(cluster_start(&f->cluster, ""));
    turn_until(f, 3);
    assert_true(f->ready);
    assert_answer(f->cluster.conninfo, "SELECT count(*) FROM texts", "110");
}

static void it_becomes_ready_again_without_anything_to_write(void **state)
{
    struct fixture *f = *state;
    set(f, "persist.lock_timeout", "500ms");
    sqlite3 *other;
    assert_int_equal(sqlite3_open(f->url + strlen("sqlite:"), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE x (y); BEGIN EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    open_stage(f);
    assert_false(f->ready);
    assert_in_range(persist_stage.tick(f->stage, true), 0, 60);
    sqlite3_close(other);
    turn_until_ready_is(f, true);
}

static void what_cannot_work_is_said_at_open(void **state)
{
    struct fixture *f = *state;
    struct leat_error err;
    set(f, "store.url", "sqlite:/nowhere/at/all/leat.db");
    if (persist_stage.open(&f->stage, &f->ctx, &err))
        fail();
    assert_non_null(strstr(err.text, "/nowhere/at/all/leat.db"));
    set(f, "store.url", "what is this");
    if (persist_stage.open(&f->stage, &f->ctx, &err))
        fail();
    assert_non_null(strstr(err.text, "store.url"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_is_acknowledged_once_it_is_committed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_batch_without_records_is_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_that_come_together_share_a_transaction, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_load_does_not_wait_for_more, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_fill_a_load_as_well, setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_faster_than_it_is_written_waits_outside, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_load_waits_while_more_is_coming_in, setup, teardown),
        cmocka_unit_test_setup_teardown(after_much_it_waits_longer_for_more, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_in_hand_is_committed_at_a_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_kind_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_is_away_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_is_not_there_yet_is_waited_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(another_session_writes_while_one_is_held_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(all_sessions_come_through_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(it_becomes_ready_again_without_anything_to_write, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_work_is_said_at_open, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
