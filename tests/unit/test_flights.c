/* The dispatch window, with a clock that the tests turn by hand. */
#include "services/ingest/flights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MS = 1000, SECOND = 1000 * 1000, KB = 1024 };

/* Flights as they are, and the clock. */
struct sky {
    struct flights *flights;
    int64_t now;
    uint64_t next; /* seq to send next */
    size_t resent; /* copies sent again, probes included */
    size_t probes;
    uint64_t last; /* seq that was sent again last */
};

static int setup(void **state)
{
    struct sky *sky = calloc(1, sizeof *sky);
    sky->flights = flights_new(1024 * KB, 32 * 1024 * KB);
    sky->now = 1000 * SECOND;
    sky->next = 1;
    *state = sky;
    return 0;
}

static int teardown(void **state)
{
    struct sky *sky = *state;
    flights_destroy(&sky->flights);
    free(sky);
    return 0;
}

static void send_one(struct sky *sky, size_t bytes)
{
    flights_sent(sky->flights, sky->next++, bytes, sky->now);
}

/* Sends again all that is due, as dispatch does. */
static void judge(struct sky *sky)
{
    struct flights_due due;
    while (flights_due(sky->flights, sky->now, &due)) {
        assert_int_equal(flights_resent(sky->flights, due.seq, sky->now), due.attempt);
        sky->resent++;
        sky->probes += due.probe;
        sky->last = due.seq;
    }
}

/* Lets time pass with the loop turning every 50 ms. */
static void pass(struct sky *sky, int64_t us)
{
    for (int64_t left = us; left > 0; left -= 50 * MS) {
        sky->now += left < 50 * MS ? left : 50 * MS;
        judge(sky);
    }
}

static void ack(struct sky *sky, uint64_t seq, uint32_t attempt)
{
    assert_true(flights_acked(sky->flights, seq, attempt, sky->now));
}

/* A settled round trip of 20 ms. */
static void settle(struct sky *sky)
{
    for (int i = 0; i < 200; i++) {
        send_one(sky, 64 * KB);
        pass(sky, 20 * MS);
        ack(sky, sky->next - 1, 1);
    }
    assert_int_equal(sky->resent, 0);
}

static void nothing_is_sent_again_while_all_comes_back(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    assert_int_equal(flights_batches(sky->flights), 0);
    assert_int_equal(flights_bytes(sky->flights), 0);
    pass(sky, 3600ll * SECOND / 10);
    assert_int_equal(sky->resent, 0);
}

static void an_outage_causes_no_storm(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t oldest = sky->next;
    for (int i = 0; i < 300; i++)
        send_one(sky, 64 * KB);
    pass(sky, 600ll * SECOND);
    /* Ten minutes: pauses of 1, 2, 4, 8, 16 and then 30 s. */
    assert_int_equal(sky->resent, sky->probes);
    assert_in_range(sky->probes, 20, 26);
    assert_int_equal(sky->last, oldest + sky->probes - 1); /* each another batch */
}

static void probe_pauses_grow(void **state)
{
    struct sky *sky = *state;
    int64_t at[5], began = sky->now;
    send_one(sky, KB);
    for (size_t n = 0; n < 5;) {
        pass(sky, 50 * MS);
        if (sky->probes > n)
            at[n++] = sky->now;
    }
    /* Nothing has ever come back: 10 s, doubled, and never more than 30 s. */
    assert_in_range(at[0] - began, 10 * SECOND, 10 * SECOND + 100 * MS);
    assert_in_range(at[1] - at[0], 20 * SECOND, 20 * SECOND + 100 * MS);
    for (int n = 2; n < 5; n++)
        assert_in_range(at[n] - at[n - 1], 30 * SECOND, 30 * SECOND + 100 * MS);
}

static void what_was_only_slow_is_not_sent_again_when_an_outage_ends(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t first = sky->next;
    for (int i = 0; i < 100; i++)
        send_one(sky, 64 * KB);
    pass(sky, 60ll * SECOND);
    size_t probes = sky->probes;
    assert_true(probes > 0);
    /* They come back in their order, the first copy of the probed one too. */
    for (uint64_t seq = first; seq < first + 100; seq++) {
        ack(sky, seq, 1);
        pass(sky, 10 * MS);
    }
    assert_int_equal(sky->resent, probes);
    assert_int_equal(flights_batches(sky->flights), 0);
}

static void a_probe_that_comes_back_brings_the_lost_ones(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t first = sky->next;
    for (int i = 0; i < 100; i++)
        send_one(sky, 64 * KB);
    pass(sky, 60ll * SECOND);
    /* Everything was lost; the latest probe is the first to arrive anywhere. */
    uint64_t latest = first + sky->probes - 1;
    ack(sky, latest, 2);
    pass(sky, 20ll * SECOND);
    assert_int_equal(sky->resent - sky->probes, 99);
    for (uint64_t seq = first; seq < first + 100; seq++)
        if (seq != latest)
            ack(sky, seq, 2);
    assert_int_equal(flights_batches(sky->flights), 0);
}

static void a_lost_batch_is_sent_again_after_later_ones_came_back(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t lost = sky->next;
    for (int i = 0; i < 10; i++)
        send_one(sky, 64 * KB);
    pass(sky, 20 * MS);
    for (uint64_t seq = lost + 1; seq < lost + 10; seq++)
        ack(sky, seq, 1);
    pass(sky, 900 * MS);
    assert_int_equal(sky->resent, 0);
    pass(sky, 200 * MS);
    assert_int_equal(sky->resent, 1);
    assert_int_equal(sky->last, lost);
    ack(sky, lost, 2);
    assert_false(flights_acked(sky->flights, lost, 1, sky->now));
}

static void the_last_batch_waits_for_a_probe_as_nothing_came_later(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    send_one(sky, KB);
    pass(sky, 1500 * MS);
    assert_int_equal(sky->probes, 1);
    assert_int_equal(sky->resent, 1);
}

/* A batch that is set aside wherever it comes (somebody holds its row), beside traffic of five
 * seconds that comes back. Its seq. */
static uint64_t set_aside(struct sky *sky)
{
    settle(sky);
    uint64_t aside = sky->next;
    send_one(sky, 1024 * KB);
    for (int i = 0; i < 250; i++) {
        send_one(sky, 64 * KB);
        pass(sky, 20 * MS);
        ack(sky, sky->next - 1, 1);
    }
    return aside;
}

static void what_is_set_aside_keeps_no_others_back(void **state)
{
    struct sky *sky = *state;
    uint64_t aside = set_aside(sky);
    pass(sky, 3600ll * SECOND);
    assert_int_equal(flights_size(sky->flights), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(flights_open(sky->flights, 1));
        send_one(sky, 64 * KB);
        pass(sky, 20 * MS);
        ack(sky, sky->next - 1, 1);
    }
    assert_int_equal(flights_batches(sky->flights), 1);
    assert_true(flights_acked(sky->flights, aside, 1, sky->now));
}

static void what_was_lost_behind_one_that_is_set_aside_goes_out_again(void **state)
{
    enum { LOST = 8 };
    struct sky *sky = *state;
    uint64_t aside = set_aside(sky), first = sky->next, again = 0;
    for (int i = 0; i < LOST; i++)
        send_one(sky, 64 * KB);
    /* Copies of them come back at once, and nothing else wants to follow. */
    struct flights_due due;
    for (int64_t end = sky->now + 30ll * SECOND; sky->now < end; sky->now += 50 * MS)
        while (flights_due(sky->flights, sky->now, &due)) {
            uint32_t attempt = flights_resent(sky->flights, due.seq, sky->now);
            again += due.seq >= first;
            if (due.seq != aside)
                ack(sky, due.seq, attempt);
        }
    assert_int_equal(again, LOST);
    assert_int_equal(flights_batches(sky->flights), 1);
}

static void a_batch_lost_again_and_again_waits_longer_each_time(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t lost = sky->next;
    int64_t pause[6], last = sky->now;
    send_one(sky, KB);
    for (size_t n = 0; n < 6;) {
        send_one(sky, KB);
        pass(sky, 20 * MS);
        ack(sky, sky->next - 1, 1);
        if (sky->resent > n) {
            pause[n++] = sky->now - last;
            last = sky->now;
            assert_int_equal(sky->last, lost);
        }
    }
    assert_in_range(pause[0], 1000 * MS, 1100 * MS);
    assert_in_range(pause[1], 2000 * MS, 2100 * MS);
    assert_in_range(pause[2], 4000 * MS, 4100 * MS);
    assert_in_range(pause[3], 8000 * MS, 8100 * MS);
    /* At most 8 s above the estimate. */
    assert_in_range(pause[4], 9000 * MS, 9100 * MS);
    assert_in_range(pause[5], 9000 * MS, 9100 * MS);
}

static void an_ack_that_comes_twice_counts_once(void **state)
{
    struct sky *sky = *state;
    send_one(sky, 64 * KB);
    send_one(sky, 64 * KB);
    ack(sky, 1, 1);
    assert_false(flights_acked(sky->flights, 1, 1, sky->now));
    assert_false(flights_acked(sky->flights, 77, 1, sky->now));
    assert_int_equal(flights_batches(sky->flights), 1);
    assert_int_equal(flights_bytes(sky->flights), 64 * KB);
}

static void a_stop_of_the_process_itself_sends_nothing_again(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t first = sky->next;
    for (int i = 0; i < 50; i++)
        send_one(sky, 64 * KB);
    pass(sky, 20 * MS);
    for (uint64_t seq = first + 40; seq < first + 50; seq++)
        ack(sky, seq, 1);
    /* Stopped for a minute. The first look comes before the sockets have shown their acks. */
    sky->now += 60ll * SECOND;
    judge(sky);
    assert_int_equal(sky->resent, 0);
    pass(sky, 100 * MS);
    for (uint64_t seq = first; seq < first + 40; seq++)
        ack(sky, seq, 1);
    pass(sky, 10ll * SECOND);
    assert_int_equal(sky->resent, 0);
}

/* An outage of an hour, after which the first `lost` of the batches in flight are gone and the rest
 * is back at once. How long it takes until all of these were sent again, each copy being back at
 * once; with or without fresh batches that want to follow. */
static int64_t recover(struct sky *sky, uint64_t in_flight, uint64_t lost, bool traffic)
{
    uint64_t first = sky->next;
    for (uint64_t i = 0; i < in_flight; i++)
        send_one(sky, 64 * KB);
    pass(sky, 3600ll * SECOND);
    for (uint64_t seq = first + lost; seq < first + in_flight; seq++)
        ack(sky, seq, 1);

    struct flights_due due;
    int64_t back = sky->now;
    while (lost > 0 && sky->now - back < 7200ll * SECOND) {
        sky->now += 50 * MS;
        while (flights_due(sky->flights, sky->now, &due)) {
            lost -= due.seq < first + in_flight;
            ack(sky, due.seq, flights_resent(sky->flights, due.seq, sky->now));
        }
        if (traffic && flights_open(sky->flights, 1)) {
            send_one(sky, 64 * KB);
            ack(sky, sky->next - 1, 1);
        }
    }
    return sky->now - back;
}

static void a_flow_goes_on_soon_after_an_outage_of_an_hour(void **state)
{
    struct sky *sky = *state;
    static const struct {
        uint64_t in_flight, lost;
    } cases[] = {{40, 36}, {40, 20}, {40, 1}, {2, 1}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        settle(sky);
        assert_in_range(recover(sky, cases[i / 2].in_flight, cases[i / 2].lost, i % 2), 0,
                        20 * SECOND);
        assert_int_equal(flights_batches(sky->flights), 0);
        assert_in_range(rtt_timeout(flights_rtt(sky->flights)), 1 * SECOND, 20 * SECOND);
        sky->resent = 0;
    }
}

/* Nothing has ever come back: there is no estimate that the outage could be measured against. */
static void a_flow_that_begins_in_an_outage_goes_on_soon_too(void **state)
{
    struct sky *sky = *state;
    static const uint64_t lost[] = {15, 1};
    for (size_t i = 0; i < 4; i++) {
        flights_destroy(&sky->flights);
        sky->flights = flights_new(1024 * KB, 32 * 1024 * KB);
        assert_in_range(recover(sky, 16, lost[i / 2], i % 2), 0, 30 * SECOND);
        assert_in_range(rtt_timeout(flights_rtt(sky->flights)), 1 * SECOND, 30 * SECOND);
    }
}

static void a_stop_soon_after_the_start_is_no_round_trip(void **state)
{
    struct sky *sky = *state;
    for (int i = 0; i < 16; i++)
        send_one(sky, 64 * KB);
    pass(sky, 100 * MS);
    sky->now += 13ll * SECOND;
    /* One batch is back; all others are lost, and nothing more is sent. */
    ack(sky, 16, 1);
    assert_int_equal(sky->resent, 0);
    pass(sky, 25ll * SECOND);
    assert_int_equal(sky->resent, 15);
}

static void what_waits_behind_an_outage_has_its_time_when_it_is_over(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t first = sky->next;
    for (int i = 0; i < 100; i++)
        send_one(sky, 64 * KB);
    pass(sky, 600ll * SECOND);
    size_t probes = sky->probes;
    /* Two instances of persist, of which the one with the later half is the first to go on. */
    for (uint64_t seq = first + 50; seq < first + 100; seq++)
        ack(sky, seq, 1);
    pass(sky, 900 * MS);
    assert_int_equal(sky->resent, probes);
    for (uint64_t seq = first; seq < first + 50; seq++)
        ack(sky, seq, 1);
}

static void a_stop_of_the_process_for_an_hour_is_no_round_trip(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    uint64_t first = sky->next;
    for (int i = 0; i < 40; i++)
        send_one(sky, 64 * KB);
    pass(sky, 10 * MS);
    sky->now += 3600ll * SECOND;
    for (uint64_t seq = first; seq < first + 39; seq++)
        ack(sky, seq, 1);
    judge(sky);
    assert_int_equal(sky->resent, 0);
    /* The last one is lost. */
    pass(sky, 20ll * SECOND);
    assert_int_equal(sky->last, first + 39);
    assert_in_range(rtt_timeout(flights_rtt(sky->flights)), 1 * SECOND, 20 * SECOND);
}

/* A stage behind the window: instances that take what comes in its order, copies too, each `us`
 * over it. The work of a copy is done in full although nobody waits for it any more. */
enum { MILL_INSTANCES = 8, MILL_QUEUE = 1 << 16 };

struct mill {
    size_t instances, done, most_waiting;
    int64_t us;
    struct {
        uint64_t seq;
        uint32_t attempt;
    } queue[MILL_QUEUE], at[MILL_INSTANCES];
    size_t head, tail;
    int64_t until[MILL_INSTANCES];
};

static void mill_put(struct mill *mill, uint64_t seq, uint32_t attempt)
{
    assert_true(mill->tail - mill->head < MILL_QUEUE);
    mill->queue[mill->tail % MILL_QUEUE].seq = seq;
    mill->queue[mill->tail++ % MILL_QUEUE].attempt = attempt;
}

static void mill_turn(struct mill *mill, struct sky *sky)
{
    for (size_t i = 0; i < mill->instances; i++) {
        if (mill->until[i] && mill->until[i] <= sky->now) {
            mill->until[i] = 0;
            mill->done +=
                flights_acked(sky->flights, mill->at[i].seq, mill->at[i].attempt, sky->now);
        }
        if (!mill->until[i] && mill->head < mill->tail) {
            mill->at[i] = mill->queue[mill->head++ % MILL_QUEUE];
            /* Up to 15 % more or less, by a fixed pattern. */
            mill->until[i] = sky->now + mill->us * (85 + (int64_t)(mill->head * 7 % 31)) / 100;
        }
    }
    if (mill->tail - mill->head > mill->most_waiting)
        mill->most_waiting = mill->tail - mill->head;
}

/* An endless backlog of batches of 256 KB for so long, with one instance of the first stage. How
 * many come back in the time. */
static size_t grind(struct sky *sky, struct mill *mill, int64_t us)
{
    struct flights_due due;
    size_t before = mill->done;
    for (int64_t end = sky->now + us; sky->now < end; sky->now += 100 * MS) {
        mill_turn(mill, sky);
        while (flights_due(sky->flights, sky->now, &due)) {
            mill_put(mill, due.seq, flights_resent(sky->flights, due.seq, sky->now));
            sky->resent++;
        }
        while (flights_open(sky->flights, 1)) {
            mill_put(mill, sky->next, 1);
            send_one(sky, 256 * KB);
        }
    }
    return mill->done - before;
}

/* Twenty hours of five minutes a batch, then ten more in which nothing is sent again and no
 * instance is idle. */
static void learn_a_slow_stage(struct sky *sky, size_t instances)
{
    struct mill *mill = calloc(1, sizeof *mill);
    *mill = (struct mill){.instances = instances, .us = 300ll * SECOND};
    grind(sky, mill, 20 * 3600ll * SECOND);
    size_t resent = sky->resent;
    assert_in_range(resent, 1, 30);
    size_t done = grind(sky, mill, 10 * 3600ll * SECOND);
    assert_int_equal(sky->resent, resent);
    assert_in_range(done, 118 * instances, 122 * instances);
    free(mill);
}

static void a_stage_of_minutes_a_batch_is_learned_and_makes_no_storm(void **state)
{
    learn_a_slow_stage(*state, 1);
}

static void a_stage_that_becomes_slow_is_learned_too(void **state)
{
    settle(*state);
    learn_a_slow_stage(*state, 4);
}

/* The copies of the first batch that come back are of probes long ago. */
static void a_slow_stage_is_learned_when_everything_was_lost(void **state)
{
    struct sky *sky = *state;
    struct mill *mill = calloc(1, sizeof *mill);
    *mill = (struct mill){.instances = 8, .us = 300ll * SECOND};
    settle(sky);
    for (int i = 0; i < 100; i++)
        send_one(sky, 64 * KB);
    grind(sky, mill, 40 * 3600ll * SECOND);
    assert_in_range(sky->resent, 100, 200);
    size_t resent = sky->resent;
    grind(sky, mill, 10 * 3600ll * SECOND);
    assert_int_equal(sky->resent, resent);
    free(mill);
}

static void the_window_begins_small_and_opens_with_the_rate(void **state)
{
    struct sky *sky = *state;
    assert_int_equal(flights_size(sky->flights), 1024 * KB);
    while (flights_open(sky->flights, 1))
        send_one(sky, 64 * KB);
    assert_int_equal(flights_batches(sky->flights), 16);
    /* 64 KB every 10 ms are 6.4 MB a second: 12.8 MB in two. */
    uint64_t oldest = 1;
    for (int i = 0; i < 400; i++) {
        pass(sky, 10 * MS);
        ack(sky, oldest++, 1);
        while (flights_open(sky->flights, 1))
            send_one(sky, 64 * KB);
    }
    assert_in_range(flights_size(sky->flights), 12000 * KB, 13000 * KB);
    assert_in_range(flights_bytes(sky->flights), 12000 * KB, 13100 * KB);
}

static void a_slow_store_closes_the_window_to_two_seconds_of_its_rate(void **state)
{
    struct sky *sky = *state;
    uint64_t oldest = 1;
    /* One batch of 64 KB every half second. */
    for (int i = 0; i < 100; i++) {
        while (flights_open(sky->flights, 1))
            send_one(sky, 64 * KB);
        pass(sky, 500 * MS);
        ack(sky, oldest++, 1);
    }
    assert_in_range(flights_batches(sky->flights), 3, 5);
    assert_int_equal(sky->resent, sky->probes);
}

/* One instance of the first stage, eight of a second one. */
static void all_instances_of_a_slow_second_stage_have_work(void **state)
{
    struct sky *sky = *state;
    struct mill *mill = calloc(1, sizeof *mill);
    *mill = (struct mill){.instances = 8, .us = 10ll * SECOND};
    grind(sky, mill, 300ll * SECOND);
    mill->most_waiting = 0;
    assert_in_range(grind(sky, mill, 600ll * SECOND), 470, 490);
    /* And not much more: what waits has to wait about as long as it takes. */
    assert_in_range(mill->most_waiting, 2, 12);
    assert_int_equal(sky->resent, sky->probes);
    free(mill);
}

/* Each burst begins with a batch that waits for nobody, and ends with ones that waited. */
static void bursts_before_a_slow_store_do_not_open_the_window_more_and_more(void **state)
{
    struct sky *sky = *state;
    struct mill *mill = calloc(1, sizeof *mill);
    *mill = (struct mill){.instances = 1, .us = 500 * MS};
    for (int burst = 0; burst < 50; burst++) {
        grind(sky, mill, 30ll * SECOND);
        assert_in_range(flights_batches(sky->flights), 4, 9);
        while (flights_batches(sky->flights) > 0) {
            sky->now += 100 * MS;
            mill_turn(mill, sky);
        }
    }
    free(mill);
}

static void the_window_has_a_limit(void **state)
{
    struct sky *sky = *state;
    uint64_t oldest = 1;
    for (int i = 0; i < 1000; i++) {
        while (flights_open(sky->flights, 1))
            send_one(sky, 1024 * KB);
        pass(sky, 1 * MS);
        ack(sky, oldest++, 1);
    }
    assert_int_equal(flights_size(sky->flights), 32 * 1024 * KB);
    assert_in_range(flights_bytes(sky->flights), 31 * 1024 * KB, 33 * 1024 * KB);
}

static void every_instance_may_have_a_batch_whatever_its_size(void **state)
{
    struct sky *sky = *state;
    for (int i = 0; i < 3; i++) {
        assert_true(flights_open(sky->flights, 3));
        send_one(sky, 64 * 1024 * KB);
    }
    assert_false(flights_open(sky->flights, 3));
    assert_true(flights_open(sky->flights, 4));
}

static void idle_time_does_not_close_the_window(void **state)
{
    struct sky *sky = *state;
    uint64_t oldest = 1;
    for (int i = 0; i < 400; i++) {
        while (flights_open(sky->flights, 1))
            send_one(sky, 64 * KB);
        pass(sky, 10 * MS);
        ack(sky, oldest++, 1);
    }
    size_t size = flights_size(sky->flights);
    while (oldest < sky->next)
        ack(sky, oldest++, 1);
    pass(sky, 60ll * SECOND);
    send_one(sky, 64 * KB);
    assert_true(flights_size(sky->flights) >= size);
}

static void what_is_forgotten_is_not_sent_again(void **state)
{
    struct sky *sky = *state;
    settle(sky);
    send_one(sky, KB);
    flights_forget(sky->flights, sky->next - 1);
    flights_forget(sky->flights, 12345);
    pass(sky, 100ll * SECOND);
    assert_int_equal(sky->resent, 0);
}

static void many_in_flight_come_back_in_any_order(void **state)
{
    struct sky *sky = *state;
    enum { MANY = 20000 };
    for (int i = 0; i < MANY; i++)
        send_one(sky, 100);
    assert_int_equal(flights_batches(sky->flights), MANY);
    /* 7919 is prime to 20000: every seq once, in a scattered order. */
    for (uint64_t i = 0; i < MANY; i++)
        ack(sky, 1 + i * 7919 % MANY, 1);
    assert_int_equal(flights_batches(sky->flights), 0);
    assert_int_equal(flights_bytes(sky->flights), 0);
}

static void the_estimate_follows_rfc_6298(void **state)
{
    (void)state;
    struct rtt rtt = {0};
    assert_int_equal(rtt_timeout(&rtt), 10 * SECOND);
    rtt_sample(&rtt, 2 * SECOND);
    assert_int_equal(rtt.smoothed, 2 * SECOND);
    assert_int_equal(rtt.variation, 1 * SECOND);
    assert_int_equal(rtt_timeout(&rtt), 6 * SECOND);
    rtt_sample(&rtt, 4 * SECOND);
    assert_int_equal(rtt.variation, 1250 * MS);
    assert_int_equal(rtt.smoothed, 2250 * MS);
    assert_int_equal(rtt_timeout_of(&rtt, 1), 7250 * MS);
    assert_int_equal(rtt_timeout_of(&rtt, 2), 14500 * MS);
    assert_int_equal(rtt_timeout_of(&rtt, 3), 15250 * MS);
    assert_int_equal(rtt_timeout_of(&rtt, 4000000000u), 15250 * MS);
    for (int i = 0; i < 200; i++)
        rtt_sample(&rtt, 5 * MS);
    assert_int_equal(rtt_timeout(&rtt), 1 * SECOND);
}

static void a_round_trip_in_doubt_counts_for_a_few_timeouts_at_most(void **state)
{
    (void)state;
    struct rtt unknown = {0}, quick = {0}, slow = {0};
    rtt_sample_in_doubt(&unknown, 3600ll * SECOND);
    assert_in_range(rtt_timeout(&unknown), 27 * SECOND, 28 * SECOND);
    rtt_sample(&quick, 5 * MS);
    rtt_sample_in_doubt(&quick, 3600ll * SECOND);
    assert_in_range(rtt_timeout(&quick), 8 * SECOND, 10 * SECOND);
    rtt_sample(&slow, 20 * SECOND);
    struct rtt same = slow;
    rtt_sample_in_doubt(&slow, 90 * SECOND);
    rtt_sample(&same, 90 * SECOND);
    assert_memory_equal(&slow, &same, sizeof slow);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_sent_again_while_all_comes_back),
        TEST(an_outage_causes_no_storm),
        TEST(probe_pauses_grow),
        TEST(what_was_only_slow_is_not_sent_again_when_an_outage_ends),
        TEST(a_probe_that_comes_back_brings_the_lost_ones),
        TEST(a_lost_batch_is_sent_again_after_later_ones_came_back),
        TEST(the_last_batch_waits_for_a_probe_as_nothing_came_later),
        TEST(what_is_set_aside_keeps_no_others_back),
        TEST(what_was_lost_behind_one_that_is_set_aside_goes_out_again),
        TEST(a_batch_lost_again_and_again_waits_longer_each_time),
        TEST(an_ack_that_comes_twice_counts_once),
        TEST(a_stop_of_the_process_itself_sends_nothing_again),
        TEST(a_flow_goes_on_soon_after_an_outage_of_an_hour),
        TEST(a_flow_that_begins_in_an_outage_goes_on_soon_too),
        TEST(a_stop_soon_after_the_start_is_no_round_trip),
        TEST(what_waits_behind_an_outage_has_its_time_when_it_is_over),
        TEST(a_stop_of_the_process_for_an_hour_is_no_round_trip),
        TEST(a_stage_of_minutes_a_batch_is_learned_and_makes_no_storm),
        TEST(a_stage_that_becomes_slow_is_learned_too),
        TEST(a_slow_stage_is_learned_when_everything_was_lost),
        TEST(the_window_begins_small_and_opens_with_the_rate),
        TEST(a_slow_store_closes_the_window_to_two_seconds_of_its_rate),
        TEST(all_instances_of_a_slow_second_stage_have_work),
        TEST(bursts_before_a_slow_store_do_not_open_the_window_more_and_more),
        TEST(the_window_has_a_limit),
        TEST(every_instance_may_have_a_batch_whatever_its_size),
        TEST(idle_time_does_not_close_the_window),
        TEST(what_is_forgotten_is_not_sent_again),
        TEST(many_in_flight_come_back_in_any_order),
        TEST(the_estimate_follows_rfc_6298),
        TEST(a_round_trip_in_doubt_counts_for_a_few_timeouts_at_most),
    };
    return cmocka_run_group_tests_name("flights", tests, NULL, NULL);
}
