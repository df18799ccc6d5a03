/* What a command's client does when ingest does not: it can be interrupted, and it gives up. */
#include "services/leat/sender.h"
#include "services/runtime/clock.h"
#include "tests/unit/fake_ingest.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

struct fixture {
    struct fake *fake;
    struct sender *sender;
    struct sender_options options;
    struct leat_error err;
    uint64_t put;
};

static void on_reject(void *arg, const struct leat_reject *reject)
{
    (void)arg;
    fail_msg("record %llu: %s", (unsigned long long)reject->record, reject->reason);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->fake = fake_new();
    f->options = (struct sender_options){
        .to = f->fake->endpoint, .until = LEAT_UNTIL_COMMITTED, .on_reject = on_reject};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sender_close(&f->sender);
    fake_destroy(f->fake);
    free(f);
    return 0;
}

static void must(struct fixture *f, bool good)
{
    if (!good)
        fail_msg("%s", f->err.text);
}

static void start(struct fixture *f)
{
    fake_start(f->fake);
    f->sender = sender_open(&f->options, &f->err);
    must(f, f->sender != NULL);
}

/* Two of these do not fit into one send. */
static enum sender_put put_large(struct fixture *f)
{
    static const char padding[40000];
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer pack;
    leat_pack_init(&pack, &buffer);
    leat_pack_map(&pack, 2);
    leat_pack_cstr(&pack, "n");
    msgpack_pack_uint64(&pack, f->put++);
    leat_pack_cstr(&pack, "pad");
    leat_pack_bin(&pack, (struct leat_span){(const uint8_t *)padding, sizeof padding});
    enum sender_put result =
        sender_put(f->sender, "text", (struct leat_span){0},
                   (struct leat_span){(const uint8_t *)buffer.data, buffer.size}, &f->err);
    msgpack_sbuffer_destroy(&buffer);
    return result;
}

static void put_until_it_ends(struct fixture *f)
{
    enum sender_put result;
    while ((result = put_large(f)) == SENDER_TAKEN)
        assert_true(f->put < 1000);
    assert_int_equal(result, SENDER_ENDED);
}

static void no_room_for_long_is_given_up(void **state)
{
    struct fixture *f = *state;
    f->options.timeout = 0.3;
    start(f);
    fake_stop(f->fake);
    put_until_it_ends(f);
    assert_int_equal(sender_end(f->sender), SENDER_STUCK);
    assert_non_null(strstr(f->err.text, "0.3 s"));
}

static void waiting_for_room_is_interrupted(void **state)
{
    struct fixture *f = *state;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
    struct itimerspec once = {.it_value.tv_nsec = 200 * 1000 * 1000};
    timer_t timer;
    start(f);
    fake_stop(f->fake);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &once, NULL), 0);
    put_until_it_ends(f);
    timer_delete(timer);
    assert_int_equal(sender_end(f->sender), SENDER_INTERRUPTED);
}

static void few_records_in_much_time_are_no_reason_to_be_deaf(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(put_large(f), SENDER_TAKEN);
    raise(SIGINT);
    for (int64_t begun = leat_monotonic_us(); leat_monotonic_us() - begun < 10000;)
        ;
    assert_int_equal(put_large(f), SENDER_ENDED);
    assert_int_equal(sender_end(f->sender), SENDER_INTERRUPTED);
}

static void put_and_settle(struct fixture *f, uint64_t n)
{
    for (uint64_t end = f->put + n; f->put < end;)
        assert_int_equal(put_large(f), SENDER_TAKEN);
    must(f, sender_settle(f->sender, &f->err));
}

/* Sends that an older journal stores again make up, in number, for those that it lacks. */
static void what_is_stored_again_does_not_hide_what_is_missing(void **state)
{
    struct fixture *f = *state;
    start(f);
    put_and_settle(f, 50);
    while (sender_progress(f->sender).committed < 50)
        must(f, sender_turn(f->sender, &f->err));
    fake_stop(f->fake);
    f->fake->slow = UINT64_MAX; /* nothing is done */
    fake_start(f->fake);
    put_and_settle(f, 10);
    fake_stop(f->fake);
    f->fake->slow = 0;
    f->fake->restart_seq = 61;
    f->fake->restart_lost = 20;
    f->fake->restart_undone = 30;
    fake_start(f->fake);
    put_and_settle(f, 10);
    put_and_settle(f, 1); /* with its answer comes what is done of those before */
    assert_false(sender_finish(f->sender, &f->err));
    assert_non_null(strstr(f->err.text, "older journal: 10 sends"));
    assert_true(sender_rolled_back(f->sender));
    struct leat_progress now = sender_progress(f->sender);
    assert_int_equal(now.accepted, 71);
    assert_int_equal(now.committed, 61);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(no_room_for_long_is_given_up),
        TEST(waiting_for_room_is_interrupted),
        TEST(few_records_in_much_time_are_no_reason_to_be_deaf),
        TEST(what_is_stored_again_does_not_hide_what_is_missing),
    };
    return cmocka_run_group_tests_name("sender", tests, NULL, NULL);
}
