#include "services/runtime/host.h"
#include "services/runtime/sockets.h"
#include "services/runtime/stage_loop.h"
#include "proto/acks.h"
#include "tests/unit/mill.h"

#include <pthread.h>
#include <zmq.h>

/* A stage under its loop in a thread, with the sockets around it in the test's own hands. */
struct site {
    const struct leat_stage *stage;
    char *folder;
    struct leat_host host;
    struct host_reasons reasons;
    void *zmq, *orders;
    void *in;  /* PUSH to the inbox */
    void *out; /* PULL of the next stage */
    pthread_t thread;
    enum leat_exit status;
    _Atomic bool ended;
};

static void *site_run(void *arg)
{
    struct site *self = arg;
    self->status = stage_loop_run(self->stage, &self->host);
    atomic_store(&self->ended, true);
    return NULL;
}

static int site_setup(void **state)
{
    struct site *self = calloc(1, sizeof *self);
    void *ends[2];
    self->stage = &mill_stage;
    self->folder = rig_folder();
    self->zmq = zmq_ctx_new();
    assert_true(leat_socket_pair(self->zmq, ends, NULL));
    self->orders = ends[0];
    self->host = (struct leat_host){
        .name = "mill",
        .zmq = self->zmq,
        .control = ends[1],
        .settings = leat_settings_new(mill_tables),
        .metrics = leat_metrics_new(NULL),
        .drain_ms = 5000,
        .program = &mill_program,
        .reasons = &self->reasons,
    };
    self->in = leat_socket_output(self->zmq, NULL, NULL);
    leat_log_set_level(LEAT_ERR + 1);
    assert_true(
        leat_settings_assign(self->host.settings, "log.level=error", LEAT_FROM_PROGRAM, NULL));
    *state = self;
    return 0;
}

static void site_set(struct site *self, const char *assignment)
{
    assert_true(leat_settings_assign(self->host.settings, assignment, LEAT_FROM_PROGRAM, NULL));
}

static void site_put(struct site *self, const char *name, const char *value)
{
    assert_true(
        leat_settings_set(self->host.settings, name, value, LEAT_FROM_PROGRAM, "test", NULL));
}

/* The setting's value is a socket file of the test; returns that address. */
static const char *site_put_ipc(struct site *self, const char *name)
{
    const char *address = rig_ipc(self->folder, name);
    site_put(self, name, address);
    return address;
}

static void site_next(struct site *self, const char *address)
{
    struct leat_error err = {.text = ""};
    self->out = leat_socket_inbox(self->zmq, NULL, address, "store.inbox", 1 << 20, &err);
    assert_string_equal(err.text, "");
}

static void site_start(struct site *self)
{
    char inbox[64];
    snprintf(inbox, sizeof inbox, "%s.inbox", self->stage->name);
    zmq_connect(self->in, leat_settings_str(self->host.settings, inbox));
    assert_int_equal(pthread_create(&self->thread, NULL, site_run, self), 0);
    rig_await(atomic_load(&self->host.state) == LEAT_READY);
}

static void site_order(struct site *self, const char *order)
{
    assert_true(zmq_send(self->orders, order, strlen(order) + 1, 0) > 0);
}

static enum leat_exit site_join(struct site *self)
{
    rig_await(atomic_load(&self->ended));
    pthread_join(self->thread, NULL);
    self->thread = 0;
    return self->status;
}

static int site_teardown(void **state)
{
    struct site *self = *state;
    if (self->thread) {
        site_order(self, "s");
        site_join(self);
    }
    leat_socket_close(&self->in, 0);
    leat_socket_close(&self->out, 0);
    leat_socket_close(&self->orders, 0);
    leat_socket_close(&self->host.control, 0);
    zmq_ctx_term(self->zmq);
    leat_metrics_destroy(&self->host.metrics);
    leat_settings_destroy(&self->host.settings);
    host_reasons_free(&self->reasons);
    char command[300];
    snprintf(command, sizeof command, "rm -r %s", self->folder);
    assert_int_equal(system(command), 0);
    free(self->folder);
    free(self);
    return 0;
}

static bool site_try_send(struct site *self, const char *stage, const char *kind, uint64_t seq,
                          const char *const *records, uint32_t n)
{
    msgpack_sbuffer frame = rig_frame(stage, kind, seq, records, n);
    int sent = zmq_send(self->in, frame.data, frame.size, ZMQ_DONTWAIT);
    msgpack_sbuffer_destroy(&frame);
    return sent >= 0;
}

static void site_send(struct site *self, uint64_t seq, const char *record)
{
    rig_await(site_try_send(self, "mill", "grain", seq, &record, 1));
}

static struct leat_batch *site_receive(struct site *self)
{
    zmq_pollitem_t item = {.socket = self->out, .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, RIG_DEADLINE_MS), 1);
    zmq_msg_t message;
    zmq_msg_init(&message);
    assert_true(zmq_msg_recv(&message, self->out, 0) >= 0);
    size_t size = zmq_msg_size(&message);
    uint8_t *copy = malloc(size);
    memcpy(copy, zmq_msg_data(&message), size);
    zmq_msg_close(&message);
    struct leat_batch *batch = leat_batch_read((struct leat_span){copy, size}, copy, free, NULL);
    assert_non_null(batch);
    return batch;
}

static int64_t site_metric(struct site *self, const char *name, const char *labels)
{
    return leat_metric_get(
        leat_metrics_add(self->host.metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels, ""));
}

static void a_batch_goes_on_to_the_next_stage(void **state)
{
    struct site *self = *state;
    site_next(self, "inproc://store");
    site_start(self);
    site_send(self, 7, "rye");
    struct leat_batch *batch = site_receive(self);
    assert_string_equal(batch->head.stage, "store");
    assert_string_equal(batch->head.kind, "grain");
    assert_int_equal(batch->head.seq, 7);
    assert_string_equal(rig_text(batch->items[0].result), "rye!@0");
    leat_batch_destroy(&batch);
    assert_int_equal(site_metric(self, "leat_stage_batches_out_total", "stage=\"mill\""), 1);
}

static void the_same_without_a_child(void **state)
{
    struct site *self = *state;
    site_set(self, "child.enabled=no");
    site_put_ipc(self, "mill.inbox");
    site_next(self, site_put_ipc(self, "store.address"));
    site_start(self);
    for (uint64_t seq = 1; seq <= 50; seq++) {
        site_send(self, seq, "rye");
        struct leat_batch *batch = site_receive(self);
        assert_int_equal(batch->head.seq, seq);
        leat_batch_destroy(&batch);
    }
}

static void what_is_not_for_the_stage_is_dropped(void **state)
{
    struct site *self = *state;
    const char *rye = "rye";
    site_next(self, "inproc://store");
    site_start(self);
    rig_await(site_try_send(self, "store", "grain", 1, &rye, 1));
    rig_await(site_try_send(self, "mill", "sand", 2, &rye, 1));
    rig_await(zmq_send(self->in, "\xff\x00rubbish", 9, ZMQ_DONTWAIT) >= 0);
    rig_await(zmq_send(self->in, "", 0, ZMQ_DONTWAIT) >= 0);
    rig_await(zmq_send(self->in, "a", 1, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(self->in, "b", 1, 0) >= 0);
    rig_await(site_try_send(self, "mill", "grain", 3, (const char *const[]){"drop"}, 1));
    site_send(self, 4, "rye");
    struct leat_batch *batch = site_receive(self);
    assert_int_equal(batch->head.seq, 4);
    leat_batch_destroy(&batch);
    const char *const dropped = "leat_stage_dropped_total";
    assert_int_equal(site_metric(self, dropped, "stage=\"mill\",reason=\"stage\""), 1);
    assert_int_equal(site_metric(self, dropped, "stage=\"mill\",reason=\"kind\""), 1);
    assert_int_equal(site_metric(self, dropped, "stage=\"mill\",reason=\"undecodable\""), 3);
    assert_int_equal(site_metric(self, dropped, "stage=\"mill\",reason=\"refused\""), 1);
}

/* With nobody behind it the loop takes a few batches and then no more, but obeys. */
static void a_blocked_stage_stops_reading_and_still_obeys(void **state)
{
    struct site *self = *state;
    const char *rye = "rye", *in = "leat_stage_batches_in_total", *mill = "stage=\"mill\"";
    site_start(self);
    rig_await((site_try_send(self, "mill", "grain", 1, &rye, 1),
               site_metric(self, "leat_stage_wait_output_seconds_total", mill) > 0));
    int64_t taken = site_metric(self, in, mill);
    assert_true(taken <= 10); /* one waits, two are with the child, a few in the inproc pipe */
    while (site_try_send(self, "mill", "grain", 1, &rye, 1))
        ;
    site_order(self, "d100");
    assert_int_equal(site_join(self), LEAT_EXIT_DEADLINE);
    assert_int_equal(site_metric(self, in, mill), taken);
}

static void a_drain_finishes_what_is_in_hand(void **state)
{
    struct site *self = *state;
    const char *store = site_put_ipc(self, "store.address");
    site_start(self);
    site_send(self, 1, "rye");
    rig_await(site_metric(self, "leat_stage_batches_in_total", "stage=\"mill\"") == 1);
    site_order(self, "d20000");
    rig_await(atomic_load(&self->host.state) == LEAT_DRAINING);
    site_next(self, store);
    assert_int_equal(site_join(self), LEAT_EXIT_OK);
    struct leat_batch *batch = site_receive(self);
    assert_int_equal(batch->head.seq, 1);
    leat_batch_destroy(&batch);
}

static void a_stop_is_obeyed_at_once(void **state)
{
    struct site *self = *state;
    self->host.drain_ms = 10 * RIG_DEADLINE_MS; /* neither that nor the child is waited for */
    site_set(self, "child.timeout=1h");
    site_start(self);
    site_send(self, 1, "hang");
    rig_await(site_metric(self, "leat_stage_batches_in_total", "stage=\"mill\"") == 1);
    atomic_store(&self->host.stopping, true);
    site_order(self, "s");
    assert_int_equal(site_join(self), LEAT_EXIT_DEADLINE);
}

static void a_stage_that_is_not_ready_reads_no_more(void **state)
{
    struct site *self = *state;
    site_next(self, "inproc://store");
    site_start(self);
    site_send(self, 1, "tired");
    rig_await(atomic_load(&self->host.state) == LEAT_NOT_READY);
    assert_string_equal(atomic_load(&self->host.reason), "the miller sleeps");
    struct leat_batch *batch = site_receive(self);
    leat_batch_destroy(&batch);
    site_send(self, 2, "rye");
    zmq_pollitem_t item = {.socket = self->out, .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, 300), 0);
}

static void a_reload_takes_reloadable_settings(void **state)
{
    struct site *self = *state;
    site_next(self, "inproc://store");
    site_start(self);
    site_order(self, "rmill.mark=?\nmill.inbox=inproc://elsewhere\n");
    site_send(self, 1, "rye");
    struct leat_batch *batch = site_receive(self);
    assert_string_equal(rig_text(batch->items[0].result), "rye?@0");
    leat_batch_destroy(&batch);
}

/* Its child opens the stage only when that file is there. */
static void site_start_opening(struct site *self, const char *file)
{
    char assignment[200];
    snprintf(assignment, sizeof assignment, "mill.opens_when=%s", file);
    site_set(self, assignment);
    assert_int_equal(pthread_create(&self->thread, NULL, site_run, self), 0);
}

static void a_stage_that_still_opens_obeys(void **state)
{
    struct site *self = *state;
    site_start_opening(self, "/nowhere/at/all");
    site_order(self, "d20000");
    assert_int_equal(site_join(self), LEAT_EXIT_OK);
    site_start_opening(self, "/nowhere/at/all");
    site_order(self, "s");
    assert_int_equal(site_join(self), LEAT_EXIT_DEADLINE);
}

static void settings_that_come_while_it_opens_are_taken(void **state)
{
    struct site *self = *state;
    char *folder = rig_folder(), file[200], command[300];
    snprintf(file, sizeof file, "%s", rig_path(folder, "open"));
    site_next(self, "inproc://store");
    site_start_opening(self, file);
    site_order(self, "rmill.mark=?\n");
    rig_write(file, "", 0);
    rig_await(atomic_load(&self->host.state) == LEAT_READY);
    zmq_connect(self->in, "inproc://mill");
    site_send(self, 1, "rye");
    struct leat_batch *batch = site_receive(self);
    assert_string_equal(rig_text(batch->items[0].result), "rye?@0");
    leat_batch_destroy(&batch);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    free(folder);
}

static void a_stage_that_cannot_start_fails(void **state)
{
    struct site *self = *state;
    char inbox[64];
    void *squatter = zmq_socket(self->zmq, ZMQ_PULL);
    assert_int_equal(zmq_bind(squatter, "tcp://127.0.0.1:*"), 0);
    rig_endpoint(squatter, inbox);
    site_put(self, "mill.inbox", inbox);
    assert_int_equal(pthread_create(&self->thread, NULL, site_run, self), 0);
    assert_int_equal(site_join(self), LEAT_EXIT_FAILED);
    zmq_close(squatter);
}

/* --- a stage that keeps its batches, acks them and has a second inbox ----------------------- */

struct store {
    struct leat_stage_context *ctx;
    int sides;
};

static bool store_open(void **self, struct leat_stage_context *ctx, struct leat_error *err)
{
    struct store *store = calloc(1, sizeof *store);
    (void)err;
    store->ctx = ctx;
    *self = store;
    return true;
}

static enum leat_verdict store_batch(void *self, struct leat_batch *batch)
{
    struct store *store = self;
    leat_stage_ack(store->ctx, &batch->head, batch->head.count, (uint32_t)store->sides);
    leat_batch_destroy(&batch);
    return LEAT_TAKEN;
}

static void store_side(void *self, struct leat_span frame)
{
    ((struct store *)self)->sides += frame.size == 5;
}

static const struct leat_stage store_stage = {
    .name = "store",
    .open = store_open,
    .batch = store_batch,
    .side = store_side,
    .side_in = "mill.side",
    .publishes = "store.acks",
    .close = mill_close,
};

static const struct leat_setting store_settings[] = {
    {.name = "store.inbox", .type = LEAT_SET_STRING, .value = "inproc://mill", .help = "."},
    {.name = "store.acks", .type = LEAT_SET_STRING, .value = "inproc://acks", .help = "."},
    {0},
};
static const struct leat_setting *const store_tables[] = {leat_runtime_settings, mill_settings,
                                                          store_settings, NULL};

struct heard {
    int n;
    struct leat_ack last;
};

static void hear(void *arg, const struct leat_ack *ack)
{
    struct heard *heard = arg;
    heard->n++;
    heard->last = *ack;
}

static void hear_frame(void *sub, struct heard *heard)
{
    uint8_t run[LEAT_ID_SIZE], frame[1000];
    zmq_pollitem_t item = {.socket = sub, .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, RIG_DEADLINE_MS), 1);
    int size = zmq_recv(sub, frame, sizeof frame, 0);
    assert_true(size > 0);
    assert_true(leat_acks_read((struct leat_span){frame, (size_t)size}, run, hear, heard, NULL));
    assert_memory_equal(run, "rrrrrrrrrrrrrrrr", sizeof run);
}

static void acks_are_published_and_repeated(void **state)
{
    struct site *self = *state;
    uint8_t topic[LEAT_ID_SIZE];
    struct heard heard = {0};
    memset(topic, 'r', sizeof topic);
    self->stage = &store_stage;
    leat_settings_destroy(&self->host.settings);
    self->host.settings = leat_settings_new(store_tables);
    site_start(self);
    void *side = leat_socket_output(self->zmq, NULL, NULL);
    zmq_connect(side, "inproc://mill.side");
    rig_await(zmq_send(side, "aside", 5, ZMQ_DONTWAIT) >= 0);

    const char *rye[] = {"rye", "oat"};
    rig_await(site_try_send(self, "store", "grain", 41, rye, 2));
    rig_await(site_metric(self, "leat_stage_batches_in_total", "stage=\"store\"") == 1);
    /* Who comes late hears it all the same. */
    void *late = leat_socket_subscriber(self->zmq, NULL, topic, NULL);
    zmq_connect(late, "inproc://acks");
    hear_frame(late, &heard);
    assert_int_equal(heard.last.seq, 41);
    assert_int_equal(heard.last.committed, 2);
    /* Every publication repeats what is young. */
    rig_await(site_try_send(self, "store", "grain", 42, rye, 1));
    while (heard.last.seq != 42) {
        heard.n = 0;
        hear_frame(late, &heard);
    }
    hear_frame(late, &heard);
    assert_true(heard.n >= 2);
    site_order(self, "d");
    assert_int_equal(site_join(self), LEAT_EXIT_OK);
    leat_socket_close(&side, 0);
    leat_socket_close(&late, 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return leat_child_main(&mill_program, argv[2]);
#define SITE(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        SITE(a_batch_goes_on_to_the_next_stage),
        SITE(the_same_without_a_child),
        SITE(what_is_not_for_the_stage_is_dropped),
        SITE(a_blocked_stage_stops_reading_and_still_obeys),
        SITE(a_drain_finishes_what_is_in_hand),
        SITE(a_stop_is_obeyed_at_once),
        SITE(a_stage_that_is_not_ready_reads_no_more),
        SITE(a_reload_takes_reloadable_settings),
        SITE(a_stage_that_still_opens_obeys),
        SITE(settings_that_come_while_it_opens_are_taken),
        SITE(a_stage_that_cannot_start_fails),
        SITE(acks_are_published_and_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
