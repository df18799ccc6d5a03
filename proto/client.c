#include "proto/address.h"
#include "proto/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    DEFAULT_BATCH_BYTES = 64 * 1024,
    DEFAULT_LINGER_MS = 5,
    DEFAULT_CONNECT_MS = 5000,
    MAX_ENDPOINTS = 64,
};

struct leat_client {
    void *zmq;
    char *endpoints; /* the list, cut into strings */
    char name[LEAT_MAX_CLIENT_ID + 1];
    struct channel_common common;
    struct leat_keys keys;
    struct channel *channels[MAX_ENDPOINTS];
    unsigned n_channels;
    uint64_t sent;
    bool failed;
    struct leat_error failure;
};

/* --- opening -------------------------------------------------------------------------------- */

/* Tells this client from others of the same name. */
static bool choose_instance(struct leat_client *self, struct leat_error *err)
{
    do
        if (getrandom(&self->common.instance, sizeof self->common.instance, 0) !=
            sizeof self->common.instance)
            return leat_fail(err, "no random number: %s", strerror(errno));
    while (self->common.instance == 0);
    return true;
}

static bool random_name(char name[LEAT_MAX_CLIENT_ID + 1], struct leat_error *err)
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return leat_fail(err, "no random name: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(name + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static bool choose_name(struct leat_client *self, const char *wanted, struct leat_error *err)
{
    if (!wanted)
        return random_name(self->name, err);
    struct leat_span name = {(const uint8_t *)wanted, strlen(wanted)};
    if (name.size == 0 || name.size > LEAT_MAX_CLIENT_ID || !leat_wire_text_ok(name))
        return leat_fail(err, "a client's name must be 1 to %d bytes of UTF-8", LEAT_MAX_CLIENT_ID);
    memcpy(self->name, wanted, name.size + 1);
    return true;
}

static bool open_one(struct leat_client *self, const char *address, struct leat_error *err)
{
    if (self->n_channels == MAX_ENDPOINTS)
        return leat_fail(err, "more than %d endpoints", MAX_ENDPOINTS);
    for (unsigned i = 0; i < self->n_channels; i++)
        if (strcmp(channel_address(self->channels[i]), address) == 0)
            return leat_fail(err, "%s is in the list of endpoints twice", address);
    struct channel *channel =
        channel_open(self->zmq, address, self->n_channels, &self->common, err);
    if (!channel)
        return false;
    self->channels[self->n_channels++] = channel;
    return true;
}

static bool open_channels(struct leat_client *self, const char *endpoints, struct leat_error *err)
{
    if (!leat_address_list(endpoints ? endpoints : "", err))
        return false;
    self->endpoints = strdup(endpoints);
    if (!self->endpoints)
        return leat_fail(err, "out of memory");
    char *state, *address = strtok_r(self->endpoints, LEAT_ADDRESS_SEPARATORS, &state);
    for (; address; address = strtok_r(NULL, LEAT_ADDRESS_SEPARATORS, &state))
        if (!open_one(self, address, err))
            return false;
    return true;
}

/* --- working -------------------------------------------------------------------------------- */

static bool fail(struct leat_client *self, struct leat_error *err)
{
    return leat_fail(err, "%s", self->failure.text);
}

static bool work(struct leat_client *self)
{
    for (unsigned i = 0; i < self->n_channels && !self->failed; i++)
        self->failed = !channel_work(self->channels[i], &self->failure);
    return !self->failed;
}

/* Waits until something arrives or is due, or until `deadline` (-1: none). False when a signal came
 * in between. */
static bool rest(struct leat_client *self, int64_t deadline)
{
    zmq_pollitem_t items[MAX_ENDPOINTS * LINK_POLL_ITEMS];
    int64_t timeout = -1;
    for (unsigned i = 0; i < self->n_channels; i++) {
        int64_t due = channel_due_ms(self->channels[i]);
        channel_poll_items(self->channels[i], items + i * LINK_POLL_ITEMS);
        if (due >= 0 && (timeout < 0 || due < timeout))
            timeout = due;
    }
    if (deadline >= 0) {
        int64_t left = deadline - channel_now_ms();
        left = left > 0 ? left : 0;
        if (timeout < 0 || left < timeout)
            timeout = left;
    }
    return zmq_poll(items, (int)(self->n_channels * LINK_POLL_ITEMS), (long)timeout) >= 0 ||
           errno != EINTR;
}

static int64_t deadline_in(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : channel_now_ms() + timeout_ms;
}

static bool passed(int64_t deadline)
{
    return deadline >= 0 && channel_now_ms() >= deadline;
}

/* The first channel that is not as far as `is` asks; NULL: all are. */
static struct channel *laggard(const struct leat_client *self, bool (*is)(const struct channel *))
{
    for (unsigned i = 0; i < self->n_channels; i++)
        if (!is(self->channels[i]))
            return self->channels[i];
    return NULL;
}

static bool await_welcomes(struct leat_client *self, int connect_ms, struct leat_error *err)
{
    int64_t deadline = deadline_in(connect_ms ? connect_ms : DEFAULT_CONNECT_MS);
    struct channel *late;
    for (;;) {
        if (!work(self))
            return fail(self, err);
        late = laggard(self, channel_welcomed);
        if (!late)
            return true;
        if (passed(deadline))
            return leat_fail(err, "%s: %s (waited %d ms)", channel_address(late),
                             channel_trouble(late), connect_ms ? connect_ms : DEFAULT_CONNECT_MS);
        rest(self, deadline);
    }
}

struct leat_client *leat_connect(const struct leat_options *options, struct leat_error *err)
{
    struct leat_client *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->common = (struct channel_common){
        .client = self->name,
        .batch_bytes = options->batch_bytes ? options->batch_bytes : DEFAULT_BATCH_BYTES,
        .linger_ms = options->linger_ms ? options->linger_ms : DEFAULT_LINGER_MS,
        .on_reject = options->on_reject,
        .on_event = options->on_event,
        .arg = options->arg,
    };
    if (options->keys)
        self->common.keys = &self->keys;
    self->zmq = zmq_ctx_new();
    if (!self->zmq)
        leat_fail(err, "no ZeroMQ: %s", zmq_strerror(errno));
    if (!self->zmq ||
        (options->keys && !leat_keys_read(options->keys, options->server_key, &self->keys, err)) ||
        !choose_instance(self, err) || !choose_name(self, options->client, err) ||
        !open_channels(self, options->endpoints, err) ||
        !await_welcomes(self, options->connect_ms, err))
        leat_disconnect(&self);
    return self;
}

void leat_disconnect(struct leat_client **self_p)
{
    struct leat_client *self = *self_p;
    if (!self)
        return;
    for (unsigned i = 0; i < self->n_channels; i++)
        channel_close(&self->channels[i]);
    if (self->zmq)
        zmq_ctx_term(self->zmq);
    free(self->endpoints);
    free(self);
    *self_p = NULL;
}

/* --- the calls ------------------------------------------------------------------------------ */

/* FNV-1a of 64 bits: a dozen lines in any language, and every client must choose alike. */
static uint64_t hash(const void *key, size_t size)
{
    const uint8_t *at = key;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ at[i]) * 0x100000001b3u;
    return h;
}

/* What is no record would have the whole send refused, and the client with it. */
static bool check_record(const void *record, size_t size, struct leat_error *err)
{
    struct leat_span in = {record, size};
    size_t whole = leat_wire_scan_within(in, LEAT_MAX_RECORD_DEPTH, err);
    if (whole == 0)
        return leat_fail_in(err, "not a record");
    return whole == size ||
           leat_fail(err, "not a record: %zu bytes too many after its end", size - whole);
}

enum leat_try leat_try_send(struct leat_client *self, const char *kind, const void *key,
                            size_t key_size, const void *record, size_t record_size,
                            struct leat_error *err)
{
    struct channel *channel =
        self->channels[self->n_channels > 1 ? hash(key, key_size) % self->n_channels : 0];
    if (!check_record(record, record_size, err) || (self->failed && !fail(self, err)))
        return LEAT_TRY_REFUSED;
    switch (channel_put(channel, kind, record, record_size, self->sent, err)) {
    case CHANNEL_TAKEN:
        self->sent++;
        return LEAT_TRY_TAKEN;
    case CHANNEL_TAKEN_LAST:
        self->sent++;
        work(self); /* a failure is told by the next call: this record was taken */
        return LEAT_TRY_TAKEN;
    case CHANNEL_FULL:
        return LEAT_TRY_FULL;
    case CHANNEL_REFUSED:
        break;
    }
    return LEAT_TRY_REFUSED;
}

bool leat_send(struct leat_client *self, const char *kind, const void *key, size_t key_size,
               const void *record, size_t record_size, struct leat_error *err)
{
    for (;;) {
        enum leat_try tried = leat_try_send(self, kind, key, key_size, record, record_size, err);
        if (tried != LEAT_TRY_FULL)
            return tried == LEAT_TRY_TAKEN;
        if (work(self))
            rest(self, -1);
    }
}

bool leat_poll(struct leat_client *self, int timeout_ms, struct leat_error *err)
{
    int64_t deadline = deadline_in(timeout_ms);
    for (;;) {
        if (self->failed || !work(self))
            return fail(self, err);
        /* A signal ends it early: whoever caught it wants to act. */
        if (passed(deadline) || !rest(self, deadline))
            return true;
    }
}

static void follow(struct leat_client *self, bool on)
{
    for (unsigned i = 0; i < self->n_channels; i++)
        channel_follow(self->channels[i], on);
}

/* Works until every channel is as far as `is` asks. */
static bool work_until(struct leat_client *self, bool (*is)(const struct channel *),
                       int64_t deadline, struct leat_error *err)
{
    for (;;) {
        for (unsigned i = 0; i < self->n_channels; i++)
            channel_flush(self->channels[i]);
        if (self->failed || !work(self))
            return fail(self, err);
        struct channel *late = laggard(self, is);
        if (!late)
            return true;
        if (passed(deadline))
            return leat_fail(err, "%s: not everything was %s in time", channel_address(late),
                             channel_answered(late) ? "committed" : "answered");
        rest(self, deadline);
    }
}

bool leat_flush(struct leat_client *self, enum leat_until until, int timeout_ms,
                struct leat_error *err)
{
    int64_t deadline = deadline_in(timeout_ms);
    if (until == LEAT_UNTIL_ACCEPTED)
        return work_until(self, channel_answered, deadline, err);
    follow(self, true);
    bool good = work_until(self, channel_committed, deadline, err);
    follow(self, false);
    for (unsigned i = 0; good && i < self->n_channels; i++)
        good = channel_intact(self->channels[i], err);
    return good;
}

bool leat_series_limits(const struct leat_client *self, struct leat_series_limits *out,
                        struct leat_error *err)
{
    *out = (struct leat_series_limits){.rows = SIZE_MAX};
    for (unsigned i = 0; i < self->n_channels; i++) {
        const struct leat_limits *limits = channel_limits(self->channels[i]);
        if (limits->series_rows == 0)
            return leat_fail(err, "%s takes no records of kind series",
                             channel_address(self->channels[i]));
        if (limits->series_rows < out->rows)
            out->rows = (size_t)limits->series_rows;
        if (limits->series_longest > out->longest)
            out->longest = (size_t)limits->series_longest;
    }
    return true;
}

void leat_progress(const struct leat_client *self, struct leat_progress *out)
{
    *out = (struct leat_progress){
        .sent = self->sent,
        .rejected = self->common.rejected,
        .resent = self->common.resent,
    };
    for (unsigned i = 0; i < self->n_channels; i++)
        channel_count(self->channels[i], out);
}
