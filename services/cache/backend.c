#include "services/cache/backend.h"

#include <string.h>

struct backend *backend_open(const struct leat_settings *settings, struct leat_metrics *metrics,
                             struct leat_error *err)
{
    const char *url = leat_settings_str(settings, "cache.url");
    if (strcmp(url, "memory:") == 0)
        return memory_open(settings, metrics, err);
    if (strncmp(url, "redis://", 8) == 0 || strncmp(url, "unix:", 5) == 0)
        return redis_open(url, settings, metrics, err);
    leat_fail(err, "setting cache.url: expected memory:, redis://HOST[:PORT][/DB] or unix:PATH");
    return NULL;
}

void backend_close(struct backend **self)
{
    if (*self)
        (*self)->kind->close(*self);
    *self = NULL;
}

void backend_get(struct backend *self, const struct backend_key *keys, uint32_t n,
                 struct leat_batch *arena, struct leat_span *values)
{
    self->kind->get(self, keys, n, arena, values);
}

void backend_put(struct backend *self, const struct backend_key *key, struct leat_span value,
                 int64_t ttl_ms)
{
    self->kind->put(self, key, value, ttl_ms);
}

bool backend_flush(struct backend *self)
{
    return self->kind->flush(self);
}
