#include "proto/channel.h"
#include "proto/message.h"
#include "proto/tally.h"
#include "proto/window.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SILENT_MS = 3000,      /* no answer for so long: say hello again; doubled each time up to … */
    SILENT_MAX_MS = 30000, /* … this */
    ASK_MS = 1000,         /* no word of what is done for so long: ask */
    GAP_PAUSE_MS = 50,     /* pause after the second gap in a row, growing with each up to … */
    GAP_PAUSE_MAX_MS = 2000,
    RETRY_MAX_MS = 60000, /* the longest pause that `busy` is believed */
    FRAME_HEAD = 128,     /* bytes of a send besides its records, at most */
    MAX_KINDS = 64,
};

struct channel {
    struct link *link;
    struct channel_common *common;
    msgpack_zone zone; /* of the message at hand */
    msgpack_sbuffer frame;
    struct window window;
    struct send *open; /* collected, not complete; NULL: none */
    int64_t opened_ms;

    /* the session */
    bool met;       /* there was a welcome once */
    bool in;        /* the session stands: sends may go out */
    bool hello_due; /* to be said as soon as the link takes it */
    bool blocked;   /* something is due that the link did not take */
    uint64_t session;
    uint64_t highest; /* seq that was on the wire */
    struct leat_limits limits;
    uint64_t credit;
    char kinds[MAX_KINDS][LEAT_MAX_KIND + 1];
    size_t n_kinds;

    /* going back */
    int64_t pause_until; /* `busy` */
    bool probing;        /* after it: one send at a time until one is taken */
    size_t stale;        /* answers that may still come to copies before the last going back … */
    uint64_t back_to;    /* … which was to this seq */
    unsigned gaps;       /* in a row */

    /* silence */
    int64_t quiet_since;
    int64_t silent_ms;

    /* done */
    bool follow;
    int64_t asked_ms; /* when it was asked for, or heard of, last */
    struct tally tally;
};

int64_t channel_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct channel *channel_open(void *zmq, const char *address, unsigned number,
                             struct channel_common *common, struct leat_error *err)
{
    struct channel *self = calloc(1, sizeof *self);
    if (!self || !msgpack_zone_init(&self->zone, MSGPACK_ZONE_CHUNK_SIZE)) {
        free(self);
        leat_fail(err, "%s: out of memory", address);
        return NULL;
    }
    self->common = common;
    self->silent_ms = SILENT_MS;
    self->hello_due = true;
    self->quiet_since = channel_now_ms();
    msgpack_sbuffer_init(&self->frame);
    window_init(&self->window);
    self->link = link_open(zmq, address, number, err);
    if (!self->link)
        channel_close(&self);
    return self;
}

void channel_close(struct channel **self_p)
{
    struct channel *self = *self_p;
    if (!self)
        return;
    link_close(&self->link);
    if (self->open)
        window_free_send(&self->window, self->open);
    window_destroy(&self->window);
    msgpack_sbuffer_destroy(&self->frame);
    msgpack_zone_destroy(&self->zone);
    free(self);
    *self_p = NULL;
}

static void tell(const struct channel *self, const char *event)
{
    if (self->common->on_event)
        self->common->on_event(self->common->arg, event);
}

/* --- answers -------------------------------------------------------------------------------- */

static bool read_kinds(struct channel *self, const msgpack_object *kinds)
{
    self->n_kinds = 0;
    for (uint32_t i = 0; i < kinds->via.array.size && self->n_kinds < MAX_KINDS; i++) {
        const msgpack_object *kind = &kinds->via.array.ptr[i];
        if (kind->type != MSGPACK_OBJECT_STR || kind->via.str.size > LEAT_MAX_KIND)
            continue;
        memcpy(self->kinds[self->n_kinds], kind->via.str.ptr, kind->via.str.size);
        self->kinds[self->n_kinds++][kind->via.str.size] = '\0';
    }
    return self->n_kinds > 0;
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
    tally_roll_back(&self->tally, self->window.seq - 1, m);
    self->window.seq = m->held + 1;
    self->highest = m->held;
    tell(self, "journal_lost");
}

static bool read_welcome(struct channel *self, const struct leat_message *m, struct leat_error *err)
{
    const char *address = link_address(self->link);
    if (!read_kinds(self, m->kinds) || m->limits.send_bytes <= FRAME_HEAD ||
        m->limits.send_records == 0 || m->limits.unanswered == 0)
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
    self->limits = m->limits;
    self->credit = m->credit > m->limits.send_bytes ? m->credit : m->limits.send_bytes;
    window_rewind(&self->window, 0);
    self->stale = 0;
    self->gaps = 0;
    self->probing = false;
    self->pause_until = 0;
    self->in = true;
    read_done(self, m);
    if (self->met)
        tell(self, "reconnected");
    self->met = true;
    return true;
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
        self->common->accepted += send->count;
        tell(self, "forgotten");
    } else {
        self->common->accepted += m->accepted;
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
    tell(self, "busy");
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
    tell(self, "gap");
}

static bool read_answer(struct channel *self, const struct leat_message *m, struct leat_error *err)
{
    const char *address = link_address(self->link);
    if (m->type != LEAT_DONE) /* that is no answer to what went out */
        self->quiet_since = channel_now_ms();
    if (m->type == LEAT_ACK)
        self->silent_ms = SILENT_MS;
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
        /* Sends of an earlier session of our own are fenced as well: that is no news. */
        if (m->session != self->session)
            return true;
        return leat_fail(err, "%s: fenced: another client of the name %s is connected now", address,
                         self->common->client);
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

static bool read_all(struct channel *self, struct leat_error *err)
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

/* --- sending -------------------------------------------------------------------------------- */

static bool put_frame(struct channel *self)
{
    self->blocked = !link_send(self->link, &self->frame);
    return !self->blocked;
}

static void say_hello(struct channel *self, int64_t now)
{
    msgpack_sbuffer_clear(&self->frame);
    leat_message_hello(&self->frame, self->common->client);
    if (!put_frame(self))
        return;
    self->hello_due = false;
    self->in = false;
    self->quiet_since = now;
}

static bool may_go_out(const struct channel *self, size_t wire)
{
    const struct window *w = &self->window;
    if (w->out == 0)
        return true;
    return !self->probing && w->out < self->limits.unanswered &&
           w->out_bytes + wire <= self->credit;
}

static bool put_sends(struct channel *self, int64_t now, struct leat_error *err)
{
    struct window *w = &self->window;
    while (w->next < w->count) {
        struct send *send = window_at(w, w->next);
        if (send->answered) {
            w->next++;
            continue;
        }
        size_t bound = send->records.size + FRAME_HEAD;
        if (bound > self->limits.send_bytes || send->count > self->limits.send_records)
            return leat_fail(err, "%s now takes less in one send than is waiting",
                             link_address(self->link));
        if (!may_go_out(self, bound))
            break;
        uint64_t seq = w->seq + w->next;
        msgpack_sbuffer_clear(&self->frame);
        leat_message_send(
            &self->frame, self->session, seq, send->kind, send->count,
            (struct leat_span){(const uint8_t *)send->records.data, send->records.size});
        if (!put_frame(self))
            break;
        if (w->out == 0)
            self->quiet_since = now;
        if (send->times > 0)
            self->common->resent++;
        if (seq > self->highest)
            self->highest = seq;
        window_put_out(w, self->frame.size);
    }
    return true;
}

static void ask_done(struct channel *self, int64_t now)
{
    if (!self->follow || channel_committed(self) || now - self->asked_ms < ASK_MS)
        return;
    msgpack_sbuffer_clear(&self->frame);
    leat_message_done_request(&self->frame, self->session);
    if (put_frame(self))
        self->asked_ms = now;
}

/* --- work ----------------------------------------------------------------------------------- */

/* An answer is to be expected: the silence counts. */
static bool waiting(const struct channel *self)
{
    return !self->hello_due && (!self->in || self->window.out > 0);
}

static void begin_again(struct channel *self)
{
    self->in = false;
    self->hello_due = true;
    self->pause_until = 0;
    self->quiet_since = channel_now_ms();
    window_rewind(&self->window, 0);
}

static void watch_link(struct channel *self, int64_t now)
{
    unsigned seen = link_watch(self->link, now);
    if (seen & LINK_LOST) {
        begin_again(self);
        tell(self, "disconnected");
    }
    if (waiting(self) && now - self->quiet_since >= self->silent_ms) {
        begin_again(self);
        if (self->silent_ms < SILENT_MAX_MS)
            self->silent_ms *= 2;
        tell(self, "silent");
    }
}

/* Moves the open send into the window; false: no room yet. */
static bool complete(struct channel *self)
{
    struct window *w = &self->window;
    if (w->count > 0 &&
        (w->count >= self->limits.unanswered ||
         w->bytes + self->open->records.size + (w->count + 1) * FRAME_HEAD > self->credit))
        return false;
    window_push(w, self->open);
    self->open = NULL;
    return true;
}

bool channel_work(struct channel *self, struct leat_error *err)
{
    int64_t now = channel_now_ms();
    self->blocked = false;
    watch_link(self, now);
    if (!read_all(self, err))
        return false;
    if (self->open && now - self->opened_ms >= self->common->linger_ms)
        complete(self);
    bool paused = now < self->pause_until;
    if (self->hello_due && !paused)
        say_hello(self, now);
    if (!self->in)
        return true;
    if (!paused && !put_sends(self, now, err))
        return false;
    ask_done(self, now);
    return true;
}

static void sooner(int64_t *due, int64_t left)
{
    if (left < 0)
        left = 0;
    if (*due < 0 || left < *due)
        *due = left;
}

int64_t channel_due_ms(const struct channel *self)
{
    int64_t now = channel_now_ms(), due = -1;
    const struct window *w = &self->window;
    sooner(&due, ASK_MS); /* the link wants to be watched, whatever else */
    if ((self->hello_due || w->next < w->count) && self->pause_until > now)
        sooner(&due, self->pause_until - now);
    if (self->open && self->opened_ms + self->common->linger_ms > now)
        sooner(&due, self->opened_ms + self->common->linger_ms - now);
    if (waiting(self))
        sooner(&due, self->quiet_since + self->silent_ms - now);
    if (self->in && self->follow && !channel_committed(self))
        sooner(&due, self->asked_ms + ASK_MS - now);
    return due;
}

void channel_poll_items(const struct channel *self, zmq_pollitem_t *items)
{
    link_poll_items(self->link, self->blocked, items);
}

/* --- collecting ----------------------------------------------------------------------------- */

static bool known(const struct channel *self, const char *kind)
{
    for (size_t i = 0; i < self->n_kinds; i++)
        if (strcmp(self->kinds[i], kind) == 0)
            return true;
    return false;
}

/* Bytes of records that a send is filled up to. */
static size_t target(const struct channel *self)
{
    size_t most = (size_t)self->limits.send_bytes - FRAME_HEAD;
    return self->common->batch_bytes < most ? self->common->batch_bytes : most;
}

/* True when the record cannot go into the open send any more. */
static bool does_not_fit(const struct channel *self, const char *kind, size_t size)
{
    const struct send *open = self->open;
    return strcmp(open->kind, kind) != 0 || open->records.size + size > target(self) ||
           open->count >= self->limits.send_records;
}

enum channel_put channel_put(struct channel *self, const char *kind, const void *record,
                             size_t size, uint64_t number, struct leat_error *err)
{
    if (size > self->limits.send_bytes - FRAME_HEAD) {
        leat_fail(err, "%s: a record of %zu bytes is larger than a send may be (%llu bytes)",
                  link_address(self->link), size, (unsigned long long)self->limits.send_bytes);
        return CHANNEL_REFUSED;
    }
    if ((!self->open || strcmp(self->open->kind, kind) != 0) && !known(self, kind)) {
        leat_fail(err, "%s: does not know the kind \"%s\"", link_address(self->link), kind);
        return CHANNEL_REFUSED;
    }
    bool completed = false;
    if (self->open && does_not_fit(self, kind, size)) {
        if (!complete(self))
            return CHANNEL_FULL;
        completed = true;
    }
    if (!self->open) {
        self->open = window_new_send(&self->window);
        strcpy(self->open->kind, kind);
        self->opened_ms = channel_now_ms();
    }
    send_add(self->open, record, size, number);
    if (self->open->records.size >= target(self) || self->open->count >= self->limits.send_records)
        completed |= complete(self);
    return completed ? CHANNEL_TAKEN_LAST : CHANNEL_TAKEN;
}

void channel_flush(struct channel *self)
{
    if (self->open)
        complete(self);
}

/* --- how far it is -------------------------------------------------------------------------- */

void channel_follow(struct channel *self, bool on)
{
    self->follow = on;
}

bool channel_welcomed(const struct channel *self)
{
    return self->in;
}

bool channel_answered(const struct channel *self)
{
    return !self->open && self->window.count == 0;
}

bool channel_committed(const struct channel *self)
{
    return channel_answered(self) && self->tally.through + 1 >= self->window.seq;
}

bool channel_intact(const struct channel *self, struct leat_error *err)
{
    return self->tally.lost == 0 ||
           leat_fail(err,
                     "%s came back with an older journal: %llu sends that it had accepted are "
                     "missing there",
                     link_address(self->link), (unsigned long long)self->tally.lost);
}

void channel_done(const struct channel *self, uint64_t *committed, uint64_t *dead)
{
    *committed = tally_committed(&self->tally);
    *dead = tally_dead(&self->tally);
}

const char *channel_address(const struct channel *self)
{
    return link_address(self->link);
}

const char *channel_trouble(const struct channel *self)
{
    return link_trouble(self->link);
}
