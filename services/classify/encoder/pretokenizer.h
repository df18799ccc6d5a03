/* How a normalized text is cut into the pieces that the model sees: the "pre_tokenizer" of a
 * tokenizer.json. */
#ifndef LEAT_ENCODER_PRETOKENIZER_H
#define LEAT_ENCODER_PRETOKENIZER_H

#include "services/classify/encoder/characters.h"
#include "services/classify/encoder/spec.h"
#include "services/classify/encoder/strand.h"

#include <stdbool.h>

struct pretokenizer_step;

/* Its steps, of nested sequences as well, in order; none when the file has none: then a text is one
 * piece. Read-only once open. */
struct pretokenizer {
    const struct characters *characters; /* borrowed */
    struct pretokenizer_step *steps;
    size_t count;
};

struct pretokenizer_scratch {
    struct strand_buffer text[2];
    struct spans spans[2];
};

/* Reads BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Split,
 * Whitespace, WhitespaceSplit and Sequence; refuses any other. `node` may be absent. */
bool pretokenizer_open(struct pretokenizer *self, const struct characters *characters,
                       const struct spec *spec, const struct spec_node *node);
void pretokenizer_close(struct pretokenizer *self);

/* Cuts *text: the pieces, none of them empty, are *spans of *text, which then may lie in the
 * scratch. False without memory. */
bool pretokenizer_apply(const struct pretokenizer *self, struct pretokenizer_scratch *scratch,
                        struct strand *text, const struct spans **spans);
void pretokenizer_scratch_close(struct pretokenizer_scratch *scratch);

#endif
