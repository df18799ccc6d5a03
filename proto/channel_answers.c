#include "proto/channel_private.h"

#include <string.h>

enum {
    GAP_PAUSE_MS = 50, /* pause after the second gap in a row, growing with each up to … */
    GAP_PAUSE_MAX_MS = 2000,
    RETRY_MAX_MS = 60000, /* the longest pause that `busy` is believed */
};

void channel_tell(const struct channel *self, const char *event)
{
    if (self->common->on_event)
        self->common->on_event(self->common->arg, event);
}

static void read_done(struct channel *self, const struct leat_message *m)
{
    tally_read(&self->tally, m);
    self->asked_ms = channel_now_ms();
}

/* Ingest holds less than it has answered for: its journal is an older one, or a new one. What is
 * unanswered goes on from where it is; what was answered and not done is missing. */
static void read_rollback(struct channel *self, const struct leat_message *m)
{
    tally_roll_back(&self->tally, self->window.seq - 1, self->accepted, m);
    self->window.seq = m->held + 1;
    self->highest = m->held;
    channel_tell(self, "journal_lost");
}

/* Keeps invariants M7 and M8 (tests/model): what is not answered goes out again. */
static bool read_welcome(struct channel *self, const struct leat_message *m, struct leat_error *err)
{
    const char *address = link_address(self->link);
    if (!terms_read(&self->terms, m))
        return leat_fail(err, "%s: its welcome makes no sense", address);

    if (!self->met) {
        self->window.seq = m->held + 1;
        self->highest = m->held;
        tally_begin(&self->tally, m);
    } else if (m->held > self->highest) {
        return leat_fail(err, "%s: another client of the name %s has sent meanwhile", address,
                         self->common->client);
    } else if (m->held + 1 < self->window.seq) {
        read_rollback(self, m);
    }
    self->session = m->session;
    self->said = false;
    window_rewind(&self->window, 0);
    self->stale = 0;
    self->gaps = 0;
    self->probing = false;
    self->pause_until = 0;
    self->in = true;
    read_done(self, m);
    if (self->met)
        channel_tell(self, "reconnected");
    self->met = true;
    return true;
}

/* A first hello that was said again and was read behind another client's: whether this one had been
 * in before it, ingest cannot tell. If not, it begins as a new client would. Keeps invariant M9
 * (tests/model). */
static bool read_fenced(struct channel *self, const struct leat_message *m, struct leat_error *err)
{
    bool first = m->session == 0 && m->instance == self->instance;
    if (first && !self->met) {
        self->instance += self->instance < UINT32_MAX ? 1 : 2; /* not 0 */
        self->said = false;
        self->hello_due = true;
        return true;
    }
    /* What an earlier session or instance of our own said is fenced as well: that is no news. */
    if (!first && (m->session == 0 || m->session != self->session))
        return true;
    /* A send of this session. The hello that ended it may be an own one, late from a connection
     * before: only the answer to a hello says that the name is another's. */
    if (m->instance == 0) {
        if (self->in)
            channel_begin_again(self);
        return true;
    }
    return leat_fail(err, "%s: fenced: another client of the name %s is connected now",
                     link_address(self->link), self->common->client);
}

static void read_rejected(struct channel *self, const struct send *send,
                          const msgpack_object *rejected)
{
    for (uint32_t i = 0; i < rejected->via.array.size; i++) {
        const msgpack_object *one = &rejected->via.array.ptr[i];
        uint64_t index;
        if (!leat_wire_u64(one, "index", &index) || index >= send->count)
            continue;
        struct leat_span code = {NULL, 0}, reason = {NULL, 0};
        char code_text[64], reason_text[256];
        leat_wire_str(one, "code", &code);
        leat_wire_str(one, "reason", &reason);
        size_t code_size = leat_wire_text_prefix(code, sizeof code_text - 1);
        size_t reason_size = leat_wire_text_prefix(reason, sizeof reason_text - 1);
        memcpy(code_text, code.data ? code.data : (const uint8_t *)"", code_size);
        memcpy(reason_text, reason.data ? reason.data : (const uint8_t *)"", reason_size);
        code_text[code_size] = reason_text[reason_size] = '\0';
        self->common->rejected++;
        if (self->common->on_reject)
            self->common->on_reject(self->common->arg,
                                    &(struct leat_reject){.record = send->numbers[index],
                                                          .code = code_text,
                                                          .reason = reason_text});
    }
}

static void read_ack(struct channel *self, const struct leat_message *m)
{
    /* Answered before, or nothing that was ever sent: kept answers may come twice. */
    if (m->seq < self->window.seq || m->seq > self->highest)
        return;
    size_t i = (size_t)(m->seq - self->window.seq);
    if (i >= self->window.count)
        return;
    struct send *send = window_at(&self->window, i);
    /* Answers to old copies come before those to what went out after going back. */
    if (send->out && m->seq >= self->back_to)
        self->stale = 0;
    else if (!send->out && self->stale > 0)
        self->stale--;
    if (!window_answer(&self->window, i))
        return;
    if (m->forgotten) {
        /* Taken for sure; which of its records were rejected nobody knows any more. */
        self->accepted += send->count;
        channel_tell(self, "forgotten");
    } else {
        self->accepted += m->accepted;
        read_rejected(self, send, m->rejected);
    }
    window_drop(&self->window);
    self->probing = false;
    self->gaps = 0;
}

/* Goes back to send `i` and lets `pause` pass before it goes out again. */
static size_t go_back(struct channel *self, size_t i, int64_t pause)
{
    size_t after = window_rewind(&self->window, i);
    self->back_to = self->window.seq + i;
    self->pause_until = channel_now_ms() + pause;
    return after;
}

static void read_busy(struct channel *self, const struct leat_message *m)
{
    int64_t pause = m->retry_ms < RETRY_MAX_MS ? (int64_t)m->retry_ms : RETRY_MAX_MS;
    uint64_t next = self->window.seq + self->window.next;
    if (m->seq == 0) { /* that was the hello */
        self->hello_due = true;
        self->pause_until = channel_now_ms() + pause;
    }
    if (!self->in)
        return;
    if (m->seq < self->window.seq)
        return;
    if (m->seq >= next) { /* gone back already; this is one that was behind */
        if (self->stale > 0)
            self->stale--;
        return;
    }
    self->stale += go_back(self, (size_t)(m->seq - self->window.seq), pause);
    self->probing = true;
    channel_tell(self, "busy");
}

static void read_gap(struct channel *self, const struct leat_message *m)
{
    uint64_t next = self->window.seq + self->window.next;
    uint64_t missing = m->held + 1;
    if (self->stale > 0) {
        self->stale--;
        return;
    }
    if (missing < self->window.seq) { /* holds less than it answered for: only a welcome tells */
        self->hello_due = true;
        self->in = false;
        return;
    }
    if (missing >= next)
        return;
    int64_t pause = (int64_t)self->gaps++ * GAP_PAUSE_MS;
    size_t after = go_back(self, (size_t)(missing - self->window.seq),
                           pause < GAP_PAUSE_MAX_MS ? pause : GAP_PAUSE_MAX_MS);
    self->stale = after > 0 ? after - 1 : 0; /* one of them this gap has answered */
    channel_tell(self, "gap");
}

static bool read_answer(struct channel *self, const struct leat_message *m, struct leat_error *err)
{
    const char *address = link_address(self->link);
    if (m->type != LEAT_DONE) /* that is no answer to what went out */
        self->quiet_since = channel_now_ms();
    if (m->type == LEAT_ACK)
        self->silent_ms = CHANNEL_SILENT_MS;
    switch (m->type) {
    case LEAT_WELCOME:
        return read_welcome(self, m, err);
    case LEAT_ACK:
        read_ack(self, m);
        return true;
    case LEAT_BUSY:
        read_busy(self, m);
        return true;
    case LEAT_GAP:
        if (self->in)
            read_gap(self, m);
        return true;
    case LEAT_HELLO:
        if (self->in)
            self->hello_due = true;
        self->in = false;
        return true;
    case LEAT_FENCED:
        return read_fenced(self, m, err);
    case LEAT_DONE:
        if (self->in)
            read_done(self, m);
        return true;
    case LEAT_ERROR:
        return leat_fail(err, "%s refuses: %.*s (%.*s)", address, (int)m->reason.size,
                         m->reason.data, (int)m->code.size, m->code.data);
    case LEAT_SEND:
        break;
    }
    return leat_fail(err, "%s answers as no ingest does", address);
}

bool channel_read(struct channel *self, struct leat_error *err)
{
    zmq_msg_t frame;
    bool good = true;
    zmq_msg_init(&frame);
    while (good && link_receive(self->link, &frame)) {
        struct leat_message m;
        struct leat_span bytes = {zmq_msg_data(&frame), zmq_msg_size(&frame)};
        const char *code;
        if (leat_message_read(bytes, &self->zone, &m, &code, err))
            good = read_answer(self, &m, err);
        else
            good = leat_fail_in(err, "%s: its answer cannot be read", link_address(self->link));
        msgpack_zone_clear(&self->zone);
    }
    zmq_msg_close(&frame);
    return good;
}
