#include "services/ingest/door.h"

#include "services/ingest/clients.h"
#include "services/ingest/sessions.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/runtime/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    BUSY_FULL_MS = 200,     /* a full journal empties at the pace of the store */
    BUSY_TROUBLE_MS = 1000, /* a disk that fails, a drain */
    BUSY_CREDIT_MS = 20,
    PUSH_EVERY_US = 50 * 1000,
    IDLE_US = 30 * 1000 * 1000, /* silent for so long: is it still there? */
    SWEEP_US = 100 * 1000,
    SWEEP = 64,                     /* sessions looked at for that, every SWEEP_US */
    MESSAGES_MOST = 1024,           /* in one transaction, and in one turn */
    ANSWERS_MOST = 4 * 1024 * 1024, /* bytes of answers in one transaction */
    CROWDED_STEPS = 1024,
    ZONE_CHUNK = 64 * 1024,
    LINGER_MS = 1000, /* for the last answers */
};

#define CROWDED_TTL_US (INT64_C(3600) * 1000 * 1000)

enum answer_type { ACK, BUSY, GAP, FENCED, HELLO, WELCOME, DONE, ERROR };

/* An answer that waits for the end of the transaction. */
struct answer {
    enum answer_type type;
    struct session *to;
    uint64_t seq;     /* of the send it answers; 0: it was none */
    uint64_t number;  /* WELCOME: the client's; FENCED, GAP: what it says; BUSY: retry_ms */
    uint64_t session; /* WELCOME */
    size_t at, size;  /* ACK, ERROR: its bytes in `bytes` */
};

struct door {
    struct door_parts parts;
    void *socket;
    struct sessions *sessions;
    size_t credit;
    struct leat_limits limits;
    int64_t swept_at;
    const char *kinds[METERS_KINDS + 1];
    bool draining;

    struct answer *answers;
    size_t n_answers, room;
    msgpack_sbuffer bytes;

    struct session **pushing; /* sessions with `pushing` set, or once had it */
    size_t n_pushing, pushing_room;

    msgpack_zone zone;
    msgpack_sbuffer scratch;
    struct leat_log_site malformed;
};

static void *or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory at the front door\n");
        abort();
    }
    return memory;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* false: that connection is gone. One that does not read misses the answer and will ask again. */
static bool send_frame(struct door *self, struct leat_span peer, const void *data, size_t size)
{
    if (zmq_send(self->socket, peer.data, peer.size, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
        zmq_send(self->socket, data, size, ZMQ_DONTWAIT) >= 0)
        return true;
    leat_metric_inc(self->parts.meters->answers_lost, 1);
    return zmq_errno() != EHOSTUNREACH;
}

static bool send_scratch(struct door *self, struct leat_span peer)
{
    return send_frame(self, peer, self->scratch.data, self->scratch.size);
}

static msgpack_sbuffer *scratch(struct door *self)
{
    msgpack_sbuffer_clear(&self->scratch);
    return &self->scratch;
}

static struct leat_span peer_of(const struct session *it)
{
    return (struct leat_span){it->peer, it->peer_size};
}

/* --- answers that wait ------------------------------------------------------------------------ */

static struct answer *answer_later(struct door *self, struct session *to, enum answer_type type,
                                   uint64_t seq)
{
    if (self->n_answers == self->room) {
        self->room = self->room ? self->room * 2 : 64;
        self->answers = or_end(realloc(self->answers, self->room * sizeof self->answers[0]));
    }
    struct answer *a = &self->answers[self->n_answers++];
    *a = (struct answer){.type = type, .to = to, .seq = seq, .at = self->bytes.size};
    to->waiting++;
    return a;
}

static void answer_busy(struct door *self, struct session *to, uint64_t seq, int64_t now,
                        uint64_t retry_ms)
{
    to->busy_until = now + (int64_t)retry_ms * 1000;
    answer_later(self, to, BUSY, seq)->number = retry_ms;
}

static void answer_error(struct door *self, struct session *to, uint64_t seq, const char *code,
                         const char *reason)
{
    struct answer *a = answer_later(self, to, ERROR, seq);
    leat_message_error(&self->bytes, code, reason);
    a->size = self->bytes.size - a->at;
}

/* --- what clients say ---------------------------------------------------------------------------
 */

/* Knows the client. When the journal's table of clients is full, those not heard of for an hour
 * make room before their time: tools that take another name at every start must not shut others
 * out. */
static enum journal_result hello(struct door *self, struct leat_span name, struct client *out,
                                 struct leat_error *err)
{
    struct journal *journal = self->parts.journal;
    int64_t clock = leat_now_us();
    enum journal_result result = clients_hello(journal, name.data, name.size, clock, out, err);
    if (result != JOURNAL_FULL)
        return result;
    result = clients_expire(journal, clock, CROWDED_TTL_US, CROWDED_STEPS, NULL, err);
    return result != JOURNAL_OK ? result
                                : clients_hello(journal, name.data, name.size, clock, out, err);
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
        leat_message_busy(scratch(self), 0, BUSY_TROUBLE_MS);
        send_scratch(self, peer);
        return;
    }
    enum journal_result result = hello(self, m->client, &client, &err);
    commit_note(self->parts.commit, result, &err);
    if (result == JOURNAL_REFUSED) {
        answer_error(self, it, 0, "client", err.text);
        return;
    }
    if (result != JOURNAL_OK) {
        answer_later(self, it, BUSY, 0)->number = BUSY_TROUBLE_MS;
        return;
    }
    /* The session becomes the client's when it is on disk; until then the older one is. */
    struct answer *a = answer_later(self, it, WELCOME, 0);
    a->number = client.number;
    a->session = client.session;
}

/* A send at or below held: the kept answer again, nothing is looked at twice. */
static void repeat_answer(struct door *self, struct session *it, uint64_t seq)
{
    const void *kept;
    size_t size;
    leat_metric_inc(self->parts.meters->repeated, 1);
    struct answer *a = answer_later(self, it, ACK, seq);
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
    struct answer *a = answer_later(self, it, ACK, m->seq);
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
        answer_busy(self, it, m->seq, now, result == JOURNAL_FULL ? BUSY_FULL_MS : BUSY_TROUBLE_MS);
    }
}

/* The send that is next in its client's order. */
static void on_next_send(struct door *self, struct session *it, const struct leat_message *m,
                         size_t frame, int64_t now)
{
    if (m->records->via.array.size > self->limits.send_records)
        answer_error(self, it, m->seq, "too_many_records",
                     "send: more records than limits.send_records of the welcome");
    else if (self->draining)
        answer_busy(self, it, m->seq, now, BUSY_TROUBLE_MS);
    else if (it->credit_used > self->credit || it->sends > self->limits.unanswered)
        answer_busy(self, it, m->seq, now, BUSY_CREDIT_MS);
    else if (!journal_has_room(self->parts.journal, frame))
        answer_busy(self, it, m->seq, now, BUSY_FULL_MS);
    else if (!commit_enter(self->parts.commit, now))
        answer_busy(self, it, m->seq, now, BUSY_TROUBLE_MS);
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
        answer_later(self, it, HELLO, seq);
    } else {
        answer_busy(self, it, seq, now, BUSY_TROUBLE_MS);
    }
    return false;
}

/* A send of the session that speaks for its client. */
static void on_send(struct door *self, struct session *it, const struct leat_message *m,
                    size_t frame, int64_t now)
{
    struct client client;
    it->credit_used += frame;
    it->sends++;
    if (m->seq == 0) {
        answer_error(self, it, 0, "malformed", "send: seq counts from 1");
    } else if (!client_of(self, it, m->seq, now, &client)) {
        return;
    } else if (m->seq <= client.held) {
        repeat_answer(self, it, m->seq);
    } else if (m->seq == client.held + 1) {
        on_next_send(self, it, m, frame, now);
    } else if (now < it->busy_until) {
        uint64_t left_ms = (uint64_t)(it->busy_until - now) / 1000 + 1;
        answer_later(self, it, BUSY, m->seq)->number = left_ms;
    } else {
        answer_later(self, it, GAP, m->seq)->number = client.held;
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
    leat_message_error(scratch(self), code, reason);
    send_scratch(self, peer);
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
        leat_message_hello(scratch(self), NULL);
        send_scratch(self, peer);
        return;
    }
    if (it->fenced || m->session != it->session)
        answer_later(self, it, FENCED, m->seq)->number = m->session;
    else if (m->type == LEAT_DONE)
        answer_later(self, it, DONE, 0);
    else
        on_send(self, it, m, frame, now);
}

/* --- reading ------------------------------------------------------------------------------------
 */

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
    for (int n = 0; n < MESSAGES_MOST; n++) {
        if (self->n_answers >= MESSAGES_MOST || self->bytes.size >= ANSWERS_MOST ||
            commit->bytes >= commit->bytes_most || commit->spoilt)
            return true;
        if (!read_one(self, now))
            return false;
    }
    return true;
}

/* --- the end of a transaction -------------------------------------------------------------------
 */

static bool synced_client(struct door *self, const struct session *it, struct client *out)
{
    return it->client && clients_get(self->parts.journal, it->client, out, NULL) == JOURNAL_OK;
}

static void write_welcome(struct door *self, const struct answer *a)
{
    struct client client;
    sessions_bind(self->sessions, a->to, a->number, a->session);
    if (!synced_client(self, a->to, &client)) {
        leat_message_busy(&self->scratch, 0, BUSY_TROUBLE_MS);
        return;
    }
    a->to->told = (struct session_done){client.done, client.committed, client.dead};
    struct leat_message welcome = {.session = a->session,
                                   .held = client.held,
                                   .through = client.done,
                                   .committed = client.committed,
                                   .dead = client.dead,
                                   .credit = self->credit,
                                   .limits = self->limits};
    leat_message_welcome(&self->scratch, &welcome, self->kinds);
}

static void write_done(struct door *self, struct session *it, const struct client *client,
                       int64_t now)
{
    it->told = (struct session_done){client->done, client->committed, client->dead};
    it->told_at = now;
    it->pushing = false;
    leat_message_done(&self->scratch, client->done, client->committed, client->dead);
    leat_metric_inc(self->parts.meters->done_told, 1);
}

static void write_answer(struct door *self, const struct answer *a, int64_t now)
{
    struct client client;
    switch (a->type) {
    case ACK:
    case ERROR:
        leat_pack_raw(&self->scratch,
                      (struct leat_span){(uint8_t *)self->bytes.data + a->at, a->size});
        break;
    case BUSY:
        leat_metric_inc(self->parts.meters->busy, 1);
        leat_message_busy(&self->scratch, a->seq, a->number);
        break;
    case GAP:
        leat_metric_inc(self->parts.meters->gap, 1);
        leat_message_gap(&self->scratch, a->number);
        break;
    case FENCED:
        leat_metric_inc(self->parts.meters->fenced, 1);
        leat_message_fenced(&self->scratch, a->number);
        break;
    case HELLO:
        leat_metric_inc(self->parts.meters->unknown, 1);
        leat_message_hello(&self->scratch, NULL);
        break;
    case WELCOME:
        write_welcome(self, a);
        break;
    case DONE:
        if (synced_client(self, a->to, &client))
            write_done(self, a->to, &client, now);
        else
            leat_message_hello(&self->scratch, NULL);
        break;
    }
}

/* Nothing of the transaction happened: what rests on it is answered busy. */
static void undo_answer(struct answer *a, int64_t now, uint64_t retry_ms)
{
    if (a->type != ACK && a->type != GAP && a->type != WELCOME)
        return;
    a->type = BUSY;
    a->number = retry_ms;
    if (a->seq > 0)
        a->to->busy_until = now + (int64_t)retry_ms * 1000;
}

void door_settle(struct door *self, bool committed)
{
    int64_t now = leat_monotonic_us();
    uint64_t retry_ms = self->parts.commit->trouble ? BUSY_TROUBLE_MS : BUSY_FULL_MS;
    for (size_t i = 0; i < self->n_answers; i++) {
        struct answer *a = &self->answers[i];
        if (!committed)
            undo_answer(a, now, retry_ms);
        msgpack_sbuffer_clear(&self->scratch);
        write_answer(self, a, now);
        a->to->gone |= !send_scratch(self, peer_of(a->to));
        a->to->credit_used = 0;
        a->to->sends = 0;
        if (--a->to->waiting == 0 && a->to->gone)
            sessions_drop(self->sessions, a->to);
    }
    self->n_answers = 0;
    msgpack_sbuffer_clear(&self->bytes);
    leat_metric_set(self->parts.meters->sessions, sessions_count(self->sessions));
}

/* --- done ------------------------------------------------------------------------------------- */

void door_done_changed(struct door *self, uint64_t client)
{
    struct session *it = client ? sessions_of(self->sessions, client) : NULL;
    if (!it || it->pushing)
        return;
    if (self->n_pushing == self->pushing_room) {
        self->pushing_room = self->pushing_room ? self->pushing_room * 2 : 64;
        self->pushing =
            or_end(realloc(self->pushing, self->pushing_room * sizeof self->pushing[0]));
    }
    it->pushing = true;
    self->pushing[self->n_pushing++] = it;
}

/* Tells a client if it is time or if nothing of it is open any more; false: later. */
static bool push_one(struct door *self, struct session *it, int64_t now)
{
    struct client client;
    if (!it->pushing || it->fenced)
        return true;
    if (!synced_client(self, it, &client)) {
        it->pushing = false;
        return true;
    }
    if (now - it->told_at < PUSH_EVERY_US && client.done < client.held)
        return false;
    it->pushing = false;
    if (it->told.through == client.done && it->told.committed == client.committed &&
        it->told.dead == client.dead)
        return true;
    write_done(self, it, &client, now);
    if (!send_scratch(self, peer_of(it)))
        sessions_drop(self->sessions, it);
    return true;
}

/* ROUTER does not tell when a connection ends, so one that has been silent is sent what harms
 * nobody: its done, or that it is fenced. */
static bool still_there(struct door *self, struct session *it, int64_t now)
{
    struct client client;
    it->probed_at = now;
    msgpack_sbuffer_clear(&self->scratch);
    if (it->fenced)
        leat_message_fenced(&self->scratch, it->session);
    else if (synced_client(self, it, &client))
        write_done(self, it, &client, now);
    else
        return false;
    return send_scratch(self, peer_of(it));
}

static void sweep(struct door *self, int64_t now)
{
    if (now - self->swept_at < SWEEP_US)
        return;
    self->swept_at = now;
    for (int i = 0; i < SWEEP; i++) {
        struct session *it = sessions_next(self->sessions);
        if (!it)
            break;
        if (now - it->heard_at > IDLE_US && now - it->probed_at > IDLE_US &&
            !still_there(self, it, now))
            sessions_drop(self->sessions, it);
    }
    leat_metric_set(self->parts.meters->sessions, sessions_count(self->sessions));
}

int64_t door_push(struct door *self, int64_t now)
{
    size_t left = 0;
    for (size_t i = 0; i < self->n_pushing; i++) {
        msgpack_sbuffer_clear(&self->scratch);
        if (!push_one(self, self->pushing[i], now))
            self->pushing[left++] = self->pushing[i];
    }
    self->n_pushing = left;
    sweep(self, now);
    return left > 0 ? PUSH_EVERY_US / 5 : -1;
}

/* --- opening and closing ------------------------------------------------------------------------
 */

static void read_settings(struct door *self, const struct leat_settings *settings)
{
    self->limits = (struct leat_limits){
        .send_bytes = (uint64_t)leat_settings_int(settings, "ingest.send_bytes"),
        .send_records = (uint64_t)leat_settings_int(settings, "ingest.send_records"),
        .unanswered = (uint64_t)leat_settings_int(settings, "ingest.unanswered"),
    };
    self->credit = (size_t)leat_settings_int(settings, "ingest.credit");
    if (self->credit < self->limits.send_bytes)
        self->credit = self->limits.send_bytes;
    for (size_t i = 0; i < METERS_KINDS && leat_flows[i]; i++)
        self->kinds[i] = leat_flows[i]->kind;
}

struct door *door_open(struct leat_host *host, const struct door_parts *parts,
                       struct leat_error *err)
{
    struct door *self = or_end(calloc(1, sizeof *self));
    self->parts = *parts;
    read_settings(self, host->settings);
    msgpack_sbuffer_init(&self->bytes);
    msgpack_sbuffer_init(&self->scratch);
    msgpack_zone_init(&self->zone, ZONE_CHUNK);
    self->sessions = sessions_new((uint32_t)leat_settings_int(host->settings, "ingest.clients"));
    self->socket = leat_socket_router(host->zmq, leat_settings_str(host->settings, "ingest.listen"),
                                      "ingest.listen", self->limits.send_bytes, err);
    if (!self->socket) {
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

bool door_waiting(const struct door *self)
{
    return self->n_answers > 0;
}

void door_drain(struct door *self)
{
    self->draining = true;
}
