#include "proto/channel_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SILENT_MAX_MS = 30000, /* the longest silence that is borne before another hello */
    ASK_MS = 1000,         /* no word of what is done for so long: ask */
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
    self->silent_ms = CHANNEL_SILENT_MS;
    self->hello_due = true;
    self->instance = common->instance;
    self->quiet_since = channel_now_ms();
    msgpack_sbuffer_init(&self->frame);
    window_init(&self->window);
    self->link = link_open(zmq, address, number, common->keys, err);
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

/* --- sending -------------------------------------------------------------------------------- */

static bool put_frame(struct channel *self)
{
    self->blocked = !link_send(self->link, &self->frame);
    return !self->blocked;
}

static void say_hello(struct channel *self, int64_t now)
{
    msgpack_sbuffer_clear(&self->frame);
    leat_message_hello(&self->frame, self->common->client, self->instance, self->session,
                       self->said);
    if (!put_frame(self))
        return;
    self->said = !self->met;
    self->hello_due = false;
    self->in = false;
    self->quiet_since = now;
}

static bool may_go_out(const struct channel *self, size_t wire)
{
    const struct window *w = &self->window;
    if (w->out == 0)
        return true;
    return !self->probing && w->out < self->terms.limits.unanswered &&
           w->out_bytes + wire <= self->terms.credit;
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
        if (!terms_allow(&self->terms, send->count, send->records.size))
            return leat_fail(err, "%s now takes less in one send than is waiting",
                             link_address(self->link));
        if (!may_go_out(self, send->records.size + TERMS_FRAME_HEAD))
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

void channel_begin_again(struct channel *self)
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
    if (seen & LINK_DENIED)
        channel_tell(self, "denied");
    if (seen & LINK_LOST) {
        channel_begin_again(self);
        channel_tell(self, "disconnected");
    }
    if (waiting(self) && now - self->quiet_since >= self->silent_ms) {
        channel_begin_again(self);
        self->silent_ms *= 2;
        if (self->silent_ms > SILENT_MAX_MS)
            self->silent_ms = SILENT_MAX_MS;
        channel_tell(self, "silent");
    }
}

/* Moves the open send into the window; false: no room yet. */
static bool complete(struct channel *self)
{
    struct window *w = &self->window;
    if (w->count > 0 && (w->count >= self->terms.limits.unanswered ||
                         w->bytes + self->open->records.size + (w->count + 1) * TERMS_FRAME_HEAD >
                             self->terms.credit))
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
    if (!channel_read(self, err))
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

/* Bytes of records that a send is filled up to. */
static size_t target(const struct channel *self)
{
    size_t most = terms_send_room(&self->terms);
    return self->common->batch_bytes < most ? self->common->batch_bytes : most;
}

/* True when the record cannot go into the open send any more. */
static bool does_not_fit(const struct channel *self, const char *kind, size_t size)
{
    const struct send *open = self->open;
    return strcmp(open->kind, kind) != 0 || open->records.size + size > target(self) ||
           open->count >= self->terms.limits.send_records;
}

enum channel_put channel_put(struct channel *self, const char *kind, const void *record,
                             size_t size, uint64_t number, struct leat_error *err)
{
    if (!terms_allow(&self->terms, 1, size)) {
        leat_fail(err, "%s: a record of %zu bytes is larger than a send may be (%llu bytes)",
                  link_address(self->link), size,
                  (unsigned long long)self->terms.limits.send_bytes);
        return CHANNEL_REFUSED;
    }
    if ((!self->open || strcmp(self->open->kind, kind) != 0) && !terms_know(&self->terms, kind)) {
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
    if (self->open->records.size >= target(self) ||
        self->open->count >= self->terms.limits.send_records)
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

void channel_count(const struct channel *self, struct leat_progress *onto)
{
    struct tally_counts done = tally_counts(&self->tally, self->accepted);
    onto->accepted += self->accepted;
    onto->committed += done.committed;
    onto->dead += done.dead;
}

const struct leat_limits *channel_limits(const struct channel *self)
{
    return &self->terms.limits;
}

const char *channel_address(const struct channel *self)
{
    return link_address(self->link);
}

const char *channel_trouble(const struct channel *self)
{
    return link_trouble(self->link);
}
