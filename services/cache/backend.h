/* Where results are kept for a while: Redis, or memory of this process. One small interface.
 *
 * A cache is advisory: nothing here fails. What cannot be had is a miss, what cannot be kept is
 * dropped; both are counted. Keys are LEAT_CACHE_KEY_SIZE bytes. */
#ifndef LEAT_CACHE_BACKEND_H
#define LEAT_CACHE_BACKEND_H

#include "proto/batch.h"
#include "services/flows/fill.h"
#include "services/runtime/metrics.h"
#include "services/runtime/settings.h"

struct backend_key {
    uint8_t bytes[LEAT_CACHE_KEY_SIZE];
};

struct backend;

/* How a kind of backend does it; see the functions below. */
struct backend_kind {
    void (*get)(struct backend *self, const struct backend_key *keys, uint32_t n,
                struct leat_batch *arena, struct leat_span *values);
    void (*put)(struct backend *self, const struct backend_key *key, struct leat_span value,
                int64_t ttl_ms);
    bool (*flush)(struct backend *self);
    void (*close)(struct backend *self);
};

/* Every backend begins with this. */
struct backend {
    const struct backend_kind *kind;
};

/* Opens what setting cache.url names: "redis://[:PASSWORD@]HOST[:PORT][/DB]",
 * "unix:PATH[?db=DB]" (Redis as well) or "memory:". A Redis that is away is no failure; a URL that
 * cannot be understood is. */
struct backend *backend_open(const struct leat_settings *settings, struct leat_metrics *metrics,
                             struct leat_error *err);
void backend_close(struct backend **self);

/* Looks n keys up at once; values[i] is the value, from the arena, or of size 0: a miss. */
void backend_get(struct backend *self, const struct backend_key *keys, uint32_t n,
                 struct leat_batch *arena, struct leat_span *values);

/* Keeps a value for about ttl_ms, when there is room; backend_flush follows the last of several. */
void backend_put(struct backend *self, const struct backend_key *key, struct leat_span value,
                 int64_t ttl_ms);

/* Hands on what can be handed on now. True: some is left, and wants another flush soon. */
bool backend_flush(struct backend *self);

/* The two kinds. */
struct backend *memory_open(const struct leat_settings *settings, struct leat_metrics *metrics,
                            struct leat_error *err);
struct backend *redis_open(const char *url, const struct leat_settings *settings,
                           struct leat_metrics *metrics, struct leat_error *err);

#endif
