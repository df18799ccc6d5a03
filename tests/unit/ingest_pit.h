/* Ingest with everything around it played by the test: clients on DEALER sockets, the first stage
 * of the text flow as a bare PULL, persist as a bare XPUB. The journal is a real one, in a folder
 * that goes with the test. */
#ifndef TESTS_UNIT_INGEST_PIT_H
#define TESTS_UNIT_INGEST_PIT_H

#include "proto/acks.h"
#include "proto/batch.h"
#include "proto/message.h"
#include "services/flows/flow.h"
#include "services/ingest/ingest.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/runtime/service.h"
#include "services/runtime/sockets.h"
#include "services/tables.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wunused-function"

enum { PIT_WAIT_MS = 20000, PIT_SOCKETS = 64 };

struct pit {
    char dir[64], journal[96], listen[96], oneway[96], stage[96], acks[96];
    void *zmq, *pull, *pub;
    uint8_t subscribed[LEAT_ID_SIZE]; /* the run that has subscribed last */
    void *sockets[PIT_SOCKETS];       /* others that are open, or NULL */
    int n_sockets, starts;
    struct leat_settings *settings;
    struct leat_metrics *metrics;
    struct rlimit file_size; /* as it was */

    struct leat_host host; /* of the ingest that runs now */
    void *orders;
    pthread_t thread;
    bool running;
    enum leat_exit status;
};

static enum leat_exit pit_stop(struct pit *self);

static void pit_set(struct pit *self, const char *name, const char *value)
{
    struct leat_error err;
    if (!leat_settings_set(self->settings, name, value, LEAT_FROM_PROGRAM, "test", &err))
        fail_msg("%s", err.text);
}

/* No file may grow beyond `size` bytes: what a full disk does, for this process alone. */
static void pit_limit_files(struct pit *self, rlim_t size)
{
    struct rlimit limit = {size, self->file_size.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void pit_unlimit_files(struct pit *self)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &self->file_size), 0);
}

/* Texts go to the bare PULL; whatever other flows there are have nobody at their first stage. */
static void pit_set_stages(struct pit *self)
{
    char setting[64], nobody[96];
    snprintf(nobody, sizeof nobody, "ipc://%s/nobody", self->dir);
    for (size_t i = 0; leat_flows[i]; i++) {
        snprintf(setting, sizeof setting, "%s.address", leat_flows[i]->stages[0]);
        pit_set(self, setting, strcmp(leat_flows[i]->kind, "text") == 0 ? self->stage : nobody);
    }
}

static int pit_setup(void **state)
{
    struct pit *self = calloc(1, sizeof *self);
    struct leat_error err;
    leat_log_set_level(getenv("PIT_LOG") ? LEAT_INFO : LEAT_ERR);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &self->file_size), 0);
    strcpy(self->dir, "/tmp/leat-ingest-XXXXXX");
    assert_non_null(mkdtemp(self->dir));
    snprintf(self->journal, sizeof self->journal, "%s/journal", self->dir);
    snprintf(self->listen, sizeof self->listen, "ipc://%s/door", self->dir);
    snprintf(self->oneway, sizeof self->oneway, "ipc://%s/oneway", self->dir);
    snprintf(self->stage, sizeof self->stage, "ipc://%s/cache", self->dir);
    snprintf(self->acks, sizeof self->acks, "ipc://%s/acks", self->dir);
    self->zmq = zmq_ctx_new();
    self->settings = leat_settings_new(leat_tables);
    self->metrics = leat_metrics_new(&err);
    assert_non_null(self->metrics);
    pit_set(self, "ingest.listen", self->listen);
    pit_set(self, "ingest.oneway", self->oneway);
    pit_set_stages(self);
    pit_set(self, "persist.acks_address", self->acks);
    pit_set(self, "journal.dir", self->journal);
    pit_set(self, "journal.reserve_bytes", "1MB");
    self->pull = leat_socket_inbox(self->zmq, NULL, self->stage, "stage", 64 << 20, &err);
    self->pub = zmq_socket(self->zmq, ZMQ_XPUB);
    assert_non_null(self->pull);
    assert_int_equal(zmq_bind(self->pub, self->acks), 0);
    *state = self;
    return 0;
}

static int pit_teardown(void **state)
{
    struct pit *self = *state;
    pit_unlimit_files(self);
    if (self->running)
        pit_stop(self);
    leat_socket_close(&self->pull, 0);
    leat_socket_close(&self->pub, 0);
    /* What a test that failed has left open: the context would wait for it. */
    for (int i = 0; i < self->n_sockets; i++)
        leat_socket_close(&self->sockets[i], 0);
    zmq_ctx_term(self->zmq);
    leat_metrics_destroy(&self->metrics);
    leat_settings_destroy(&self->settings);
    static const char *const files[] = {"journal/journal.mdb",
                                        "journal/journal.mdb-lock",
                                        "journal/lock",
                                        "journal",
                                        "door",
                                        "oneway",
                                        "cache",
                                        "acks",
                                        ""};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", self->dir, files[i]);
        remove(path);
    }
    free(self);
    return 0;
}

/* --- ingest ----------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct pit *self = arg;
    self->status = ingest_service.run(&self->host);
    atomic_store(&self->host.state, LEAT_ENDED);
    return NULL;
}

static void pit_begin(struct pit *self)
{
    memset(&self->host, 0, sizeof self->host);
    self->host.name = "ingest";
    self->host.zmq = self->zmq;
    self->host.settings = leat_settings_copy(self->settings);
    self->host.metrics = self->metrics;
    self->host.drain_ms = 5000;
    char name[128];
    snprintf(name, sizeof name, "inproc://orders-%d", self->starts++);
    self->orders = zmq_socket(self->zmq, ZMQ_PAIR);
    self->host.control = zmq_socket(self->zmq, ZMQ_PAIR);
    assert_int_equal(zmq_bind(self->orders, name), 0);
    assert_int_equal(zmq_connect(self->host.control, name), 0);
    assert_int_equal(pthread_create(&self->thread, NULL, run, self), 0);
    self->running = true;
}

/* Starts ingest and waits until it is ready; with pit_begin, until nothing. */
static void pit_start(struct pit *self)
{
    pit_begin(self);
    int64_t deadline = leat_monotonic_us() + PIT_WAIT_MS * 1000;
    while (atomic_load(&self->host.state) == LEAT_STARTING && leat_monotonic_us() < deadline)
        usleep(1000);
    assert_int_equal(atomic_load(&self->host.state), LEAT_READY);
}

static void pit_await_state(struct pit *self, int state)
{
    int64_t deadline = leat_monotonic_us() + PIT_WAIT_MS * 1000;
    while (atomic_load(&self->host.state) != state && leat_monotonic_us() < deadline)
        usleep(1000);
    assert_int_equal(atomic_load(&self->host.state), state);
}

static void pit_order(struct pit *self, const char *order)
{
    zmq_send(self->orders, order, strlen(order) + 1, 0);
}

static enum leat_exit pit_join(struct pit *self)
{
    pthread_join(self->thread, NULL);
    leat_socket_close(&self->orders, 0);
    leat_socket_close(&self->host.control, 0);
    leat_settings_destroy(&self->host.settings);
    self->running = false;
    return self->status;
}

/* Ends it at once, as far as others can see. */
static enum leat_exit pit_stop(struct pit *self)
{
    pit_order(self, "s");
    return pit_join(self);
}

static int64_t pit_metric_now(struct pit *self, const char *name, const char *labels)
{
    return leat_metric_get(
        leat_metrics_add(self->metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels, ""));
}

/* Waits until ingest's metric has the value. */
static void pit_metric(struct pit *self, const char *name, const char *labels, int64_t value)
{
    int64_t deadline = leat_monotonic_us() + PIT_WAIT_MS * 1000;
    while (pit_metric_now(self, name, labels) != value) {
        if (leat_monotonic_us() > deadline)
            fail_msg("%s{%s} is %lld, not %lld", name, labels,
                     (long long)pit_metric_now(self, name, labels), (long long)value);
        usleep(1000);
    }
}

/* --- the first stage, and persist ------------------------------------------------------------- */

static void free_frame(void *frame)
{
    free(frame);
}

static bool poll_in(void *socket, int wait_ms)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, wait_ms) > 0;
}

/* The next batch, to be destroyed; NULL when none comes within the time. */
static struct leat_batch *pit_batch(struct pit *self, int wait_ms)
{
    if (!poll_in(self->pull, wait_ms))
        return NULL;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    assert_true(zmq_msg_recv(&msg, self->pull, 0) >= 0);
    size_t size = zmq_msg_size(&msg);
    void *frame = malloc(size);
    memcpy(frame, zmq_msg_data(&msg), size);
    zmq_msg_close(&msg);
    struct leat_error err;
    struct leat_batch *batch =
        leat_batch_read((struct leat_span){frame, size}, frame, free_frame, &err);
    if (!batch)
        fail_msg("%s", err.text);
    return batch;
}

/* Persist repeats what it acknowledges for those that connect late; the pit waits for them. */
static void pit_await_subscriber(struct pit *self, const uint8_t run[LEAT_ID_SIZE])
{
    uint8_t told[1 + LEAT_ID_SIZE];
    while (memcmp(self->subscribed, run, LEAT_ID_SIZE) != 0) {
        if (!poll_in(self->pub, PIT_WAIT_MS))
            fail_msg("ingest does not subscribe to its acknowledgements");
        assert_int_equal(zmq_recv(self->pub, told, sizeof told, 0), sizeof told);
        if (told[0] == 1)
            memcpy(self->subscribed, told + 1, LEAT_ID_SIZE);
    }
}

/* Says that a batch is committed. */
static void pit_ack(struct pit *self, const struct leat_batch_head *head, uint32_t committed,
                    uint32_t dead)
{
    struct leat_ack ack = {
        .seq = head->seq, .attempt = head->attempt, .committed = committed, .dead = dead};
    memcpy(ack.kind, head->kind, sizeof ack.kind);
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_acks_write(&frame, head->run, &ack, 1);
    pit_await_subscriber(self, head->run);
    assert_true(zmq_send(self->pub, frame.data, frame.size, 0) >= 0);
    msgpack_sbuffer_destroy(&frame);
}

/* Takes batches and acks them until `records` have come; returns how many batches. On a slow
 * machine there may be probes among them: copies. */
static size_t pit_commit(struct pit *self, size_t records)
{
    size_t batches = 0;
    while (records > 0) {
        struct leat_batch *batch = pit_batch(self, PIT_WAIT_MS);
        assert_non_null(batch);
        pit_ack(self, &batch->head, batch->head.count, 0);
        if (batch->head.attempt == 1) {
            assert_true(batch->head.count <= records);
            records -= batch->head.count;
            batches++;
        }
        leat_batch_destroy(&batch);
    }
    return batches;
}

/* A socket of the test's own, closed with the pit at the latest. */
static void *pit_socket(struct pit *self, int type, const char *address)
{
    void *socket = zmq_socket(self->zmq, type);
    assert_true(self->n_sockets < PIT_SOCKETS);
    self->sockets[self->n_sockets++] = socket;
    assert_int_equal(zmq_connect(socket, address), 0);
    return socket;
}

static void pit_socket_close(struct pit *self, void *socket)
{
    for (int i = 0; i < self->n_sockets; i++)
        if (self->sockets[i] == socket)
            leat_socket_close(&self->sockets[i], 0);
}

/* --- a client --------------------------------------------------------------------------------- */

struct pit_client {
    struct pit *pit;
    void *socket;
    uint64_t session;
    msgpack_zone zone;
    zmq_msg_t frame;       /* the last one received */
    struct leat_message m; /* what it says */
};

static const struct leat_message *pit_client_expect(struct pit_client *self,
                                                    enum leat_message_type type);

static void pit_client_open(struct pit_client *self, struct pit *pit)
{
    memset(self, 0, sizeof *self);
    self->pit = pit;
    self->socket = pit_socket(pit, ZMQ_DEALER, pit->listen);
    zmq_msg_init(&self->frame);
    msgpack_zone_init(&self->zone, 8192);
}

static void pit_client_close(struct pit_client *self)
{
    zmq_msg_close(&self->frame);
    msgpack_zone_destroy(&self->zone);
    pit_socket_close(self->pit, self->socket);
}

static void pit_client_put(struct pit_client *self, const void *frame, size_t size)
{
    assert_true(zmq_send(self->socket, frame, size, 0) >= 0);
}

static void pit_client_put_hello(struct pit_client *self, const char *name, uint32_t instance,
                                 bool again)
{
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_message_hello(&frame, name, instance, self->session, again);
    pit_client_put(self, frame.data, frame.size);
    msgpack_sbuffer_destroy(&frame);
}

static void pit_client_say_hello_as(struct pit_client *self, const char *name, uint32_t instance)
{
    pit_client_put_hello(self, name, instance, false);
}

/* As a client does that does not tell which one it is. */
static void pit_client_say_hello(struct pit_client *self, const char *name)
{
    pit_client_say_hello_as(self, name, 0);
}

/* Opens, says hello and takes the welcome. */
static void pit_client_hello(struct pit_client *self, struct pit *pit, const char *name)
{
    pit_client_open(self, pit);
    pit_client_say_hello(self, name);
    self->session = pit_client_expect(self, LEAT_WELCOME)->session;
}

static void pit_client_send_raw(struct pit_client *self, uint64_t seq, const char *kind,
                                uint32_t count, const msgpack_sbuffer *records)
{
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_message_send(&frame, self->session, seq, kind, count,
                      (struct leat_span){(const uint8_t *)records->data, records->size});
    pit_client_put(self, frame.data, frame.size);
    msgpack_sbuffer_destroy(&frame);
}

/* Appends a text record. */
static void pit_text(msgpack_sbuffer *to, const char *id, const char *text)
{
    msgpack_packer pack;
    leat_pack_init(&pack, to);
    leat_pack_map(&pack, 2);
    leat_pack_cstr(&pack, "id");
    leat_pack_cstr(&pack, id);
    leat_pack_cstr(&pack, "text");
    leat_pack_cstr(&pack, text);
}

/* `count` texts "NAME-SEQ-i". */
static void pit_client_send(struct pit_client *self, uint64_t seq, uint32_t count)
{
    msgpack_sbuffer records;
    msgpack_sbuffer_init(&records);
    for (uint32_t i = 0; i < count; i++) {
        char id[64];
        snprintf(id, sizeof id, "%llu-%llu-%u", (unsigned long long)self->session,
                 (unsigned long long)seq, i);
        pit_text(&records, id, "the water runs");
    }
    pit_client_send_raw(self, seq, "text", count, &records);
    msgpack_sbuffer_destroy(&records);
}

/* The next message into self->m; false when none comes. */
static bool pit_client_receive(struct pit_client *self, int wait_ms)
{
    if (!poll_in(self->socket, wait_ms))
        return false;
    assert_true(zmq_msg_recv(&self->frame, self->socket, 0) >= 0);
    assert_false(zmq_msg_more(&self->frame));
    msgpack_zone_clear(&self->zone);
    const char *code;
    struct leat_error err;
    if (!leat_message_read(
            (struct leat_span){zmq_msg_data(&self->frame), zmq_msg_size(&self->frame)}, &self->zone,
            &self->m, &code, &err))
        fail_msg("%s", err.text);
    return true;
}

/* The next message, which must be of this type; `done` that was not asked for is passed over. */
static const struct leat_message *pit_client_expect(struct pit_client *self,
                                                    enum leat_message_type type)
{
    do {
        if (!pit_client_receive(self, PIT_WAIT_MS))
            fail_msg("no message of type %d came", (int)type);
    } while (self->m.type == LEAT_DONE && type != LEAT_DONE);
    if (self->m.type == LEAT_ERROR && type != LEAT_ERROR)
        fail_msg("error: %.*s", (int)self->m.reason.size, (const char *)self->m.reason.data);
    assert_int_equal(self->m.type, type);
    return &self->m;
}

#endif
