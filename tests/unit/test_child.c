#include "tests/unit/mill.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A parent's side, and what its child has told. */
struct yard {
    char *folder;
    struct leat_host host;
    struct leat_child *child;
    char sides[64];
    bool ready;
    char reason[200];
};

static void yard_ready(void *owner, bool ready, const char *reason)
{
    struct yard *self = owner;
    self->ready = ready;
    snprintf(self->reason, sizeof self->reason, "%s", reason ? reason : "");
}

static void yard_side(void *owner, struct leat_span bytes)
{
    struct yard *self = owner;
    snprintf(self->sides, sizeof self->sides, "%.*s", (int)bytes.size, (const char *)bytes.data);
}

static int yard_setup(void **state)
{
    struct yard *self = calloc(1, sizeof *self);
    self->folder = rig_folder();
    self->host = (struct leat_host){
        .name = "mill",
        .settings = leat_settings_new(mill_tables),
        .metrics = leat_metrics_new(NULL),
        .program = &mill_program,
    };
    leat_log_set_level(LEAT_ERR + 1);
    assert_true(
        leat_settings_assign(self->host.settings, "log.level=error", LEAT_FROM_PROGRAM, NULL));
    *state = self;
    return 0;
}

static int yard_teardown(void **state)
{
    struct yard *self = *state;
    leat_child_close(&self->child, 2000);
    leat_metrics_destroy(&self->host.metrics);
    leat_settings_destroy(&self->host.settings);
    char command[300];
    snprintf(command, sizeof command, "rm -r %s", self->folder);
    assert_int_equal(system(command), 0);
    free(self->folder);
    free(self);
    return 0;
}

static void yard_set(struct yard *self, const char *assignment)
{
    assert_true(leat_settings_assign(self->host.settings, assignment, LEAT_FROM_PROGRAM, NULL));
}

static bool yard_turn(struct yard *self)
{
    leat_child_turn(self->child);
    return true;
}

static bool yard_open(struct yard *self, struct leat_error *err)
{
    const struct leat_child_events events = {self, yard_ready, yard_side};
    self->child = leat_child_open(&mill_stage, &self->host, &events, err);
    assert_non_null(self->child);
    rig_await(yard_turn(self) && !leat_child_is_opening(self->child));
    if (leat_child_opened(self->child, err))
        return true;
    leat_child_close(&self->child, 0);
    return false;
}

static void yard_give(struct yard *self, uint64_t seq, const char *const *records, uint32_t n)
{
    struct leat_span bytes;
    struct leat_batch *batch = rig_batch("mill", "grain", seq, records, n, &bytes);
    leat_child_give(self->child, batch, bytes);
}

/* The next batch that comes back, decoded again as the next stage would. */
static struct leat_batch *yard_take(struct yard *self, enum leat_verdict *verdict)
{
    struct leat_done done = {0};
    rig_await(yard_turn(self) && leat_child_take(self->child, &done));
    *verdict = done.verdict;
    if (!done.items)
        return done.batch;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&done.batch->head, &frame);
    leat_pack_raw(&frame, (struct leat_span){done.items, done.size});
    leat_batch_destroy(&done.batch);
    free(done.memory);
    struct leat_batch *batch = leat_batch_read(
        (struct leat_span){(const uint8_t *)frame.data, frame.size}, frame.data, free, NULL);
    assert_non_null(batch);
    return batch;
}

static struct leat_batch *yard_grind(struct yard *self, const char *const *records, uint32_t n)
{
    enum leat_verdict verdict;
    yard_give(self, 1, records, n);
    struct leat_batch *batch = yard_take(self, &verdict);
    assert_int_equal(verdict, LEAT_FORWARD);
    assert_int_equal(batch->head.count, n);
    return batch;
}

/* The child's own number, as its stage says it. */
static pid_t yard_pid(struct yard *self)
{
    struct leat_batch *batch = yard_grind(self, (const char *const[]){"pid"}, 1);
    leat_batch_destroy(&batch);
    pid_t pid = atoi(self->sides);
    assert_true(pid > 1);
    return pid;
}

static void assert_ground(const struct leat_batch *batch, uint32_t i, const char *text)
{
    assert_string_equal(rig_error(&batch->items[i]), "");
    assert_string_equal(rig_text(batch->items[i].result), text);
}

static void a_batch_comes_back_with_its_results(void **state)
{
    struct yard *self = *state;
    assert_true(yard_open(self, NULL));
    struct leat_batch *batch = yard_grind(self, (const char *const[]){"rye", "bad", "oat"}, 3);
    assert_ground(batch, 0, "rye!@0");
    assert_string_equal(rig_error(&batch->items[1]), "bad: not grain");
    assert_ground(batch, 2, "oat!@2");
    leat_batch_destroy(&batch);
}

static void batches_come_back_in_order(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    assert_true(yard_open(self, NULL));
    uint64_t given = 0, taken = 0;
    while (taken < 200) {
        while (given < 200 && leat_child_wants(self->child))
            yard_give(self, ++given, (const char *const[]){"rye"}, 1);
        struct leat_batch *batch = yard_take(self, &verdict);
        assert_int_equal(batch->head.seq, ++taken);
        leat_batch_destroy(&batch);
    }
}

static void a_large_batch_passes(void **state)
{
    struct yard *self = *state;
    enum { MANY = 100000 };
    const char **records = calloc(MANY, sizeof *records);
    assert_true(yard_open(self, NULL));
    for (int i = 0; i < MANY; i++)
        records[i] = "a somewhat longer record, so that the frame is larger than any buffer";
    struct leat_batch *batch = yard_grind(self, records, MANY);
    assert_string_equal(strrchr(rig_text(batch->items[MANY - 1].result), '@'), "@99999");
    leat_batch_destroy(&batch);
    free(records);
}

static void only_the_records_that_crash_get_an_error(void **state)
{
    struct yard *self = *state;
    const char *records[37];
    for (int i = 0; i < 37; i++)
        records[i] = i == 5 || i == 6 || i == 36 ? "crash" : i == 20 ? "exit" : "rye";
    assert_true(yard_open(self, NULL));
    struct leat_batch *batch = yard_grind(self, records, 37);
    for (uint32_t i = 0; i < 37; i++) {
        char ground[32];
        snprintf(ground, sizeof ground, "rye!@%u", i);
        if (strcmp(records[i], "crash") == 0)
            assert_non_null(strstr(rig_error(&batch->items[i]), "crashed: "));
        else if (i != 20)
            assert_ground(batch, i, ground);
    }
    assert_non_null(strstr(rig_error(&batch->items[5]), "signal 9"));
    assert_non_null(strstr(rig_error(&batch->items[20]), "exit status 7"));
    leat_batch_destroy(&batch);
}

static void small_batches_that_waited_are_worked_on_at_once(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    yard_set(self, "mill.gathers=20");
    assert_true(yard_open(self, NULL));
    const char *first = "wait", *other = "rye";
    yard_give(self, 1, &first, 1);
    uint64_t given = 1;
    while (leat_child_wants(self->child))
        yard_give(self, ++given, &other, 1);
    assert_int_equal(given, CHILD_GATHERED);
    for (uint64_t taken = 1; taken <= given; taken++) {
        struct leat_batch *batch = yard_take(self, &verdict);
        assert_int_equal(verdict, LEAT_FORWARD);
        assert_int_equal(batch->head.seq, taken);
        assert_ground(batch, 0, taken == 1 ? "wait!@0" : "rye!@0");
        leat_batch_destroy(&batch);
    }
    assert_true(atoi(self->sides) > 1 && atoi(self->sides) <= 20);
}

static void batches_with_many_bytes_do_not_wait_with_the_child(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    static char large[CHILD_GATHERED_BYTES];
    const char *records[] = {"wait", large};
    memset(large, 'x', sizeof large - 1);
    yard_set(self, "mill.gathers=20");
    assert_true(yard_open(self, NULL));
    yard_give(self, 1, records, 2);
    assert_true(leat_child_wants(self->child));
    yard_give(self, 2, records, 2);
    assert_false(leat_child_wants(self->child));
    for (uint64_t seq = 1; seq <= 2; seq++) {
        struct leat_batch *batch = yard_take(self, &verdict);
        assert_int_equal(batch->head.seq, seq);
        leat_batch_destroy(&batch);
    }
}

static void what_kills_is_found_among_batches_that_were_worked_on_at_once(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    enum { MANY = 30, KILLER = 17 };
    yard_set(self, "mill.gathers=64");
    assert_true(yard_open(self, NULL));
    const char *good = "rye", *slow = "wait", *bad = "crash";
    for (uint64_t seq = 1; seq <= MANY; seq++)
        yard_give(self, seq, seq == 1 ? &slow : seq == KILLER ? &bad : &good, 1);
    for (uint64_t seq = 1; seq <= MANY; seq++) {
        struct leat_batch *batch = yard_take(self, &verdict);
        assert_int_equal(batch->head.seq, seq);
        assert_int_equal(verdict, LEAT_FORWARD);
        if (seq == KILLER)
            assert_non_null(strstr(rig_error(&batch->items[0]), "crashed"));
        else
            assert_ground(batch, 0, seq == 1 ? "wait!@0" : "rye!@0");
        leat_batch_destroy(&batch);
    }
}

/* Its time is what it has alone: what it was worked on with says nothing of it. */
static void who_was_worked_on_with_a_record_that_hangs_keeps_its_time(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    yard_set(self, "mill.gathers=64");
    yard_set(self, "child.timeout=3s");
    assert_true(yard_open(self, NULL));
    const char *first[] = {"side", "wait"}, *slow = "slow", *hangs = "hang";
    yard_give(self, 1, first, 2);
    rig_await(yard_turn(self) && *self->sides);
    yard_give(self, 2, &slow, 1);
    yard_give(self, 3, &hangs, 1);
    struct leat_batch *batch = yard_take(self, &verdict);
    leat_batch_destroy(&batch);
    batch = yard_take(self, &verdict);
    assert_ground(batch, 0, "slow!@0");
    leat_batch_destroy(&batch);
    batch = yard_take(self, &verdict);
    assert_non_null(strstr(rig_error(&batch->items[0]), "timeout"));
    leat_batch_destroy(&batch);
}

static void a_stage_that_says_it_waits_is_not_taken_for_hanging(void **state)
{
    struct yard *self = *state;
    yard_set(self, "child.timeout=2s");
    yard_set(self, "mill.waits=4s");
    assert_true(yard_open(self, NULL));
    struct leat_batch *batch = yard_grind(self, (const char *const[]){"rye", "wait", "oat"}, 3);
    assert_ground(batch, 0, "rye!@0");
    assert_ground(batch, 1, "wait!@1");
    assert_ground(batch, 2, "oat!@2");
    leat_batch_destroy(&batch);
}

static void a_stage_that_waits_ends_with_its_parent_s_wish(void **state)
{
    struct yard *self = *state;
    const char *const records[] = {"wait", "wait"};
    yard_set(self, "mill.waits=60s");
    assert_true(yard_open(self, NULL));
    yard_give(self, 1, records, 2);
    yard_turn(self);
    int64_t begin = leat_monotonic_us();
    leat_child_close(&self->child, 20000);
    assert_true(leat_monotonic_us() - begin < 20000000); /* when it would be killed */
}

static void only_the_record_that_hangs_gets_an_error(void **state)
{
    struct yard *self = *state;
    yard_set(self, "child.timeout=6s"); /* of which an eighth is left for the last record */
    assert_true(yard_open(self, NULL));
    struct leat_batch *batch =
        yard_grind(self, (const char *const[]){"rye", "oat", "hang", "corn"}, 4);
    assert_ground(batch, 0, "rye!@0");
    assert_ground(batch, 1, "oat!@1");
    assert_non_null(strstr(rig_error(&batch->items[2]), "timeout: "));
    assert_ground(batch, 3, "corn!@3");
    leat_batch_destroy(&batch);
}

static void a_poisoned_batch_of_one_is_found_too(void **state)
{
    struct yard *self = *state;
    assert_true(yard_open(self, NULL));
    struct leat_batch *batch = yard_grind(self, (const char *const[]){"crash"}, 1);
    assert_non_null(strstr(rig_error(&batch->items[0]), "crashed: "));
    leat_batch_destroy(&batch);
}

static void one_death_from_outside_blames_nobody(void **state)
{
    struct yard *self = *state;
    char once[300];
    snprintf(once, sizeof once, "once:%s/died", self->folder);
    assert_true(yard_open(self, NULL));
    struct leat_batch *batch = yard_grind(self, (const char *const[]){once}, 1);
    assert_string_equal(rig_error(&batch->items[0]), "");
    leat_batch_destroy(&batch);
}

/* A container that is paused: both stand still, and the clock goes on. */
static void time_in_which_both_were_stopped_is_not_the_record_s(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    yard_set(self, "child.timeout=3s");
    assert_true(yard_open(self, NULL));
    pid_t pid = yard_pid(self);
    kill(pid, SIGSTOP);
    yard_give(self, 2, (const char *const[]){"oat"}, 1);
    sleep(4); /* nobody takes a turn */
    yard_turn(self);
    kill(pid, SIGCONT);
    struct leat_batch *batch = yard_take(self, &verdict);
    assert_ground(batch, 0, "oat!@0");
    leat_batch_destroy(&batch);
    assert_int_equal(yard_pid(self), pid); /* it is the same child */
}

static void the_other_batch_is_given_again(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    assert_true(yard_open(self, NULL));
    yard_give(self, 1, (const char *const[]){"rye", "crash", "oat"}, 3);
    yard_give(self, 2, (const char *const[]){"corn", "bad"}, 2);
    struct leat_batch *first = yard_take(self, &verdict);
    struct leat_batch *second = yard_take(self, &verdict);
    assert_int_equal(first->head.seq, 1);
    assert_ground(first, 2, "oat!@2");
    assert_int_equal(second->head.seq, 2);
    assert_ground(second, 0, "corn!@0");
    assert_string_equal(rig_error(&second->items[1]), "bad: not grain");
    leat_batch_destroy(&first);
    leat_batch_destroy(&second);
}

static void records_with_an_error_are_not_given(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    struct leat_span bytes;
    assert_true(yard_open(self, NULL));
    struct leat_batch *batch =
        rig_batch("mill", "grain", 1, (const char *const[]){"rye", "crash", "oat"}, 3, &bytes);
    leat_batch_fail(batch, 1, "cache", "spoilt", "before it came here");
    leat_child_give(self->child, batch, bytes);
    batch = yard_take(self, &verdict);
    assert_ground(batch, 0, "rye!@0");
    assert_string_equal(rig_error(&batch->items[1]), "spoilt: before it came here");
    assert_string_equal(rig_text(batch->items[1].record), "crash");
    assert_ground(batch, 2, "oat!@2");
    leat_batch_destroy(&batch);
}

static void a_verdict_comes_back(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    assert_true(yard_open(self, NULL));
    yard_give(self, 1, (const char *const[]){"rye", "drop"}, 2);
    struct leat_batch *batch = yard_take(self, &verdict);
    assert_int_equal(verdict, LEAT_DROP);
    leat_batch_destroy(&batch);
}

static void what_the_stage_says_reaches_the_parent(void **state)
{
    struct yard *self = *state;
    assert_true(yard_open(self, NULL));
    assert_true(self->ready);
    struct leat_batch *batch = yard_grind(self, (const char *const[]){"side", "tired"}, 2);
    assert_string_equal(self->sides, "aside");
    assert_false(self->ready);
    assert_string_equal(self->reason, "the miller sleeps");
    leat_batch_destroy(&batch);
}

static void a_reload_reaches_the_child_and_those_after_it(void **state)
{
    struct yard *self = *state;
    assert_true(yard_open(self, NULL));
    yard_set(self, "mill.mark=?");
    leat_child_reload(self->child, self->host.settings);
    struct leat_batch *batch = yard_grind(self, (const char *const[]){"rye"}, 1);
    assert_ground(batch, 0, "rye?@0");
    leat_batch_destroy(&batch);
    batch = yard_grind(self, (const char *const[]){"rye", "crash"}, 2);
    assert_ground(batch, 0, "rye?@0");
    leat_batch_destroy(&batch);
}

static void a_stage_that_cannot_open_at_first_says_why(void **state)
{
    struct yard *self = *state;
    struct leat_error err = {.text = ""};
    rig_write(rig_path(self->folder, "broken"), "", 0);
    char setting[300];
    snprintf(setting, sizeof setting, "mill.refuse_while=%s/broken", self->folder);
    yard_set(self, setting);
    assert_false(yard_open(self, &err));
    assert_string_equal(err.text, "the mill's stone is broken");

    yard_set(self, "mill.refuse_while=");
    yard_set(self, "mill.dies_at_start=yes");
    assert_false(yard_open(self, &err));
    assert_string_equal(err.text, "the child process ended before it was ready: exit status 9");
}

static void a_stage_that_cannot_open_again_is_not_ready_until_it_can(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    char setting[300];
    const char *broken = rig_path(self->folder, "broken");
    snprintf(setting, sizeof setting, "mill.refuse_while=%s", broken);
    yard_set(self, setting);
    assert_true(yard_open(self, NULL));
    rig_write(broken, "", 0);
    yard_give(self, 1, (const char *const[]){"rye", "crash"}, 2);
    rig_await(yard_turn(self) && !self->ready);
    assert_string_equal(self->reason, "the mill's stone is broken");
    assert_false(leat_child_wants(self->child));
    assert_int_equal(unlink(broken), 0);
    struct leat_batch *batch = yard_take(self, &verdict);
    assert_true(self->ready);
    assert_ground(batch, 0, "rye!@0");
    leat_batch_destroy(&batch);
}

static void a_child_without_work_that_dies_is_replaced(void **state)
{
    struct yard *self = *state;
    enum leat_verdict verdict;
    assert_true(yard_open(self, NULL));
    pid_t pid = yard_pid(self);
    kill(pid, SIGKILL);
    rig_await(yard_turn(self) && kill(pid, 0) != 0 && leat_child_wants(self->child));
    yard_give(self, 2, (const char *const[]){"oat"}, 1);
    struct leat_batch *batch = yard_take(self, &verdict);
    assert_ground(batch, 0, "oat!@0");
    leat_batch_destroy(&batch);
}

/* In the middle process: opens a child, tells its pid, and waits to be killed. */
static void middle(struct yard *self, int to)
{
    pid_t pid = yard_open(self, NULL) ? yard_pid(self) : 0;
    if (write(to, &pid, sizeof pid) == sizeof pid)
        pause();
    _exit(0);
}

static void an_orphan_ends(void **state)
{
    struct yard *self = *state;
    int ends[2];
    pid_t orphan = 0;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0)
        middle(self, ends[1]);
    assert_int_equal(read(ends[0], &orphan, sizeof orphan), sizeof orphan);
    assert_true(orphan > 0);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    rig_await(waitpid(orphan, NULL, WNOHANG) == orphan);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(ends[0]);
    close(ends[1]);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return leat_child_main(&mill_program, argv[2]);
#define YARD(test) cmocka_unit_test_setup_teardown(test, yard_setup, yard_teardown)
    const struct CMUnitTest tests[] = {
        YARD(a_batch_comes_back_with_its_results),
        YARD(batches_come_back_in_order),
        YARD(a_large_batch_passes),
        YARD(only_the_records_that_crash_get_an_error),
        YARD(small_batches_that_waited_are_worked_on_at_once),
        YARD(batches_with_many_bytes_do_not_wait_with_the_child),
        YARD(what_kills_is_found_among_batches_that_were_worked_on_at_once),
        YARD(who_was_worked_on_with_a_record_that_hangs_keeps_its_time),
        YARD(a_stage_that_says_it_waits_is_not_taken_for_hanging),
        YARD(a_stage_that_waits_ends_with_its_parent_s_wish),
        YARD(only_the_record_that_hangs_gets_an_error),
        YARD(a_poisoned_batch_of_one_is_found_too),
        YARD(one_death_from_outside_blames_nobody),
        YARD(time_in_which_both_were_stopped_is_not_the_record_s),
        YARD(the_other_batch_is_given_again),
        YARD(records_with_an_error_are_not_given),
        YARD(a_verdict_comes_back),
        YARD(what_the_stage_says_reaches_the_parent),
        YARD(a_reload_reaches_the_child_and_those_after_it),
        YARD(a_stage_that_cannot_open_at_first_says_why),
        YARD(a_stage_that_cannot_open_again_is_not_ready_until_it_can),
        YARD(a_child_without_work_that_dies_is_replaced),
        YARD(an_orphan_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
