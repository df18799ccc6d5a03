#include "services/runtime/stage_loop.h"

#include "services/runtime/clock.h"
#include "services/runtime/host.h"
#include "services/runtime/log.h"
#include "services/runtime/outputs.h"
#include "services/runtime/publisher.h"
#include "services/runtime/sockets.h"
#include "services/runtime/stage_frames.h"
#include "services/runtime/tap.h"
#include "services/runtime/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURN_MS = 1000,    /* the loop turns at least so often */
    SIDE_AT_ONCE = 16, /* frames of the second inbox between two batches */
    LINGER_MS = 5000,  /* for what is sent but not yet gone when the stage ends, at most */
    ITEMS_MAX = 8 + OUTPUTS_MAX * OUTPUT_ITEMS,
};

struct stage_loop {
    const struct leat_stage *stage;
    struct leat_host *host;
    struct leat_stage_context ctx;
    struct stage_counts counts;
    struct worker worker;
    struct outputs outputs;
    struct stage_frames frames; /* judges what comes in */
    void *inbox, *side_in;
    struct leat_peers *side_out;
    struct publisher *publisher;
    struct tap tap;
    bool ready, draining, ended;
    int64_t drain_until_us;
    int64_t due_ms; /* until the next turn at the latest */
    enum leat_exit status;
};

/* --- what a stage asks of its surroundings -------------------------------------------------- */

static void loop_show_state(struct stage_loop *self)
{
    int state = self->draining ? LEAT_DRAINING : self->ready ? LEAT_READY : LEAT_NOT_READY;
    atomic_store(&self->host->state, state);
}

static void loop_ready(void *owner, bool ready, const char *reason)
{
    struct stage_loop *self = owner;
    const char *text = ready ? NULL : host_reason(self->host->reasons, reason);
    if (ready != self->ready)
        leat_log(ready ? LEAT_INFO : LEAT_WARN, self->stage->name, ready ? "ready" : "not_ready",
                 LEAT_S("reason", text));
    atomic_store(&self->host->reason, text);
    self->ready = ready;
    if (atomic_load(&self->host->state) != LEAT_STARTING)
        loop_show_state(self);
}

static void loop_ack(void *owner, const struct leat_batch_head *head, uint32_t committed,
                     uint32_t dead)
{
    struct stage_loop *self = owner;
    if (self->publisher)
        publisher_add(self->publisher, head, committed, dead);
}

static void loop_side(void *owner, struct leat_span bytes)
{
    struct stage_loop *self = owner;
    if (!self->side_out ||
        zmq_send(leat_peers_socket(self->side_out), bytes.data, bytes.size, ZMQ_DONTWAIT) < 0)
        leat_metric_inc(self->counts.dropped[DROP_SIDE], 1);
}

static bool loop_stopping(void *owner)
{
    return atomic_load(&((struct stage_loop *)owner)->host->stopping);
}

/* Here nobody takes a long batch for a hanging one. */
static bool loop_waits(void *owner)
{
    return !loop_stopping(owner);
}

/* --- opening and closing -------------------------------------------------------------------- */

/* The largest frame that may come in: of all kinds that pass this stage. */
static size_t loop_max_frame(const struct stage_loop *self)
{
    const struct leat_routes *routes = self->host->program->routes;
    const char *kind, *next;
    size_t max = 0;
    for (size_t i = 0; (kind = routes->kind(i)); i++)
        if (routes->next(kind, self->stage->name, &next)) {
            size_t size = routes->max_frame(kind, self->host->settings);
            max = size > max ? size : max;
        }
    return max;
}

static bool loop_open_side(struct stage_loop *self, struct leat_error *err)
{
    const struct leat_settings *settings = self->host->settings;
    const char *in = self->stage->side_in, *out = self->stage->side_out;
    if (in && !(self->side_in = leat_socket_inbox(self->host->zmq, self->host->security,
                                                  leat_settings_str(settings, in), in,
                                                  loop_max_frame(self), err)))
        return false;
    if (!out)
        return true;
    const struct leat_peers_options options = {
        .zmq = self->host->zmq,
        .security = self->host->security,
        .metrics = self->host->metrics,
        .service = self->stage->name,
        .peer = out,
        .addresses = leat_settings_str(settings, out),
        .setting = out,
        .best_effort = true,
        .refresh_ms = leat_settings_int(settings, "peers.refresh"),
    };
    return (self->side_out = leat_peers_open(&options, err)) != NULL;
}

static void loop_close(struct stage_loop *self)
{
    int64_t left = (self->drain_until_us - leat_monotonic_us()) / 1000;
    int linger = !self->draining || left < 0 || loop_stopping(self) ? 0
                 : left > LINGER_MS                                 ? LINGER_MS
                                                                    : (int)left;
    worker_close(&self->worker);
    outputs_close(&self->outputs, linger);
    leat_peers_close(&self->side_out, 0);
    publisher_close(&self->publisher, linger > 0 ? linger : 100);
    tap_close(&self->tap);
    leat_socket_close(&self->inbox, 0);
    leat_socket_close(&self->side_in, 0);
}

/* --- orders --------------------------------------------------------------------------------- */

static void loop_drain(struct stage_loop *self, const char *text)
{
    int64_t ms = text[0] ? strtoll(text, NULL, 10) : self->host->drain_ms;
    self->draining = true;
    self->drain_until_us = leat_monotonic_us() + ms * 1000;
    loop_show_state(self);
}

static void loop_reload(struct stage_loop *self, char *lines)
{
    struct leat_settings *fresh = leat_settings_copy(self->host->settings);
    struct leat_error err;
    for (char *line = strtok_r(lines, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines))
        if (!leat_settings_assign(fresh, line, LEAT_FROM_PROGRAM, &err))
            leat_log(LEAT_ERR, self->stage->name, "reload_refused", LEAT_S("reason", err.text));
    leat_settings_reload(self->host->settings, fresh, NULL, NULL);
    leat_settings_destroy(&fresh);
    worker_reload(&self->worker, self->host->settings);
}

/* Orders come from this process, so their texts are terminated. */
static void loop_obey(struct stage_loop *self)
{
    zmq_msg_t order;
    zmq_msg_init(&order);
    while (!self->ended && zmq_msg_recv(&order, self->host->control, ZMQ_DONTWAIT) > 0) {
        char *text = zmq_msg_data(&order);
        switch (text[0]) {
        case LEAT_ORDER_DRAIN:
            loop_drain(self, text + 1);
            break;
        case LEAT_ORDER_STOP:
            self->ended = true;
            self->status = LEAT_EXIT_DEADLINE;
            break;
        case LEAT_ORDER_RELOAD:
            loop_reload(self, text + 1);
            break;
        }
    }
    zmq_msg_close(&order);
}

/* --- batches -------------------------------------------------------------------------------- */

static void loop_forward(struct stage_loop *self, struct leat_done *done)
{
    const struct leat_routes *routes = self->host->program->routes;
    const char *next = NULL;
    routes->next(done->batch->head.kind, self->stage->name, &next);
    struct output *output = next ? outputs_find(&self->outputs, next) : NULL;
    if (!output) {
        stage_frames_drop(&self->frames, DROP_KIND, &done->batch->head, "no stage comes after");
        worker_forget(done);
        return;
    }
    zmq_msg_t frame;
    uint32_t records = done->batch->head.count;
    worker_frame(done, output->stage, &frame);
    leat_metric_inc(self->counts.batches_out, 1);
    leat_metric_inc(self->counts.records_out, records);
    leat_metric_inc(self->counts.bytes_out, (int64_t)zmq_msg_size(&frame));
    tap_frame(&self->tap, &frame);
    output_put(output, &frame);
}

/* Moves what has come back from the work to the outputs, as long as these take it. */
static void loop_send(struct stage_loop *self)
{
    struct leat_done done;
    while (outputs_empty(&self->outputs) && worker_take(&self->worker, &done)) {
        if (done.verdict == LEAT_FORWARD) {
            loop_forward(self, &done);
        } else {
            leat_metric_inc(self->counts.dropped[DROP_REFUSED], 1);
            worker_forget(&done);
        }
    }
}

static bool loop_reads(const struct stage_loop *self)
{
    return self->ready && !self->draining && !self->ended && outputs_empty(&self->outputs) &&
           worker_wants(&self->worker);
}

/* Reads batches while there are some and they are wanted. After one that was worked on here, orders
 * are looked at first. */
static void loop_read(struct stage_loop *self)
{
    while (loop_reads(self)) {
        struct leat_span frame;
        struct leat_batch *batch = NULL;
        if (!stage_frames_read(&self->frames, self->inbox, &batch, &frame))
            return;
        if (!batch)
            continue;
        leat_metric_inc(self->counts.batches_in, 1);
        leat_metric_inc(self->counts.records_in, batch->head.count);
        leat_metric_inc(self->counts.bytes_in, (int64_t)batch->bytes);
        if (self->outputs.n == 0)
            tap_bytes(&self->tap, frame);
        worker_give(&self->worker, batch, frame);
        if (!self->worker.child)
            return;
    }
}

static void loop_read_side(struct stage_loop *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    for (int i = 0; i < SIDE_AT_ONCE; i++) {
        if (zmq_msg_recv(&frame, self->side_in, ZMQ_DONTWAIT) < 0)
            break;
        worker_side(&self->worker, (struct leat_span){zmq_msg_data(&frame), zmq_msg_size(&frame)});
    }
    zmq_msg_close(&frame);
}

/* --- turning -------------------------------------------------------------------------------- */

static void loop_sooner(struct stage_loop *self, int64_t ms)
{
    if (ms >= 0 && ms < self->due_ms)
        self->due_ms = ms;
}

static void loop_poll(struct stage_loop *self)
{
    zmq_pollitem_t items[ITEMS_MAX];
    int n = 0;
    items[n++] = (zmq_pollitem_t){.socket = self->host->control, .events = ZMQ_POLLIN};
    if (loop_reads(self))
        items[n++] = (zmq_pollitem_t){.socket = self->inbox, .events = ZMQ_POLLIN};
    if (self->side_in)
        items[n++] = (zmq_pollitem_t){.socket = self->side_in, .events = ZMQ_POLLIN};
    if (self->side_out)
        n += leat_peers_items(self->side_out, items + n);
    n += outputs_items(&self->outputs, items + n);
    n += worker_items(&self->worker, items + n);

    int64_t before = leat_monotonic_us();
    zmq_poll(items, n, (long)self->due_ms);
    int64_t waited = leat_monotonic_us() - before;
    leat_metric_inc(!outputs_empty(&self->outputs)      ? self->counts.wait_output_us
                    : worker_in_hand(&self->worker) > 0 ? self->counts.work_us
                                                        : self->counts.wait_input_us,
                    waited);
}

/* Nothing more waits to be read now. */
static bool loop_idle(const struct stage_loop *self)
{
    return !loop_reads(self) || !(leat_socket_events(self->inbox) & ZMQ_POLLIN);
}

static void loop_work(struct stage_loop *self)
{
    int64_t before = leat_monotonic_us();
    loop_send(self);
    loop_read(self);
    if (self->side_in)
        loop_read_side(self);
    loop_sooner(self, worker_turn(&self->worker, loop_idle(self)));
    loop_send(self);
    if (self->publisher)
        loop_sooner(self, publisher_turn(self->publisher));
    leat_metric_inc(self->counts.work_us, leat_monotonic_us() - before);
    leat_metric_set(self->counts.in_hand,
                    worker_in_hand(&self->worker) + !outputs_empty(&self->outputs));
}

/* Ends a drain when nothing is left, or when its time is over. */
static void loop_drained(struct stage_loop *self)
{
    int64_t left = self->drain_until_us - leat_monotonic_us();
    bool empty = worker_in_hand(&self->worker) == 0 && outputs_empty(&self->outputs);
    if (empty || left <= 0) {
        bool done = worker_drain(&self->worker) && empty;
        self->status = done ? LEAT_EXIT_OK : LEAT_EXIT_DEADLINE;
        self->ended = true;
        leat_log(done ? LEAT_INFO : LEAT_WARN, self->stage->name, done ? "drained" : "not_drained",
                 LEAT_I("in_hand", worker_in_hand(&self->worker)));
    } else
        loop_sooner(self, left / 1000 + 1);
}

static void loop_turn(struct stage_loop *self)
{
    loop_poll(self);
    self->due_ms = TURN_MS;
    loop_obey(self);
    if (self->ended)
        return;
    loop_sooner(self, outputs_turn(&self->outputs));
    if (self->side_out)
        loop_sooner(self, leat_peers_turn(self->side_out));
    loop_work(self);
    if (self->draining)
        loop_drained(self);
}

/* --- starting ------------------------------------------------------------------------------- */

/* A stage may take its time to open, but orders are obeyed (Ensures 1): nothing is in hand yet, so
 * told to drain it ends. */
static bool loop_await_open(struct stage_loop *self, struct leat_error *err)
{
    while (worker_is_opening(&self->worker) && !self->ended) {
        zmq_pollitem_t items[2] = {{.socket = self->host->control, .events = ZMQ_POLLIN}};
        zmq_poll(items, 1 + worker_items(&self->worker, items + 1), (long)self->due_ms);
        self->due_ms = TURN_MS;
        loop_obey(self);
        loop_sooner(self, worker_turn(&self->worker, true));
        if (self->draining)
            loop_drained(self);
    }
    return self->ended || worker_opened(&self->worker, err);
}

/* The inbox comes last: who is bound is sent to. An order may have ended it before. */
static bool loop_open(struct stage_loop *self, struct leat_error *err)
{
    const struct leat_settings *settings = self->host->settings;
    const char *publishes = self->stage->publishes;
    char inbox[LEAT_MAX_STAGE + 16];
    if (publishes &&
        !(self->publisher = publisher_open(self->host->zmq, self->host->security,
                                           leat_settings_str(settings, publishes), publishes, err)))
        return false;
    if (!outputs_open(&self->outputs, self->stage->name, self->host, err) ||
        !loop_open_side(self, err))
        return false;
    self->ready = true;
    if (!worker_open(&self->worker, self->stage, self->host, &self->ctx, &self->counts, err) ||
        !loop_await_open(self, err))
        return false;
    if (self->ended)
        return true;
    tap_open(&self->tap, self->host->zmq, leat_settings_str(settings, "tap.dir"),
             self->stage->name);
    snprintf(inbox, sizeof inbox, "%s.inbox", self->stage->name);
    self->inbox =
        leat_socket_inbox(self->host->zmq, self->host->security, leat_settings_str(settings, inbox),
                          inbox, loop_max_frame(self), err);
    return self->inbox != NULL;
}

enum leat_exit stage_loop_run(const struct leat_stage *stage, struct leat_host *host)
{
    struct stage_loop self = {.stage = stage, .host = host, .status = LEAT_EXIT_FAILED};
    struct leat_error err = {.text = ""};
    self.ctx = (struct leat_stage_context){.settings = host->settings,
                                           .metrics = host->metrics,
                                           .owner = &self,
                                           .ready = loop_ready,
                                           .ack = loop_ack,
                                           .side = loop_side,
                                           .stopping = loop_stopping,
                                           .waits = loop_waits};
    stage_counts_open(&self.counts, host->metrics, stage->name);
    stage_frames_open(&self.frames, stage->name, host->program->routes, &self.counts);
    if (!loop_open(&self, &err)) {
        leat_log(LEAT_ERR, stage->name, "cannot_start", LEAT_S("reason", err.text));
    } else {
        loop_show_state(&self);
        while (!self.ended)
            loop_turn(&self);
    }
    loop_close(&self);
    return self.status;
}
