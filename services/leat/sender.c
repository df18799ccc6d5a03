#include "services/leat/sender.h"

#include "proto/address.h"
#include "services/runtime/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURN_US = 5000, /* records that come closer together than that are put without a turn between */
    ROOM_MS = 2,
    FLUSH_MS = 50,
    CONNECT_MS = 5000,
    LINGER_MS = 2000,
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

struct sender {
    struct sender_options options;
    struct leat_client *client;
    struct leat_progress known;
    int64_t moved_us; /* when something was last answered or committed */
    int64_t turned_us;
    bool rolled_back; /* an ingest came back with an older journal */
    enum sender_end end;
    struct leat_error reason; /* of the end */
    struct sigaction old_int, old_term;
};

static void catch_signals(struct sender *self)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    interrupted = 0;
    sigaction(SIGINT, &action, &self->old_int);
    sigaction(SIGTERM, &action, &self->old_term);
}

bool sender_to(const struct options *options, const char **to, struct leat_error *err)
{
    const char *given = options_value(options, "--to");
    *to = given ? given : "tcp://127.0.0.1:5550";
    return leat_address_list(*to, err) || leat_fail_in(err, "--to");
}

static int connect_ms(double timeout)
{
    return timeout > 0 && timeout * 1000 < CONNECT_MS ? (int)(timeout * 1000) + 1 : CONNECT_MS;
}

/* The services' setting, as the environment spells it; an empty one is none. */
static const char *keys_of(const struct sender_options *options)
{
    const char *keys = options->keys ? options->keys : getenv("LEAT_SECURITY_KEYS");
    return keys && keys[0] ? keys : NULL;
}

static void on_reject(void *arg, const struct leat_reject *reject)
{
    const struct sender *self = arg;
    self->options.on_reject(self->options.arg, reject);
}

static void on_event(void *arg, const char *event)
{
    struct sender *self = arg;
    self->rolled_back |= strcmp(event, "journal_lost") == 0;
}

struct sender *sender_open(const struct sender_options *options, struct leat_error *err)
{
    struct sender *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->options = *options;
    self->client = leat_connect(&(struct leat_options){.endpoints = options->to,
                                                       .client = options->client,
                                                       .keys = keys_of(options),
                                                       .connect_ms = connect_ms(options->timeout),
                                                       .on_reject = on_reject,
                                                       .on_event = on_event,
                                                       .arg = self},
                                err);
    if (!self->client) {
        free(self);
        return NULL;
    }
    self->moved_us = leat_monotonic_us();
    catch_signals(self);
    return self;
}

void sender_close(struct sender **self)
{
    if (!*self)
        return;
    leat_disconnect(&(*self)->client);
    sigaction(SIGINT, &(*self)->old_int, NULL);
    sigaction(SIGTERM, &(*self)->old_term, NULL);
    free(*self);
    *self = NULL;
}

/* The first reason stays, and is told by every later call. */
static bool end(struct sender *self, enum sender_end how, const struct leat_error *reason,
                struct leat_error *err)
{
    if (self->end == SENDER_FINE) {
        self->end = how;
        self->reason = *reason;
    }
    return leat_fail(err, "%s", self->reason.text);
}

/* Sees what has moved; judges whether it goes on. */
static bool look(struct sender *self, struct leat_error *err)
{
    struct leat_progress now;
    leat_progress(self->client, &now);
    const struct leat_progress *old = &self->known;
    bool moved = now.accepted + now.rejected + now.committed + now.dead !=
                 old->accepted + old->rejected + old->committed + old->dead;
    bool waiting = now.sent != now.rejected + now.committed + now.dead;
    if (self->options.until == LEAT_UNTIL_ACCEPTED)
        waiting = now.sent != now.rejected + now.accepted;
    self->known = now;
    int64_t now_us = leat_monotonic_us();
    if (moved || !waiting)
        self->moved_us = now_us;
    if (self->options.on_turn)
        self->options.on_turn(self->options.arg);
    struct leat_error reason = {"interrupted"};
    if (interrupted)
        return end(self, SENDER_INTERRUPTED, &reason, err);
    if (self->options.timeout == 0 ||
        (double)(now_us - self->moved_us) < self->options.timeout * 1e6)
        return true;
    leat_fail(&reason, "nothing was answered or committed for %g s", self->options.timeout);
    return end(self, SENDER_STUCK, &reason, err);
}

static bool turn(struct sender *self, int wait_ms, struct leat_error *err)
{
    struct leat_error reason;
    if (self->end != SENDER_FINE)
        return leat_fail(err, "%s", self->reason.text);
    if (!leat_poll(self->client, wait_ms, &reason))
        return end(self, SENDER_REFUSED, &reason, err);
    self->turned_us = leat_monotonic_us();
    return look(self, err);
}

bool sender_turn(struct sender *self, struct leat_error *err)
{
    return turn(self, 0, err);
}

/* A client that still works refused just this record. */
static enum sender_put not_taken(struct sender *self, struct leat_error *err)
{
    if (leat_poll(self->client, 0, NULL))
        return SENDER_NOT_TAKEN;
    end(self, SENDER_REFUSED, err, err);
    return SENDER_ENDED;
}

enum sender_put sender_put(struct sender *self, const char *kind, struct leat_span key,
                           struct leat_span record, struct leat_error *err)
{
    if (leat_monotonic_us() - self->turned_us >= TURN_US && !turn(self, 0, err))
        return SENDER_ENDED;
    for (;;) {
        enum leat_try tried =
            leat_try_send(self->client, kind, key.data, key.size, record.data, record.size, err);
        if (tried == LEAT_TRY_REFUSED)
            return not_taken(self, err);
        if (tried == LEAT_TRY_TAKEN) {
            self->known.sent++;
            return SENDER_TAKEN;
        }
        if (!turn(self, ROOM_MS, err))
            return SENDER_ENDED;
    }
}

/* leat_flush in small steps, so that interrupts and the timeout are seen. One that fails before its
 * step is over has another reason than time. */
static bool flush(struct sender *self, enum leat_until until, struct leat_error *err)
{
    for (;;) {
        struct leat_error reason;
        int64_t begun = leat_monotonic_us();
        if (leat_flush(self->client, until, FLUSH_MS, &reason))
            return look(self, err);
        if (leat_monotonic_us() - begun < (FLUSH_MS - 2) * 1000)
            return end(self, SENDER_REFUSED, &reason, err);
        if (!look(self, err))
            return false;
    }
}

bool sender_settle(struct sender *self, struct leat_error *err)
{
    return flush(self, LEAT_UNTIL_ACCEPTED, err);
}

/* What was all refused leaves nothing to commit, and word of that takes a second; the counts tell
 * at once, unless they are about an earlier client of the name too, or about what an older journal
 * has stored again. */
static bool all_stored(const struct sender *self)
{
    return !self->options.client && !self->rolled_back &&
           self->known.accepted == self->known.committed + self->known.dead;
}

bool sender_finish(struct sender *self, struct leat_error *err)
{
    if (!sender_settle(self, err))
        return false;
    return self->options.until == LEAT_UNTIL_ACCEPTED || all_stored(self) ||
           flush(self, LEAT_UNTIL_COMMITTED, err);
}

void sender_linger(struct sender *self)
{
    if (self->end != SENDER_REFUSED)
        leat_flush(self->client, LEAT_UNTIL_ACCEPTED, LINGER_MS, NULL);
    leat_progress(self->client, &self->known);
}

bool sender_series_limits(const struct sender *self, struct leat_series_limits *out,
                          struct leat_error *err)
{
    return leat_series_limits(self->client, out, err);
}

bool sender_rolled_back(const struct sender *self)
{
    return self->rolled_back;
}

enum sender_end sender_end(const struct sender *self)
{
    return self->end;
}

struct leat_progress sender_progress(const struct sender *self)
{
    return self->known;
}
