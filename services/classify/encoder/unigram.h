/* Unigram: the cut of a piece into tokens whose scores sum highest (Viterbi's algorithm).
 *
 * A character that no token of its own covers may be cut out as unknown, at the lowest score of all
 * less 10; unknown neighbours are one token; with byte_fallback it is spelled in tokens <0x00> to
 * <0xFF> when all the bytes it needs are there. */
#ifndef LEAT_ENCODER_UNIGRAM_H
#define LEAT_ENCODER_UNIGRAM_H

#include "services/classify/encoder/spec.h"
#include "services/classify/encoder/strand.h"
#include "services/classify/encoder/trie.h"

#include <stdbool.h>

struct unigram {
    const struct trie *tokens; /* borrowed */
    double *scores;            /* by id; owned */
    double unknown_score;
    int32_t unknown;
    bool byte_fallback;
    int32_t bytes[256]; /* the tokens <0x..>, -1: not there */
};

/* The best way to a place of the piece: its last token and where that begins. */
struct unigram_node {
    double score;
    uint32_t start; /* UINT32_MAX: there is no way yet */
    int32_t id;
};

struct unigram_scratch {
    struct unigram_node *nodes;
    size_t room;
    struct spans cuts;
};

/* `vocabulary` is the model's array of [token, score], known to be well-formed. */
bool unigram_open(struct unigram *self, const struct trie *tokens, const struct spec *spec,
                  const struct spec_node *model, const struct spec_node *vocabulary);
void unigram_close(struct unigram *self);

/* Adds the tokens of a piece. False: no more ids are wanted, or no memory. */
bool unigram_encode(const struct unigram *self, struct unigram_scratch *scratch, const char *piece,
                    size_t size, struct ids *ids);
void unigram_scratch_close(struct unigram_scratch *scratch);

#endif
