/* What a stage that computes tells the cache: the fingerprint it works with, and what it found.
 * One frame: {v, kind, fingerprint, entries: [key, value, key, value, …]}, keys and values bins.
 * Best effort: a frame that is lost costs a later miss. */
#ifndef LEAT_FILL_H
#define LEAT_FILL_H

#include "proto/batch.h"

enum { LEAT_CACHE_KEY_SIZE = 16 };

/* A fill that is being collected. Entries may be none: then it only tells the fingerprint. */
struct leat_fill {
    msgpack_sbuffer entries;
    uint32_t count;
};

void leat_fill_init(struct leat_fill *self);
void leat_fill_destroy(struct leat_fill *self);
void leat_fill_add(struct leat_fill *self, const uint8_t key[LEAT_CACHE_KEY_SIZE],
                   struct leat_span value);

/* Appends the frame to `to` and empties the fill. */
void leat_fill_write(struct leat_fill *self, const char *kind,
                     const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE], msgpack_sbuffer *to);

/* Reads a frame; `each` is called for every entry (spans point into the frame). Any bytes may be
 * given. */
bool leat_fill_read(struct leat_span frame, msgpack_zone *zone, char kind[LEAT_MAX_KIND + 1],
                    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE],
                    void (*each)(void *arg, struct leat_span key, struct leat_span value),
                    void *arg, struct leat_error *err);

#endif
