/* The whole of ingest, with a real journal, against scripted clients, stages and acks. */
#include "tests/unit/ingest_pit.h"

#include "services/ingest/journal.h"
#include "services/runtime/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>
#include <zmq.h>

#include <cmocka.h>

static void expect_ack(struct pit_client *c, uint64_t seq, uint64_t accepted)
{
    const struct leat_message *m = pit_client_expect(c, LEAT_ACK);
    assert_int_equal(m->seq, seq);
    assert_int_equal(m->accepted, accepted);
}

static void expect_done(struct pit_client *c, uint64_t through, uint64_t committed, uint64_t dead)
{
    const struct leat_message *m = NULL;
    for (int i = 0; i < 1000; i++) {
        m = pit_client_expect(c, LEAT_DONE);
        if (m->through == through)
            break;
    }
    assert_int_equal(m->through, through);
    assert_int_equal(m->committed, committed);
    assert_int_equal(m->dead, dead);
}

/* After busy: sends again, with the pauses that ingest asks for. */
static void send_until_taken(struct pit_client *c, uint64_t seq, uint32_t count)
{
    int64_t deadline = leat_monotonic_us() + PIT_WAIT_MS * 1000;
    do {
        assert_true(leat_monotonic_us() < deadline);
        usleep((useconds_t)c->m.retry_ms * 1000);
        pit_client_send(c, seq, count);
        while (pit_client_receive(c, PIT_WAIT_MS) && c->m.type == LEAT_DONE)
            ;
    } while (c->m.type == LEAT_BUSY);
    assert_int_equal(c->m.type, LEAT_ACK);
    assert_int_equal(c->m.seq, seq);
    assert_int_equal(c->m.accepted, count);
}

static void ask_done(struct pit_client *c)
{
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_message_done_request(&frame, c->session);
    pit_client_put(c, frame.data, frame.size);
    msgpack_sbuffer_destroy(&frame);
}

static void expect_rejection(const struct leat_message *m, uint32_t n, uint64_t index,
                             const char *code)
{
    assert_true(n < m->rejected->via.array.size);
    const msgpack_object *r = &m->rejected->via.array.ptr[n];
    struct leat_span text;
    uint64_t at;
    assert_true(leat_wire_u64(r, "index", &at) && leat_wire_str(r, "code", &text));
    assert_int_equal(at, index);
    if (!leat_wire_is(text, code))
        fail_msg("record %llu: %.*s, not %s", (unsigned long long)index, (int)text.size,
                 (const char *)text.data, code);
    assert_true(leat_wire_str(r, "reason", &text) && text.size > 0);
}

/* --- the way of a send ------------------------------------------------------------------------ */

static void a_send_is_accepted_dispatched_and_done(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_open(&c, pit);
    pit_client_say_hello(&c, "miller");
    const struct leat_message *m = pit_client_expect(&c, LEAT_WELCOME);
    assert_int_equal(m->held, 0);
    assert_int_equal(m->through, 0);
    assert_true(m->credit >= m->limits.send_bytes);
    assert_int_equal(m->limits.send_records, 4096);
    size_t flows = 0;
    while (leat_flows[flows])
        flows++;
    assert_int_equal(m->kinds->via.array.size, flows);
    c.session = m->session;

    msgpack_sbuffer records;
    msgpack_sbuffer_init(&records);
    pit_text(&records, "a", "one");
    pit_text(&records, "b", "two");
    int64_t before = leat_now_us();
    pit_client_send_raw(&c, 1, "text", 2, &records);
    expect_ack(&c, 1, 2);

    struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
    assert_non_null(batch);
    assert_string_equal(batch->head.stage, "cache");
    assert_string_equal(batch->head.kind, "text");
    assert_int_equal(batch->head.attempt, 1);
    assert_int_equal(batch->head.count, 2);
    assert_true(batch->head.stamp >= before && batch->head.stamp <= leat_now_us());
    struct leat_span both[2] = {batch->items[0].record, batch->items[1].record};
    assert_int_equal(both[0].size + both[1].size, records.size);
    assert_memory_equal(both[0].data, records.data, both[0].size);
    assert_memory_equal(both[1].data, records.data + both[0].size, both[1].size);
    assert_int_equal(batch->items[0].error.size, 0);

    pit_ack(pit, &batch->head, 1, 1);
    expect_done(&c, 1, 1, 1);
    pit_metric(pit, "leat_ingest_journal_batches", "", 0);
    pit_metric(pit, "leat_ingest_records_accepted_total", "kind=\"text\"", 2);
    leat_batch_destroy(&batch);
    msgpack_sbuffer_destroy(&records);
    pit_client_close(&c);
}

static void pack_odd(msgpack_sbuffer *to, const char *id, const void *text, size_t size)
{
    msgpack_packer pack;
    leat_pack_init(&pack, to);
    leat_pack_map(&pack, 3);
    leat_pack_cstr(&pack, "unheard of");
    msgpack_pack_nil(&pack);
    leat_pack_cstr(&pack, "id");
    leat_pack_cstr(&pack, id);
    leat_pack_cstr(&pack, "text");
    leat_pack_str(&pack, (struct leat_span){text, size});
}

/* Six records, of which the first and the last are good. */
static void pack_mixture(msgpack_sbuffer *to)
{
    msgpack_packer pack;
    leat_pack_init(&pack, to);
    pack_odd(to, "good", "water", 5);
    msgpack_pack_int(&pack, 7);
    pack_odd(to, "bad", "\xff\xfe", 2);
    pack_odd(to, "nul", "a\0b", 3);
    pack_odd(to, "", "no id", 5);
    pit_text(to, "also good", "mill");
}

static void bad_records_are_told_by_index_and_nothing_else_is_lost(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    msgpack_sbuffer records;
    msgpack_sbuffer_init(&records);
    pack_mixture(&records);
    pit_client_send_raw(&c, 1, "text", 6, &records);
    const struct leat_message *m = pit_client_expect(&c, LEAT_ACK);
    assert_int_equal(m->accepted, 2);
    assert_int_equal(m->rejected->via.array.size, 4);
    expect_rejection(m, 0, 1, "record_not_map");
    expect_rejection(m, 1, 2, "not_utf8");
    expect_rejection(m, 2, 3, "nul");
    expect_rejection(m, 3, 4, "id_empty");
    assert_int_equal(pit_commit(pit, 2), 1);
    expect_done(&c, 1, 2, 0);
    pit_metric(pit, "leat_ingest_records_rejected_total", "kind=\"text\"", 4);
    msgpack_sbuffer_destroy(&records);
    pit_client_close(&c);
}

static void a_send_of_nothing_good_is_answered_and_uses_its_number(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    msgpack_sbuffer records;
    msgpack_sbuffer_init(&records);
    pit_text(&records, "", "");
    pit_client_send_raw(&c, 1, "text", 1, &records);
    expect_rejection(pit_client_expect(&c, LEAT_ACK), 0, 0, "id_empty");
    pit_client_send_raw(&c, 2, "flour", 1, &records);
    expect_rejection(pit_client_expect(&c, LEAT_ACK), 0, 0, "kind_unknown");
    pit_client_send_raw(&c, 3, "text", 0, &(msgpack_sbuffer){0});
    expect_ack(&c, 3, 0);
    pit_client_send(&c, 4, 1);
    expect_ack(&c, 4, 1);
    assert_int_equal(pit_commit(pit, 1), 1);
    expect_done(&c, 4, 1, 0);
    assert_null(pit_batch(pit, 50));
    pit_metric(pit, "leat_ingest_records_rejected_total", "kind=\"other\"", 1);
    msgpack_sbuffer_destroy(&records);
    pit_client_close(&c);
}

static void a_version_of_the_records_own_may_not_be_of_the_future(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "replay");
    msgpack_sbuffer records;
    msgpack_sbuffer_init(&records);
    msgpack_packer pack;
    leat_pack_init(&pack, &records);
    int64_t versions[] = {12345, leat_now_us(), leat_now_us() + 3600ll * 1000 * 1000};
    for (size_t i = 0; i < 3; i++) {
        leat_pack_map(&pack, 3);
        leat_pack_cstr(&pack, "id");
        leat_pack_cstr(&pack, "x");
        leat_pack_cstr(&pack, "text");
        leat_pack_cstr(&pack, "y");
        leat_pack_cstr(&pack, "version");
        msgpack_pack_int64(&pack, versions[i]);
    }
    pit_client_send_raw(&c, 1, "text", 3, &records);
    const struct leat_message *m = pit_client_expect(&c, LEAT_ACK);
    assert_int_equal(m->accepted, 2);
    expect_rejection(m, 0, 2, "version_future");
    msgpack_sbuffer_destroy(&records);
    pit_client_close(&c);
}

static void sends_in_one_pipe_are_answered_in_their_order(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    enum { SENDS = 500 };
    pit_set(pit, "ingest.unanswered", "1000");
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    for (uint64_t seq = 1; seq <= SENDS; seq++)
        pit_client_send(&c, seq, 3);
    for (uint64_t seq = 1; seq <= SENDS; seq++)
        expect_ack(&c, seq, 3);
    uint64_t last = 0;
    for (int i = 0; i < SENDS; i++) {
        struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
        assert_non_null(batch);
        assert_int_equal(batch->head.seq, ++last);
        assert_int_equal(batch->head.count, 3);
        pit_ack(pit, &batch->head, 3, 0);
        leat_batch_destroy(&batch);
    }
    expect_done(&c, SENDS, SENDS * 3, 0);
    /* One sync for many. */
    assert_true(pit_metric_now(pit, "leat_ingest_commits_total", "") < SENDS);
    pit_client_close(&c);
}

/* --- the order of sends ----------------------------------------------------------------------- */

static void a_repeated_send_gets_its_answer_again_after_a_restart_too(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    msgpack_sbuffer records;
    msgpack_sbuffer_init(&records);
    pack_mixture(&records);
    pit_client_send_raw(&c, 1, "text", 6, &records);
    pit_client_expect(&c, LEAT_ACK);
    size_t size = zmq_msg_size(&c.frame);
    char *first = malloc(size);
    memcpy(first, zmq_msg_data(&c.frame), size);
    pit_client_send(&c, 2, 1);
    expect_ack(&c, 2, 1);

    /* Another send under an old number: what it holds is not looked at. */
    pit_client_send(&c, 1, 5);
    pit_client_expect(&c, LEAT_ACK);
    assert_int_equal(zmq_msg_size(&c.frame), size);
    assert_memory_equal(zmq_msg_data(&c.frame), first, size);
    pit_client_close(&c);

    pit_stop(pit);
    pit_start(pit);
    pit_client_open(&c, pit);
    pit_client_say_hello(&c, "miller");
    const struct leat_message *m = pit_client_expect(&c, LEAT_WELCOME);
    assert_int_equal(m->held, 2);
    c.session = m->session;
    pit_client_send_raw(&c, 1, "text", 6, &records);
    pit_client_expect(&c, LEAT_ACK);
    assert_int_equal(zmq_msg_size(&c.frame), size);
    assert_memory_equal(zmq_msg_data(&c.frame), first, size);
    pit_metric(pit, "leat_ingest_journal_batches", "", 2);
    free(first);
    msgpack_sbuffer_destroy(&records);
    pit_client_close(&c);
}

static void an_answer_that_is_not_kept_any_more_is_said_to_be_forgotten(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_set(pit, "ingest.unanswered", "4");
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    for (uint64_t seq = 1; seq <= 10; seq++) {
        pit_client_send(&c, seq, 1);
        expect_ack(&c, seq, 1);
    }
    pit_client_send(&c, 7, 1);
    assert_false(pit_client_expect(&c, LEAT_ACK)->forgotten);
    pit_client_send(&c, 6, 1);
    assert_true(pit_client_expect(&c, LEAT_ACK)->forgotten);
    pit_client_close(&c);
}

static void a_send_after_a_missing_one_is_answered_gap(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 2, 1);
    assert_int_equal(pit_client_expect(&c, LEAT_GAP)->held, 0);
    pit_client_send(&c, 1, 1);
    expect_ack(&c, 1, 1);
    pit_client_send(&c, UINT64_MAX, 1);
    assert_int_equal(pit_client_expect(&c, LEAT_GAP)->held, 1);
    pit_client_send(&c, 2, 1);
    expect_ack(&c, 2, 1);
    pit_client_close(&c);
}

static void a_send_without_hello_is_asked_for_one(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_open(&c, pit);
    c.session = 77;
    pit_client_send(&c, 1, 1);
    assert_int_equal(pit_client_expect(&c, LEAT_HELLO)->client.size, 0);
    ask_done(&c);
    pit_client_expect(&c, LEAT_HELLO);
    pit_client_close(&c);
}

static void a_new_hello_fences_the_older_session(void **state)
{
    struct pit *pit = *state;
    struct pit_client old, fresh;
    pit_start(pit);
    pit_client_hello(&old, pit, "miller");
    pit_client_send(&old, 1, 1);
    expect_ack(&old, 1, 1);
    pit_client_hello(&fresh, pit, "miller");
    assert_true(fresh.session != old.session);
    assert_int_equal(fresh.m.held, 1);
    pit_client_send(&old, 2, 1);
    assert_int_equal(pit_client_expect(&old, LEAT_FENCED)->session, old.session);
    ask_done(&old);
    pit_client_expect(&old, LEAT_FENCED);
    pit_client_send(&fresh, 2, 1);
    expect_ack(&fresh, 2, 1);
    /* On one connection too: a frame of the session before is not this one's. */
    pit_client_say_hello(&fresh, "miller");
    uint64_t session = pit_client_expect(&fresh, LEAT_WELCOME)->session;
    pit_client_send(&fresh, 3, 1);
    pit_client_expect(&fresh, LEAT_FENCED);
    fresh.session = session;
    pit_client_send(&fresh, 3, 1);
    expect_ack(&fresh, 3, 1);
    pit_client_close(&old);
    pit_client_close(&fresh);
}

/* One that was stopped while another took its name. */
static void a_name_is_not_taken_back(void **state)
{
    struct pit *pit = *state;
    struct pit_client old, fresh;
    pit_start(pit);
    pit_client_open(&old, pit);
    pit_client_say_hello_as(&old, "miller", 1);
    old.session = pit_client_expect(&old, LEAT_WELCOME)->session;
    pit_client_say_hello_as(&old, "miller", 1); /* its own: as often as it likes */
    uint64_t session = pit_client_expect(&old, LEAT_WELCOME)->session;
    pit_client_say_hello_as(&old, "miller", 1); /* the last welcome was lost */
    assert_true(pit_client_expect(&old, LEAT_WELCOME)->session > session);
    old.session = old.m.session;
    pit_client_open(&fresh, pit);
    pit_client_say_hello_as(&fresh, "miller", 2);
    fresh.session = pit_client_expect(&fresh, LEAT_WELCOME)->session;
    pit_client_send(&fresh, 1, 1);
    expect_ack(&fresh, 1, 1);
    pit_client_say_hello_as(&old, "miller", 1);
    assert_int_equal(pit_client_expect(&old, LEAT_FENCED)->session, old.session);
    pit_client_send(&fresh, 2, 1); /* not disturbed */
    expect_ack(&fresh, 2, 1);
    session = old.session;
    pit_client_close(&old);
    pit_client_close(&fresh);
    pit_stop(pit);
    pit_start(pit);
    pit_client_open(&old, pit);
    old.session = session;
    pit_client_say_hello_as(&old, "miller", 1);
    assert_int_equal(pit_client_expect(&old, LEAT_FENCED)->session, session);
    pit_client_close(&old);
}

/* Its first hello was only slow to be answered; the name is another's before it is read again. */
static void a_first_hello_said_twice_takes_no_name_back(void **state)
{
    struct pit *pit = *state;
    struct pit_client late, other, anew;
    pit_start(pit);
    pit_client_open(&late, pit);
    pit_client_put_hello(&late, "miller", 7, false);
    pit_client_expect(&late, LEAT_WELCOME);
    pit_client_put_hello(&late, "miller", 7, true); /* nobody came in between */
    pit_client_expect(&late, LEAT_WELCOME);
    pit_client_open(&other, pit);
    pit_client_say_hello_as(&other, "miller", 8);
    other.session = pit_client_expect(&other, LEAT_WELCOME)->session;
    pit_client_send(&other, 1, 1);
    expect_ack(&other, 1, 1);
    pit_client_put_hello(&late, "miller", 7, true);
    assert_int_equal(pit_client_expect(&late, LEAT_FENCED)->session, 0);
    assert_int_equal(late.m.instance, 7);
    pit_client_send(&other, 2, 1); /* not disturbed */
    expect_ack(&other, 2, 1);
    /* Of another number it is a new client, which may have the name. */
    pit_client_open(&anew, pit);
    pit_client_put_hello(&anew, "miller", 9, false);
    assert_int_equal(pit_client_expect(&anew, LEAT_WELCOME)->held, 2);
    pit_client_say_hello_as(&other, "miller", 8);
    assert_int_equal(pit_client_expect(&other, LEAT_FENCED)->session, other.session);
    assert_int_equal(other.m.instance, 8);
    pit_client_close(&late);
    pit_client_close(&other);
    pit_client_close(&anew);
}

/* Who came in between has not come: that was not written. */
static void a_hello_that_could_not_be_written_takes_no_name(void **state)
{
    struct pit *pit = *state;
    struct pit_client old, fresh;
    pit_start(pit);
    pit_client_open(&old, pit);
    pit_client_say_hello_as(&old, "miller", 1);
    old.session = pit_client_expect(&old, LEAT_WELCOME)->session;
    pit_limit_files(pit, 0);
    /* Both on one connection, so that they come in this order, and in one transaction. */
    pit_client_open(&fresh, pit);
    pit_client_say_hello_as(&fresh, "miller", 2);
    fresh.session = old.session;
    pit_client_say_hello_as(&fresh, "miller", 1);
    pit_client_expect(&fresh, LEAT_BUSY);
    pit_client_expect(&fresh, LEAT_BUSY);
    pit_unlimit_files(pit);
    do {
        pit_client_say_hello_as(&old, "miller", 1);
        assert_true(pit_client_receive(&old, PIT_WAIT_MS));
    } while (old.m.type == LEAT_BUSY);
    assert_int_equal(old.m.type, LEAT_WELCOME);
    pit_client_close(&old);
    pit_client_close(&fresh);
}

static void two_clients_do_not_touch_each_other(void **state)
{
    struct pit *pit = *state;
    struct pit_client a, b;
    pit_start(pit);
    pit_client_hello(&a, pit, "a");
    pit_client_hello(&b, pit, "b");
    for (uint64_t seq = 1; seq <= 20; seq++) {
        pit_client_send(&a, seq, 2);
        pit_client_send(&b, seq, 3);
    }
    for (uint64_t seq = 1; seq <= 20; seq++) {
        expect_ack(&a, seq, 2);
        expect_ack(&b, seq, 3);
    }
    pit_commit(pit, 100);
    expect_done(&a, 20, 40, 0);
    expect_done(&b, 20, 60, 0);
    pit_client_close(&a);
    pit_client_close(&b);
}

static void more_clients_than_there_is_room_for_say_hello_again(void **state)
{
    struct pit *pit = *state;
    struct pit_client first, others[20];
    pit_set(pit, "ingest.clients", "16");
    pit_start(pit);
    pit_client_hello(&first, pit, "first");
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "other-%d", i);
        pit_client_hello(&others[i], pit, name);
    }
    pit_client_send(&first, 1, 1);
    pit_client_expect(&first, LEAT_HELLO);
    pit_client_say_hello(&first, "first");
    first.session = pit_client_expect(&first, LEAT_WELCOME)->session;
    pit_client_send(&first, 1, 1);
    expect_ack(&first, 1, 1);
    for (int i = 0; i < 20; i++)
        pit_client_close(&others[i]);
    pit_client_close(&first);
}

/* --- done ------------------------------------------------------------------------------------- */

static void done_is_cumulative_and_told_on_request(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    struct leat_batch *batches[3];
    for (uint64_t i = 0; i < 3; i++) {
        pit_client_send(&c, i + 1, 10);
        expect_ack(&c, i + 1, 10);
        batches[i] = pit_batch(pit, PIT_WAIT_MS);
        assert_non_null(batches[i]);
    }
    ask_done(&c);
    expect_done(&c, 0, 0, 0);
    /* The second comes back first: counted, but nothing is through yet. */
    pit_ack(pit, &batches[1]->head, 9, 1);
    pit_metric(pit, "leat_ingest_journal_batches", "", 2);
    ask_done(&c);
    expect_done(&c, 0, 9, 1);
    pit_ack(pit, &batches[0]->head, 10, 0);
    expect_done(&c, 2, 19, 1);
    pit_ack(pit, &batches[2]->head, 10, 0);
    expect_done(&c, 3, 29, 1);
    for (int i = 0; i < 3; i++)
        leat_batch_destroy(&batches[i]);
    pit_client_close(&c);

    pit_client_open(&c, pit);
    pit_client_say_hello(&c, "miller");
    const struct leat_message *m = pit_client_expect(&c, LEAT_WELCOME);
    assert_int_equal(m->through, 3);
    assert_int_equal(m->committed, 29);
    assert_int_equal(m->dead, 1);
    pit_client_close(&c);
}

/* --- sending again ---------------------------------------------------------------------------- */

static void a_restart_sends_exactly_what_was_not_acknowledged(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    struct leat_batch_head old[6];
    struct leat_span record = {0};
    for (uint64_t seq = 1; seq <= 6; seq++) {
        pit_client_send(&c, seq, 1);
        expect_ack(&c, seq, 1);
        struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
        old[seq - 1] = batch->head;
        if (seq == 5) {
            record.size = batch->items[0].record.size;
            record.data = memcpy(malloc(record.size), batch->items[0].record.data, record.size);
        }
        leat_batch_destroy(&batch);
    }
    pit_ack(pit, &old[0], 1, 0);
    pit_ack(pit, &old[3], 1, 0);
    pit_metric(pit, "leat_ingest_journal_batches", "", 4);
    pit_client_close(&c);
    pit_stop(pit);

    pit_start(pit);
    static const int left[] = {1, 2, 4, 5};
    for (int i = 0; i < 4; i++) {
        struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
        assert_non_null(batch);
        const struct leat_batch_head *was = &old[left[i]];
        assert_int_equal(batch->head.seq, was->seq);
        assert_int_equal(batch->head.stamp, was->stamp);
        assert_int_equal(batch->head.attempt, 1);
        assert_memory_equal(batch->head.origin, was->origin, LEAT_ID_SIZE);
        assert_memory_not_equal(batch->head.run, was->run, LEAT_ID_SIZE);
        if (left[i] == 4) {
            assert_int_equal(batch->items[0].record.size, record.size);
            assert_memory_equal(batch->items[0].record.data, record.data, record.size);
        }
        /* An ack of the run before is nobody's. */
        pit_ack(pit, was, 1, 0);
        leat_batch_destroy(&batch);
    }
    assert_null(pit_batch(pit, 200));
    assert_int_equal(pit_metric_now(pit, "leat_ingest_journal_batches", ""), 4);
    free((void *)record.data);
}

static void a_batch_that_was_lost_is_sent_again_once_later_ones_are_back(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    uint64_t lost = 0;
    for (uint64_t seq = 1; seq <= 5; seq++) {
        pit_client_send(&c, seq, 1);
        expect_ack(&c, seq, 1);
        struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
        if (seq == 2)
            lost = batch->head.seq;
        else
            pit_ack(pit, &batch->head, 1, 0);
        leat_batch_destroy(&batch);
    }
    struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
    assert_non_null(batch);
    assert_int_equal(batch->head.seq, lost);
    assert_int_equal(batch->head.attempt, 2);
    pit_ack(pit, &batch->head, 1, 0);
    pit_ack(pit, &batch->head, 1, 0);
    leat_batch_destroy(&batch);
    expect_done(&c, 5, 5, 0);
    pit_metric(pit, "leat_ingest_batches_resent_total", "kind=\"text\"", 1);
    pit_metric(pit, "leat_ingest_acks_late_total", "", 1);
    pit_client_close(&c);
}

static void a_stage_that_does_not_read_stops_nothing_but_dispatch(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    enum { SENDS = 300, AT_ONCE = 20 };
    char text[8000];
    memset(text, 'w', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    msgpack_sbuffer records;
    msgpack_sbuffer_init(&records);
    for (int i = 0; i < 4; i++)
        pit_text(&records, "same", text);
    for (uint64_t seq = 1; seq <= SENDS; seq += AT_ONCE) {
        for (uint64_t i = 0; i < AT_ONCE; i++)
            pit_client_send_raw(&c, seq + i, "text", 4, &records);
        for (uint64_t i = 0; i < AT_ONCE; i++)
            expect_ack(&c, seq + i, 4);
    }
    msgpack_sbuffer_destroy(&records);
    pit_metric(pit, "leat_ingest_journal_batches", "", SENDS);
    /* A window of 1 MB before anything came back, less what no socket would hold. */
    assert_in_range(pit_metric_now(pit, "leat_ingest_in_flight_bytes", "kind=\"text\""), 1,
                    (1 << 20) + 40000);
    assert_int_equal(pit_commit(pit, SENDS * 4), SENDS);
    expect_done(&c, SENDS, SENDS * 4, 0);
    assert_int_equal(pit_metric_now(pit, "leat_ingest_batches_resent_total", "kind=\"text\""),
                     pit_metric_now(pit, "leat_ingest_batches_probed_total", "kind=\"text\""));
    pit_client_close(&c);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void a_full_journal_is_busy_and_goes_on_when_it_empties(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_set(pit, "journal.max_bytes", "64KB");
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    uint64_t seq = 1;
    for (;; seq++) {
        assert_true(seq < 1000);
        pit_client_send(&c, seq, 50);
        while (pit_client_receive(&c, PIT_WAIT_MS) && c.m.type == LEAT_DONE)
            ;
        if (c.m.type == LEAT_BUSY)
            break;
        assert_int_equal(c.m.type, LEAT_ACK);
        assert_int_equal(c.m.seq, seq);
    }
    assert_true(seq > 1);
    assert_int_equal(c.m.seq, seq);
    assert_true(c.m.retry_ms > 0);
    /* Those that were in the pipe behind it are busy too, not a gap to be filled at once. */
    pit_client_send(&c, seq + 1, 50);
    assert_int_equal(pit_client_expect(&c, LEAT_BUSY)->seq, seq + 1);

    pit_commit(pit, (size_t)(seq - 1) * 50);
    expect_done(&c, seq - 1, (seq - 1) * 50, 0);
    pit_client_send(&c, seq, 50);
    expect_ack(&c, seq, 50);
    pit_client_send(&c, seq + 1, 50);
    expect_ack(&c, seq + 1, 50);
    pit_commit(pit, 100);
    expect_done(&c, seq + 1, (seq + 1) * 50, 0);
    pit_client_close(&c);
}

static void a_disk_without_room_is_busy_and_not_ready_until_there_is(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    struct stat file;
    char path[128];
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 1, 5);
    expect_ack(&c, 1, 5);

    snprintf(path, sizeof path, "%s/journal.mdb", pit->journal);
    assert_int_equal(stat(path, &file), 0);
    pit_limit_files(pit, (rlim_t)file.st_size);
    uint64_t seq = 2;
    for (;; seq++) {
        assert_true(seq < 10000);
        pit_client_send(&c, seq, 500);
        while (pit_client_receive(&c, PIT_WAIT_MS) && c.m.type == LEAT_DONE)
            ;
        if (c.m.type == LEAT_BUSY)
            break;
        assert_int_equal(c.m.type, LEAT_ACK);
    }
    assert_int_equal(c.m.seq, seq);
    pit_await_state(pit, LEAT_NOT_READY);
    assert_non_null(atomic_load(&pit->host.reason));

    pit_unlimit_files(pit);
    pit_await_state(pit, LEAT_READY); /* although nobody comes */
    send_until_taken(&c, seq, 500);
    pit_commit(pit, 5 + (size_t)(seq - 1) * 500);
    pit_client_close(&c);
}

/* Everything in the transaction that failed is answered busy, and nothing of it has happened. */
static void a_failing_disk_undoes_all_of_it_and_nothing_is_lost(void **state)
{
    struct pit *pit = *state;
    struct pit_client c, other;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 1, 5);
    expect_ack(&c, 1, 5);
    struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
    assert_non_null(batch);

    /* No byte of any file can be written now, but sockets work. */
    pit_limit_files(pit, 0);
    for (uint64_t seq = 2; seq <= 5; seq++)
        pit_client_send(&c, seq, 5);
    for (uint64_t seq = 2; seq <= 5; seq++)
        assert_int_equal(pit_client_expect(&c, LEAT_BUSY)->seq, seq);
    pit_client_open(&other, pit);
    pit_client_say_hello(&other, "other");
    assert_int_equal(pit_client_expect(&other, LEAT_BUSY)->seq, 0);
    pit_ack(pit, &batch->head, 5, 0);
    pit_await_state(pit, LEAT_NOT_READY);
    pit_unlimit_files(pit);

    /* The ack that came meanwhile counts; what was busy is taken, in order, once. */
    expect_done(&c, 1, 5, 0);
    for (uint64_t seq = 2; seq <= 5; seq++) {
        pit_client_send(&c, seq, 5);
        expect_ack(&c, seq, 5);
    }
    pit_client_say_hello(&other, "other");
    pit_client_expect(&other, LEAT_WELCOME);
    pit_await_state(pit, LEAT_READY);
    assert_int_equal(pit_commit(pit, 20), 4);
    expect_done(&c, 5, 25, 0);
    assert_null(pit_batch(pit, 50));
    leat_batch_destroy(&batch);
    pit_client_close(&other);
    pit_client_close(&c);
}

/* Sends without heed until one of the sends is answered busy; then it waits, and goes on. Frames
 * that wait in one pipe are read together, so some of so many are above what may be unanswered. */
static void send_until_busy(struct pit *pit, const char *name)
{
    struct pit_client c;
    /* SENDS: answers to so many are kept for who does not read at once. */
    enum { SENDS = 60, ROUNDS = 200 };
    uint64_t next = 1, busy = 0;
    pit_start(pit);
    pit_client_hello(&c, pit, name);
    for (int i = 0; i < ROUNDS && busy == 0; i++) {
        for (uint64_t seq = next; seq < next + SENDS; seq++)
            pit_client_send(&c, seq, 30);
        for (int answers = 0; answers < SENDS;) {
            assert_true(pit_client_receive(&c, PIT_WAIT_MS));
            answers += c.m.type != LEAT_DONE;
            busy += c.m.type == LEAT_BUSY;
            next += c.m.type == LEAT_ACK;
        }
    }
    assert_true(busy > 0);
    send_until_taken(&c, next, 30);
    pit_client_close(&c);
}

/* Each of the two bounds alone: the other one is out of reach. */
static void who_sends_more_bytes_than_the_credit_is_busy(void **state)
{
    struct pit *pit = *state;
    pit_set(pit, "ingest.send_bytes", "4KB");
    pit_set(pit, "text.max_bytes", "1KB");
    pit_set(pit, "ingest.credit", "4KB");
    pit_set(pit, "ingest.unanswered", "1000");
    send_until_busy(pit, "greedy");
}

static void who_has_more_sends_unanswered_than_allowed_is_busy(void **state)
{
    struct pit *pit = *state;
    pit_set(pit, "ingest.credit", "64MB");
    pit_set(pit, "ingest.unanswered", "4");
    send_until_busy(pit, "hasty");
}

static void more_records_than_the_limit_are_an_error(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_set(pit, "ingest.send_records", "10");
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 1, 11);
    assert_true(leat_wire_is(pit_client_expect(&c, LEAT_ERROR)->code, "too_many_records"));
    pit_client_send(&c, 1, 10);
    expect_ack(&c, 1, 10);
    pit_client_close(&c);
}

static void a_client_that_reads_no_answers_holds_up_nobody(void **state)
{
    struct pit *pit = *state;
    struct pit_client deaf, c;
    pit_start(pit);
    pit_client_hello(&deaf, pit, "deaf");
    pit_client_hello(&c, pit, "miller");
    int none = ZMQ_DONTWAIT;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_message_done_request(&frame, deaf.session);
    for (int i = 0; i < 20000; i++)
        zmq_send(deaf.socket, frame.data, frame.size, none);
    msgpack_sbuffer_destroy(&frame);
    for (uint64_t seq = 1; seq <= 50; seq++) {
        pit_client_send(&c, seq, 1);
        expect_ack(&c, seq, 1);
    }
    pit_client_close(&deaf);
    pit_client_close(&c);
}

static void settings_that_may_change_do_so_at_a_reload(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 1, 1);
    expect_ack(&c, 1, 1);
    pit_order(pit, "rtext.max_bytes=3\ningest.listen=tcp://127.0.0.1:1\n");
    for (uint64_t seq = 2;; seq++) {
        assert_true(seq < 10000);
        pit_client_send(&c, seq, 1);
        const struct leat_message *m = pit_client_expect(&c, LEAT_ACK);
        if (m->accepted == 1)
            continue;
        expect_rejection(m, 0, 0, "text_too_long");
        break;
    }
    pit_client_close(&c);
}

/* --- bytes from anywhere ---------------------------------------------------------------------- */

static void random_bytes_are_answered_error_and_harm_nobody(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    unsigned seed = 7;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    void *push = pit_socket(pit, ZMQ_PUSH, pit->oneway);
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[200];
        size_t size = (size_t)rand_r(&seed) % sizeof bytes;
        for (size_t n = 0; n < size; n++)
            bytes[n] = (uint8_t)rand_r(&seed);
        pit_client_put(&c, bytes, size);
        pit_client_expect(&c, LEAT_ERROR);
        zmq_send(push, bytes, size, 0);
    }
    /* Several frames in one message, and answers that only ingest gives. */
    zmq_send(c.socket, "a", 1, ZMQ_SNDMORE);
    zmq_send(c.socket, "b", 1, ZMQ_SNDMORE);
    zmq_send(c.socket, "c", 1, 0);
    pit_client_expect(&c, LEAT_ERROR);
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_message_gap(&frame, 3);
    pit_client_put(&c, frame.data, frame.size);
    pit_client_expect(&c, LEAT_ERROR);
    msgpack_sbuffer_clear(&frame);
    leat_message_oneway(&frame, "text", 0, (struct leat_span){NULL, 0});
    pit_client_put(&c, frame.data, frame.size);
    pit_client_expect(&c, LEAT_ERROR);
    msgpack_sbuffer_destroy(&frame);

    pit_metric(pit, "leat_ingest_oneway_undecodable_total", "", 300);
    pit_client_send(&c, 1, 1);
    expect_ack(&c, 1, 1);
    assert_int_equal(pit_commit(pit, 1), 1);
    pit_socket_close(pit, push);
    pit_client_close(&c);
}

static void a_frame_above_the_limit_ends_only_its_own_connection(void **state)
{
    struct pit *pit = *state;
    struct pit_client big, c;
    pit_set(pit, "ingest.send_bytes", "4KB");
    pit_set(pit, "text.max_bytes", "1KB");
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_hello(&big, pit, "big");
    char *bytes = calloc(1, 5000);
    pit_client_put(&big, bytes, 5000);
    free(bytes);
    /* Connected anew, it is unknown. */
    for (int i = 0;; i++) {
        assert_true(i < 1000);
        pit_client_send(&big, 1, 1);
        if (!pit_client_receive(&big, 20))
            continue;
        assert_int_equal(big.m.type, LEAT_HELLO);
        break;
    }
    pit_client_send(&c, 1, 1);
    expect_ack(&c, 1, 1);
    pit_client_close(&big);
    pit_client_close(&c);
}

static void the_one_way_port_lets_bad_records_travel_with_their_error(void **state)
{
    struct pit *pit = *state;
    pit_start(pit);
    void *push = pit_socket(pit, ZMQ_PUSH, pit->oneway);
    msgpack_sbuffer records, frame;
    msgpack_sbuffer_init(&records);
    msgpack_sbuffer_init(&frame);
    pack_mixture(&records);
    struct leat_span packed = {(const uint8_t *)records.data, records.size};
    leat_message_oneway(&frame, "flour", 6, packed);
    zmq_send(push, frame.data, frame.size, 0);
    msgpack_sbuffer_clear(&frame);
    leat_message_oneway(&frame, "text", 6, packed);
    zmq_send(push, frame.data, frame.size, 0);

    struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
    assert_non_null(batch);
    assert_int_equal(batch->head.count, 6);
    static const char *const codes[] = {NULL,  "record_not_map", "not_utf8",
                                        "nul", "id_empty",       NULL};
    msgpack_zone *zone = msgpack_zone_new(4096);
    for (int i = 0; i < 6; i++) {
        struct leat_span stage, code, message;
        bool failed = leat_item_error(&batch->items[i], zone, &stage, &code, &message);
        assert_int_equal(failed, codes[i] != NULL);
        if (!failed)
            continue;
        assert_true(leat_wire_is(stage, "ingest"));
        assert_true(leat_wire_is(code, codes[i]));
        assert_true(message.size > 0);
    }
    pit_ack(pit, &batch->head, 2, 4);
    pit_metric(pit, "leat_ingest_oneway_undecodable_total", "", 1);
    pit_metric(pit, "leat_ingest_journal_batches", "", 0);
    msgpack_zone_free(zone);
    leat_batch_destroy(&batch);
    msgpack_sbuffer_destroy(&records);
    msgpack_sbuffer_destroy(&frame);
    pit_socket_close(pit, push);
}

/* Each of the client's sends fills a transaction, and there is always another that waits. */
static void the_one_way_port_has_its_turn_beside_a_busy_client(void **state)
{
    enum { AHEAD = 20, TEXTS = 20, TEXT = 4000, MOST = 2000 };
    struct pit *pit = *state;
    struct pit_client c;
    pit_set(pit, "ingest.commit_bytes", "64KB");
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    void *push = pit_socket(pit, ZMQ_PUSH, pit->oneway);
    msgpack_sbuffer records, frame;
    msgpack_sbuffer_init(&records);
    msgpack_sbuffer_init(&frame);
    char text[TEXT + 1] = "";
    memset(text, 'x', TEXT);
    pit_text(&records, "1", text);
    leat_message_oneway(&frame, "text", 1,
                        (struct leat_span){(const uint8_t *)records.data, records.size});
    for (int i = 1; i < TEXTS; i++)
        pit_text(&records, "1", text);

    uint64_t seq = 0;
    while (seq < AHEAD)
        pit_client_send_raw(&c, ++seq, "text", TEXTS, &records);
    while (pit_metric_now(pit, "leat_ingest_oneway_frames_total", "") == 0) {
        assert_true(seq < MOST);
        pit_client_expect(&c, LEAT_ACK);
        pit_client_send_raw(&c, ++seq, "text", TEXTS, &records);
        if (seq == 2 * AHEAD)
            assert_true(zmq_send(push, frame.data, frame.size, 0) > 0);
    }
    msgpack_sbuffer_destroy(&records);
    msgpack_sbuffer_destroy(&frame);
    pit_socket_close(pit, push);
    pit_client_close(&c);
}

static void a_full_journal_makes_one_way_senders_wait_and_loses_nothing(void **state)
{
    struct pit *pit = *state;
    enum { FRAMES = 400 };
    pit_set(pit, "journal.max_bytes", "64KB");
    pit_start(pit);
    void *push = pit_socket(pit, ZMQ_PUSH, pit->oneway);
    for (int i = 0; i < FRAMES; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        msgpack_sbuffer records, frame;
        msgpack_sbuffer_init(&records);
        msgpack_sbuffer_init(&frame);
        pit_text(&records, id, "a text of some length, as texts are, and then a little longer");
        leat_message_oneway(&frame, "text", 1,
                            (struct leat_span){(const uint8_t *)records.data, records.size});
        assert_true(zmq_send(push, frame.data, frame.size, 0) > 0);
        msgpack_sbuffer_destroy(&records);
        msgpack_sbuffer_destroy(&frame);
    }
    assert_int_equal(pit_commit(pit, FRAMES), FRAMES);
    pit_metric(pit, "leat_ingest_journal_batches", "", 0);
    pit_socket_close(pit, push);
}

/* --- what is in the journal ------------------------------------------------------------------- */

static void damage(struct pit *pit, uint64_t seq)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {sizeof seq, &seq}, value;
    char path[128];
    snprintf(path, sizeof path, "%s/journal.mdb", pit->journal);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "kind:text", MDB_INTEGERKEY, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    uint8_t *bytes = memcpy(malloc(value.mv_size), value.mv_data, value.mv_size);
    bytes[value.mv_size - 3] ^= 0x40;
    value.mv_data = bytes;
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(bytes);
}

static void a_damaged_batch_is_set_aside_and_the_others_go_on(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    for (uint64_t seq = 1; seq <= 3; seq++) {
        pit_client_send(&c, seq, 2);
        expect_ack(&c, seq, 2);
        struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
        assert_int_equal(batch->head.seq, seq);
        leat_batch_destroy(&batch);
    }
    pit_client_close(&c);
    pit_stop(pit);
    damage(pit, 2);

    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    assert_int_equal(pit_commit(pit, 4), 2);
    pit_metric(pit, "leat_ingest_journal_batches", "", 0);
    pit_metric(pit, "leat_ingest_journal_damaged_batches", "", 1);
    ask_done(&c);
    expect_done(&c, 3, 4, 2);
    pit_client_close(&c);
}

static void batches_of_an_unknown_kind_are_left_where_they_are(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    struct leat_error err;
    struct journal_limits limits = journal_limits_default();
    struct journal *journal = journal_open(pit->journal, &limits, &err);
    assert_non_null(journal);
    assert_true(journal_begin(journal, &err));
    struct journal_given given;
    assert_int_equal(
        journal_append(
            journal, &(struct journal_batch){.kind = "flour", .count = 1, .items = "x", .size = 1},
            leat_now_us(), &given, &err),
        JOURNAL_OK);
    assert_int_equal(journal_commit(journal, &err), JOURNAL_OK);
    journal_close(&journal);

    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 1, 1);
    expect_ack(&c, 1, 1);
    assert_int_equal(pit_commit(pit, 1), 1);
    pit_metric(pit, "leat_ingest_journal_unknown_batches", "", 1);
    pit_metric(pit, "leat_ingest_journal_batches", "", 1);
    pit_client_close(&c);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void a_drain_waits_for_what_is_in_flight_and_takes_nothing(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 1, 1);
    expect_ack(&c, 1, 1);
    struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
    pit_order(pit, "d20000");
    pit_await_state(pit, LEAT_DRAINING);
    pit_client_send(&c, 2, 1);
    assert_int_equal(pit_client_expect(&c, LEAT_BUSY)->seq, 2);
    pit_ack(pit, &batch->head, 1, 0);
    assert_int_equal(pit_join(pit), LEAT_EXIT_OK);
    expect_done(&c, 1, 1, 0);
    leat_batch_destroy(&batch);
    pit_client_close(&c);
}

static void a_drain_that_takes_too_long_says_so(void **state)
{
    struct pit *pit = *state;
    struct pit_client c;
    pit_start(pit);
    pit_client_hello(&c, pit, "miller");
    pit_client_send(&c, 1, 1);
    expect_ack(&c, 1, 1);
    struct leat_batch *batch = pit_batch(pit, PIT_WAIT_MS);
    leat_batch_destroy(&batch);
    pit_order(pit, "d50");
    assert_int_equal(pit_join(pit), LEAT_EXIT_DEADLINE);
    /* And the rest is safe. */
    pit_start(pit);
    assert_int_equal(pit_commit(pit, 1), 1);
    pit_client_close(&c);
}

/* What was read from the one-way port is in nobody's hands but ingest's. */
static void one_way_records_that_could_not_be_written_make_the_end_a_failure(void **state)
{
    struct pit *pit = *state;
    static const char *const orders[] = {"d50", "s"};
    for (int i = 0; i < 2; i++) {
        pit_start(pit);
        pit_limit_files(pit, 0);
        void *push = pit_socket(pit, ZMQ_PUSH, pit->oneway);
        msgpack_sbuffer records, frame;
        msgpack_sbuffer_init(&records);
        msgpack_sbuffer_init(&frame);
        pit_text(&records, "1", "a text");
        leat_message_oneway(&frame, "text", 1,
                            (struct leat_span){(const uint8_t *)records.data, records.size});
        assert_true(zmq_send(push, frame.data, frame.size, 0) > 0);
        msgpack_sbuffer_destroy(&records);
        msgpack_sbuffer_destroy(&frame);
        pit_await_state(pit, LEAT_NOT_READY);
        pit_order(pit, orders[i]);
        assert_int_equal(pit_join(pit), LEAT_EXIT_FAILED);
        pit_unlimit_files(pit);
        pit_socket_close(pit, push);
    }
}

static void what_cannot_be_opened_ends_it_with_a_failure(void **state)
{
    struct pit *pit = *state;
    pit_set(pit, "ingest.listen", "tcp://192.0.2.1:9");
    pit_begin(pit);
    assert_int_equal(pit_join(pit), LEAT_EXIT_FAILED);
    pit_set(pit, "ingest.listen", pit->listen);
    pit_set(pit, "text.max_bytes", "1MB");
    pit_begin(pit);
    assert_int_equal(pit_join(pit), LEAT_EXIT_FAILED);
    pit_set(pit, "text.max_bytes", "64KB");
    pit_set(pit, "journal.dir", "/proc/no/such/folder");
    pit_begin(pit);
    assert_int_equal(pit_join(pit), LEAT_EXIT_FAILED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pit_setup, pit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_send_is_accepted_dispatched_and_done),
        TEST(bad_records_are_told_by_index_and_nothing_else_is_lost),
        TEST(a_send_of_nothing_good_is_answered_and_uses_its_number),
        TEST(a_version_of_the_records_own_may_not_be_of_the_future),
        TEST(sends_in_one_pipe_are_answered_in_their_order),
        TEST(a_repeated_send_gets_its_answer_again_after_a_restart_too),
        TEST(an_answer_that_is_not_kept_any_more_is_said_to_be_forgotten),
        TEST(a_send_after_a_missing_one_is_answered_gap),
        TEST(a_send_without_hello_is_asked_for_one),
        TEST(a_new_hello_fences_the_older_session),
        TEST(a_name_is_not_taken_back),
        TEST(a_first_hello_said_twice_takes_no_name_back),
        TEST(a_hello_that_could_not_be_written_takes_no_name),
        TEST(two_clients_do_not_touch_each_other),
        TEST(more_clients_than_there_is_room_for_say_hello_again),
        TEST(done_is_cumulative_and_told_on_request),
        TEST(a_restart_sends_exactly_what_was_not_acknowledged),
        TEST(a_batch_that_was_lost_is_sent_again_once_later_ones_are_back),
        TEST(a_stage_that_does_not_read_stops_nothing_but_dispatch),
        TEST(a_full_journal_is_busy_and_goes_on_when_it_empties),
        TEST(a_disk_without_room_is_busy_and_not_ready_until_there_is),
        TEST(a_failing_disk_undoes_all_of_it_and_nothing_is_lost),
        TEST(who_sends_more_bytes_than_the_credit_is_busy),
        TEST(who_has_more_sends_unanswered_than_allowed_is_busy),
        TEST(more_records_than_the_limit_are_an_error),
        TEST(a_client_that_reads_no_answers_holds_up_nobody),
        TEST(settings_that_may_change_do_so_at_a_reload),
        TEST(random_bytes_are_answered_error_and_harm_nobody),
        TEST(a_frame_above_the_limit_ends_only_its_own_connection),
        TEST(the_one_way_port_lets_bad_records_travel_with_their_error),
        TEST(the_one_way_port_has_its_turn_beside_a_busy_client),
        TEST(a_full_journal_makes_one_way_senders_wait_and_loses_nothing),
        TEST(a_damaged_batch_is_set_aside_and_the_others_go_on),
        TEST(batches_of_an_unknown_kind_are_left_where_they_are),
        TEST(a_drain_waits_for_what_is_in_flight_and_takes_nothing),
        TEST(a_drain_that_takes_too_long_says_so),
        TEST(one_way_records_that_could_not_be_written_make_the_end_a_failure),
        TEST(what_cannot_be_opened_ends_it_with_a_failure),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
