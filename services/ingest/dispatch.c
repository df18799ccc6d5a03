#include "services/ingest/dispatch.h"

#include "services/ingest/backlog.h"
#include "services/ingest/flights.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/runtime/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURN_BYTES = 8 * 1024 * 1024, /* sent in one turn, so that the door gets its own */
    JUDGE_US = 50 * 1000,         /* how often timers are looked at while something is in flight */
    FAILED_US = 1000 * 1000,      /* pause after the journal could not be read */
    REMOVALS_MOST = 65536,        /* nothing new goes out while so many wait for the disk */
};

/* One way out: to all instances of a stage; flows may share it. */
struct outlet {
    const char *stage;
    struct leat_peers *peers;
};

/* One flow. */
struct lane {
    const struct leat_flow *flow;
    struct outlet *outlet;
    struct flights *flights;
    struct meters_kind *meters;
    uint64_t at;       /* seq of the last batch that was dispatched */
    bool behind;       /* there may be batches after it */
    int64_t failed_at; /* 0, or when the journal could not be read */
};

struct dispatch {
    struct journal *journal;
    struct removals *removals;
    struct meters *meters;
    uint8_t run[LEAT_ID_SIZE];
    struct lane lanes[METERS_KINDS];
    struct outlet outlets[METERS_KINDS];
    size_t n_lanes, n_outlets;
    msgpack_sbuffer head;
};

/* --- opening ---------------------------------------------------------------------------------- */

static struct outlet *outlet_open(struct dispatch *self, struct leat_host *host, const char *stage,
                                  struct leat_error *err)
{
    for (size_t i = 0; i < self->n_outlets; i++)
        if (strcmp(self->outlets[i].stage, stage) == 0)
            return &self->outlets[i];

    char setting[LEAT_MAX_STAGE + 16];
    snprintf(setting, sizeof setting, "%s.address", stage);
    const struct leat_peers_options options = {
        .zmq = host->zmq,
        .security = host->security,
        .metrics = host->metrics,
        .service = "ingest",
        .peer = stage,
        .addresses = leat_settings_str(host->settings, setting),
        .setting = setting,
        .refresh_ms = leat_settings_int(host->settings, "peers.refresh"),
    };
    struct outlet *outlet = &self->outlets[self->n_outlets];
    *outlet = (struct outlet){.stage = stage, .peers = leat_peers_open(&options, err)};
    if (!outlet->peers)
        return NULL;
    self->n_outlets++;
    return outlet;
}

static bool lanes_open(struct dispatch *self, struct leat_host *host, struct leat_error *err)
{
    for (size_t i = 0; i < self->meters->flows; i++) {
        struct lane *lane = &self->lanes[self->n_lanes];
        const struct leat_flow *flow = leat_flows[i];
        *lane = (struct lane){.flow = flow, .meters = meters_kind(self->meters, i), .behind = true};
        lane->outlet = outlet_open(self, host, flow->stages[0], err);
        if (!lane->outlet)
            return false;
        lane->flights = flights_new(1, 1);
        self->n_lanes++;
    }
    return true;
}

struct dispatch *dispatch_open(struct leat_host *host, struct journal *journal,
                               struct removals *removals, struct meters *meters,
                               const uint8_t run[LEAT_ID_SIZE], struct leat_error *err)
{
    struct dispatch *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory for dispatch");
        return NULL;
    }
    self->journal = journal;
    self->removals = removals;
    self->meters = meters;
    memcpy(self->run, run, LEAT_ID_SIZE);
    msgpack_sbuffer_init(&self->head);
    if (!lanes_open(self, host, err)) {
        dispatch_close(&self, 0);
        return NULL;
    }
    dispatch_reload(self, host->settings);
    return self;
}

void dispatch_close(struct dispatch **self_p, int linger_ms)
{
    struct dispatch *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->n_lanes; i++)
        flights_destroy(&self->lanes[i].flights);
    for (size_t i = 0; i < self->n_outlets; i++)
        leat_peers_close(&self->outlets[i].peers, linger_ms);
    msgpack_sbuffer_destroy(&self->head);
    free(self);
    *self_p = NULL;
}

void dispatch_reload(struct dispatch *self, const struct leat_settings *settings)
{
    size_t initial = (size_t)leat_settings_int(settings, "ingest.window_initial");
    size_t most = (size_t)leat_settings_int(settings, "ingest.window_bytes");
    for (size_t i = 0; i < self->n_lanes; i++)
        flights_limit(self->lanes[i].flights, initial, most);
}

/* --- sending ---------------------------------------------------------------------------------- */

static bool lane_writable(const struct lane *lane)
{
    return leat_socket_events(leat_peers_socket(lane->outlet->peers)) & ZMQ_POLLOUT;
}

/* One frame: a fresh head, and the items as they are in the journal. Its size; 0: not sent. */
static size_t send_batch(struct dispatch *self, struct lane *lane,
                         const struct backlog_batch *batch, uint32_t attempt)
{
    struct leat_batch_head head = {
        .seq = batch->seq, .stamp = batch->stamp, .attempt = attempt, .count = batch->count};
    snprintf(head.stage, sizeof head.stage, "%s", lane->outlet->stage);
    snprintf(head.kind, sizeof head.kind, "%s", lane->flow->kind);
    memcpy(head.origin, journal_origin(self->journal), LEAT_ID_SIZE);
    memcpy(head.run, self->run, LEAT_ID_SIZE);
    msgpack_sbuffer_clear(&self->head);
    leat_batch_write_head(&head, &self->head);

    zmq_msg_t msg;
    size_t size = self->head.size + batch->size;
    if (zmq_msg_init_size(&msg, size) != 0)
        return 0;
    memcpy(zmq_msg_data(&msg), self->head.data, self->head.size);
    memcpy((char *)zmq_msg_data(&msg) + self->head.size, batch->items, batch->size);
    if (zmq_msg_send(&msg, leat_peers_socket(lane->outlet->peers), ZMQ_DONTWAIT) >= 0)
        return size;
    zmq_msg_close(&msg);
    return 0;
}

/* A batch whose bytes are not what was written is never sent: it goes where it can be looked at. */
static void set_aside(struct dispatch *self, struct lane *lane, uint64_t seq, const char *reason)
{
    leat_log(LEAT_ERR, "ingest", "batch_damaged", LEAT_S("kind", lane->flow->kind),
             LEAT_I("seq", seq), LEAT_S("reason", reason));
    removals_add(
        self->removals,
        &(struct removal){.flow = (size_t)(lane - self->lanes), .seq = seq, .aside = true});
}

static void reading_failed(struct lane *lane, const char *reason, int64_t now)
{
    lane->failed_at = now;
    leat_log(LEAT_ERR, "ingest", "journal_unreadable", LEAT_S("kind", lane->flow->kind),
             LEAT_S("reason", reason));
}

/* The next batch of the backlog; its size, 0: nothing more goes now. */
static size_t send_fresh(struct dispatch *self, struct lane *lane, int64_t now)
{
    struct backlog_batch batch;
    struct leat_error err;
    size_t size;
    switch (backlog_next(self->journal, lane->flow->kind, lane->at, &batch, &err)) {
    case BACKLOG_BATCH:
        size = send_batch(self, lane, &batch, 1);
        if (size > 0) {
            flights_sent(lane->flights, batch.seq, size, now);
            leat_metric_inc(lane->meters->dispatched, 1);
            lane->at = batch.seq;
        }
        return size;
    case BACKLOG_DAMAGED:
        set_aside(self, lane, batch.seq, err.text);
        lane->at = batch.seq;
        return 1;
    case BACKLOG_END:
        lane->behind = false;
        return 0;
    case BACKLOG_FAILED:
        reading_failed(lane, err.text, now);
        return 0;
    }
    return 0;
}

/* A batch that is due again; its size, 0: nothing more goes now. Keeps invariant M4 (tests/model).
 */
static size_t send_again(struct dispatch *self, struct lane *lane, const struct flights_due *due,
                         int64_t now)
{
    struct backlog_batch batch;
    struct leat_error err;
    size_t size;
    switch (backlog_read(self->journal, lane->flow->kind, due->seq, &batch, &err)) {
    case BACKLOG_BATCH:
        size = send_batch(self, lane, &batch, due->attempt);
        if (size > 0) {
            flights_resent(lane->flights, due->seq, now);
            leat_metric_inc(lane->meters->resent, 1);
            leat_metric_inc(lane->meters->probes, due->probe);
        }
        return size;
    case BACKLOG_DAMAGED:
        set_aside(self, lane, due->seq, err.text);
        flights_forget(lane->flights, due->seq);
        return 1;
    case BACKLOG_END:
        flights_forget(lane->flights, due->seq);
        return 1;
    case BACKLOG_FAILED:
        reading_failed(lane, err.text, now);
        return 0;
    }
    return 0;
}

static bool lane_has_fresh(const struct dispatch *self, const struct lane *lane)
{
    int instances = leat_peers_connected(lane->outlet->peers);
    return lane->behind && self->removals->n < REMOVALS_MOST &&
           flights_open(lane->flights, instances > 0 ? (size_t)instances : 1);
}

static void lane_turn(struct dispatch *self, struct lane *lane, bool fresh, int64_t now)
{
    struct flights_due due;
    size_t sent = 0, size = 1;
    if (lane->failed_at && now - lane->failed_at < FAILED_US)
        return;
    lane->failed_at = 0;
    while (size > 0 && sent < TURN_BYTES && flights_due(lane->flights, now, &due) &&
           lane_writable(lane))
        sent += size = send_again(self, lane, &due, now);
    for (size = 1; fresh && size > 0 && sent < TURN_BYTES && lane_has_fresh(self, lane) &&
                   lane_writable(lane);)
        sent += size = send_fresh(self, lane, now);
}

/* --- what the loop calls ---------------------------------------------------------------------- */

void dispatch_wake(struct dispatch *self, uint32_t flows)
{
    for (size_t i = 0; i < self->n_lanes; i++)
        self->lanes[i].behind |= flows >> i & 1;
}

/* Keeps invariant M2 (tests/model). */
void dispatch_acked(struct dispatch *self, const struct leat_ack *ack, int64_t now)
{
    leat_metric_inc(self->meters->acks, 1);
    for (size_t i = 0; i < self->n_lanes; i++) {
        struct lane *lane = &self->lanes[i];
        if (strcmp(lane->flow->kind, ack->kind) != 0)
            continue;
        if (!flights_acked(lane->flights, ack->seq, ack->attempt, now))
            break;
        leat_metric_inc(lane->meters->returned, 1);
        removals_add(self->removals, &(struct removal){.flow = i,
                                                       .seq = ack->seq,
                                                       .committed = ack->committed,
                                                       .dead = ack->dead});
        return;
    }
    leat_metric_inc(self->meters->acks_late, 1);
}

int64_t dispatch_turn(struct dispatch *self, bool fresh, int64_t now)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < self->n_outlets; i++) {
        int64_t ms = leat_peers_turn(self->outlets[i].peers);
        if (ms < due / 1000)
            due = ms * 1000;
    }
    for (size_t i = 0; i < self->n_lanes; i++)
        lane_turn(self, &self->lanes[i], fresh, now);
    return dispatch_in_flight(self) > 0 && due > JUDGE_US ? JUDGE_US : due;
}

int dispatch_items(const struct dispatch *self, bool fresh, zmq_pollitem_t *items)
{
    int n = 0;
    for (size_t i = 0; i < self->n_outlets; i++)
        n += leat_peers_items(self->outlets[i].peers, items + n);
    for (size_t i = 0; i < self->n_lanes; i++)
        if (fresh && !self->lanes[i].failed_at && lane_has_fresh(self, &self->lanes[i]))
            items[n++] = (zmq_pollitem_t){.socket = leat_peers_socket(self->lanes[i].outlet->peers),
                                          .events = ZMQ_POLLOUT};
    return n;
}

size_t dispatch_in_flight(const struct dispatch *self)
{
    size_t batches = 0;
    for (size_t i = 0; i < self->n_lanes; i++)
        batches += flights_batches(self->lanes[i].flights);
    return batches;
}

void dispatch_measure(struct dispatch *self)
{
    int64_t clock = leat_now_us();
    for (size_t i = 0; i < self->n_lanes; i++) {
        const struct lane *lane = &self->lanes[i];
        struct backlog_batch oldest;
        bool any = backlog_oldest(self->journal, lane->flow->kind, &oldest, NULL) == BACKLOG_BATCH;
        leat_metric_set(lane->meters->oldest_age,
                        any && oldest.stamp < clock ? clock - oldest.stamp : 0);
        leat_metric_set(lane->meters->in_flight_batches, (int64_t)flights_batches(lane->flights));
        leat_metric_set(lane->meters->in_flight_bytes, (int64_t)flights_bytes(lane->flights));
        leat_metric_set(lane->meters->window_bytes, (int64_t)flights_size(lane->flights));
        leat_metric_set(lane->meters->round_trip, flights_rtt(lane->flights)->smoothed);
    }
}
