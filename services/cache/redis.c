/* The Redis backend.
 *
 * Ensures: 1. No call waits for Redis longer than cache.timeout in all; whoever has kept us waiting
 * that long is disconnected, so a late reply can never be taken for another's. 2. While Redis is
 * away every lookup is a miss at once; a new connection is tried after growing pauses, in a thread
 * of its own. 3. Fills are written and not waited for: their replies are read before the next
 * lookup's, and there are never more than FILLS_MAX of them. 4. A value repeats its key and is
 * refused when it does not match or is no whole msgpack object. */
#include "services/cache/backend.h"
#include "services/cache/connector.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILLS_MAX = 16384,    /* replies that may be outstanding */
    CONNECT_MS = 2000,    /* one attempt to connect */
    PAUSE_MIN_MS = 1000,  /* after the first failure */
    PAUSE_MAX_MS = 30000, /* and at most */
    PREFIX_SIZE = 5,      /* of every key in Redis: "leat:" */
    KEY_SIZE = PREFIX_SIZE + LEAT_CACHE_KEY_SIZE,
};

struct redis {
    struct backend backend;
    struct connector *connector;
    redisContext *connection; /* NULL while away */
    bool asked;               /* the connector is at work */
    int64_t pause_ms, retry_at_us;
    int timeout_ms;
    size_t fills;            /* SETs whose replies have not been read */
    char (*names)[KEY_SIZE]; /* working memory of a lookup */
    const char **argv;
    size_t *argv_size;
    uint32_t room; /* keys that the three have room for */
    msgpack_sbuffer value;
    struct leat_metric *up, *lost, *refused;
};

static void lengthen_pause(struct redis *self)
{
    self->retry_at_us = leat_monotonic_us() + self->pause_ms * 1000;
    self->pause_ms = self->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : self->pause_ms * 2;
}

static void disconnect(struct redis *self, const char *why)
{
    leat_log(LEAT_WARN, "cache", "redis_lost", LEAT_S("reason", why),
             LEAT_I("retry_ms", self->pause_ms));
    leat_metric_inc(self->lost, 1);
    leat_metric_set(self->up, 0);
    redisFree(self->connection);
    self->connection = NULL;
    self->fills = 0;
    lengthen_pause(self);
}

/* Takes a connection that is there, or asks for one when it is time. */
static bool connected(struct redis *self)
{
    if (self->connection)
        return true;
    struct leat_error err;
    if (self->asked && connector_result(self->connector, &self->connection, &err)) {
        self->asked = false;
        if (self->connection) {
            struct timeval timeout = {self->timeout_ms / 1000, self->timeout_ms % 1000 * 1000};
            redisSetTimeout(self->connection, timeout);
            leat_metric_set(self->up, 1);
            leat_log(LEAT_INFO, "cache", "redis_connected");
            return true;
        }
        leat_log(LEAT_WARN, "cache", "redis_away", LEAT_S("reason", err.text),
                 LEAT_I("retry_ms", self->pause_ms));
        lengthen_pause(self);
    }
    if (!self->asked && leat_monotonic_us() >= self->retry_at_us) {
        connector_ask(self->connector);
        self->asked = true;
    }
    return false;
}

static bool write_all(struct redis *self)
{
    int done = 0;
    while (!done)
        if (redisBufferWrite(self->connection, &done) != REDIS_OK)
            return false;
    return true;
}

/* The next reply, which the caller frees; NULL when it did not come by the deadline. */
static redisReply *next_reply(struct redis *self, int64_t deadline_us)
{
    void *reply = NULL;
    for (;;) {
        if (redisGetReplyFromReader(self->connection, &reply) != REDIS_OK)
            return NULL;
        if (reply)
            return reply;
        int64_t left_us = deadline_us - leat_monotonic_us();
        struct pollfd poll_in = {.fd = self->connection->fd, .events = POLLIN};
        int ready = poll(&poll_in, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || redisBufferRead(self->connection) != REDIS_OK)
            return NULL;
    }
}

/* Reads the replies of fills that were written earlier. Refused ones (out of memory, read-only
 * replica) are counted, not acted on. */
static bool settle_fills(struct redis *self, int64_t deadline_us)
{
    int64_t refused = 0;
    while (self->fills > 0) {
        redisReply *reply = next_reply(self, deadline_us);
        if (!reply)
            return false;
        refused += reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
        self->fills--;
    }
    leat_metric_inc(self->refused, refused);
    return true;
}

static const char *reason(const struct redis *self)
{
    return self->connection->err ? self->connection->errstr : "no answer in time (cache.timeout)";
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

static bool ask(struct redis *self, const struct backend_key *keys, uint32_t n)
{
    self->argv[0] = "MGET";
    self->argv_size[0] = 4;
    for (uint32_t i = 0; i < n; i++) {
        name_key(self->names[i], &keys[i]);
        self->argv[i + 1] = self->names[i];
        self->argv_size[i + 1] = KEY_SIZE;
    }
    return redisAppendCommandArgv(self->connection, (int)n + 1, self->argv, self->argv_size) ==
               REDIS_OK &&
           write_all(self);
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

static void redis_get(struct backend *backend, const struct backend_key *keys, uint32_t n,
                      struct leat_batch *arena, struct leat_span *values)
{
    struct redis *self = (struct redis *)backend;
    memset(values, 0, n * sizeof *values);
    if (n == 0 || !connected(self) || !make_room(self, n))
        return;
    int64_t deadline_us = leat_monotonic_us() + (int64_t)self->timeout_ms * 1000;
    redisReply *reply = NULL;
    if (ask(self, keys, n) && settle_fills(self, deadline_us))
        reply = next_reply(self, deadline_us);
    if (!reply) {
        disconnect(self, reason(self));
        return;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == n) {
        for (uint32_t i = 0; i < n; i++)
            values[i] = checked(reply->element[i], &keys[i], arena);
        self->pause_ms = PAUSE_MIN_MS;
    } else {
        /* -LOADING, -NOAUTH, -OOM: connected, but of no use for now. */
        disconnect(self, reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
    }
    freeReplyObject(reply);
}

static void redis_put(struct backend *backend, const struct backend_key *key,
                      struct leat_span value, int64_t ttl_ms)
{
    struct redis *self = (struct redis *)backend;
    if (!connected(self) || self->fills >= FILLS_MAX)
        return;
    char name[KEY_SIZE], ttl[24];
    name_key(name, key);
    int ttl_size = snprintf(ttl, sizeof ttl, "%lld", (long long)ttl_ms);
    msgpack_sbuffer_clear(&self->value);
    leat_pack_raw(&self->value, (struct leat_span){key->bytes, LEAT_CACHE_KEY_SIZE});
    leat_pack_raw(&self->value, value);
    const char *argv[] = {"SET", name, self->value.data, "PX", ttl};
    size_t sizes[] = {3, KEY_SIZE, self->value.size, 2, (size_t)ttl_size};
    if (redisAppendCommandArgv(self->connection, 5, argv, sizes) == REDIS_OK)
        self->fills++;
}

static void redis_flush(struct backend *backend)
{
    struct redis *self = (struct redis *)backend;
    if (!connected(self))
        return;
    int64_t deadline_us = leat_monotonic_us() + (int64_t)self->timeout_ms * 1000;
    if (!write_all(self) || (self->fills > FILLS_MAX / 2 && !settle_fills(self, deadline_us)))
        disconnect(self, reason(self));
}

static void redis_close(struct backend *backend)
{
    struct redis *self = (struct redis *)backend;
    connector_stop(&self->connector);
    if (self->connection)
        redisFree(self->connection);
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
    self->pause_ms = PAUSE_MIN_MS;
    self->timeout_ms = (int)leat_settings_int(settings, "cache.timeout");
    msgpack_sbuffer_init(&self->value);
    self->up = leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_cache_redis_up", "",
                                "1 while connected to Redis.");
    self->lost =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_cache_redis_lost_total", "",
                         "Connections to Redis that were given up.");
    self->refused =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_cache_refused_total", "",
                         "Results that Redis would not keep.");
    self->connector = connector_start(&address, CONNECT_MS, err);
    if (!self->connector) {
        redis_close(&self->backend);
        return NULL;
    }
    connected(self);
    return &self->backend;
}
