/* WordPiece: the longest token that the word begins with, then the longest one of those that go on
 * a word, and so on; one unknown token for a word that does not come out. */
#ifndef LEAT_ENCODER_WORDPIECE_H
#define LEAT_ENCODER_WORDPIECE_H

#include "services/classify/encoder/spec.h"
#include "services/classify/encoder/strand.h"
#include "services/classify/encoder/trie.h"

#include <stdbool.h>

struct wordpiece {
    const struct trie *tokens; /* borrowed */
    int32_t going_on;          /* the node behind continuing_subword_prefix, -1: nothing goes on */
    int32_t unknown;
    size_t characters_most; /* max_input_chars_per_word: longer words are unknown */
};

bool wordpiece_open(struct wordpiece *self, const struct trie *tokens, const struct spec *spec,
                    const struct spec_node *model);

/* Adds the tokens of a word. False: no more ids are wanted, or no memory. */
bool wordpiece_encode(const struct wordpiece *self, const char *word, size_t size, struct ids *ids);

#endif
