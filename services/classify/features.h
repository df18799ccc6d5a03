/* Text to hashed n-gram counts, the input of the linear model.
 *
 * The text is case-folded (ASCII by table, the rest by utf8proc; typographic quotes become plain
 * ones) and read as two families of features, each hashed into a table of its own:
 *   words   runs of letters, digits, marks and '_', and pairs of neighbours;
 *   grams   2 to 5 neighbouring characters inside what whitespace separates, with one
 *           space put on either side of it.
 * A feature is a row number; features that share a row share a count. The hash is part of the model
 * file's format: changing it, the folding or the families means a new LINEAR_FORMAT.
 *
 * Any bytes are taken; what is not UTF-8 counts as U+FFFD a byte. */
#ifndef LEAT_CLASSIFY_FEATURES_H
#define LEAT_CLASSIFY_FEATURES_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum features_family { FEATURES_WORDS, FEATURES_GRAMS, FEATURES_FAMILIES };

enum {
    FEATURES_BITS_LEAST = 4,
    FEATURES_BITS_MOST = 22,
    FEATURES_READ_LEAST = 16,
    FEATURES_READ_MOST = 1 << 16
};

struct features_shape {
    unsigned bits[FEATURES_FAMILIES]; /* a table has 1 << bits rows */
    size_t read_bytes;                /* no more than this many bytes of a text are read */
};

/* How often one row occurs in the text. */
struct features_count {
    uint32_t row;
    uint32_t count;
};

/* What a text holds: distinct rows in the order of their first occurrence. */
struct features_list {
    const struct features_count *items;
    size_t size;
};

/* Whether the shape is in range; the error says what was expected. */
bool features_check(const struct features_shape *shape, struct leat_error *err);

/* The most items that the lists of one text of this shape can have together. */
size_t features_room(const struct features_shape *shape);

/* Working memory for texts of one shape, for one thread. Reused: extracting allocates nothing. */
struct features;

struct features *features_open(const struct features_shape *shape, struct leat_error *err);
void features_close(struct features **self);

/* Reads `text`. A text longer than read_bytes is cut between words, or, when there is no whitespace
 * in the last 256 of them (some scripts have none), between characters. Returns how many bytes were
 * read: fewer than `size` means it was cut. The lists are valid until the next call. */
size_t features_extract(struct features *self, const char *text, size_t size,
                        struct features_list list[FEATURES_FAMILIES]);

#endif
