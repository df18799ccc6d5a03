/* Finds every occurrence of many byte strings in one pass over a text (Aho and Corasick, 1975).
 *
 * ASCII letters are the same in both cases and the six ASCII white-space bytes are all a space, in
 * patterns and text alike: the map from bytes to classes does it, so it costs nothing and ASCII
 * text needs no folding first. Other bytes must be equal.
 *
 * States are numbered breadth first. The first ones, as many as fit into AUTOMATON_DENSE_BYTES,
 * have a row of the transition table each, one entry per byte class: a text rarely leaves them, so
 * a byte costs one look-up. Every later state keeps its children only (they are neighbours in that
 * order: two numbers say which) and its fallback, about 17 bytes, so a million states are 17 MB.
 *
 * An automaton is read-only once built and may be shared by threads. */
#ifndef LEAT_CLASSIFY_AUTOMATON_H
#define LEAT_CLASSIFY_AUTOMATON_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUTOMATON_DENSE_BYTES = 512 * 1024, /* about what a core's second cache can spare */
    AUTOMATON_STATES_MAX = 64 * 1024 * 1024,
};

struct automaton_builder;
struct automaton;

struct automaton_builder *automaton_builder_open(struct leat_error *err);
void automaton_builder_close(struct automaton_builder **self);

/* Adds a pattern of at least one byte and sets *pattern to its number. Numbers count from 0 in the
 * order of first arrival; a pattern that is there already keeps the number it has. */
bool automaton_builder_add(struct automaton_builder *self, const char *bytes, size_t size,
                           uint32_t *pattern, struct leat_error *err);

/* Makes the automaton of what was added; the builder can be closed then. No pattern at all is
 * allowed and finds nothing. */
struct automaton *automaton_build(const struct automaton_builder *builder, struct leat_error *err);

/* Frees and sets to NULL; does nothing if it is NULL already. */
void automaton_close(struct automaton **self);

/* Different patterns, and states of the automaton. */
uint32_t automaton_patterns(const struct automaton *self);
uint32_t automaton_states(const struct automaton *self);

/* Calls `found` for every occurrence, overlapping ones too, in the order of their ends and, at the
 * same end, longest first: it takes up the bytes [start, end) of the text. */
void automaton_scan(const struct automaton *self, const char *text, size_t size,
                    void (*found)(void *context, uint32_t pattern, size_t start, size_t end),
                    void *context);

#endif
