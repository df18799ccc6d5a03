/* The front door with a real journal behind it, played by the input: four connections, two names,
 * hellos, sends of right and wrong numbers and sessions, frames of any bytes, transactions that end
 * well or do not, acknowledgements, restarts. What is checked are the session rules of
 * proto/README.md, which tests/model proves of the protocol:
 *
 *  1. Sessions only grow, also across restarts.
 *  2. A name's sends are journaled in their order, each once, and only by the session that spoke
 *     for the name when the transaction began.
 *  3. What was acknowledged is held ever after; a repeated answer is the same answer.
 *  4. Every frame that comes out can be read. */
#include "services/ingest/backlog.h"
#include "services/ingest/clients.h"
#include "services/ingest/door.h"
#include "services/runtime/clock.h"
#include "services/runtime/sockets.h"
#include "tests/fuzz/targets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { PEERS = 4, NAMES = 2, OPS_MOST = 48, SENDS_MOST = 64, CLIENTS = 4 };

struct peer {
    void *dealer;
    uint64_t session; /* of its last welcome; 0: none yet */
    unsigned name;
    unsigned hellos, answered; /* said, and answered */
};

struct name {
    uint64_t session; /* that speaks for it, as far as was told */
    uint64_t acked, journaled;
    struct leat_span answers[SENDS_MOST];
};

struct play {
    struct journal *journal;
    struct commit commit;
    struct door *door;
    struct peer peers[PEERS];
    struct name names[NAMES];
    uint64_t held[CLIENTS + 1]; /* by the client's number in the journal */
    uint64_t sessions, walked;
    int64_t skew; /* µs that time was moved on by, past the pauses after failures */
};

/* What is the same in every run. */
static struct {
    struct leat_host host;
    struct meters meters;
    struct leat_flow_limits limits;
    struct records records;
    msgpack_sbuffer frame, record;
    msgpack_zone zone;
    unsigned doors;
} hall;

static void build_hall(void)
{
    struct leat_error err;
    hall.host.name = "ingest";
    hall.host.zmq = zmq_ctx_new();
    /* Sockets of doors before are closed later, by a thread that may be starved. */
    zmq_ctx_set(hall.host.zmq, ZMQ_MAX_SOCKETS, 1 << 14);
    hall.host.settings = leat_settings_copy(fuzz_settings_default());
    hall.host.metrics = leat_metrics_new(&err);
    FUZZ_CHECK(
        leat_settings_assign(hall.host.settings, "ingest.clients=16", LEAT_FROM_PROGRAM, &err));
    FUZZ_CHECK(
        leat_settings_assign(hall.host.settings, "ingest.send_records=8", LEAT_FROM_PROGRAM, &err));
    meters_open(&hall.meters, hall.host.metrics);
    hall.limits = fuzz_limits();
    records_open(&hall.records, 8);
    msgpack_sbuffer_init(&hall.frame);
    msgpack_sbuffer_init(&hall.record);
    msgpack_zone_init(&hall.zone, 4096);
}

/* --- opening and closing -------------------------------------------------------------------- */

static void peer_close(struct peer *peer)
{
    if (peer->dealer)
        zmq_close(peer->dealer);
    *peer = (struct peer){.dealer = NULL};
}

static void peer_open(struct peer *peer)
{
    int none = 0;
    char address[64];
    peer_close(peer);
    snprintf(address, sizeof address, "inproc://door-%u", hall.doors);
    peer->dealer = zmq_socket(hall.host.zmq, ZMQ_DEALER);
    zmq_setsockopt(peer->dealer, ZMQ_LINGER, &none, sizeof none);
    FUZZ_CHECK(zmq_connect(peer->dealer, address) == 0);
}

static void play_open(struct play *self, const char *dir)
{
    struct journal_limits limits = journal_limits_default();
    struct leat_error err;
    char assignment[80];
    limits.max_bytes = 1 << 16;
    limits.reserve_bytes = 1 << 20;
    limits.answers = 4;
    limits.clients = CLIENTS;
    self->journal = journal_open(dir, &limits, &err);
    FUZZ_CHECK(self->journal != NULL);
    commit_open(&self->commit, self->journal, &hall.meters);
    self->commit.bytes_most = 1 << 20;
    snprintf(assignment, sizeof assignment, "ingest.listen=inproc://door-%u", ++hall.doors);
    FUZZ_CHECK(leat_settings_assign(hall.host.settings, assignment, LEAT_FROM_PROGRAM, &err));
    const struct door_parts parts = {.journal = self->journal,
                                     .commit = &self->commit,
                                     .records = &hall.records,
                                     .meters = &hall.meters,
                                     .limits = &hall.limits};
    self->door = door_open(&hall.host, &parts, &err);
    FUZZ_CHECK(self->door != NULL);
    for (int i = 0; i < PEERS; i++)
        peer_open(&self->peers[i]);
}

/* As a kill: what was not committed is gone, and so are all connections. */
static void play_close(struct play *self)
{
    for (int i = 0; i < PEERS; i++)
        peer_close(&self->peers[i]);
    door_close(&self->door);
    journal_close(&self->journal);
}

/* --- what clients say ----------------------------------------------------------------------- */

static void put(struct peer *peer, struct leat_span frame)
{
    zmq_send(peer->dealer, frame.data, frame.size, ZMQ_DONTWAIT);
}

/* A connection keeps to its first name: whose an answer is could not be told otherwise. */
static void say_hello(struct peer *peer, unsigned name, uint32_t instance, bool again)
{
    if (peer->hellos == 0)
        peer->name = name;
    peer->hellos++;
    msgpack_sbuffer_clear(&hall.frame);
    leat_message_hello(&hall.frame, peer->name ? "ann" : "bob", instance, peer->session, again);
    put(peer, fuzz_packed(&hall.frame));
}

/* A record tells who sent it: its name, session and number. */
static void add_record(const struct peer *peer, uint64_t session, uint64_t seq)
{
    char id[80];
    msgpack_packer to;
    snprintf(id, sizeof id, "%u %" PRIu64 " %" PRIu64, peer->name, session, seq);
    leat_pack_init(&to, &hall.record);
    leat_pack_map(&to, 2);
    leat_pack_cstr(&to, "id");
    leat_pack_cstr(&to, id);
    leat_pack_cstr(&to, "text");
    leat_pack_cstr(&to, "t");
}

/* how: 0-3 by how much the number is off; 4, 5 the session; 6 a broken record besides; 7 none. */
static void say_send(struct play *self, struct peer *peer, uint8_t how)
{
    uint64_t session = how & 16 ? self->sessions : how & 32 ? peer->session - 1 : peer->session;
    uint64_t seq = self->names[peer->name].acked + 1 + (how & 3) - (how >> 2 & 1) * 2;
    uint32_t count = 0;
    msgpack_sbuffer_clear(&hall.record);
    msgpack_sbuffer_clear(&hall.frame);
    if (!(how & 128)) {
        add_record(peer, session, seq);
        count++;
    }
    if (how & 64) {
        msgpack_sbuffer_write(&hall.record, "\xc0", 1);
        count++;
    }
    leat_message_send(&hall.frame, session, seq, how & 8 ? "other" : "text", count,
                      fuzz_packed(&hall.record));
    put(peer, fuzz_packed(&hall.frame));
}

static void ask_done(struct peer *peer)
{
    msgpack_sbuffer_clear(&hall.frame);
    leat_message_done_request(&hall.frame, peer->session);
    put(peer, fuzz_packed(&hall.frame));
}

/* --- what they are told --------------------------------------------------------------------- */

static uint64_t highest_held(const struct play *self)
{
    uint64_t held = 0;
    for (int i = 1; i <= CLIENTS; i++)
        held = self->held[i] > held ? self->held[i] : held;
    return held;
}

static void told_ack(const struct play *self, struct name *name, const struct leat_message *m,
                     struct leat_span frame)
{
    FUZZ_CHECK(m->seq >= 1 && m->seq <= highest_held(self));
    if (m->seq > name->acked)
        name->acked = m->seq;
    if (m->forgotten || m->seq >= SENDS_MOST)
        return;
    struct leat_span *kept = &name->answers[m->seq];
    FUZZ_CHECK(!kept->data || fuzz_same(*kept, frame));
    if (kept->data)
        return;
    uint8_t *copy = malloc(frame.size);
    memcpy(copy, frame.data, frame.size);
    *kept = (struct leat_span){copy, frame.size};
}

static void told_welcome(struct play *self, struct peer *peer, const struct leat_message *m)
{
    FUZZ_CHECK(peer->answered++ < peer->hellos);
    peer->session = m->session;
    struct name *name = &self->names[peer->name];
    FUZZ_CHECK(m->held >= name->acked && m->held >= name->journaled);
    FUZZ_CHECK(m->through <= m->held && m->session != name->session);
    if (m->session > name->session)
        name->session = m->session;
    if (m->session > self->sessions)
        self->sessions = m->session;
    name->acked = m->held; /* what is held is as good as acknowledged */
}

static void told(struct play *self, struct peer *peer, struct leat_span frame)
{
    struct leat_message m;
    struct leat_error err;
    const char *code;
    FUZZ_CHECK(leat_message_read(frame, &hall.zone, &m, &code, &err));
    if (m.type == LEAT_WELCOME)
        told_welcome(self, peer, &m);
    else if (m.type == LEAT_ACK)
        told_ack(self, &self->names[peer->name], &m, frame);
    FUZZ_CHECK(m.type != LEAT_SEND);
    msgpack_zone_clear(&hall.zone);
}

static void read_answers(struct play *self)
{
    for (int i = 0; i < PEERS; i++) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        while (zmq_msg_recv(&msg, self->peers[i].dealer, ZMQ_DONTWAIT) >= 0)
            told(self, &self->peers[i], (struct leat_span){zmq_msg_data(&msg), zmq_msg_size(&msg)});
        zmq_msg_close(&msg);
    }
}

/* --- the journal ---------------------------------------------------------------------------- */

/* A batch that is new in the journal: from the session that spoke, in its turn. */
static void check_batch(struct play *self, const struct backlog_batch *batch)
{
    unsigned name;
    uint64_t session, seq;
    char id[81] = "";
    struct leat_walk item, record;
    struct leat_span key, value, text = {NULL, 0};
    FUZZ_CHECK(leat_walk_open(&item, (struct leat_span){batch->items, batch->size}, NULL));
    FUZZ_CHECK(leat_walk_next(&item, &key, &value, NULL) && leat_wire_is(key, "record"));
    FUZZ_CHECK(leat_walk_open(&record, value, NULL));
    while (text.size == 0 && record.left > 0 && leat_walk_next(&record, &key, &value, NULL))
        if (leat_wire_is(key, "id"))
            leat_wire_text(value, &text);
    snprintf(id, sizeof id, "%.*s", (int)text.size, (const char *)text.data);
    /* A send of any bytes may bring a record of any id. */
    if (sscanf(id, "%u %" SCNu64 " %" SCNu64, &name, &session, &seq) != 3 || name >= NAMES ||
        seq != batch->client_seq)
        return;
    FUZZ_CHECK(session == self->names[name].session);
    FUZZ_CHECK(seq > self->names[name].journaled);
    self->names[name].journaled = seq;
}

static void check_journal(struct play *self)
{
    struct backlog_batch batch;
    struct client client;
    while (backlog_next(self->journal, "text", self->walked, &batch, NULL) == BACKLOG_BATCH) {
        FUZZ_CHECK(batch.client >= 1 && batch.client_seq >= 1);
        check_batch(self, &batch);
        self->walked = batch.seq;
    }
    for (uint64_t i = 1; i <= CLIENTS; i++)
        if (clients_get(self->journal, i, &client, NULL) == JOURNAL_OK) {
            FUZZ_CHECK(client.held >= self->held[i] && client.done <= client.held);
            self->held[i] = client.held;
        }
}

/* Persist acknowledges the oldest batch. */
static void ack_oldest(struct play *self, int64_t now)
{
    struct backlog_batch batch;
    struct journal_acked acked;
    struct leat_error err;
    if (backlog_next(self->journal, "text", 0, &batch, &err) != BACKLOG_BATCH ||
        !commit_enter(&self->commit, now))
        return;
    FUZZ_CHECK(journal_ack(self->journal, "text", batch.seq, batch.count, 0, &acked, &err) ==
               JOURNAL_OK);
    bool good = commit_end(&self->commit);
    door_settle(self->door, good);
    if (good)
        door_done_changed(self->door, acked.client);
    door_push(self->door, now);
}

static void transaction(struct play *self, bool good, int64_t now)
{
    const struct leat_error why = {.text = "as the input says"};
    bool committed = true;
    door_read(self->door, now);
    if (!good && self->commit.open) {
        commit_spoil(&self->commit, &why);
        self->skew += 10 * 1000 * 1000;
    }
    if (self->commit.open)
        committed = commit_end(&self->commit);
    door_settle(self->door, committed);
    door_push(self->door, now);
}

/* --- the input ------------------------------------------------------------------------------ */

static void step(struct play *self, struct leat_span *input, const char *dir)
{
    int64_t now = leat_monotonic_us() + self->skew;
    uint8_t op = fuzz_u8(input);
    struct peer *peer = &self->peers[op >> 3 & 3];
    switch (op & 7) {
    case 0:
        say_hello(peer, op >> 5 & 1, op & 64 ? 0 : 1 + (op >> 3 & 3), op & 128);
        break;
    case 1:
    case 2:
        say_send(self, peer, fuzz_u8(input));
        break;
    case 3:
        put(peer, fuzz_bytes(input, fuzz_u8(input)));
        break;
    case 4:
    case 5:
        transaction(self, (op & 7) == 4 || op & 32, now);
        check_journal(self);
        read_answers(self);
        break;
    case 6:
        transaction(self, true, now);
        check_journal(self);
        ack_oldest(self, now);
        read_answers(self);
        break;
    case 7:
        if (op & 32) {
            play_close(self);
            play_open(self, dir);
        } else if (op & 64) {
            ask_done(peer);
        } else {
            peer_open(peer);
        }
        break;
    }
}

void fuzz_door(struct leat_span input)
{
    static struct play play;
    char dir[48];
    if (!hall.host.zmq)
        build_hall();
    snprintf(dir, sizeof dir, "%s", fuzz_folder());
    memset(&play, 0, sizeof play);
    play_open(&play, dir);
    for (int i = 0; i < OPS_MOST && input.size > 0; i++)
        step(&play, &input, dir);
    transaction(&play, true, leat_monotonic_us() + play.skew);
    check_journal(&play);
    read_answers(&play);
    play_close(&play);
    for (int n = 0; n < NAMES; n++)
        for (int s = 0; s < SENDS_MOST; s++)
            free((void *)(uintptr_t)play.names[n].answers[s].data);
}
