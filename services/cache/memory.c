/* The memory backend: a hash table in order of last use, bounded in bytes. */
#include "services/cache/backend.h"
#include "services/runtime/clock.h"

#include <stdlib.h>
#include <string.h>

/* uthash ends the process when memory is out, unless told otherwise: here an entry that cannot be
 * added is one that is not kept. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
    struct backend_key key;
    UT_hash_handle hh; /* the order of the table's list is that of last use, oldest first */
    int64_t until_us;  /* monotonic */
    size_t size;
    uint8_t value[];
};

struct memory {
    struct backend backend;
    struct entry *entries;
    size_t bytes, max_bytes;
    struct leat_metric *bytes_now, *entries_now, *evicted;
};

/* What an entry takes, with the allocator's own bytes and its place in the table. */
static size_t footprint(const struct entry *entry)
{
    return sizeof *entry + entry->size + 32;
}

static void drop(struct memory *self, struct entry *entry)
{
    self->bytes -= footprint(entry);
    HASH_DEL(self->entries, entry);
    free(entry);
}

/* Adds at the young end; false when the table could not grow. */
static bool add(struct memory *self, struct entry *entry)
{
    entry->hh.tbl = NULL;
    HASH_ADD(hh, self->entries, key, sizeof entry->key, entry);
    if (!entry->hh.tbl)
        return false;
    self->bytes += footprint(entry);
    return true;
}

static void memory_get(struct backend *backend, const struct backend_key *keys, uint32_t n,
                       struct leat_batch *arena, struct leat_span *values)
{
    struct memory *self = (struct memory *)backend;
    int64_t now = leat_monotonic_us();
    for (uint32_t i = 0; i < n; i++) {
        struct entry *entry;
        values[i] = (struct leat_span){0};
        HASH_FIND(hh, self->entries, &keys[i], sizeof keys[i], entry);
        if (!entry)
            continue;
        if (entry->until_us <= now) {
            drop(self, entry);
            continue;
        }
        values[i] = leat_batch_keep(arena, entry->value, entry->size);
        self->bytes -= footprint(entry);
        HASH_DEL(self->entries, entry);
        if (!add(self, entry))
            free(entry);
    }
}

static void memory_put(struct backend *backend, const struct backend_key *key,
                       struct leat_span value, int64_t ttl_ms)
{
    struct memory *self = (struct memory *)backend;
    struct entry *old;
    HASH_FIND(hh, self->entries, key, sizeof *key, old);
    if (old)
        drop(self, old);
    struct entry *entry = malloc(sizeof *entry + value.size);
    if (!entry)
        return;
    entry->key = *key;
    entry->until_us = leat_monotonic_us() + ttl_ms * 1000;
    entry->size = value.size;
    memcpy(entry->value, value.data, value.size);
    if (footprint(entry) > self->max_bytes || !add(self, entry)) {
        free(entry);
        return;
    }
    int64_t evicted = 0;
    for (; self->bytes > self->max_bytes; evicted++)
        drop(self, self->entries);
    leat_metric_inc(self->evicted, evicted);
}

static bool memory_flush(struct backend *backend)
{
    struct memory *self = (struct memory *)backend;
    leat_metric_set(self->bytes_now, (int64_t)self->bytes);
    leat_metric_set(self->entries_now, (int64_t)HASH_COUNT(self->entries));
    return false;
}

static void memory_close(struct backend *backend)
{
    struct memory *self = (struct memory *)backend;
    while (self->entries)
        drop(self, self->entries);
    free(self);
}

static const struct backend_kind memory_kind = {
    .get = memory_get, .put = memory_put, .flush = memory_flush, .close = memory_close};

struct backend *memory_open(const struct leat_settings *settings, struct leat_metrics *metrics,
                            struct leat_error *err)
{
    struct memory *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->backend.kind = &memory_kind;
    self->max_bytes = (size_t)leat_settings_int(settings, "cache.memory_bytes");
    self->bytes_now =
        leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_cache_memory_bytes", "",
                         "Memory that the cache holds.");
    self->entries_now = leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT,
                                         "leat_cache_memory_entries", "", "Results in the cache.");
    self->evicted =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_cache_evicted_total", "",
                         "Results that left the memory cache for younger ones.");
    return &self->backend;
}
