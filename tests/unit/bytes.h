/* Bytes for tests: seeded random ones, and copies whose ends a sanitizer watches. */
#ifndef TESTS_UNIT_BYTES_H
#define TESTS_UNIT_BYTES_H

#include "proto/wire.h"

#include <stdlib.h>
#include <string.h>

/* xorshift64*: the same numbers on every machine. `state` must not be 0. */
static inline uint64_t bytes_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

/* A copy of exactly `size` bytes on the heap, so that reading beyond its end is seen. */
static inline uint8_t *bytes_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    return copy;
}

static inline void bytes_fill(uint64_t *state, uint8_t *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(bytes_random(state) >> 32);
}

static inline struct leat_span bytes_span(const void *data, size_t size)
{
    return (struct leat_span){data, size};
}

static inline struct leat_span bytes_text(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

#endif
