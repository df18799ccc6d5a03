/* Text that a step of the tokenizer reads or writes, and the growing arrays around it. They belong
 * to a thread's scratch and keep their memory from text to text, so after the first few nothing is
 * allocated any more. */
#ifndef LEAT_ENCODER_STRAND_H
#define LEAT_ENCODER_STRAND_H

#include "services/classify/encoder/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Nothing here grows beyond this many bytes, whatever a tokenizer's replacements make of a text. */
#define STRAND_BYTES_MOST ((size_t)1 << 30)

/* A piece of valid UTF-8 that lies elsewhere. `head`: its first so many bytes come from the very
 * first character of the whole text; 0 when that character was left out or is not in this piece.
 * (Metaspace's prepend_scheme "first" asks for it.) */
struct strand {
    const char *bytes;
    size_t size, head;
    bool first; /* the text begins with it, even if `head` is 0 by now */
};

/* Where a strand is written. */
struct strand_buffer {
    char *bytes;
    size_t size, room, head;
};

/* A piece of a strand: bytes [start, start + size). */
struct span {
    uint32_t start, size;
};

struct spans {
    struct span *items;
    size_t count, room;
};

struct runes {
    uint32_t *items;
    size_t count, room;
};

struct ids {
    int32_t *items;
    size_t count, room;
    size_t most; /* no more are wanted: what comes then sets `over` */
    bool over, failed;
};

/* Moves an array to where `more` elements of size `each` fit after its `count`; NULL when memory
 * cannot be had, and nothing has changed then. */
void *strand_grow(void *items, size_t *room, size_t count, size_t more, size_t each);

static inline bool strand_reserve(struct strand_buffer *self, size_t more)
{
    if (self->room - self->size >= more)
        return true;
    char *moved = strand_grow(self->bytes, &self->room, self->size, more, 1);
    if (!moved)
        return false;
    self->bytes = moved;
    return true;
}

static inline bool strand_put(struct strand_buffer *self, const char *bytes, size_t size)
{
    if (!strand_reserve(self, size))
        return false;
    if (size)
        memcpy(self->bytes + self->size, bytes, size);
    self->size += size;
    return true;
}

static inline bool strand_put_point(struct strand_buffer *self, uint32_t c)
{
    if (!strand_reserve(self, UTF8_MOST))
        return false;
    self->size += utf8_write(self->bytes + self->size, c);
    return true;
}

static inline struct strand strand_of(const struct strand_buffer *self)
{
    return (struct strand){.bytes = self->bytes, .size = self->size, .head = self->head};
}

static inline bool spans_add(struct spans *self, size_t start, size_t size)
{
    if (size == 0)
        return true;
    if (self->count == self->room) {
        void *moved = strand_grow(self->items, &self->room, self->count, 1, sizeof *self->items);
        if (!moved)
            return false;
        self->items = moved;
    }
    self->items[self->count++] = (struct span){(uint32_t)start, (uint32_t)size};
    return true;
}

static inline bool runes_add(struct runes *self, uint32_t c)
{
    if (self->count == self->room) {
        void *moved = strand_grow(self->items, &self->room, self->count, 1, sizeof *self->items);
        if (!moved)
            return false;
        self->items = moved;
    }
    self->items[self->count++] = c;
    return true;
}

/* False: no more are wanted, or memory could not be had. */
static inline bool ids_add(struct ids *self, int32_t id)
{
    if (self->count == self->most) {
        self->over = true;
        return false;
    }
    if (self->count == self->room) {
        void *moved = strand_grow(self->items, &self->room, self->count, 1, sizeof *self->items);
        if (!moved) {
            self->failed = true;
            return false;
        }
        self->items = moved;
    }
    self->items[self->count++] = id;
    return true;
}

#endif
