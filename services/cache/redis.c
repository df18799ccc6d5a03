/* The Redis backend: one connection for lookups, and one for fills, so that no lookup stands in the
 * queue behind thousands of fills.
 *
 * Ensures: 1. A lookup waits for Redis no longer than cache.timeout. A reply that comes later is
 * passed over, and until it has come every lookup is a miss at once; when it has not come after
 * LATE_MS the connection is given up. 2. While Redis is away every lookup is a miss at once; a new
 * connection is tried after growing pauses, in a thread of its own. 3. Fills are written as far as
 * Redis takes them and never waited for; there are never more than FILLS_MAX or FILLS_BYTES under
 * way, further ones are dropped. 4. A value repeats its key and is refused when it does not match
 * or is no whole msgpack object. */
#include "services/cache/backend.h"
#include "services/cache/connector.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/sds.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILLS_MAX = 32768,      /* under way at once, */
    FILLS_BYTES = 16 << 20, /* and bytes of them that Redis has not taken yet */
    LATE_MS = 1000,         /* after which a reply that is owed is no longer waited for */
    CONNECT_MS = 2000,      /* one attempt to connect */
    PAUSE_MIN_MS = 1000,    /* after the first failure */
    PAUSE_MAX_MS = 30000,   /* and at most */
    PREFIX_SIZE = 5,        /* of every key in Redis: "leat:" */
    KEY_SIZE = PREFIX_SIZE + LEAT_CACHE_KEY_SIZE,
};

/* A connection to Redis, or the way to the next one. */
struct link {
    const char *use; /* "lookups", "fills" */
    struct connector *connector;
    redisContext *connection; /* never blocks; NULL while away */
    bool asked;               /* the connector is at work */
    int64_t pause_ms, retry_at_us;
    size_t owed;        /* replies that nobody waits for any more */
    int64_t owed_since; /* when the oldest of them was asked for, or one came in */
};

struct redis {
    struct backend backend;
    struct link lookups, fills;
    int timeout_ms;
    char (*names)[KEY_SIZE]; /* working memory of a lookup */
    const char **argv;
    size_t *argv_size;
    uint32_t room; /* keys that the three have room for */
    msgpack_sbuffer value;
    struct leat_metric *up, *lost, *refused, *late, *dropped;
};

static void lengthen_pause(struct link *link)
{
    link->retry_at_us = leat_monotonic_us() + link->pause_ms * 1000;
    link->pause_ms = link->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : link->pause_ms * 2;
}

static void show_up(struct redis *self)
{
    leat_metric_set(self->up, self->lookups.connection && self->fills.connection);
}

static void disconnect(struct redis *self, struct link *link, const char *why)
{
    leat_log(LEAT_WARN, "cache", "redis_lost", LEAT_S("use", link->use), LEAT_S("reason", why),
             LEAT_I("retry_ms", link->pause_ms));
    leat_metric_inc(self->lost, 1);
    redisFree(link->connection);
    link->connection = NULL;
    link->owed = 0;
    show_up(self);
    lengthen_pause(link);
}

/* The connector's connection waits; ours never does: all waiting is in poll, up to a deadline. */
static void unblock(redisContext *connection)
{
    fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) | O_NONBLOCK);
    connection->flags &= ~REDIS_BLOCK;
}

/* Takes a connection that is there, or asks for one when it is time. */
static bool connected(struct redis *self, struct link *link)
{
    if (link->connection)
        return true;
    struct leat_error err;
    if (link->asked && connector_result(link->connector, &link->connection, &err)) {
        link->asked = false;
        if (link->connection) {
            unblock(link->connection);
            show_up(self);
            leat_log(LEAT_INFO, "cache", "redis_connected", LEAT_S("use", link->use));
            return true;
        }
        leat_log(LEAT_WARN, "cache", "redis_away", LEAT_S("use", link->use),
                 LEAT_S("reason", err.text), LEAT_I("retry_ms", link->pause_ms));
        lengthen_pause(link);
    }
    if (!link->asked && leat_monotonic_us() >= link->retry_at_us) {
        connector_ask(link->connector);
        link->asked = true;
    }
    return false;
}

/* Waits until the socket can be read or written, up to the deadline. */
static bool wait_for(const struct link *link, short events, int64_t deadline_us)
{
    for (;;) {
        int64_t left_us = deadline_us - leat_monotonic_us();
        struct pollfd poll_fd = {.fd = link->connection->fd, .events = events};
        int ready = poll(&poll_fd, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

/* Writes what is to be written, up to the deadline (0: what can be written now). *all: it is gone.
 * false: the connection is broken. */
static bool write_out(struct link *link, int64_t deadline_us, bool *all)
{
    int done = 0;
    do {
        if (redisBufferWrite(link->connection, &done) != REDIS_OK)
            return false;
    } while (!done && deadline_us > 0 && wait_for(link, POLLOUT, deadline_us));
    *all = done;
    return true;
}

/* The next reply, which the caller frees, or NULL when it has not come by the deadline (0: now).
 * false: the connection is broken. */
static bool next_reply(struct link *link, int64_t deadline_us, redisReply **reply)
{
    void *got = NULL;
    *reply = NULL;
    for (;;) {
        if (redisGetReplyFromReader(link->connection, &got) != REDIS_OK)
            return false;
        if (got) {
            *reply = got;
            return true;
        }
        if (!wait_for(link, POLLIN, deadline_us))
            return true;
        if (redisBufferRead(link->connection) != REDIS_OK)
            return false;
    }
}

/* Reads what is owed as far as it has come. false: the connection is broken, or has stood still for
 * too long. */
static bool settle(struct redis *self, struct link *link)
{
    int64_t refused = 0;
    redisReply *reply;
    while (link->owed > 0) {
        if (!next_reply(link, 0, &reply))
            return false;
        if (!reply)
            break;
        refused += reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
        link->owed--;
        link->owed_since = leat_monotonic_us();
    }
    leat_metric_inc(self->refused, refused);
    return link->owed == 0 || leat_monotonic_us() - link->owed_since < LATE_MS * 1000;
}

static const char *reason(const struct link *link)
{
    return link->connection->err ? link->connection->errstr : "it does not answer";
}

static bool make_room(struct redis *self, uint32_t n)
{
    if (n <= self->room)
        return true;
    void *names = realloc(self->names, n * sizeof *self->names);
    if (names)
        self->names = names;
    void *argv = realloc(self->argv, (n + 1) * sizeof *self->argv);
    if (argv)
        self->argv = argv;
    void *sizes = realloc(self->argv_size, (n + 1) * sizeof *self->argv_size);
    if (sizes)
        self->argv_size = sizes;
    if (!names || !argv || !sizes)
        return false;
    self->room = n;
    return true;
}

static void name_key(char name[KEY_SIZE], const struct backend_key *key)
{
    memcpy(name, "leat:", PREFIX_SIZE);
    memcpy(name + PREFIX_SIZE, key->bytes, LEAT_CACHE_KEY_SIZE);
}

/* Sends one MGET. false: the connection is broken, or Redis does not even read. */
static bool ask(struct redis *self, const struct backend_key *keys, uint32_t n, int64_t deadline_us)
{
    bool all;
    self->argv[0] = "MGET";
    self->argv_size[0] = 4;
    for (uint32_t i = 0; i < n; i++) {
        name_key(self->names[i], &keys[i]);
        self->argv[i + 1] = self->names[i];
        self->argv_size[i + 1] = KEY_SIZE;
    }
    return redisAppendCommandArgv(self->lookups.connection, (int)n + 1, self->argv,
                                  self->argv_size) == REDIS_OK &&
           write_out(&self->lookups, deadline_us, &all) && all;
}

static struct leat_span checked(const redisReply *element, const struct backend_key *key,
                                struct leat_batch *arena)
{
    struct leat_span none = {0};
    if (element->type != REDIS_REPLY_STRING || (size_t)element->len <= LEAT_CACHE_KEY_SIZE ||
        memcmp(element->str, key->bytes, LEAT_CACHE_KEY_SIZE) != 0)
        return none;
    struct leat_span value = {(const uint8_t *)element->str + LEAT_CACHE_KEY_SIZE,
                              (size_t)element->len - LEAT_CACHE_KEY_SIZE};
    if (leat_wire_scan(value, NULL) != value.size)
        return none;
    return leat_batch_keep(arena, value.data, value.size);
}

static void take_reply(struct redis *self, redisReply *reply, const struct backend_key *keys,
                       uint32_t n, struct leat_batch *arena, struct leat_span *values)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == n) {
        for (uint32_t i = 0; i < n; i++)
            values[i] = checked(reply->element[i], &keys[i], arena);
        self->lookups.pause_ms = PAUSE_MIN_MS;
    } else {
        /* -LOADING, -NOAUTH, -OOM: connected, but of no use for now. */
        disconnect(self, &self->lookups,
                   reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
    }
    freeReplyObject(reply);
}

static void redis_get(struct backend *backend, const struct backend_key *keys, uint32_t n,
                      struct leat_batch *arena, struct leat_span *values)
{
    struct redis *self = (struct redis *)backend;
    struct link *link = &self->lookups;
    memset(values, 0, n * sizeof *values);
    if (n == 0 || !connected(self, link) || !make_room(self, n))
        return;
    if (!settle(self, link)) {
        disconnect(self, link, reason(link));
        return;
    }
    if (link->owed > 0) {
        leat_metric_inc(self->late, 1);
        return;
    }
    int64_t asked_us = leat_monotonic_us(), deadline_us = asked_us + self->timeout_ms * 1000;
    redisReply *reply;
    if (!ask(self, keys, n, deadline_us) || !next_reply(link, deadline_us, &reply)) {
        disconnect(self, link, reason(link));
    } else if (reply) {
        take_reply(self, reply, keys, n, arena, values);
    } else {
        leat_metric_inc(self->late, 1);
        link->owed = 1;
        link->owed_since = asked_us;
    }
}

static void redis_put(struct backend *backend, const struct backend_key *key,
                      struct leat_span value, int64_t ttl_ms)
{
    struct redis *self = (struct redis *)backend;
    struct link *link = &self->fills;
    if (!connected(self, link) || link->owed >= FILLS_MAX ||
        sdslen(link->connection->obuf) >= FILLS_BYTES) {
        leat_metric_inc(self->dropped, 1);
        return;
    }
    char name[KEY_SIZE], ttl[24];
    name_key(name, key);
    int ttl_size = snprintf(ttl, sizeof ttl, "%lld", (long long)ttl_ms);
    msgpack_sbuffer_clear(&self->value);
    leat_pack_raw(&self->value, (struct leat_span){key->bytes, LEAT_CACHE_KEY_SIZE});
    leat_pack_raw(&self->value, value);
    const char *argv[] = {"SET", name, self->value.data, "PX", ttl};
    size_t sizes[] = {3, KEY_SIZE, self->value.size, 2, (size_t)ttl_size};
    if (redisAppendCommandArgv(link->connection, 5, argv, sizes) != REDIS_OK)
        return;
    if (link->owed++ == 0)
        link->owed_since = leat_monotonic_us();
}

static bool redis_flush(struct backend *backend)
{
    struct redis *self = (struct redis *)backend;
    struct link *link = &self->fills;
    bool all;
    if (!connected(self, link))
        return false;
    if (!write_out(link, 0, &all) || !settle(self, link)) {
        disconnect(self, link, reason(link));
        return false;
    }
    if (link->owed == 0)
        link->pause_ms = PAUSE_MIN_MS;
    return !all;
}

static void link_close(struct link *link)
{
    connector_stop(&link->connector);
    if (link->connection)
        redisFree(link->connection);
}

static void redis_close(struct backend *backend)
{
    struct redis *self = (struct redis *)backend;
    link_close(&self->lookups);
    link_close(&self->fills);
    msgpack_sbuffer_destroy(&self->value);
    free(self->names);
    free(self->argv);
    free(self->argv_size);
    free(self);
}

static const struct backend_kind redis_kind = {
    .get = redis_get, .put = redis_put, .flush = redis_flush, .close = redis_close};

struct backend *redis_open(const char *url, const struct leat_settings *settings,
                           struct leat_metrics *metrics, struct leat_error *err)
{
    struct redis_address address;
    if (!redis_address_parse(url, &address, err))
        return NULL;
    struct redis *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->backend.kind = &redis_kind;
    self->lookups = (struct link){.use = "lookups", .pause_ms = PAUSE_MIN_MS};
    self->fills = (struct link){.use = "fills", .pause_ms = PAUSE_MIN_MS};
    self->timeout_ms = (int)leat_settings_int(settings, "cache.timeout");
    msgpack_sbuffer_init(&self->value);
    self->up = leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_cache_redis_up", "",
                                "1 while connected to Redis, for lookups and for fills.");
    self->lost =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_cache_redis_lost_total", "",
                         "Connections to Redis that were given up.");
    self->refused =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_cache_refused_total", "",
                         "Results that Redis would not keep.");
    self->late = leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_cache_late_total",
                                  "", "Lookups given up because Redis was slow.");
    self->dropped =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_cache_dropped_total", "",
                         "Results not kept because Redis was away or slow.");
    self->lookups.connector = connector_start(&address, CONNECT_MS, err);
    if (self->lookups.connector)
        self->fills.connector = connector_start(&address, CONNECT_MS, err);
    if (!self->fills.connector) {
        redis_close(&self->backend);
        return NULL;
    }
    connected(self, &self->lookups);
    connected(self, &self->fills);
    return &self->backend;
}
