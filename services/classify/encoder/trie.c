#include "services/classify/encoder/trie.h"

#include <stdlib.h>
#include <string.h>

/* Keys [low, high) share their first `depth` bytes and hang below `node`. */
struct range {
    size_t low, high;
    uint32_t depth;
    int32_t node;
};

struct builder {
    struct trie *trie;
    const struct trie_key *keys;
    size_t count; /* keys left when doubles are out */
    struct range *queue;
    size_t room;
    size_t scan; /* nodes before it are hardly free any more */
};

static int key_compare(const void *a, const void *b)
{
    const struct trie_key *left = a, *right = b;
    uint32_t common = left->size < right->size ? left->size : right->size;
    int order = common ? memcmp(left->bytes, right->bytes, common) : 0;
    if (order != 0)
        return order;
    return (left->size > right->size) - (left->size < right->size);
}

/* A sort that keeps the order of equal ones, as "the last counts" needs. `work` has room for half
 * of the keys. */
static void keys_sort(struct trie_key *keys, struct trie_key *work, size_t count)
{
    if (count < 2)
        return;
    size_t half = count / 2;
    keys_sort(keys, work, half);
    keys_sort(keys + half, work, count - half);
    memcpy(work, keys, half * sizeof *work);
    for (size_t i = 0, j = half, to = 0; i < half; to++)
        keys[to] = j < count && key_compare(&work[i], &keys[j]) > 0 ? keys[j++] : work[i++];
}

static bool nodes_grow(struct builder *self, size_t count)
{
    struct trie *trie = self->trie;
    if (count <= trie->count)
        return true;
    size_t room = trie->count;
    while (room < count)
        room = room ? room + room / 2 : 1024;
    if (room > INT32_MAX)
        return false;
    struct trie_node *moved = realloc(trie->nodes, room * sizeof *moved);
    if (!moved)
        return false;
    for (size_t i = trie->count; i < room; i++)
        moved[i] = (struct trie_node){.base = 0, .parent = -1, .value = -1};
    trie->nodes = moved;
    trie->count = room;
    return true;
}

/* A base where all the children's places are free; -1 without memory. */
static int64_t base_find(struct builder *self, const uint8_t *labels, size_t n)
{
    size_t used = 0, from = self->scan > labels[0] + 1u ? self->scan : labels[0] + 1u;
    for (size_t at = from;; at++) {
        if (!nodes_grow(self, at + 257))
            return -1;
        if (self->trie->nodes[at].parent >= 0) {
            used++;
            continue;
        }
        size_t base = at - labels[0], i = 1;
        while (i < n && self->trie->nodes[base + labels[i]].parent < 0)
            i++;
        if (i < n)
            continue;
        /* Nearly all that was looked at is taken: nobody needs to look there again. */
        if (used * 20 >= (at - from + 1) * 19)
            self->scan = at;
        return (int64_t)base;
    }
}

static bool queue_put(struct builder *self, size_t *tail, struct range range)
{
    if (*tail == self->room) {
        size_t room = self->room ? 2 * self->room : 1024;
        struct range *moved = realloc(self->queue, room * sizeof *moved);
        if (!moved)
            return false;
        self->queue = moved;
        self->room = room;
    }
    self->queue[(*tail)++] = range;
    return true;
}

/* Gives a node its value and its children, and queues these. */
static bool node_fill(struct builder *self, struct range range, size_t *tail)
{
    uint8_t labels[256];
    size_t starts[257], n = 0, i = range.low;
    if (self->keys[i].size == range.depth)
        self->trie->nodes[range.node].value = self->keys[i++].value;
    for (; i < range.high; i++) {
        uint8_t label = (uint8_t)self->keys[i].bytes[range.depth];
        if (n == 0 || labels[n - 1] != label) {
            labels[n] = label;
            starts[n++] = i;
        }
    }
    starts[n] = range.high;
    if (n == 0)
        return true;
    int64_t base = base_find(self, labels, n);
    if (base < 0)
        return false;
    self->trie->nodes[range.node].base = (int32_t)base;
    for (size_t c = 0; c < n; c++) {
        int32_t child = (int32_t)base + labels[c];
        self->trie->nodes[child].parent = range.node;
        if (!queue_put(self, tail,
                       (struct range){starts[c], starts[c + 1], range.depth + 1, child}))
            return false;
    }
    return true;
}

static bool build(struct builder *self)
{
    size_t head = 0, tail = 0;
    if (!nodes_grow(self, 257))
        return false;
    self->trie->nodes[TRIE_ROOT].parent = INT32_MAX; /* in use, and nobody's child */
    if (self->count > 0 && !queue_put(self, &tail, (struct range){0, self->count, 0, TRIE_ROOT}))
        return false;
    while (head < tail)
        if (!node_fill(self, self->queue[head++], &tail))
            return false;
    return true;
}

/* Sorted, of equal ones the last, without empty ones; returns how many are left. */
static size_t keys_unique(struct trie_key *keys, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (keys[i].size == 0)
            continue;
        if (left > 0 && key_compare(&keys[left - 1], &keys[i]) == 0)
            left--;
        keys[left++] = keys[i];
    }
    return left;
}

bool trie_open(struct trie *self, struct trie_key *keys, size_t count, struct leat_error *err)
{
    *self = (struct trie){0};
    struct trie_key *work = malloc((count / 2 + 1) * sizeof *work);
    struct builder builder = {.trie = self, .keys = keys, .scan = 1};
    bool good = work != NULL;
    if (good) {
        keys_sort(keys, work, count);
        builder.count = keys_unique(keys, count);
        good = build(&builder);
    }
    free(work);
    free(builder.queue);
    if (good)
        return true;
    trie_close(self);
    return leat_fail(err, "out of memory for a table of %zu tokens", count);
}

void trie_close(struct trie *self)
{
    free(self->nodes);
    *self = (struct trie){0};
}

int32_t trie_walk(const struct trie *self, int32_t node, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && node >= 0; i++)
        node = trie_step(self, node, bytes[i]);
    return node;
}

int32_t trie_find(const struct trie *self, const char *bytes, size_t size)
{
    int32_t node = trie_walk(self, TRIE_ROOT, bytes, size);
    return node < 0 ? -1 : self->nodes[node].value;
}

int32_t trie_longest(const struct trie *self, int32_t node, const char *bytes, size_t size,
                     size_t *length)
{
    int32_t value = -1;
    for (size_t i = 0; i < size; i++) {
        node = trie_step(self, node, bytes[i]);
        if (node < 0)
            break;
        if (self->nodes[node].value >= 0) {
            value = self->nodes[node].value;
            *length = i + 1;
        }
    }
    return value;
}
