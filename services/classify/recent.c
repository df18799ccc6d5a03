#include "services/classify/recent.h"

#include <stdlib.h>
#include <string.h>

enum {
    RESULT_BYTES = 512, /* what is reckoned with: one slot for each */
    ROW = 4,            /* slots that a key may be in */
};

struct slot {
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    uint64_t end; /* bytes written when it was through; 0: free */
    size_t size;
};

/* Ensures: of what was written only the last `size` bytes are there. A slot whose result begins
 * before them is void. A result is in one piece: what is left at the ring's end is passed over. */
struct recent {
    uint8_t *ring;
    size_t size;
    uint64_t written; /* ever; its place is written % size */
    struct slot *slots;
    size_t n_slots; /* a power of two, in rows */
};

struct recent *recent_open(size_t bytes)
{
    struct recent *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->size = bytes;
    self->n_slots = 1024;
    while (self->n_slots < bytes / RESULT_BYTES)
        self->n_slots *= 2;
    self->ring = malloc(bytes);
    self->slots = calloc(self->n_slots, sizeof *self->slots);
    if (!self->ring || !self->slots)
        recent_close(&self);
    return self;
}

void recent_close(struct recent **self)
{
    if (!*self)
        return;
    free((*self)->ring);
    free((*self)->slots);
    free(*self);
    *self = NULL;
}

static struct slot *row_of(const struct recent *self, const uint8_t key[LEAT_CACHE_KEY_SIZE])
{
    uint64_t hash; /* the key is one */
    memcpy(&hash, key, sizeof hash);
    return &self->slots[hash % (self->n_slots / ROW) * ROW];
}

/* The key's own slot, or the oldest of its row. */
static struct slot *slot_for(const struct recent *self, const uint8_t key[LEAT_CACHE_KEY_SIZE])
{
    struct slot *row = row_of(self, key), *oldest = row;
    for (size_t i = 0; i < ROW; i++) {
        if (row[i].end > 0 && memcmp(row[i].key, key, sizeof row[i].key) == 0)
            return &row[i];
        oldest = row[i].end < oldest->end ? &row[i] : oldest;
    }
    return oldest;
}

void recent_put(struct recent *self, const uint8_t key[LEAT_CACHE_KEY_SIZE],
                struct leat_span result)
{
    if (result.size == 0 || result.size > self->size)
        return;
    size_t left = self->size - self->written % self->size;
    if (result.size > left)
        self->written += left;
    memcpy(self->ring + self->written % self->size, result.data, result.size);
    self->written += result.size;
    struct slot *slot = slot_for(self, key);
    memcpy(slot->key, key, sizeof slot->key);
    slot->end = self->written;
    slot->size = result.size;
}

struct leat_span recent_find(const struct recent *self, const uint8_t key[LEAT_CACHE_KEY_SIZE])
{
    const struct slot *slot = slot_for(self, key);
    if (slot->end == 0 || memcmp(slot->key, key, sizeof slot->key) != 0 ||
        self->written - (slot->end - slot->size) > self->size)
        return (struct leat_span){0};
    return (struct leat_span){self->ring + (slot->end - slot->size) % self->size, slot->size};
}
