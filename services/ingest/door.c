#include "services/ingest/door_private.h"

#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/runtime/sockets.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    MESSAGES_MOST = 1024,           /* in one transaction, and in one turn */
    ANSWERS_MOST = 4 * 1024 * 1024, /* bytes of answers in one transaction */
    CROWDED_STEPS = 1024,
    ZONE_CHUNK = 64 * 1024,
    LINGER_MS = 1000, /* for the last answers */
    ASKED_BESIDE = 8, /* hellos and questions for done that may wait with a client's sends */

    /* What is kept for a client that does not read, in times of what it may leave unanswered: a
     * clumsy one that sends a few hundred at a time and then reads shall have its answers, too. */
    UNREAD_FACTOR = 4,
    DONES_UNREAD = 64, /* and so many beside them */
};

#define CROWDED_TTL_US (INT64_C(3600) * 1000 * 1000)

/* --- what clients say ------------------------------------------------------------------------- */

bool door_speaks_for(void *door, uint64_t client)
{
    struct door *self = door;
    return sessions_of(self->sessions, client) != NULL;
}

/* Knows the client. When the journal's table of clients is full, those not heard of for an hour
 * make room before their time: tools that take another name at every start must not shut others
 * out. */
static enum journal_result hello(struct door *self, const struct leat_message *m,
                                 struct client *out, struct leat_error *err)
{
    struct journal *journal = self->parts.journal;
    const struct caller caller = {m->client.data, m->client.size, m->instance, m->session,
                                  m->again};
    int64_t clock = leat_now_us();
    enum journal_result result = clients_hello(journal, &caller, clock, out, err);
    if (result != JOURNAL_FULL)
        return result;
    const struct clients_expiry expiry = {
        .now_us = clock,
        .ttl_us = CROWDED_TTL_US,
        .steps = CROWDED_STEPS,
        .spoken_for = door_speaks_for,
        .arg = self,
    };
    result = clients_expire(journal, &expiry, NULL, err);
    return result != JOURNAL_OK ? result : clients_hello(journal, &caller, clock, out, err);
}

static void take_hello(struct door *self, struct leat_span peer, struct session *it,
                       const struct leat_message *m, int64_t now)
{
    struct client client;
    struct leat_error err;
    leat_metric_inc(self->parts.meters->hello, 1);
    if (!it)
        it = sessions_add(self->sessions, peer, now);
    if (!it || !commit_enter(self->parts.commit, now)) {
        leat_message_busy(door_scratch(self), 0, BUSY_TROUBLE_MS);
        door_send_scratch(self, peer);
        return;
    }
    enum journal_result result = hello(self, m, &client, &err);
    commit_note(self->parts.commit, result, &err);
    if (result == JOURNAL_REFUSED) {
        door_answer_error(self, it, 0, "client", err.text);
        return;
    }
    if (result != JOURNAL_OK) {
        door_answer(self, it, ANSWER_BUSY, 0)->number = BUSY_TROUBLE_MS;
        return;
    }
    if (client.instance != m->instance) {
        struct answer *a = door_answer(self, it, ANSWER_SUPERSEDED, 0);
        a->number = m->instance;
        a->session = m->session;
        return;
    }
    /* The session becomes the client's when it is on disk; until then the older one is. */
    struct answer *a = door_answer(self, it, ANSWER_WELCOME, 0);
    a->number = client.number;
    a->session = client.session;
}

/* A send at or below held: the kept answer again, nothing is looked at twice. Keeps invariant M6
 * (tests/model). */
static void repeat_answer(struct door *self, struct session *it, uint64_t seq)
{
    const void *kept;
    size_t size;
    leat_metric_inc(self->parts.meters->repeated, 1);
    struct answer *a = door_answer(self, it, ANSWER_ACK, seq);
    if (clients_answer(self->parts.journal, it->client, seq, &kept, &size))
        leat_pack_raw(&self->bytes, (struct leat_span){kept, size});
    else
        leat_message_forgotten(&self->bytes, seq);
    a->size = self->bytes.size - a->at;
}

/* The lowest version that a batch appended now can get. */
static int64_t newest_version(struct door *self, int64_t clock)
{
    int64_t last = journal_totals(self->parts.journal).last_version;
    return last > clock ? last : clock;
}

/* Into the open transaction. Anything but JOURNAL_OK: it is not taken. */
static enum journal_result journal_send(struct door *self, struct session *it,
                                        const struct leat_message *m, const struct leat_flow *flow,
                                        int64_t clock)
{
    const struct records *records = self->parts.records;
    size_t at = self->bytes.size;
    leat_message_ack(&self->bytes, m->seq, records->accepted, records->rejected,
                     records->n_rejected);
    struct journal_batch batch = {.kind = flow ? flow->kind : "",
                                  .count = records->count,
                                  .items = records->items.data,
                                  .size = records->items.size,
                                  .client = it->client,
                                  .client_seq = m->seq,
                                  .answer = self->bytes.data + at,
                                  .answer_size = self->bytes.size - at};
    struct journal_given given;
    struct leat_error err;
    enum journal_result result = journal_append(self->parts.journal, &batch, clock, &given, &err);
    if (result != JOURNAL_OK) {
        commit_note(self->parts.commit, result, &err);
        self->bytes.size = at;
        return result;
    }
    struct answer *a = door_answer(self, it, ANSWER_ACK, m->seq);
    a->at = at;
    a->size = batch.answer_size;
    return JOURNAL_OK;
}

static void take_send(struct door *self, struct session *it, const struct leat_message *m,
                      size_t frame, int64_t now)
{
    const struct leat_flow *flow = leat_flow_find((const char *)m->kind.data, m->kind.size);
    struct records *records = self->parts.records;
    int64_t clock = leat_now_us();
    if (flow)
        records_take(records, m, flow, self->parts.limits, newest_version(self, clock),
                     RECORDS_LEFT_OUT);
    else
        records_refuse(records, m);

    enum journal_result result = journal_send(self, it, m, flow, clock);
    if (result == JOURNAL_OK) {
        commit_add(self->parts.commit, frame);
        commit_count(self->parts.commit, flow, records->accepted, records->n_rejected,
                     records->count > 0);
        it->busy_until = 0;
    } else {
        door_answer_busy(self, it, m->seq, now,
                         result == JOURNAL_FULL ? BUSY_FULL_MS : BUSY_TROUBLE_MS);
    }
}

/* The send that is next in its client's order. */
static void on_next_send(struct door *self, struct session *it, const struct leat_message *m,
                         size_t frame, int64_t now)
{
    if (m->records->via.array.size > self->limits.send_records)
        door_answer_error(self, it, m->seq, "too_many_records",
                          "send: more records than limits.send_records of the welcome");
    else if (self->draining)
        door_answer_busy(self, it, m->seq, now, BUSY_TROUBLE_MS);
    else if (it->credit_used > self->credit || it->sends > self->limits.unanswered)
        door_answer_busy(self, it, m->seq, now, BUSY_CREDIT_MS);
    else if (!journal_has_room(self->parts.journal, frame))
        door_answer_busy(self, it, m->seq, now, BUSY_FULL_MS);
    else if (!commit_enter(self->parts.commit, now))
        door_answer_busy(self, it, m->seq, now, BUSY_TROUBLE_MS);
    else
        take_send(self, it, m, frame, now);
}

/* What the journal knows of a session's client, the open transaction included. false: nothing; it
 * has been answered. */
static bool client_of(struct door *self, struct session *it, uint64_t seq, int64_t now,
                      struct client *out)
{
    struct leat_error err;
    enum journal_result result = clients_get(self->parts.journal, it->client, out, &err);
    if (result == JOURNAL_OK)
        return true;
    commit_note(self->parts.commit, result, &err);
    if (result == JOURNAL_REFUSED) {
        /* Forgotten after a long silence: it may begin again. */
        sessions_unbind(self->sessions, it);
        door_answer(self, it, ANSWER_HELLO, seq);
    } else {
        door_answer_busy(self, it, seq, now, BUSY_TROUBLE_MS);
    }
    return false;
}

/* A send of the session that speaks for its client. Keeps invariant M6 (tests/model). */
static void on_send(struct door *self, struct session *it, const struct leat_message *m,
                    size_t frame, int64_t now)
{
    struct client client;
    it->credit_used += frame;
    it->sends++;
    if (m->seq == 0) {
        door_answer_error(self, it, 0, "malformed", "send: seq counts from 1");
    } else if (!client_of(self, it, m->seq, now, &client)) {
        return;
    } else if (m->seq <= client.held) {
        repeat_answer(self, it, m->seq);
    } else if (m->seq == client.held + 1) {
        on_next_send(self, it, m, frame, now);
    } else if (now < it->busy_until) {
        uint64_t left_ms = (uint64_t)(it->busy_until - now) / 1000 + 1;
        door_answer(self, it, ANSWER_BUSY, m->seq)->number = left_ms;
    } else {
        door_answer(self, it, ANSWER_GAP, m->seq)->number = client.held;
    }
}

static void refuse_frame(struct door *self, struct leat_span peer, const char *code,
                         const char *reason)
{
    uint64_t swallowed;
    leat_metric_inc(self->parts.meters->malformed, 1);
    if (leat_log_allow(&self->malformed, &swallowed))
        leat_log(LEAT_WARN, "ingest", "frame_refused", LEAT_S("code", code),
                 LEAT_S("reason", reason), LEAT_I("swallowed", swallowed));
    leat_message_error(door_scratch(self), code, reason);
    door_send_scratch(self, peer);
}

/* With keys: which key speaks for which client. `name` is what the key's file says. */
static void log_hello(struct door *self, struct leat_span client, zmq_msg_t *part)
{
    const char *key = zmq_msg_gets(part, "User-Id"), *name = zmq_msg_gets(part, "name");
    uint64_t swallowed;
    if (key && key[0] && leat_log_allow(&self->hellos, &swallowed))
        leat_log(LEAT_INFO, "ingest", "client_hello", LEAT_SN("client", client.data, client.size),
                 LEAT_S("key", key), LEAT_S("name", name ? name : ""),
                 LEAT_I("swallowed", swallowed));
}

static void on_message(struct door *self, struct leat_span peer, const struct leat_message *m,
                       size_t frame, int64_t now)
{
    struct session *it = sessions_find(self->sessions, peer, now);
    if (m->type == LEAT_HELLO && m->client.size > 0) {
        take_hello(self, peer, it, m, now);
        return;
    }
    if (m->type != LEAT_SEND && m->type != LEAT_DONE) {
        refuse_frame(self, peer, "type", "a client sends hello, send and done only");
        return;
    }
    if (m->session == 0) { /* a frame for the one-way port has none at all */
        refuse_frame(self, peer, "malformed", "session is missing; it counts from 1");
        return;
    }
    if (!it || !it->client) {
        leat_metric_inc(self->parts.meters->unknown, 1);
        leat_message_say_hello(door_scratch(self));
        door_send_scratch(self, peer);
        return;
    }
    /* Keeps invariant M5 (tests/model). */
    if (it->fenced || m->session != it->session)
        door_answer(self, it, ANSWER_FENCED, m->seq)->session = m->session;
    else if (m->type == LEAT_DONE)
        door_answer(self, it, ANSWER_DONE, 0);
    else
        on_send(self, it, m, frame, now);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads off the rest of a message of more parts than it should have. */
static void read_off(void *socket, zmq_msg_t *part)
{
    while (zmq_msg_more(part) && zmq_msg_recv(part, socket, ZMQ_DONTWAIT) >= 0)
        ;
}

/* One message: the connection's routing id, which ZeroMQ puts first, and one frame. */
static bool read_one(struct door *self, int64_t now)
{
    zmq_msg_t id, part;
    zmq_msg_init(&id);
    zmq_msg_init(&part);
    bool any = zmq_msg_recv(&id, self->socket, ZMQ_DONTWAIT) >= 0;
    if (any && zmq_msg_more(&id) && zmq_msg_recv(&part, self->socket, ZMQ_DONTWAIT) >= 0) {
        struct leat_span peer = {zmq_msg_data(&id), zmq_msg_size(&id)};
        struct leat_span frame = {zmq_msg_data(&part), zmq_msg_size(&part)};
        struct leat_message m;
        struct leat_error err;
        const char *code;
        if (zmq_msg_more(&part)) {
            read_off(self->socket, &part);
            refuse_frame(self, peer, "malformed", "a message is one frame");
        } else if (!leat_message_read(frame, &self->zone, &m, &code, &err)) {
            refuse_frame(self, peer, code, err.text);
        } else {
            if (m.type == LEAT_HELLO)
                log_hello(self, m.client, &part);
            on_message(self, peer, &m, frame.size, now);
        }
        msgpack_zone_clear(&self->zone);
    }
    zmq_msg_close(&part);
    zmq_msg_close(&id);
    return any;
}

bool door_read(struct door *self, int64_t now)
{
    const struct commit *commit = self->parts.commit;
    door_refusals_read(self);
    for (int n = 0; n < MESSAGES_MOST; n++) {
        if (self->n_answers >= MESSAGES_MOST || self->bytes.size >= ANSWERS_MOST ||
            commit->bytes >= commit->bytes_most || commit->spoilt)
            return true;
        if (!read_one(self, now))
            return false;
    }
    return true;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void read_settings(struct door *self, const struct leat_settings *settings)
{
    self->limits = (struct leat_limits){
        .send_bytes = (uint64_t)leat_settings_int(settings, "ingest.send_bytes"),
        .send_records = (uint64_t)leat_settings_int(settings, "ingest.send_records"),
        .unanswered = (uint64_t)leat_settings_int(settings, "ingest.unanswered"),
    };
    if (leat_flow_find("series", strlen("series"))) {
        self->limits.series_rows = self->parts.limits->series_max_rows;
        self->limits.series_longest = self->parts.limits->series_longest;
    }
    self->credit = (size_t)leat_settings_int(settings, "ingest.credit");
    if (self->credit < self->limits.send_bytes)
        self->credit = self->limits.send_bytes;
    for (size_t i = 0; i < METERS_KINDS && leat_flows[i]; i++)
        self->kinds[i] = leat_flows[i]->kind;
}

struct door *door_open(struct leat_host *host, const struct door_parts *parts,
                       struct leat_error *err)
{
    struct door *self = door_or_end(calloc(1, sizeof *self));
    self->parts = *parts;
    read_settings(self, host->settings);
    msgpack_sbuffer_init(&self->bytes);
    msgpack_sbuffer_init(&self->scratch);
    msgpack_zone_init(&self->zone, ZONE_CHUNK);
    self->sessions = sessions_new((uint32_t)leat_settings_int(host->settings, "ingest.clients"));
    self->socket = leat_socket_router(
        host->zmq, host->security, leat_settings_str(host->settings, "ingest.listen"),
        "ingest.listen", self->limits.send_bytes, (int)self->limits.unanswered + ASKED_BESIDE,
        (int)(UNREAD_FACTOR * self->limits.unanswered) + DONES_UNREAD, err);
    if (!self->socket || !door_refusals_open(self, host->zmq, err)) {
        door_close(&self);
        return NULL;
    }
    /* A client that names its own routing id gets its place back when it comes again, although the
     * connection it lost has not been noticed yet. */
    int handover = 1;
    zmq_setsockopt(self->socket, ZMQ_ROUTER_HANDOVER, &handover, sizeof handover);
    return self;
}

void door_close(struct door **self_p)
{
    struct door *self = *self_p;
    if (!self)
        return;
    door_refusals_close(self);
    leat_socket_close(&self->socket, LINGER_MS);
    sessions_destroy(&self->sessions);
    msgpack_sbuffer_destroy(&self->bytes);
    msgpack_sbuffer_destroy(&self->scratch);
    msgpack_zone_destroy(&self->zone);
    free(self->answers);
    free(self->pushing);
    free(self);
    *self_p = NULL;
}

void *door_socket(const struct door *self)
{
    return self->socket;
}

void door_drain(struct door *self)
{
    self->draining = true;
}
