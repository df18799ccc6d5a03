/* One lookup a batch; the whole batch goes on, with what was found filled in. */
#include "services/cache/cache.h"

#include "services/cache/backend.h"
#include "services/flows/fill.h"
#include "services/flows/flow.h"
#include "services/runtime/log.h"
#include "services/tables.h"
#include "services/runtime/jitter.h"

#include <stdlib.h>
#include <string.h>

enum {
    KINDS_MAX = 16,
    FLUSH_MS = 10, /* until more is tried to be given to a backend that is busy */
};

/* What a kind's results depend on besides the record, as its stage last told. */
struct known {
    const struct leat_flow *flow;
    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE];
};

struct cache {
    struct leat_stage_context *ctx;
    struct backend *backend;
    struct known known[KINDS_MAX];
    size_t n_known;
    struct backend_key *keys; /* of the batch in hand, */
    uint32_t *items;          /* the items that they are of, */
    struct leat_span *values; /* and what was found */
    uint32_t room;
    int64_t ttl_ms;
    struct leat_jitter jitter;
    struct leat_log_site malformed;
    struct leat_metric *hits, *misses, *unknown, *fills, *fill_errors;
};

static struct leat_metric *counter(struct leat_stage_context *ctx, const char *name,
                                   const char *labels, const char *help)
{
    return leat_metrics_add(leat_stage_metrics(ctx), LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels,
                            help);
}

static void cache_close(void **self_)
{
    struct cache *self = *self_;
    if (!self)
        return;
    backend_close(&self->backend);
    free(self->keys);
    free(self->items);
    free(self->values);
    free(self);
    *self_ = NULL;
}

static bool cache_open(void **self_, struct leat_stage_context *ctx, struct leat_error *err)
{
    struct cache *self = calloc(1, sizeof *self);
    if (!self)
        return leat_fail(err, "out of memory");
    *self_ = self;
    self->ctx = ctx;
    const char *lookups = "leat_cache_lookups_total";
    const char *help = "Records looked up, by what came of it; unknown: no stage has told yet "
                       "what results depend on.";
    self->hits = counter(ctx, lookups, "outcome=\"hit\"", help);
    self->misses = counter(ctx, lookups, "outcome=\"miss\"", help);
    self->unknown = counter(ctx, lookups, "outcome=\"unknown\"", help);
    self->fills = counter(ctx, "leat_cache_fills_total", "", "Results given to the cache.");
    self->fill_errors =
        counter(ctx, "leat_cache_fill_errors_total", "", "Frames of results that were no such.");
    self->ttl_ms = leat_settings_int(leat_stage_settings(ctx), "cache.ttl");
    leat_jitter_init(&self->jitter);
    self->backend = backend_open(leat_stage_settings(ctx), leat_stage_metrics(ctx), err);
    if (!self->backend)
        cache_close(self_);
    return self->backend != NULL;
}

static struct known *known_find(struct cache *self, const char *kind)
{
    for (size_t i = 0; i < self->n_known; i++)
        if (strcmp(self->known[i].flow->kind, kind) == 0)
            return &self->known[i];
    return NULL;
}

static bool make_room(struct cache *self, uint32_t n)
{
    if (n <= self->room)
        return true;
    free(self->keys);
    free(self->items);
    free(self->values);
    self->keys = malloc(n * sizeof *self->keys);
    self->items = malloc(n * sizeof *self->items);
    self->values = malloc(n * sizeof *self->values);
    self->room = self->keys && self->items && self->values ? n : 0;
    return self->room > 0;
}

/* The keys of all items that want a result; their number. */
static uint32_t collect(struct cache *self, const struct known *known, struct leat_batch *batch)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < batch->head.count; i++) {
        const struct leat_item *item = &batch->items[i];
        msgpack_object record;
        if (item->error.size > 0 || item->result.size > 0 ||
            !leat_wire_unpack(item->record, batch->zone, &record, NULL) ||
            !known->flow->cache_key(&record, known->fingerprint, self->keys[n].bytes))
            continue;
        self->items[n++] = i;
    }
    return n;
}

static enum leat_verdict cache_batch(void *self_, struct leat_batch *batch)
{
    struct cache *self = self_;
    const struct known *known = known_find(self, batch->head.kind);
    if (!known || !make_room(self, batch->head.count)) {
        leat_metric_inc(self->unknown, batch->head.count);
        return LEAT_FORWARD;
    }
    uint32_t n = collect(self, known, batch), hits = 0;
    backend_get(self->backend, self->keys, n, batch, self->values);
    for (uint32_t i = 0; i < n; i++) {
        if (self->values[i].size == 0 || self->values[i].size > known->flow->growth / 2)
            continue;
        batch->items[self->items[i]].result = self->values[i];
        hits++;
    }
    if (hits > 0)
        memcpy(batch->head.fingerprint, known->fingerprint, sizeof batch->head.fingerprint);
    leat_metric_inc(self->hits, hits);
    leat_metric_inc(self->misses, n - hits);
    return LEAT_FORWARD;
}

static int64_t jittered(struct cache *self)
{
    int64_t tenth = self->ttl_ms / 10;
    return leat_jitter(&self->jitter, self->ttl_ms - tenth, self->ttl_ms + tenth);
}

static void keep(void *self_, struct leat_span key, struct leat_span value)
{
    struct cache *self = self_;
    struct backend_key copy;
    memcpy(copy.bytes, key.data, sizeof copy.bytes);
    backend_put(self->backend, &copy, value, jittered(self));
    leat_metric_inc(self->fills, 1);
}

static void learn(struct cache *self, const char *kind,
                  const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE])
{
    struct known *known = known_find(self, kind);
    if (!known) {
        const struct leat_flow *flow = leat_flow_find(kind, strlen(kind));
        if (!flow || !flow->cache_key || self->n_known == KINDS_MAX)
            return;
        known = &self->known[self->n_known++];
        known->flow = flow;
    } else if (memcmp(known->fingerprint, fingerprint, LEAT_FINGERPRINT_SIZE) == 0) {
        return;
    }
    memcpy(known->fingerprint, fingerprint, LEAT_FINGERPRINT_SIZE);
    leat_log(LEAT_INFO, "cache", "fingerprint_learnt", LEAT_S("kind", kind));
}

static void cache_side(void *self_, struct leat_span frame)
{
    struct cache *self = self_;
    struct leat_error err;
    char kind[LEAT_MAX_KIND + 1];
    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE];
    uint64_t suppressed;
    msgpack_zone zone;
    if (!msgpack_zone_init(&zone, 8192))
        return;
    if (leat_fill_read(frame, &zone, kind, fingerprint, keep, self, &err)) {
        learn(self, kind, fingerprint);
    } else {
        leat_metric_inc(self->fill_errors, 1);
        if (leat_log_allow(&self->malformed, &suppressed))
            leat_log(LEAT_WARN, "cache", "fill_malformed", LEAT_S("reason", err.text),
                     LEAT_I("suppressed", suppressed));
    }
    backend_flush(self->backend);
    msgpack_zone_destroy(&zone);
}

/* What the backend could not take at once. */
static int cache_tick(void *self_, bool idle)
{
    (void)idle;
    struct cache *self = self_;
    return backend_flush(self->backend) ? FLUSH_MS : -1;
}

static const struct leat_stage cache_stage = {
    .name = "cache",
    .help = "looks results up that were found before, and keeps new ones",
    .settings = cache_settings,
    .side_in = "cache.results",
    .open = cache_open,
    .batch = cache_batch,
    .side = cache_side,
    .tick = cache_tick,
    .close = cache_close,
};

const struct leat_service cache_service = {
    .name = "cache",
    .help = "looks results up that were found before, and keeps new ones",
    .settings = cache_settings,
    .stage = &cache_stage,
};
