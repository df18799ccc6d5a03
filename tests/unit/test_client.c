#include "proto/leat.h"
#include "proto/link.h"
#include "tests/unit/bytes.h"
#include "tests/unit/fake_ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* One client of one fake ingest, and what the client was told. */
struct fixture {
    struct fake *fake;
    struct leat_client *client;
    struct leat_options options;
    struct leat_error err;
    uint64_t sent;
    uint8_t rejected[FAKE_RECORDS]; /* how often */
    size_t n_rejected;
    char events[4096];
};

static void on_reject(void *arg, const struct leat_reject *reject)
{
    struct fixture *f = arg;
    char reason[64];
    snprintf(reason, sizeof reason, "number %llu", (unsigned long long)reject->record);
    assert_true(reject->record < FAKE_RECORDS);
    assert_string_equal(reject->code, "unwanted");
    assert_string_equal(reject->reason, reason); /* so the number is the right one */
    f->rejected[reject->record]++;
    f->n_rejected++;
}

static void on_event(void *arg, const char *event)
{
    struct fixture *f = arg;
    size_t used = strlen(f->events);
    snprintf(f->events + used, sizeof f->events - used, "%s ", event);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->fake = fake_new();
    f->options = (struct leat_options){.endpoints = f->fake->endpoint,
                                       .batch_bytes = 1000,
                                       .on_reject = on_reject,
                                       .on_event = on_event,
                                       .arg = f};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    leat_disconnect(&f->client);
    fake_destroy(f->fake);
    free(f);
    return 0;
}

static void must(struct fixture *f, bool good)
{
    if (!good)
        fail_msg("%s (events: %s)", f->err.text, f->events);
}

static void start(struct fixture *f)
{
    fake_start(f->fake);
    f->client = leat_connect(&f->options, &f->err);
    must(f, f->client != NULL);
}

/* A record {"n": number, "pad": …} into `to`, which has room; its size. */
static size_t pack_record(char *to, uint64_t number, size_t pad)
{
    static const char padding[2000];
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer pack;
    leat_pack_init(&pack, &buffer);
    leat_pack_map(&pack, 2);
    leat_pack_cstr(&pack, "n");
    msgpack_pack_uint64(&pack, number);
    leat_pack_cstr(&pack, "pad");
    leat_pack_bin(&pack, bytes_span(padding, pad));
    size_t size = buffer.size;
    memcpy(to, buffer.data, size);
    msgpack_sbuffer_destroy(&buffer);
    return size;
}

static bool send_record(struct fixture *f, const char *kind, uint64_t number, size_t pad)
{
    char record[2100];
    size_t size = pack_record(record, number, pad);
    return leat_send(f->client, kind, &number, sizeof number, record, size, &f->err);
}

static enum leat_try try_record(struct fixture *f, uint64_t number, size_t pad)
{
    char record[2100];
    size_t size = pack_record(record, number, pad);
    return leat_try_send(f->client, "text", &number, sizeof number, record, size, &f->err);
}

/* Sends `n` records, some 20 to a send. */
static void send_records(struct fixture *f, uint64_t n)
{
    for (uint64_t end = f->sent + n; f->sent < end; f->sent++)
        must(f, send_record(f, "text", f->sent, 35));
}

static void flush(struct fixture *f, enum leat_until until)
{
    must(f, leat_flush(f->client, until, 20000, &f->err));
}

/* Everything that was sent is there once, in order, or was rejected once; and counted so. */
static void assert_exact(struct fixture *f)
{
    size_t at = 0;
    uint64_t each = f->fake->reject_each;
    struct leat_progress p;
    assert_false(f->fake->bad);
    for (uint64_t n = 0; n < f->sent; n++) {
        bool rejected = each && n % each == 3;
        assert_int_equal(f->rejected[n], rejected);
        if (!rejected) {
            assert_true(at < f->fake->n_records);
            assert_int_equal(f->fake->records[at++], n);
        }
    }
    assert_int_equal(at, f->fake->n_records);
    leat_progress(f->client, &p);
    assert_int_equal(p.sent, f->sent);
    assert_int_equal(p.accepted, at);
    assert_int_equal(p.rejected, f->n_rejected);
}

static void assert_event(struct fixture *f, const char *event)
{
    if (!strstr(f->events, event))
        fail_msg("no event %s: %s", event, f->events);
}

/* Sends `n` records through whatever the fake does, and checks. */
static void send_and_check(struct fixture *f, uint64_t n)
{
    start(f);
    send_records(f, n);
    flush(f, LEAT_UNTIL_COMMITTED);
    fake_stop(f->fake);
    assert_exact(f);
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_int_equal(p.committed + p.dead, p.accepted);
}

/* --- when all is well ------------------------------------------------------------------------ */

static void everything_arrives_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    f->fake->reject_each = 10;
    f->fake->dead_each = 100;
    f->fake->hold_back = 8;
    send_and_check(f, 10000);
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_int_equal(p.dead, 100);
    assert_int_equal(p.resent, 0);
    assert_int_equal(f->n_rejected, 1000);
    assert_int_equal(f->fake->hellos, 1);
    assert_string_equal(f->events, "");
}

static void sends_are_filled_but_not_overfilled(void **state)
{
    struct fixture *f = *state;
    send_and_check(f, 5000);
    assert_true(f->fake->frame_most <= 1000 + 128);
    assert_true(f->fake->frame_most > 900);
    assert_in_range(f->fake->sends, 5000 / 22, 5000 / 15);
}

static void a_record_alone_goes_out_after_a_moment(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_records(f, 1);
    struct leat_progress p = {0};
    for (int tries = 0; p.accepted < 1 && tries < 1000; tries++) {
        must(f, leat_poll(f->client, 5, &f->err));
        leat_progress(f->client, &p);
    }
    assert_int_equal(p.accepted, 1);
    fake_stop(f->fake);
}

static void credit_is_never_exceeded_and_is_used(void **state)
{
    struct fixture *f = *state;
    f->fake->limits.send_bytes = 3000;
    f->fake->credit = 10000;
    f->fake->hold_back = 1000; /* answers only when nothing more comes */
    send_and_check(f, 3000);
    assert_true(f->fake->out_bytes_most <= 10000);
    assert_true(f->fake->out_bytes_most > 7000);
}

static void credit_below_a_send_lets_one_send_pass(void **state)
{
    struct fixture *f = *state;
    f->fake->credit = 1;
    f->fake->hold_back = 1000;
    f->fake->limits.send_bytes = 1000;
    send_and_check(f, 200);
    assert_int_equal(f->fake->out_most, 1);
}

static void no_more_sends_are_unanswered_than_allowed(void **state)
{
    struct fixture *f = *state;
    f->fake->limits.unanswered = 5;
    f->fake->hold_back = 1000;
    send_and_check(f, 2000);
    assert_int_equal(f->fake->out_most, 5);
}

static void what_has_no_room_is_said_instead_of_waited_for(void **state)
{
    struct fixture *f = *state;
    f->fake->limits.unanswered = 2;
    start(f);
    fake_stop(f->fake);
    enum leat_try tried;
    while ((tried = try_record(f, f->sent, 300)) == LEAT_TRY_TAKEN)
        assert_true(++f->sent < 100);
    assert_int_equal(tried, LEAT_TRY_FULL);
    must(f, leat_poll(f->client, 0, &f->err));
    assert_int_equal(try_record(f, f->sent, 300), LEAT_TRY_FULL);
    fake_start(f->fake);
    while ((tried = try_record(f, f->sent, 300)) == LEAT_TRY_FULL)
        must(f, leat_poll(f->client, 10, &f->err));
    assert_int_equal(tried, LEAT_TRY_TAKEN);
    f->sent++;
    assert_int_equal(leat_try_send(f->client, "text", "", 0, "\x81", 1, &f->err), LEAT_TRY_REFUSED);
    flush(f, LEAT_UNTIL_COMMITTED);
    fake_stop(f->fake);
    assert_exact(f);
}

static void a_send_has_no_more_records_than_allowed(void **state)
{
    struct fixture *f = *state;
    f->fake->limits.send_records = 7;
    send_and_check(f, 700);
    assert_int_equal(f->fake->sends, 100);
}

static void kinds_go_in_sends_of_their_own(void **state)
{
    struct fixture *f = *state;
    start(f);
    for (; f->sent < 90; f->sent++)
        must(f, send_record(f, f->sent / 10 % 2 ? "series" : "text", f->sent, 10));
    flush(f, LEAT_UNTIL_ACCEPTED);
    fake_stop(f->fake);
    assert_exact(f);
    assert_int_equal(f->fake->sends, 9);
}

static void flush_asks_when_nothing_is_told(void **state)
{
    struct fixture *f = *state;
    f->fake->pushes_done = false;
    f->fake->slow = 2;
    start(f);
    send_records(f, 100);
    flush(f, LEAT_UNTIL_ACCEPTED);
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_int_equal(p.accepted, 100);
    assert_int_equal(p.committed, 0);
    assert_false(leat_flush(f->client, LEAT_UNTIL_COMMITTED, 1, &f->err));
    assert_non_null(strstr(f->err.text, "committed in time"));
    flush(f, LEAT_UNTIL_COMMITTED);
    leat_progress(f->client, &p);
    assert_int_equal(p.committed, 100);
    fake_stop(f->fake);
    assert_int_equal(f->fake->asked, 2);
}

static void a_name_that_was_used_goes_on_from_what_is_held(void **state)
{
    struct fixture *f = *state;
    f->fake->held = 41;
    f->fake->taken_before = 1000;
    f->options.client = "sensor 7";
    send_and_check(f, 100);
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_int_equal(p.committed, 100);
    assert_true(f->fake->held > 41);
}

/* FNV-1a as published: "a" gives af63dc4c8601ec8c, which is even. */
static void a_key_goes_to_the_same_of_several(void **state)
{
    struct fixture *f = *state;
    struct fake *other = fake_new();
    char endpoints[200];
    snprintf(endpoints, sizeof endpoints, "%s, %s", f->fake->endpoint, other->endpoint);
    f->options.endpoints = endpoints;
    fake_start(other);
    start(f);
    static const struct {
        const char *key;
        int place;
    } keys[] = {{"a", 0}, {"", 1}, {"foobar", 0}, {"b", 1}};
    for (uint64_t n = 0; n < 400; n++) {
        uint8_t record[8] = {0x81, 0xa1, 'n', 0xcd, (uint8_t)(n >> 8), (uint8_t)n};
        const char *key = keys[n % 4].key;
        must(f, leat_send(f->client, "text", key, strlen(key), record, 6, &f->err));
    }
    flush(f, LEAT_UNTIL_COMMITTED);
    fake_stop(f->fake);
    fake_stop(other);
    assert_int_equal(f->fake->n_records, 200);
    assert_int_equal(other->n_records, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(keys[f->fake->records[i] % 4].place, 0);
        assert_int_equal(keys[other->records[i] % 4].place, 1);
    }
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_int_equal(p.committed, 400);
    leat_disconnect(&f->client);
    fake_destroy(other);
}

/* --- when something goes wrong ---------------------------------------------------------------- */

static void a_send_that_vanishes_is_sent_again(void **state)
{
    struct fixture *f = *state;
    f->fake->reject_each = 9;
    f->fake->hold_back = 10;
    f->fake->drop_seq = 150;
    send_and_check(f, 300 * 20);
    assert_event(f, "gap");
    /* Once, however many gaps were answered for those behind. */
    assert_true(f->fake->sends < f->fake->held + 2 * 64);
}

static void busy_is_waited_out(void **state)
{
    struct fixture *f = *state;
    f->fake->reject_each = 9;
    f->fake->busy_seq = 50;
    f->fake->busy_times = 3;
    send_and_check(f, 300 * 20);
    assert_event(f, "busy busy busy");
    assert_null(strstr(f->events, "gap"));
    assert_int_equal(f->fake->busy_times, 0);
    /* While it is busy, one send at a time asks. */
    assert_true(f->fake->sends <= f->fake->held + 64 + 3);
}

static void a_hello_that_comes_too_soon_is_said_again(void **state)
{
    struct fixture *f = *state;
    f->fake->busy_hellos = 3;
    f->options.connect_ms = 2500; /* sooner than silence would have it said again */
    send_and_check(f, 100);
    assert_int_equal(f->fake->hellos, 4);
}

static void kept_answers_come_again_after_a_restart(void **state)
{
    struct fixture *f = *state;
    f->fake->reject_each = 7;
    f->fake->hold_back = 20;
    f->fake->restart_seq = 139; /* 18 answers wait, and are lost */
    send_and_check(f, 300 * 20);
    assert_event(f, "disconnected");
    assert_event(f, "reconnected");
    assert_true(f->fake->repeats > 0);
    assert_true(f->fake->hellos >= 2); /* more, when a busy machine is silent for long */
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_true(p.resent > 0);
}

static void forgotten_answers_count_as_taken(void **state)
{
    struct fixture *f = *state;
    f->fake->hold_back = 20;
    f->fake->restart_seq = 139;
    f->fake->restart_forgets = true;
    send_and_check(f, 300 * 20);
    assert_event(f, "forgotten");
}

static void an_older_journal_is_told_and_the_rest_goes_on(void **state)
{
    struct fixture *f = *state;
    f->fake->pushes_done = false;
    f->fake->slow = UINT64_MAX;
    start(f);
    send_records(f, 100 * 20);
    flush(f, LEAT_UNTIL_ACCEPTED);
    fake_stop(f->fake);
    f->fake->restart_seq = f->fake->held + 1;
    f->fake->restart_lost = 10;
    fake_start(f->fake);
    send_records(f, 100 * 20);
    flush(f, LEAT_UNTIL_ACCEPTED);
    assert_event(f, "journal_lost");
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_int_equal(p.accepted, f->sent);
    fake_stop(f->fake);
    f->fake->slow = 0;
    fake_start(f->fake);
    assert_false(leat_flush(f->client, LEAT_UNTIL_COMMITTED, 20000, &f->err));
    assert_non_null(strstr(f->err.text, "older journal: 10 sends"));
    fake_stop(f->fake);
    /* What was not answered is there, from the first that was not to the last. */
    assert_int_equal(f->fake->records[f->fake->n_records - 1], f->sent - 1);
    size_t holes = 0;
    for (size_t i = 1; i < f->fake->n_records; i++) {
        assert_true(f->fake->records[i] > f->fake->records[i - 1]);
        holes += f->fake->records[i] != f->fake->records[i - 1] + 1;
    }
    assert_int_equal(holes, 1);
}

static void what_an_older_journal_stores_again_counts_once(void **state)
{
    struct fixture *f = *state;
    struct leat_progress p;
    start(f);
    send_records(f, 100 * 20);
    flush(f, LEAT_UNTIL_COMMITTED);
    leat_progress(f->client, &p);
    assert_int_equal(p.committed, f->sent);
    fake_stop(f->fake);
    f->fake->restart_seq = f->fake->held + 1;
    f->fake->restart_lost = 10;
    f->fake->restart_undone = 30;
    fake_start(f->fake);
    send_records(f, 20 * 20);
    flush(f, LEAT_UNTIL_COMMITTED); /* done before the journal went: nothing is missing */
    assert_event(f, "journal_lost");
    leat_progress(f->client, &p);
    assert_int_equal(p.accepted, f->sent);
    assert_int_equal(p.committed, f->sent);
    fake_stop(f->fake);
}

static void what_is_missing_in_an_older_journal_is_never_counted(void **state)
{
    struct fixture *f = *state;
    struct leat_progress p;
    start(f);
    send_records(f, 100 * 20);
    flush(f, LEAT_UNTIL_COMMITTED);
    uint64_t stored = f->sent, first = f->fake->held;
    fake_stop(f->fake);
    f->fake->slow = UINT64_MAX; /* nothing is done */
    fake_start(f->fake);
    send_records(f, 20 * 20);
    flush(f, LEAT_UNTIL_ACCEPTED);
    uint64_t missing = f->sent - stored;
    fake_stop(f->fake);
    f->fake->slow = 0;
    f->fake->restart_lost = f->fake->held - first + 10;
    f->fake->restart_seq = f->fake->held + 1;
    f->fake->restart_undone = 60;
    fake_start(f->fake);
    send_records(f, 100 * 20);
    assert_false(leat_flush(f->client, LEAT_UNTIL_COMMITTED, 20000, &f->err));
    assert_non_null(strstr(f->err.text, "older journal"));
    leat_progress(f->client, &p);
    assert_int_equal(p.accepted, f->sent);
    assert_int_equal(p.committed, f->sent - missing);
    fake_stop(f->fake);
}

static void a_session_that_ingest_forgot_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    f->fake->reject_each = 7;
    f->fake->hello_seq = 77;
    send_and_check(f, 150 * 20);
    assert_int_equal(f->fake->hellos, 2);
}

static void silence_is_broken_by_hello(void **state)
{
    struct fixture *f = *state;
    f->fake->reject_each = 7;
    f->fake->silent_seq = 30;
    send_and_check(f, 60 * 20);
    assert_event(f, "silent");
    assert_int_equal(f->fake->hellos, 2);
}

static void a_second_client_of_the_name_fences_the_first(void **state)
{
    struct fixture *f = *state;
    f->options.client = "twin";
    start(f);
    send_records(f, 100);
    flush(f, LEAT_UNTIL_ACCEPTED);
    struct leat_error err;
    struct leat_client *twin = leat_connect(&f->options, &err);
    assert_non_null(twin);
    must(f, send_record(f, "text", 100, 10));
    assert_false(leat_flush(f->client, LEAT_UNTIL_ACCEPTED, 10000, &f->err));
    assert_non_null(strstr(f->err.text, "fenced"));
    assert_false(send_record(f, "text", 101, 10)); /* for good */
    assert_false(leat_poll(f->client, 0, &f->err));
    assert_non_null(strstr(f->err.text, "fenced"));
    leat_disconnect(&twin);
    fake_stop(f->fake);
    assert_int_equal(f->fake->n_records, 100);
}

/* Its predecessor had the name. Nobody can tell that it has not been in before, so it begins as
 * another instance. */
static void a_first_hello_said_again_is_fenced_and_said_anew(void **state)
{
    struct fixture *f = *state;
    f->fake->owner = 77;
    f->fake->deaf_hellos = 1;
    f->fake->fences = 2; /* as if it had been said three times before any answer came */
    send_and_check(f, 100);
    assert_event(f, "silent");
    assert_int_equal(f->fake->hellos, 3);
    assert_int_not_equal(f->fake->owner, 77);
}

/* A hello of its own, from a connection that is gone, was read late and ended its session. */
static void a_client_fenced_by_itself_goes_on(void **state)
{
    struct fixture *f = *state;
    f->fake->fence_seq = 3;
    send_and_check(f, 200);
    assert_int_equal(f->fake->hellos, 2);
}

/* The first one was only slow to be answered, and another client came in between. */
static void a_first_hello_said_again_does_not_take_the_name_back(void **state)
{
    struct fixture *f = *state;
    f->fake->owner = 77;
    f->fake->deaf_hellos = 1;
    f->fake->was_in = true;
    f->options.client = "twin";
    fake_start(f->fake);
    f->client = leat_connect(&f->options, &f->err);
    if (f->client) {
        send_record(f, "text", 0, 35);
        assert_false(leat_flush(f->client, LEAT_UNTIL_ACCEPTED, 10000, &f->err));
    }
    assert_non_null(strstr(f->err.text, "fenced"));
    fake_stop(f->fake);
    assert_int_equal(f->fake->hellos, 2);
}

static void sends_of_another_of_the_name_are_noticed(void **state)
{
    struct fixture *f = *state;
    f->fake->restart_seq = 5;
    f->fake->restart_gain = 2000;
    f->options.client = "twin";
    start(f);
    for (uint64_t n = 0; n < 100; n++)
        if (!send_record(f, "text", n, 35))
            break;
    assert_false(leat_flush(f->client, LEAT_UNTIL_ACCEPTED, 10000, &f->err));
    assert_non_null(strstr(f->err.text, "another client"));
    fake_stop(f->fake);
}

static void an_answer_without_meaning_is_a_clear_failure(void **state)
{
    struct fixture *f = *state;
    f->fake->garbage_seq = 3;
    start(f);
    for (uint64_t n = 0; n < 200; n++)
        if (!send_record(f, "text", n, 35))
            break;
    assert_false(leat_flush(f->client, LEAT_UNTIL_ACCEPTED, 10000, &f->err));
    assert_non_null(strstr(f->err.text, "cannot be read"));
    fake_stop(f->fake);
}

/* --- what cannot be sent -----------------------------------------------------------------------
 */

static void a_record_too_large_is_refused_and_others_pass(void **state)
{
    struct fixture *f = *state;
    f->fake->limits.send_bytes = 1500;
    start(f);
    send_records(f, 10);
    assert_false(send_record(f, "text", 99, 1900));
    assert_non_null(strstr(f->err.text, "larger than a send"));
    send_records(f, 10);
    flush(f, LEAT_UNTIL_ACCEPTED);
    fake_stop(f->fake);
    assert_exact(f);
}

static void what_is_no_record_is_refused_and_others_pass(void **state)
{
    struct fixture *f = *state;
    uint8_t deep[64];
    start(f);
    send_records(f, 10);
    memset(deep, 0x91, sizeof deep);
    deep[LEAT_MAX_RECORD_DEPTH] = 0x05;
    assert_true(leat_send(f->client, "text", "", 0, deep, LEAT_MAX_RECORD_DEPTH + 1, &f->err));
    assert_false(leat_send(f->client, "text", "", 0, deep, sizeof deep, &f->err));
    deep[LEAT_MAX_RECORD_DEPTH] = 0x90;
    assert_false(leat_send(f->client, "text", "", 0, deep, LEAT_MAX_RECORD_DEPTH + 1, &f->err));
    assert_non_null(strstr(f->err.text, "deeper than 15"));
    assert_false(leat_send(f->client, "text", "", 0, "", 0, &f->err));
    assert_false(leat_send(f->client, "text", "", 0, "\x81", 1, &f->err));
    assert_false(leat_send(f->client, "text", "", 0, "\x80\x80", 2, &f->err));
    must(f, leat_poll(f->client, 0, &f->err));
    flush(f, LEAT_UNTIL_ACCEPTED);
    struct leat_progress p;
    leat_progress(f->client, &p);
    assert_int_equal(p.sent, 11);
    assert_int_equal(p.accepted, 11);
    fake_stop(f->fake);
}

static void an_unknown_kind_is_refused_and_others_pass(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_records(f, 10);
    assert_false(send_record(f, "sounds", 99, 10));
    assert_non_null(strstr(f->err.text, "\"sounds\""));
    assert_false(send_record(f, "a name of a kind that is longer than any may be", 99, 10));
    send_records(f, 10);
    flush(f, LEAT_UNTIL_ACCEPTED);
    fake_stop(f->fake);
    assert_exact(f);
}

/* --- connecting --------------------------------------------------------------------------------
 */

static void refuse_to_connect(struct fixture *f, const char *reason)
{
    f->client = leat_connect(&f->options, &f->err);
    assert_null(f->client);
    if (!strstr(f->err.text, reason))
        fail_msg("\"%s\" does not tell of %s", f->err.text, reason);
}

static void another_version_is_refused(void **state)
{
    struct fixture *f = *state;
    f->fake->version = 2;
    fake_start(f->fake);
    refuse_to_connect(f, "version");
    fake_stop(f->fake);
}

static void an_error_at_hello_is_told(void **state)
{
    struct fixture *f = *state;
    f->fake->refuses = "version";
    fake_start(f->fake);
    refuse_to_connect(f, "refuses: go away (version)");
    fake_stop(f->fake);
}

static void what_cannot_be_connected_is_told(void **state)
{
    struct fixture *f = *state;
    f->options.connect_ms = 300;
    f->options.endpoints = "tcp://127.0.0.1:1";
    refuse_to_connect(f, "cannot be reached");
    f->options.endpoints = "nonsense";
    refuse_to_connect(f, "nonsense is no address to connect to: expected tcp://HOST:PORT");
    f->options.endpoints = "localhost:5550";
    refuse_to_connect(f, "expected tcp://HOST:PORT");
    f->options.endpoints = "tcp://localhost";
    refuse_to_connect(f, "tcp://localhost is no address to connect to");
    f->options.endpoints = "tcp://:5550";
    refuse_to_connect(f, "tcp://:5550 is no address");
    f->options.endpoints = "tcp://127.0.0.1:1 ,\ttcp://127.0.0.1:65537";
    refuse_to_connect(f, "tcp://127.0.0.1:65537 is no address to connect to: expected "
                         "tcp://HOST:PORT, with a port from 1 to 65535");
    f->options.endpoints = NULL;
    refuse_to_connect(f, "no endpoint");
    f->options.endpoints = "";
    refuse_to_connect(f, "no endpoint");
    f->options.endpoints = "tcp://127.0.0.1:1,tcp://127.0.0.1:1";
    refuse_to_connect(f, "twice");
    f->options.endpoints = f->fake->endpoint;
    f->options.client = "";
    refuse_to_connect(f, "1 to 128 bytes");
    f->options.client = "\xff";
    refuse_to_connect(f, "UTF-8");
    f->options.client = NULL;
    refuse_to_connect(f, "not answered"); /* the fake is bound, and does not run */

    void *pull = zmq_socket(f->fake->zmq, ZMQ_PULL);
    char endpoint[64];
    size_t size = sizeof endpoint;
    zmq_bind(pull, "tcp://127.0.0.1:*");
    zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, endpoint, &size);
    f->options.endpoints = endpoint;
    refuse_to_connect(f, "something is there");
    zmq_close(pull);
}

/* Events of a connection that comes and goes while the program does something else. */
static void what_happens_to_an_idle_link_waits_without_a_bound(void **state)
{
    struct fixture *f = *state;
    struct link *link = link_open(f->fake->zmq, f->fake->endpoint, 0, NULL, &f->err);
    must(f, link != NULL);
    zmq_pollitem_t items[LINK_POLL_ITEMS];
    int bound = -1;
    size_t size = sizeof bound;
    link_poll_items(link, false, items);
    int rc = zmq_getsockopt(items[1].socket, ZMQ_RCVHWM, &bound, &size);
    link_close(&link);
    assert_int_equal(rc, 0);
    assert_int_equal(bound, 0);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(everything_arrives_once_and_in_order),
        WITH_FIXTURE(sends_are_filled_but_not_overfilled),
        WITH_FIXTURE(a_record_alone_goes_out_after_a_moment),
        WITH_FIXTURE(credit_is_never_exceeded_and_is_used),
        WITH_FIXTURE(credit_below_a_send_lets_one_send_pass),
        WITH_FIXTURE(no_more_sends_are_unanswered_than_allowed),
        WITH_FIXTURE(what_has_no_room_is_said_instead_of_waited_for),
        WITH_FIXTURE(a_send_has_no_more_records_than_allowed),
        WITH_FIXTURE(kinds_go_in_sends_of_their_own),
        WITH_FIXTURE(flush_asks_when_nothing_is_told),
        WITH_FIXTURE(a_name_that_was_used_goes_on_from_what_is_held),
        WITH_FIXTURE(a_key_goes_to_the_same_of_several),
        WITH_FIXTURE(a_send_that_vanishes_is_sent_again),
        WITH_FIXTURE(busy_is_waited_out),
        WITH_FIXTURE(a_hello_that_comes_too_soon_is_said_again),
        WITH_FIXTURE(kept_answers_come_again_after_a_restart),
        WITH_FIXTURE(forgotten_answers_count_as_taken),
        WITH_FIXTURE(an_older_journal_is_told_and_the_rest_goes_on),
        WITH_FIXTURE(what_an_older_journal_stores_again_counts_once),
        WITH_FIXTURE(what_is_missing_in_an_older_journal_is_never_counted),
        WITH_FIXTURE(a_session_that_ingest_forgot_is_begun_anew),
        WITH_FIXTURE(silence_is_broken_by_hello),
        WITH_FIXTURE(a_second_client_of_the_name_fences_the_first),
        WITH_FIXTURE(a_client_fenced_by_itself_goes_on),
        WITH_FIXTURE(a_first_hello_said_again_is_fenced_and_said_anew),
        WITH_FIXTURE(a_first_hello_said_again_does_not_take_the_name_back),
        WITH_FIXTURE(sends_of_another_of_the_name_are_noticed),
        WITH_FIXTURE(an_answer_without_meaning_is_a_clear_failure),
        WITH_FIXTURE(a_record_too_large_is_refused_and_others_pass),
        WITH_FIXTURE(what_is_no_record_is_refused_and_others_pass),
        WITH_FIXTURE(an_unknown_kind_is_refused_and_others_pass),
        WITH_FIXTURE(another_version_is_refused),
        WITH_FIXTURE(an_error_at_hello_is_told),
        WITH_FIXTURE(what_cannot_be_connected_is_told),
        WITH_FIXTURE(what_happens_to_an_idle_link_waits_without_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
