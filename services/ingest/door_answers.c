#include "services/ingest/door_private.h"

#include "services/runtime/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

void *door_or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory at the front door\n");
        abort();
    }
    return memory;
}

/* false: that connection is gone. One that does not read misses the answer and will ask again. */
static bool send_frame(struct door *self, struct leat_span peer, const void *data, size_t size)
{
    if (zmq_send(self->socket, peer.data, peer.size, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
        zmq_send(self->socket, data, size, ZMQ_DONTWAIT) >= 0)
        return true;
    leat_metric_inc(self->parts.meters->answers_lost, 1);
    return zmq_errno() != EHOSTUNREACH;
}

bool door_send_scratch(struct door *self, struct leat_span peer)
{
    return send_frame(self, peer, self->scratch.data, self->scratch.size);
}

msgpack_sbuffer *door_scratch(struct door *self)
{
    msgpack_sbuffer_clear(&self->scratch);
    return &self->scratch;
}

/* --- answers that wait ------------------------------------------------------------------------ */

struct answer *door_answer(struct door *self, struct session *to, enum answer_type type,
                           uint64_t seq)
{
    if (self->n_answers == self->room) {
        self->room = self->room ? self->room * 2 : 64;
        self->answers = door_or_end(realloc(self->answers, self->room * sizeof self->answers[0]));
    }
    struct answer *a = &self->answers[self->n_answers++];
    *a = (struct answer){.type = type, .to = to, .seq = seq, .at = self->bytes.size};
    to->waiting++;
    return a;
}

void door_answer_busy(struct door *self, struct session *to, uint64_t seq, int64_t now,
                      uint64_t retry_ms)
{
    to->busy_until = now + (int64_t)retry_ms * 1000;
    door_answer(self, to, ANSWER_BUSY, seq)->number = retry_ms;
}

void door_answer_error(struct door *self, struct session *to, uint64_t seq, const char *code,
                       const char *reason)
{
    struct answer *a = door_answer(self, to, ANSWER_ERROR, seq);
    leat_message_error(&self->bytes, code, reason);
    a->size = self->bytes.size - a->at;
}

/* --- the end of a transaction ----------------------------------------------------------------- */

bool door_synced_client(struct door *self, const struct session *it, struct client *out)
{
    return it->client && clients_get(self->parts.journal, it->client, out, NULL) == JOURNAL_OK;
}

static void write_welcome(struct door *self, const struct answer *a)
{
    struct client client;
    sessions_bind(self->sessions, a->to, a->number, a->session);
    if (!door_synced_client(self, a->to, &client)) {
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

void door_write_done(struct door *self, struct session *it, const struct client *client,
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
    case ANSWER_ACK:
    case ANSWER_ERROR:
        leat_pack_raw(&self->scratch,
                      (struct leat_span){(uint8_t *)self->bytes.data + a->at, a->size});
        break;
    case ANSWER_BUSY:
        leat_metric_inc(self->parts.meters->busy, 1);
        leat_message_busy(&self->scratch, a->seq, a->number);
        break;
    case ANSWER_GAP:
        leat_metric_inc(self->parts.meters->gap, 1);
        leat_message_gap(&self->scratch, a->number);
        break;
    case ANSWER_FENCED:
    case ANSWER_SUPERSEDED:
        leat_metric_inc(self->parts.meters->fenced, 1);
        leat_message_fenced(&self->scratch, a->session, (uint32_t)a->number);
        break;
    case ANSWER_HELLO:
        leat_metric_inc(self->parts.meters->unknown, 1);
        leat_message_say_hello(&self->scratch);
        break;
    case ANSWER_WELCOME:
        write_welcome(self, a);
        break;
    case ANSWER_DONE:
        if (door_synced_client(self, a->to, &client))
            door_write_done(self, a->to, &client, now);
        else
            leat_message_say_hello(&self->scratch);
        break;
    }
}

/* Nothing of the transaction happened: what rests on it is answered busy. Keeps invariants M1 and
 * M7 (tests/model). */
static void undo_answer(struct answer *a, int64_t now, uint64_t retry_ms)
{
    bool hello = a->type == ANSWER_WELCOME || a->type == ANSWER_SUPERSEDED;
    if (a->type != ANSWER_ACK && a->type != ANSWER_GAP && !hello)
        return;
    a->type = ANSWER_BUSY;
    a->number = retry_ms;
    if (a->seq > 0)
        a->to->busy_until = now + (int64_t)retry_ms * 1000;
}

/* Keeps invariant M1 (tests/model). */
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
        a->to->gone |= !door_send_scratch(self, door_peer(a->to));
        a->to->credit_used = 0;
        a->to->sends = 0;
        if (--a->to->waiting == 0 && a->to->gone)
            sessions_drop(self->sessions, a->to);
    }
    self->n_answers = 0;
    msgpack_sbuffer_clear(&self->bytes);
    leat_metric_set(self->parts.meters->sessions, sessions_count(self->sessions));
}
