/* A set of byte strings with a number each, read byte by byte: a double array (J. Aoe, "An
 * Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989), so a step is one
 * look at one node. Read-only once built; may be shared by threads. */
#ifndef LEAT_ENCODER_TRIE_H
#define LEAT_ENCODER_TRIE_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trie_node {
    int32_t base;   /* the child by byte b is node base + b, if that one's parent is this node */
    int32_t parent; /* -1: not in use */
    int32_t value;  /* -1: no string ends here */
};

struct trie {
    struct trie_node *nodes; /* 256 unused ones at the end, so a step needs no bound */
    size_t count;
};

/* A string to go in. `value` is at least 0. */
struct trie_key {
    const char *bytes;
    uint32_t size;
    int32_t value;
};

enum { TRIE_ROOT = 0 };

/* Builds it. Of equal strings the last one in `keys` counts; empty ones are left out. Puts the keys
 * into another order. */
bool trie_open(struct trie *self, struct trie_key *keys, size_t count, struct leat_error *err);
void trie_close(struct trie *self);

/* The node after one more byte, -1 when no string goes on like that. */
static inline int32_t trie_step(const struct trie *self, int32_t node, char byte)
{
    int32_t next = self->nodes[node].base + (unsigned char)byte;
    return self->nodes[next].parent == node ? next : -1;
}

/* The node after all these bytes from `node` on, -1 when there is none. */
int32_t trie_walk(const struct trie *self, int32_t node, const char *bytes, size_t size);

/* The number of the string, -1 when it is not there. */
int32_t trie_find(const struct trie *self, const char *bytes, size_t size);

/* The longest string that `bytes` begins with: its number and its size; -1 when there is none. */
int32_t trie_longest(const struct trie *self, int32_t node, const char *bytes, size_t size,
                     size_t *length);

#endif
