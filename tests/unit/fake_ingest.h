/* An ingest for the client's tests: a ROUTER in a thread that keeps the protocol's rules, but for
 * the faults that a test asks for. What it is to do is set before fake_start, what it saw is looked
 * at after fake_stop. */
#ifndef TESTS_UNIT_FAKE_INGEST_H
#define TESTS_UNIT_FAKE_INGEST_H

#include "proto/message.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

enum { FAKE_SENDS = 4096, FAKE_RECORDS = 50000, FAKE_PEERS = 16, FAKE_ID = 16 };

struct fake_answer {
    uint8_t peer[FAKE_ID];
    size_t peer_size;
    size_t bytes; /* of the send that it answers */
    msgpack_sbuffer frame;
};

struct fake {
    /* what it says */
    struct leat_limits limits;
    uint64_t credit;
    uint8_t version;      /* of its frames */
    const char *refuses;  /* answers every hello with this error code */
    size_t hold_back;     /* answers wait until so many are there, or nothing more comes */
    uint64_t reject_each; /* record n is rejected if n % reject_each == 3; 0: none */
    uint64_t dead_each;   /* record n is dead in the end if n % dead_each == 5; 0: none */
    bool pushes_done;     /* tells done with every ack; else only when asked */
    uint64_t slow;        /* nothing is done until it was asked so often */
    uint64_t busy_hellos; /* so many hellos are answered busy */
    uint64_t deaf_hellos; /* so many are not answered */
    uint32_t owner;       /* the instance whose name it is: another's late hello is fenced … */
    uint64_t fences;      /* … and so often again */
    bool was_in;          /* but was welcomed, late, by what it said first */

    /* what goes wrong, once each, at the send of that seq; 0: never */
    uint64_t drop_seq;             /* it vanishes */
    uint64_t busy_seq, busy_times; /* it is answered busy, so often */
    uint64_t silent_seq;           /* nothing more is answered until the next hello */
    uint64_t hello_seq;            /* all sessions are forgotten */
    uint64_t fence_seq;            /* its session is the last no more */
    uint64_t garbage_seq;          /* it is answered with bytes that mean nothing */
    uint64_t restart_seq;          /* closed and bound anew; answers held back are lost … */
    uint64_t restart_lost;         /* … and so many sends, though they were answered … */
    uint64_t restart_undone; /* … and the last ones before that are told as done again … */
    uint64_t restart_gain;   /* … or somebody else has sent so many … */
    bool restart_forgets;    /* … and kept answers are gone */

    /* what it knows and saw */
    char endpoint[64];
    uint64_t held, session;
    uint64_t undone; /* of those held: told as not done until the next done */
    uint64_t hellos, sends, repeats, asked, frame_most;
    uint64_t taken_before;                    /* done counts of an earlier client of the name */
    uint64_t records[FAKE_RECORDS];           /* accepted, in the order taken */
    size_t n_records, records_at[FAKE_SENDS]; /* how many there were before a send */
    size_t out, out_bytes, out_most, out_bytes_most; /* sends not answered */
    bool bad;                                        /* saw a frame that no client may send */

    /* its own */
    void *zmq, *router;
    int stop; /* an eventfd */
    bool running;
    pthread_t thread;
    struct fake_answer waiting[FAKE_SENDS];
    msgpack_sbuffer kept[FAKE_SENDS];
    uint8_t peers[FAKE_PEERS][FAKE_ID]; /* that said hello */
    size_t peer_sizes[FAKE_PEERS], n_peers;
    bool silent;
};

static void fake_bind(struct fake *self)
{
    self->router = zmq_socket(self->zmq, ZMQ_ROUTER);
    int zero = 0;
    zmq_setsockopt(self->router, ZMQ_LINGER, &zero, sizeof zero);
    /* Bound anew, the address may be in use for a moment still. */
    for (int tries = 0; zmq_bind(self->router, self->endpoint) != 0; tries++) {
        if (tries == 2000) {
            fprintf(stderr, "fake ingest: %s: %s\n", self->endpoint, zmq_strerror(zmq_errno()));
            abort();
        }
        zmq_poll(NULL, 0, 5);
    }
    size_t size = sizeof self->endpoint;
    zmq_getsockopt(self->router, ZMQ_LAST_ENDPOINT, self->endpoint, &size);
}

static struct fake *fake_new(void)
{
    struct fake *self = calloc(1, sizeof *self);
    self->limits =
        (struct leat_limits){.send_bytes = 1 << 20, .send_records = 10000, .unanswered = 64};
    self->credit = 4 << 20;
    self->version = LEAT_WIRE_VERSION;
    self->pushes_done = true;
    self->hold_back = 1;
    self->zmq = zmq_ctx_new();
    strcpy(self->endpoint, "tcp://127.0.0.1:*");
    fake_bind(self);
    return self;
}

static void fake_say(struct fake *self, const uint8_t *peer, size_t peer_size,
                     msgpack_sbuffer *frame)
{
    frame->data[3] = (char)self->version; /* {"v": 1, … */
    zmq_send(self->router, peer, peer_size, ZMQ_SNDMORE);
    zmq_send(self->router, frame->data, frame->size, 0);
    msgpack_sbuffer_destroy(frame);
    msgpack_sbuffer_init(frame);
}

static void fake_done(struct fake *self, struct leat_message *m)
{
    memset(m, 0, sizeof *m);
    m->committed = self->taken_before;
    if (self->asked < self->slow)
        return;
    m->through = self->held - self->undone;
    size_t n = self->undone ? self->records_at[m->through + 1] : self->n_records;
    for (size_t i = 0; i < n; i++) {
        bool dead = self->dead_each && self->records[i] % self->dead_each == 5;
        m->dead += dead;
        m->committed += !dead;
    }
}

static void fake_tell_done(struct fake *self, const uint8_t *peer, size_t peer_size)
{
    struct leat_message m;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    self->undone = 0;
    fake_done(self, &m);
    leat_message_done(&frame, m.through, m.committed, m.dead);
    fake_say(self, peer, peer_size, &frame);
}

/* Gives the answers that waited; `lost`: forgets them instead. */
static void fake_release(struct fake *self, bool lost)
{
    for (size_t i = 0; i < self->out; i++) {
        struct fake_answer *a = &self->waiting[i];
        if (lost)
            msgpack_sbuffer_destroy(&a->frame);
        else
            fake_say(self, a->peer, a->peer_size, &a->frame);
    }
    if (self->out > 0 && !lost && self->pushes_done)
        fake_tell_done(self, self->waiting[0].peer, self->waiting[0].peer_size);
    self->out = self->out_bytes = 0;
}

static void fake_restart(struct fake *self)
{
    self->restart_seq = 0;
    fake_release(self, true);
    zmq_close(self->router);
    fake_bind(self);
    self->n_peers = 0;
    self->held += self->restart_gain;
    self->held -= self->restart_lost;
    self->undone = self->restart_undone;
    if (self->restart_lost)
        self->n_records = self->records_at[self->held + 1];
    if (self->restart_forgets)
        for (size_t i = 0; i < FAKE_SENDS; i++)
            self->kept[i].size = 0;
}

static bool fake_knows(const struct fake *self, const uint8_t *peer, size_t size)
{
    for (size_t i = 0; i < self->n_peers; i++)
        if (self->peer_sizes[i] == size && memcmp(self->peers[i], peer, size) == 0)
            return true;
    return false;
}

static void fake_hello(struct fake *self, const struct leat_message *m, const uint8_t *peer,
                       size_t size)
{
    static const char *const kinds[] = {"text", "series", NULL};
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    self->hellos++;
    self->silent = false;
    if (self->refuses) {
        leat_message_error(&frame, self->refuses, "go away");
        fake_say(self, peer, size, &frame);
        return;
    }
    if (self->busy_hellos > 0) {
        self->busy_hellos--;
        leat_message_busy(&frame, 0, 30);
        fake_say(self, peer, size, &frame);
        return;
    }
    if (self->deaf_hellos > 0) {
        self->deaf_hellos--;
        return;
    }
    bool late = m->session > 0 ? m->session < self->session : m->again;
    bool fenced = late && self->owner && self->owner != m->instance;
    if (fenced && !self->was_in) {
        for (uint64_t i = 0; i <= self->fences; i++) {
            leat_message_fenced(&frame, m->session, m->instance);
            fake_say(self, peer, size, &frame);
        }
        return;
    }
    self->owner = m->instance;
    fake_release(self, false);
    if (!fake_knows(self, peer, size) && self->n_peers < FAKE_PEERS) {
        memcpy(self->peers[self->n_peers], peer, size);
        self->peer_sizes[self->n_peers++] = size;
    }
    struct leat_message welcome;
    fake_done(self, &welcome);
    welcome.session = ++self->session;
    welcome.held = self->held;
    welcome.credit = self->credit;
    welcome.limits = self->limits;
    leat_message_welcome(&frame, &welcome, kinds);
    fake_say(self, peer, size, &frame);
    if (fenced) {
        leat_message_fenced(&frame, m->session, m->instance);
        fake_say(self, peer, size, &frame);
    }
}

/* Takes the records of a send and keeps the answer. */
static void fake_take(struct fake *self, const struct leat_message *m)
{
    static struct leat_rejection rejected[10000];
    size_t n_rejected = 0, accepted = 0;
    self->records_at[m->seq] = self->n_records;
    for (uint32_t i = 0; i < m->records->via.array.size; i++) {
        uint64_t n = UINT64_MAX;
        if (!leat_wire_u64(&m->records->via.array.ptr[i], "n", &n))
            self->bad = true;
        if (self->reject_each && n % self->reject_each == 3) {
            rejected[n_rejected] = (struct leat_rejection){.index = i, .code = "unwanted"};
            snprintf(rejected[n_rejected].reason, sizeof rejected[0].reason, "number %llu",
                     (unsigned long long)n);
            n_rejected++;
        } else if (self->n_records < FAKE_RECORDS) {
            self->records[self->n_records++] = n;
            accepted++;
        }
    }
    msgpack_sbuffer_clear(&self->kept[m->seq]);
    leat_message_ack(&self->kept[m->seq], m->seq, accepted, rejected, n_rejected);
    self->held = m->seq;
}

static void fake_wait(struct fake *self, const struct leat_message *m, const uint8_t *peer,
                      size_t size, size_t bytes)
{
    struct fake_answer *a = &self->waiting[self->out++];
    memcpy(a->peer, peer, size);
    a->peer_size = size;
    a->bytes = bytes;
    msgpack_sbuffer_init(&a->frame);
    if (self->kept[m->seq].size)
        msgpack_sbuffer_write(&a->frame, self->kept[m->seq].data, self->kept[m->seq].size);
    else
        leat_message_forgotten(&a->frame, m->seq);
    self->out_bytes += bytes;
    if (self->out > self->out_most)
        self->out_most = self->out;
    if (self->out_bytes > self->out_bytes_most)
        self->out_bytes_most = self->out_bytes;
    if (self->out >= self->hold_back)
        fake_release(self, false);
}

/* True when the send met with a fault and is dealt with. */
static bool fake_fault(struct fake *self, const struct leat_message *m, const uint8_t *peer,
                       size_t size)
{
    if (m->seq == self->silent_seq) {
        self->silent_seq = 0;
        self->silent = true;
    }
    if (self->silent)
        return true;
    if (m->seq == self->restart_seq) {
        fake_restart(self);
        return true;
    }
    if (m->seq == self->hello_seq) {
        self->hello_seq = 0;
        self->n_peers = 0;
    }
    if (m->seq == self->drop_seq) {
        self->drop_seq = 0;
        return true;
    }
    if (m->seq == self->fence_seq) {
        self->fence_seq = 0;
        self->session++;
    }
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    if (!fake_knows(self, peer, size)) {
        leat_message_say_hello(&frame);
    } else if (m->session != self->session) {
        leat_message_fenced(&frame, m->session, 0);
    } else if (m->seq == self->garbage_seq) {
        leat_pack_raw(&frame, (struct leat_span){(const uint8_t *)"\x83\xa1v\x01garbage", 11});
    } else if (m->seq == self->busy_seq && self->busy_times > 0) {
        self->busy_times--;
        leat_message_busy(&frame, m->seq, 20);
    } else if (m->seq > self->held + 1) {
        leat_message_gap(&frame, self->held);
    } else {
        return false;
    }
    fake_say(self, peer, size, &frame);
    return true;
}

static void fake_send(struct fake *self, const struct leat_message *m, const uint8_t *peer,
                      size_t size, size_t bytes)
{
    self->sends++;
    if (bytes > self->frame_most)
        self->frame_most = bytes;
    if (m->seq == 0 || m->seq >= FAKE_SENDS) {
        self->bad = true;
        return;
    }
    if (fake_fault(self, m, peer, size))
        return;
    if (m->seq == self->held + 1)
        fake_take(self, m);
    else
        self->repeats++;
    fake_wait(self, m, peer, size, bytes);
}

static void fake_read(struct fake *self, msgpack_zone *zone)
{
    uint8_t peer[FAKE_ID];
    int size = zmq_recv(self->router, peer, sizeof peer, 0);
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    zmq_msg_recv(&msg, self->router, 0);
    struct leat_message m;
    const char *code;
    struct leat_span bytes = {zmq_msg_data(&msg), zmq_msg_size(&msg)};
    if (size < 0 || zmq_msg_more(&msg) || !leat_message_read(bytes, zone, &m, &code, NULL)) {
        self->bad = true;
    } else if (m.type == LEAT_HELLO) {
        fake_hello(self, &m, peer, (size_t)size);
    } else if (m.type == LEAT_SEND) {
        fake_send(self, &m, peer, (size_t)size, bytes.size);
    } else if (m.type == LEAT_DONE) {
        self->asked++;
        fake_tell_done(self, peer, (size_t)size);
    } else {
        self->bad = true;
    }
    zmq_msg_close(&msg);
    msgpack_zone_clear(zone);
}

static void *fake_run(void *arg)
{
    struct fake *self = arg;
    msgpack_zone zone;
    msgpack_zone_init(&zone, 8192);
    for (;;) {
        zmq_pollitem_t items[2] = {{NULL, self->stop, ZMQ_POLLIN, 0},
                                   {self->router, 0, ZMQ_POLLIN, 0}};
        int ready = zmq_poll(items, 2, self->out > 0 ? 10 : -1);
        if (ready == 0)
            fake_release(self, false);
        if (items[0].revents)
            break;
        if (items[1].revents)
            fake_read(self, &zone);
    }
    msgpack_zone_destroy(&zone);
    return NULL;
}

static void fake_start(struct fake *self)
{
    self->stop = eventfd(0, EFD_CLOEXEC);
    if (pthread_create(&self->thread, NULL, fake_run, self) != 0)
        abort();
    self->running = true;
}

/* The thread ends; the socket stays, and fake_start goes on with it. */
static void fake_stop(struct fake *self)
{
    self->running = false;
    eventfd_write(self->stop, 1);
    pthread_join(self->thread, NULL);
    fake_release(self, true);
    close(self->stop);
}

static void fake_destroy(struct fake *self)
{
    if (self->running)
        fake_stop(self);
    zmq_close(self->router);
    zmq_ctx_term(self->zmq);
    for (size_t i = 0; i < FAKE_SENDS; i++)
        msgpack_sbuffer_destroy(&self->kept[i]);
    free(self);
}

#endif
