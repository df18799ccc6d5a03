/* Group commit over a journal whose disk fails: what is trouble, and when it is over. */
#include "services/ingest/commit.h"

#include "services/ingest/backlog.h"
#include "services/runtime/clock.h"
#include "tests/unit/failing_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
    char root[64], file[96];
    struct journal *journal;
    struct leat_metrics *metrics;
    struct meters meters;
    struct commit commit;
    int64_t now; /* far ahead of every pause */
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct journal_limits limits = journal_limits_default();
    struct leat_error err;
    leat_log_set_level(LEAT_ERR);
    limits.reserve_bytes = 1 << 20;
    strcpy(bench->root, "/tmp/leat-commit-XXXXXX");
    assert_non_null(mkdtemp(bench->root));
    snprintf(bench->file, sizeof bench->file, "%s/journal.mdb", bench->root);
    disk_works();
    bench->journal = journal_open(bench->root, &limits, &err);
    assert_non_null(bench->journal);
    bench->metrics = leat_metrics_new(&err);
    meters_open(&bench->meters, bench->metrics);
    commit_open(&bench->commit, bench->journal, &bench->meters);
    bench->now = leat_monotonic_us();
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    char command[160];
    disk_works();
    journal_close(&bench->journal);
    leat_metrics_destroy(&bench->metrics);
    snprintf(command, sizeof command, "rm -rf %s", bench->root);
    int code = system(command);
    free(bench);
    return code;
}

/* Begins a transaction after all pauses. */
static bool enter(struct bench *bench)
{
    bench->now += 10 * 1000 * 1000;
    return commit_enter(&bench->commit, bench->now);
}

static enum journal_result append(struct bench *bench)
{
    static const char items[256 * 1024];
    struct journal_batch batch = {.kind = "text", .count = 1, .items = items, .size = sizeof items};
    struct journal_given given;
    struct leat_error err;
    assert_true(enter(bench));
    enum journal_result result = journal_append(bench->journal, &batch, 1, &given, &err);
    commit_note(&bench->commit, result, &err);
    return result;
}

/* What the loop does about trouble, when nobody has come with anything. */
static void try_alone(struct bench *bench)
{
    bench->now += 10 * 1000 * 1000;
    commit_try(&bench->commit, bench->now);
    if (bench->commit.open)
        commit_end(&bench->commit);
}

static void trouble_is_over_when_a_commit_wrote_something(void **state)
{
    struct bench *bench = *state;
    fault.flush = EIO;
    assert_int_equal(append(bench), JOURNAL_OK);
    assert_false(commit_end(&bench->commit));
    assert_non_null(bench->commit.trouble);
    /* A transaction without a change writes nothing, so it cannot fail. */
    assert_true(enter(bench));
    assert_true(commit_end(&bench->commit));
    assert_non_null(bench->commit.trouble);
    try_alone(bench);
    assert_non_null(bench->commit.trouble);
    disk_works();
    try_alone(bench);
    assert_null(bench->commit.trouble);
}

/* Who was answered busy is not sent to a process that is not ready, and cannot find that it is. */
static void a_disk_that_has_room_again_is_found_by_itself(void **state)
{
    struct bench *bench = *state;
    fault.room = ENOSPC;
    while (append(bench) == JOURNAL_OK) /* up to what was reserved ahead */
        assert_true(commit_end(&bench->commit));
    assert_non_null(bench->commit.trouble);
    assert_true(commit_end(&bench->commit));
    try_alone(bench);
    assert_non_null(bench->commit.trouble);
    disk_works();
    try_alone(bench);
    assert_null(bench->commit.trouble);
}

static void without_trouble_nothing_is_tried(void **state)
{
    struct bench *bench = *state;
    bench->now += 10 * 1000 * 1000;
    commit_try(&bench->commit, bench->now);
    assert_false(bench->commit.open);
}

/* A commit that failed and is on disk all the same: its batch must not wait for another one. */
static void what_a_failed_commit_left_on_disk_is_dispatched(void **state)
{
    struct bench *bench = *state;
    struct backlog_batch batch;
    struct leat_error err;
    fault.meta = EIO;
    fault.lie = true;
    assert_int_equal(append(bench), JOURNAL_OK);
    assert_false(commit_end(&bench->commit));
    assert_int_equal(backlog_next(bench->journal, "text", 0, &batch, &err), BACKLOG_END);
    disk_works();
    try_alone(bench);
    assert_int_equal(backlog_next(bench->journal, "text", 0, &batch, &err), BACKLOG_BATCH);
    assert_int_equal(bench->commit.grew, UINT32_MAX);
    try_alone(bench);
    assert_true(enter(bench));
    assert_true(commit_end(&bench->commit));
    assert_int_equal(bench->commit.grew, 0);
}

/* A journal that cannot even be read spoils no transaction when there is none. */
static void trouble_outside_of_a_transaction_leaves_none_to_end(void **state)
{
    struct bench *bench = *state;
    char away[128];
    struct leat_error err;
    fault.meta = EIO; /* after which the file is opened anew */
    assert_int_equal(append(bench), JOURNAL_OK);
    assert_false(commit_end(&bench->commit));
    snprintf(away, sizeof away, "%s.away", bench->file);
    assert_int_equal(rename(bench->file, away), 0);
    disk_works();
    assert_false(enter(bench));
    leat_fail(&err, "closed after a failure");
    commit_note(&bench->commit, JOURNAL_BROKEN, &err);
    assert_false(bench->commit.spoilt);
    assert_int_equal(commit_due(&bench->commit, bench->now), -1);
    assert_int_equal(rename(away, bench->file), 0);
    assert_int_equal(append(bench), JOURNAL_OK);
    assert_true(commit_end(&bench->commit));
    assert_null(bench->commit.trouble);
}

/* Whoever reads asks whether there is room before the next transaction is begun. While nothing came
 * back that began one, a full transaction was the last for ten seconds. */
static void after_a_full_transaction_there_is_room_again(void **state)
{
    struct bench *bench = *state;
    bench->commit.bytes_most = 1;
    assert_int_equal(append(bench), JOURNAL_OK);
    commit_add(&bench->commit, 256 * 1024);
    assert_true(bench->commit.bytes >= bench->commit.bytes_most);
    assert_true(commit_end(&bench->commit));
    assert_true(bench->commit.bytes < bench->commit.bytes_most);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trouble_is_over_when_a_commit_wrote_something),
        TEST(a_disk_that_has_room_again_is_found_by_itself),
        TEST(without_trouble_nothing_is_tried),
        TEST(after_a_full_transaction_there_is_room_again),
        TEST(what_a_failed_commit_left_on_disk_is_dispatched),
        TEST(trouble_outside_of_a_transaction_leaves_none_to_end),
    };
    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
