#include "services/ingest/flights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KNOWN_COPIES = 4, /* the first copy's time of sending is kept, and those of the last three */
    BUCKETS = 20,     /* of acknowledged bytes, over the span of the window */
    FIRST_CAPACITY = 256,
    SCAN_PAUSE_US = 10 * 1000, /* timers need no finer judgement */
};

#define NONE UINT32_MAX

struct copy {
    uint32_t attempt;
    uint64_t order; /* of all sendings of the flow: 1, 2, … */
    int64_t at;
};

struct flight {
    uint64_t seq;
    size_t bytes;
    bool unqueued; /* it went out although the window was full: there was nothing to wait for */
    uint32_t attempt;
    uint32_t overtaken; /* attempts because others came back; the rest were probes */
    uint32_t chain;     /* next of its hash bucket, or of the free list */
    uint32_t by_seq_prev, by_seq_next;
    uint32_t by_order_prev, by_order_next; /* order of the last copy's sending */
    struct copy copies[KNOWN_COPIES];      /* [0] the first; then a ring */
};

struct flights {
    size_t initial_bytes, max_bytes;

    struct flight *flights;
    uint32_t capacity; /* a power of two; also that of the hash table */
    uint32_t *buckets;
    uint32_t free;
    uint32_t oldest, newest;        /* by seq */
    uint32_t first_sent, last_sent; /* by order */
    size_t batches, bytes;
    size_t once, once_bytes; /* of these: sent once so far */

    uint64_t order;      /* last given */
    uint64_t order_back; /* highest that has come back */
    struct rtt rtt;
    int64_t base; /* round trip of a batch that waits for no other; 0: not known */

    int64_t doubt_until; /* what was sent up to then has lived through a standstill */
    int64_t calm_at;     /* when such copies began to come back */

    int64_t back_at;  /* when something came back last, or when the window was last empty */
    uint32_t probes;  /* since then */
    uint64_t probe;   /* the last that was due as one */
    int64_t again_at; /* when something was sent again last */

    int64_t judged_at, hold_until, scan_at;

    size_t acked[BUCKETS]; /* bytes, per part of the span, in busy time */
    size_t acked_sum;
    unsigned bucket;
    int64_t bucket_us; /* busy time in the current bucket */
    int64_t busy_us;   /* busy time seen at all, up to FLIGHTS_SPAN_US */
    int64_t clock;     /* up to when busy time is counted; 0: not yet */
};

static void *or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory for the dispatch window\n");
        abort();
    }
    return memory;
}

/* --- the table of batches in flight ----------------------------------------------------------- */

static uint32_t bucket_of(const struct flights *self, uint64_t seq)
{
    return (uint32_t)(seq * 0x9e3779b97f4a7c15u >> 32) & (self->capacity - 1);
}

static void resize(struct flights *self, uint32_t capacity)
{
    self->flights = or_end(realloc(self->flights, capacity * sizeof self->flights[0]));
    self->buckets = or_end(realloc(self->buckets, capacity * sizeof self->buckets[0]));
    memset(self->buckets, 0xff, capacity * sizeof self->buckets[0]);
    for (uint32_t i = capacity; i-- > self->capacity;) {
        self->flights[i].chain = self->free;
        self->free = i;
    }
    self->capacity = capacity;
    for (uint32_t i = self->oldest; i != NONE; i = self->flights[i].by_seq_next) {
        uint32_t *head = &self->buckets[bucket_of(self, self->flights[i].seq)];
        self->flights[i].chain = *head;
        *head = i;
    }
}

static uint32_t find(const struct flights *self, uint64_t seq)
{
    uint32_t i = self->buckets[bucket_of(self, seq)];
    while (i != NONE && self->flights[i].seq != seq)
        i = self->flights[i].chain;
    return i;
}

static void by_order_append(struct flights *self, uint32_t i)
{
    struct flight *f = &self->flights[i];
    f->by_order_prev = self->last_sent;
    f->by_order_next = NONE;
    if (self->last_sent != NONE)
        self->flights[self->last_sent].by_order_next = i;
    else
        self->first_sent = i;
    self->last_sent = i;
}

static void by_order_remove(struct flights *self, uint32_t i)
{
    struct flight *f = &self->flights[i];
    if (f->by_order_prev != NONE)
        self->flights[f->by_order_prev].by_order_next = f->by_order_next;
    else
        self->first_sent = f->by_order_next;
    if (f->by_order_next != NONE)
        self->flights[f->by_order_next].by_order_prev = f->by_order_prev;
    else
        self->last_sent = f->by_order_prev;
}

static void by_seq_append(struct flights *self, uint32_t i)
{
    struct flight *f = &self->flights[i];
    f->by_seq_prev = self->newest;
    f->by_seq_next = NONE;
    if (self->newest != NONE)
        self->flights[self->newest].by_seq_next = i;
    else
        self->oldest = i;
    self->newest = i;
}

static void by_seq_remove(struct flights *self, uint32_t i)
{
    struct flight *f = &self->flights[i];
    if (f->by_seq_prev != NONE)
        self->flights[f->by_seq_prev].by_seq_next = f->by_seq_next;
    else
        self->oldest = f->by_seq_next;
    if (f->by_seq_next != NONE)
        self->flights[f->by_seq_next].by_seq_prev = f->by_seq_prev;
    else
        self->newest = f->by_seq_prev;
}

/* What was sent again has left the window: it was lost, or is set aside somewhere, and will wait
 * for nothing that follows. */
static void leave_window(struct flights *self, const struct flight *f)
{
    if (f->attempt > 1)
        return;
    self->once--;
    self->once_bytes -= f->bytes;
}

static void drop(struct flights *self, uint32_t i)
{
    struct flight *f = &self->flights[i];
    leave_window(self, f);
    uint32_t *link = &self->buckets[bucket_of(self, f->seq)];
    while (*link != i)
        link = &self->flights[*link].chain;
    *link = f->chain;
    by_order_remove(self, i);
    by_seq_remove(self, i);
    self->batches--;
    self->bytes -= f->bytes;
    f->chain = self->free;
    self->free = i;
}

/* --- the rate of acknowledgements ------------------------------------------------------------- */

/* The time whose acknowledged bytes may be in flight. A stage keeps its rate only while what it
 * works on is in flight: `base` of that rate. Were the window no more than that it could not grow;
 * so it is twice as much, and FLIGHTS_SPAN_US to wait. */
static int64_t span(const struct flights *self)
{
    return 2 * self->base + FLIGHTS_SPAN_US;
}

/* Moves the buckets on by the busy time since the last call. Idle time tells nothing about what the
 * stages can do, and neither does time in which the caller itself stood still. */
static void advance(struct flights *self, int64_t now)
{
    int64_t passed = self->clock ? now - self->clock : 0;
    self->clock = now;
    if (self->batches == 0 || passed <= 0 || passed > FLIGHTS_GAP_US)
        return;
    self->busy_us += passed;
    if (self->busy_us > FLIGHTS_SPAN_US)
        self->busy_us = FLIGHTS_SPAN_US;
    int64_t part = span(self) / BUCKETS;
    for (self->bucket_us += passed; self->bucket_us >= part; self->bucket_us -= part) {
        self->bucket = (self->bucket + 1) % BUCKETS;
        self->acked_sum -= self->acked[self->bucket];
        self->acked[self->bucket] = 0;
    }
}

size_t flights_size(const struct flights *self)
{
    size_t size = self->acked_sum;
    if (self->busy_us < FLIGHTS_LEARN_US)
        size = self->initial_bytes;
    else if (self->busy_us < FLIGHTS_SPAN_US)
        size = (size_t)((double)size * FLIGHTS_SPAN_US / (double)self->busy_us);
    return size < self->max_bytes ? size : self->max_bytes;
}

/* --- the window ------------------------------------------------------------------------------- */

struct flights *flights_new(size_t initial_bytes, size_t max_bytes)
{
    struct flights *self = or_end(calloc(1, sizeof *self));
    self->free = self->oldest = self->newest = self->first_sent = self->last_sent = NONE;
    flights_limit(self, initial_bytes, max_bytes);
    resize(self, FIRST_CAPACITY);
    return self;
}

void flights_destroy(struct flights **self)
{
    if (!*self)
        return;
    free((*self)->flights);
    free((*self)->buckets);
    free(*self);
    *self = NULL;
}

void flights_limit(struct flights *self, size_t initial_bytes, size_t max_bytes)
{
    self->initial_bytes = initial_bytes;
    self->max_bytes = max_bytes;
}

bool flights_open(const struct flights *self, size_t instances)
{
    if (self->batches >= FLIGHTS_BATCHES_MOST)
        return false;
    return self->once < (instances > 1 ? instances : 1) || self->once_bytes < flights_size(self);
}

void flights_sent(struct flights *self, uint64_t seq, size_t bytes, int64_t now)
{
    advance(self, now);
    if (self->batches == 0) {
        self->back_at = now;
        self->probes = 0;
    }
    if (self->free == NONE)
        resize(self, self->capacity * 2);
    uint32_t i = self->free;
    struct flight *f = &self->flights[i];
    self->free = f->chain;
    bool unqueued = self->once == 0 || self->once_bytes >= flights_size(self);
    *f = (struct flight){.seq = seq, .bytes = bytes, .attempt = 1, .unqueued = unqueued};
    f->copies[0] = (struct copy){1, ++self->order, now};
    uint32_t *head = &self->buckets[bucket_of(self, seq)];
    f->chain = *head;
    *head = i;
    by_order_append(self, i);
    by_seq_append(self, i);
    self->batches++;
    self->bytes += bytes;
    self->once++;
    self->once_bytes += bytes;
}

uint32_t flights_resent(struct flights *self, uint64_t seq, int64_t now)
{
    uint32_t i = find(self, seq);
    if (i == NONE)
        return 0;
    struct flight *f = &self->flights[i];
    leave_window(self, f);
    f->attempt++;
    f->copies[1 + f->attempt % (KNOWN_COPIES - 1)] = (struct copy){f->attempt, ++self->order, now};
    by_order_remove(self, i);
    by_order_append(self, i);
    if (seq == self->probe)
        self->probes++;
    else
        f->overtaken++;
    self->probe = 0;
    self->again_at = now;
    return f->attempt;
}

static const struct copy *copy_of(const struct flight *f, uint32_t attempt)
{
    for (int i = 0; i < KNOWN_COPIES; i++)
        if (f->copies[i].attempt == attempt)
            return &f->copies[i];
    return NULL;
}

static const struct copy *last_copy(const struct flight *f)
{
    return copy_of(f, f->attempt);
}

/* Only a batch that found nothing to wait for tells what one takes by itself (as TCP Vegas' BaseRTT
 * does): were it learned from others, they would wait longer and longer behind a slow store. What
 * most of them take is an upper bound. */
static void learn_base(struct flights *self, const struct flight *f, const struct copy *copy,
                       int64_t us)
{
    if (f->unqueued && copy->attempt == 1)
        self->base = us;
    if (self->base > self->rtt.smoothed)
        self->base = self->rtt.smoothed;
}

/* What a copy's round trip tells. Of one that lived through a standstill nobody knows: the stage
 * may be so slow, or the store was away, or this process was stopped. So the first of these to come
 * back counts with doubt (rtt.h) and the others not at all: a slow stage is learned within a few
 * batches, and after an outage of an hour no flow waits for hours. */
static void learn(struct flights *self, const struct flight *f, const struct copy *copy,
                  bool standstill, int64_t now)
{
    int64_t us = now - copy->at;
    if (copy->at > self->doubt_until) {
        rtt_sample(&self->rtt, us);
        learn_base(self, f, copy, us);
    } else if (standstill) {
        rtt_sample_in_doubt(&self->rtt, us);
        self->calm_at = now;
    }
}

bool flights_acked(struct flights *self, uint64_t seq, uint32_t attempt, int64_t now)
{
    uint32_t i = find(self, seq);
    if (i == NONE)
        return false;
    advance(self, now);
    struct flight *f = &self->flights[i];
    /* Nothing came back for longer than the timeout. */
    bool standstill = now - self->back_at >= rtt_timeout(&self->rtt);
    if (standstill)
        self->doubt_until = now - rtt_timeout(&self->rtt);
    /* Only the copy that came back tells anything: that a first copy is back after its probe was
     * sent says nothing about what was sent between the two. */
    const struct copy *copy = attempt ? copy_of(f, attempt) : NULL;
    if (copy && copy->order > self->order_back)
        self->order_back = copy->order;
    /* One whose time is not known any more took longer than the oldest that is. */
    if (attempt > 0 && attempt < f->attempt && !copy)
        copy = copy_of(f, f->attempt - (KNOWN_COPIES - 2));
    if (copy)
        learn(self, f, copy, standstill, now);
    self->acked[self->bucket] += f->bytes;
    self->acked_sum += f->bytes;
    self->back_at = now;
    self->probes = 0;
    self->scan_at = 0;
    drop(self, i);
    return true;
}

void flights_forget(struct flights *self, uint64_t seq)
{
    uint32_t i = find(self, seq);
    if (i != NONE)
        drop(self, i);
}

/* How long a copy could have come back. A standstill does not count: what waits behind it shall
 * have its time when it is over. */
static int64_t waited(const struct flights *self, const struct copy *copy, int64_t now)
{
    return now - (copy->at > self->calm_at ? copy->at : self->calm_at);
}

/* The first batch, in the order of sending, that timed out and was overtaken. */
static uint32_t overtaken(struct flights *self, int64_t now)
{
    if (now < self->scan_at)
        return NONE;
    int64_t least = rtt_timeout(&self->rtt);
    for (uint32_t i = self->first_sent; i != NONE; i = self->flights[i].by_order_next) {
        const struct flight *f = &self->flights[i];
        const struct copy *copy = last_copy(f);
        if (copy->order >= self->order_back || waited(self, copy, now) < least)
            break;
        if (waited(self, copy, now) >= rtt_timeout_of(&self->rtt, f->overtaken + 1))
            return i;
    }
    self->scan_at = now + SCAN_PAUSE_US;
    return NONE;
}

/* The batch that was sent the fewest times, the oldest of these: one that is set aside again and
 * again (somebody holds its row) must not keep those behind it, that were lost, from their turn. */
static uint32_t least_sent(const struct flights *self)
{
    uint32_t least = self->oldest;
    for (uint32_t i = self->oldest; i != NONE; i = self->flights[i].by_seq_next)
        if (self->flights[i].attempt < self->flights[least].attempt)
            least = i;
    return least;
}

/* Keeps invariant M4 (tests/model). */
static bool probe_due(const struct flights *self, int64_t now)
{
    int64_t pause = rtt_timeout(&self->rtt);
    int64_t most = pause > FLIGHTS_PROBE_MOST_US ? pause : FLIGHTS_PROBE_MOST_US;
    for (uint32_t n = self->probes; n > 0 && pause < most; n--)
        pause *= 2;
    if (pause > most)
        pause = most;
    return now - (self->again_at > self->back_at ? self->again_at : self->back_at) >= pause;
}

bool flights_due(struct flights *self, int64_t now, struct flights_due *out)
{
    advance(self, now);
    if (self->judged_at && now - self->judged_at > FLIGHTS_GAP_US)
        self->hold_until = now + FLIGHTS_GRACE_US;
    self->judged_at = now;
    if (self->batches == 0 || now < self->hold_until)
        return false;

    uint32_t i = overtaken(self, now);
    bool probe = i == NONE;
    if (probe) {
        if (!probe_due(self, now))
            return false;
        i = least_sent(self);
        self->probe = self->flights[i].seq;
    }
    *out = (struct flights_due){self->flights[i].seq, self->flights[i].attempt + 1, probe};
    return true;
}

size_t flights_batches(const struct flights *self)
{
    return self->batches;
}

size_t flights_bytes(const struct flights *self)
{
    return self->bytes;
}

const struct rtt *flights_rtt(const struct flights *self)
{
    return &self->rtt;
}
