/* What splitting and replacing look for: a fixed string, or one of the regular expressions that
 * tokenizers of the hub use. No regular expression engine: a file with another one is refused. */
#ifndef LEAT_ENCODER_PATTERN_H
#define LEAT_ENCODER_PATTERN_H

#include "services/classify/encoder/characters.h"
#include "services/classify/encoder/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pattern_kind {
    PATTERN_LITERAL,
    PATTERN_RUN,    /* one class of characters, `least` to `most` times */
    PATTERN_GPT2,   /* words, numbers, the rest, with the space before them */
    PATTERN_CL100K, /* the same for newer models: newlines and digits have rules of their own */
};

struct pattern {
    enum pattern_kind kind;
    char *literal; /* PATTERN_LITERAL; owned */
    size_t literal_size;
    uint32_t character; /* PATTERN_RUN: this one, or when it is 0 ... */
    unsigned flags;     /* ... those with one of these flags ... */
    bool inverted;      /* ... or with none of them */
    size_t least, most; /* PATTERN_RUN; PATTERN_CL100K: digits that stay together, at most */
};

/* The pattern that ByteLevel cuts with. */
extern const struct pattern pattern_gpt2;

/* Reads {"String": "..."} or {"Regex": "..."}. Known regular expressions are those of GPT-2,
 * cl100k (Llama 3) and Qwen 2; a string without special characters; and one character, \s, \S, \d,
 * \p{L} or \p{N} with nothing, +, {n}, {n,} or {n,m} behind it. */
bool pattern_open(struct pattern *self, const struct spec *spec, const struct spec_node *node);
void pattern_close(struct pattern *self);

/* The next match at or after `from`, never empty; false when there is none. */
bool pattern_next(const struct pattern *self, const struct characters *characters, const char *text,
                  size_t size, size_t from, size_t *start, size_t *end);

#endif
