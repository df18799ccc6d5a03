/* What is done to a text before it is cut into words: the "normalizer" of a tokenizer.json. */
#ifndef LEAT_ENCODER_NORMALIZER_H
#define LEAT_ENCODER_NORMALIZER_H

#include "services/classify/encoder/characters.h"
#include "services/classify/encoder/spec.h"
#include "services/classify/encoder/strand.h"

#include <stdbool.h>

struct normalizer_step;

/* Its steps, of nested sequences as well, in order; none when the file has no normalizer. Read-only
 * once open. */
struct normalizer {
    const struct characters *characters; /* borrowed */
    struct normalizer_step *steps;
    size_t count;
};

struct normalizer_scratch {
    struct strand_buffer text[2];
    struct runes runes, work;
};

/* Reads BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, Prepend,
 * Precompiled, Nmt, ByteLevel and Sequence; refuses any other. `node` may be absent. */
bool normalizer_open(struct normalizer *self, const struct characters *characters,
                     const struct spec *spec, const struct spec_node *node);
void normalizer_close(struct normalizer *self);

/* Puts the normalized text into *text, which then lies in the scratch unless nothing had to change.
 * False without memory. */
bool normalizer_apply(const struct normalizer *self, struct normalizer_scratch *scratch,
                      struct strand *text);
void normalizer_scratch_close(struct normalizer_scratch *scratch);

#endif
