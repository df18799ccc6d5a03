#include "services/classify/automaton.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t NONE = UINT32_MAX;

/* The trie while patterns arrive: children as a linked list, in any order. */
struct node {
    uint32_t first_child; /* 0: none (the root is nobody's child) */
    uint32_t next_sibling;
    uint32_t pattern;
    uint8_t byte;
};

struct automaton_builder {
    struct node *nodes;
    uint32_t node_count;
    uint32_t node_room;
    uint32_t *pattern_sizes;
    uint32_t pattern_count;
    uint32_t pattern_room;
};

/* Invariants:
 * 1. States are numbered breadth first, so fallback[s] < s and the children of s are the states
 *    first_child[s] to first_child[s + 1] - 1.
 * 2. States below `dense` have a row in `table`: entry = next state x 2 + (it reports something).
 * 3. reporter[s] is the nearest state on the way s, fallback[s], ... that ends a pattern, or NONE.
 */
struct automaton {
    uint8_t class_of[256]; /* 0: in no pattern */
    uint32_t class_count;
    unsigned row_shift; /* a row is 1 << row_shift entries */
    uint32_t dense;
    uint32_t state_count;
    uint32_t pattern_count;
    uint32_t *table;
    uint8_t *label; /* class of the byte that leads here */
    uint32_t *first_child;
    uint32_t *fallback;
    uint32_t *pattern;
    uint32_t *reporter;
    uint32_t *pattern_size;
};

static uint8_t same_byte(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (uint8_t)(byte - 'A' + 'a');
    return byte >= '\t' && byte <= '\r' ? ' ' : byte;
}

/* The nodes, with room for one more; NULL, and the old ones untouched, if there is none. */
static struct node *nodes_with_room(struct automaton_builder *self)
{
    if (self->node_count < self->node_room)
        return self->nodes;
    if (self->node_count == AUTOMATON_STATES_MAX)
        return NULL;
    uint32_t room = self->node_room ? self->node_room * 2 : 1024;
    struct node *moved = realloc(self->nodes, room * sizeof *moved);
    if (moved) {
        self->nodes = moved;
        self->node_room = room;
    }
    return moved;
}

static uint32_t *sizes_with_room(struct automaton_builder *self)
{
    if (self->pattern_count < self->pattern_room)
        return self->pattern_sizes;
    uint32_t room = self->pattern_room ? self->pattern_room * 2 : 256;
    uint32_t *moved = realloc(self->pattern_sizes, room * sizeof *moved);
    if (moved) {
        self->pattern_sizes = moved;
        self->pattern_room = room;
    }
    return moved;
}

struct automaton_builder *automaton_builder_open(struct leat_error *err)
{
    struct automaton_builder *self = calloc(1, sizeof *self);
    if (!self || !nodes_with_room(self)) {
        free(self);
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->nodes[self->node_count++] = (struct node){.pattern = NONE};
    return self;
}

void automaton_builder_close(struct automaton_builder **self)
{
    if (!*self)
        return;
    free((*self)->nodes);
    free((*self)->pattern_sizes);
    free(*self);
    *self = NULL;
}

/* The child of `parent` by `byte`, made if it is not there; 0 when there is no room. */
static uint32_t child_of(struct automaton_builder *self, uint32_t parent, uint8_t byte)
{
    for (uint32_t i = self->nodes[parent].first_child; i; i = self->nodes[i].next_sibling)
        if (self->nodes[i].byte == byte)
            return i;
    if (!nodes_with_room(self))
        return 0;
    uint32_t child = self->node_count++;
    self->nodes[child] = (struct node){
        .next_sibling = self->nodes[parent].first_child, .pattern = NONE, .byte = byte};
    self->nodes[parent].first_child = child;
    return child;
}

bool automaton_builder_add(struct automaton_builder *self, const char *bytes, size_t size,
                           uint32_t *pattern, struct leat_error *err)
{
    if (size == 0)
        return leat_fail(err, "a pattern must have at least one byte");
    uint32_t at = 0;
    for (size_t i = 0; i < size; i++) {
        at = child_of(self, at, same_byte((uint8_t)bytes[i]));
        if (!at)
            return leat_fail(err, "no room for more patterns");
    }
    if (self->nodes[at].pattern == NONE) {
        if (!sizes_with_room(self))
            return leat_fail(err, "out of memory");
        self->pattern_sizes[self->pattern_count] = (uint32_t)size;
        self->nodes[at].pattern = self->pattern_count++;
    }
    *pattern = self->nodes[at].pattern;
    return true;
}

/* Gives every byte that some pattern has a class, and its other case or other white space the same.
 */
static void make_classes(struct automaton *self, const struct automaton_builder *builder)
{
    self->class_count = 1;
    for (uint32_t i = 1; i < builder->node_count; i++) {
        uint8_t byte = builder->nodes[i].byte;
        if (!self->class_of[byte])
            self->class_of[byte] = (uint8_t)self->class_count++;
    }
    for (unsigned byte = 0; byte < 256; byte++)
        self->class_of[byte] = self->class_of[same_byte((uint8_t)byte)];
    while ((1u << self->row_shift) < self->class_count)
        self->row_shift++;
}

/* Ensures: invariant 1 but for the fallbacks. `order` maps states to the builder's nodes. */
static void number_states(struct automaton *self, const struct automaton_builder *builder,
                          uint32_t *order)
{
    uint32_t count = 1;
    order[0] = 0;
    self->pattern[0] = NONE;
    for (uint32_t state = 0; state < builder->node_count; state++) {
        self->first_child[state] = count;
        for (uint32_t i = builder->nodes[order[state]].first_child; i;
             i = builder->nodes[i].next_sibling) {
            order[count] = i;
            self->label[count] = self->class_of[builder->nodes[i].byte];
            self->pattern[count] = builder->nodes[i].pattern;
            count++;
        }
    }
    self->first_child[count] = count;
    self->state_count = count;
}

/* The entry (see invariant 2) for one class from one state. */
static uint32_t step(const struct automaton *self, uint32_t state, uint32_t class)
{
    for (;;) {
        if (state < self->dense)
            return self->table[((size_t)state << self->row_shift) + class];
        for (uint32_t i = self->first_child[state]; i < self->first_child[state + 1]; i++)
            if (self->label[i] == class)
                return i << 1 | (self->reporter[i] != NONE);
        state = self->fallback[state];
    }
}

/* Writes the row of a state whose fallback has a complete one: the fallback's, but for the
 * children. The root's starts as all zero: stay at the root. */
static void fill_row(struct automaton *self, uint32_t state)
{
    size_t width = (size_t)1 << self->row_shift;
    uint32_t *row = self->table + state * width;
    if (state > 0)
        memcpy(row, self->table + self->fallback[state] * width, width * sizeof *row);
    for (uint32_t i = self->first_child[state]; i < self->first_child[state + 1]; i++)
        row[self->label[i]] = i << 1 | (self->reporter[i] != NONE);
}

/* Ensures: 1-3, by walking the states in their order: what a state needs of its fallback is there,
 * as that is nearer to the root. A child's fallback is where its parent's fallback goes by the same
 * class; the children of the root fall back to the root. */
static void link_states(struct automaton *self)
{
    uint32_t dense = self->dense;
    self->reporter[0] = NONE;
    for (uint32_t state = 0; state < self->state_count; state++) {
        /* The table is complete below `state` only; step() must not look further. */
        self->dense = state < dense ? state : dense;
        for (uint32_t i = self->first_child[state]; i < self->first_child[state + 1]; i++) {
            self->fallback[i] = state ? step(self, self->fallback[state], self->label[i]) >> 1 : 0;
            self->reporter[i] = self->pattern[i] != NONE ? i : self->reporter[self->fallback[i]];
        }
        if (state < dense)
            fill_row(self, state);
    }
    self->dense = dense;
}

static bool allocate(struct automaton *self, const struct automaton_builder *builder)
{
    size_t states = builder->node_count;
    size_t row_bytes = sizeof *self->table << self->row_shift;
    size_t dense = AUTOMATON_DENSE_BYTES / row_bytes;
    self->dense = (uint32_t)(dense < states ? dense : states);
    self->table = calloc(self->dense, row_bytes);
    self->label = calloc(states, sizeof *self->label);
    self->first_child = calloc(states + 1, sizeof *self->first_child);
    self->fallback = calloc(states, sizeof *self->fallback);
    self->pattern = calloc(states, sizeof *self->pattern);
    self->reporter = calloc(states, sizeof *self->reporter);
    self->pattern_size = calloc(builder->pattern_count + 1u, sizeof *self->pattern_size);
    return self->table && self->label && self->first_child && self->fallback && self->pattern &&
           self->reporter && self->pattern_size;
}

struct automaton *automaton_build(const struct automaton_builder *builder, struct leat_error *err)
{
    struct automaton *self = calloc(1, sizeof *self);
    uint32_t *order = calloc(builder->node_count, sizeof *order);
    if (self)
        make_classes(self, builder);
    if (!self || !order || !allocate(self, builder)) {
        free(order);
        automaton_close(&self);
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->pattern_count = builder->pattern_count;
    if (builder->pattern_count)
        memcpy(self->pattern_size, builder->pattern_sizes,
               builder->pattern_count * sizeof *self->pattern_size);
    number_states(self, builder, order);
    link_states(self);
    free(order);
    return self;
}

void automaton_close(struct automaton **self)
{
    if (!*self)
        return;
    free((*self)->table);
    free((*self)->label);
    free((*self)->first_child);
    free((*self)->fallback);
    free((*self)->pattern);
    free((*self)->reporter);
    free((*self)->pattern_size);
    free(*self);
    *self = NULL;
}

uint32_t automaton_patterns(const struct automaton *self)
{
    return self->pattern_count;
}

uint32_t automaton_states(const struct automaton *self)
{
    return self->state_count;
}

void automaton_scan(const struct automaton *self, const char *text, size_t size,
                    void (*found)(void *context, uint32_t pattern, size_t start, size_t end),
                    void *context)
{
    const uint32_t *table = self->table;
    const unsigned shift = self->row_shift;
    const uint32_t dense = self->dense;
    uint32_t state = 0;

    for (size_t i = 0; i < size; i++) {
        uint32_t class = self->class_of[(uint8_t)text[i]];
        uint32_t entry =
            state < dense ? table[((size_t)state << shift) + class] : step(self, state, class);
        state = entry >> 1;
        if (!(entry & 1))
            continue;
        for (uint32_t at = self->reporter[state]; at != NONE;
             at = self->reporter[self->fallback[at]]) {
            uint32_t pattern = self->pattern[at];
            found(context, pattern, i + 1 - self->pattern_size[pattern], i + 1);
        }
    }
}
