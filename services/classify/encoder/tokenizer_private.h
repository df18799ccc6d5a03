/* Inside the tokenizer. */
#ifndef LEAT_ENCODER_TOKENIZER_PRIVATE_H
#define LEAT_ENCODER_TOKENIZER_PRIVATE_H

#include "services/classify/encoder/added_tokens.h"
#include "services/classify/encoder/bpe.h"
#include "services/classify/encoder/characters.h"
#include "services/classify/encoder/normalizer.h"
#include "services/classify/encoder/postprocessor.h"
#include "services/classify/encoder/pretokenizer.h"
#include "services/classify/encoder/tokenizer.h"
#include "services/classify/encoder/trie.h"
#include "services/classify/encoder/unigram.h"
#include "services/classify/encoder/wordpiece.h"

enum tokenizer_model { MODEL_WORDPIECE, MODEL_BPE, MODEL_UNIGRAM };

struct tokenizer {
    struct characters characters;
    struct trie tokens;     /* the model's vocabulary, to ids */
    size_t vocabulary_size; /* different tokens of the model */
    int32_t ids;            /* one more than the largest id */
    struct added_tokens added;
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    enum tokenizer_model kind;
    struct wordpiece wordpiece;
    struct bpe bpe;
    struct unigram unigram;
    struct postprocessor postprocessor;
    int32_t pad;
    size_t max_length;
    bool cut_left; /* truncation takes from the beginning */
};

struct tokenizer_scratch {
    struct strand_buffer repaired; /* text that was not UTF-8 */
    struct normalizer_scratch normalizer;
    struct pretokenizer_scratch pretokenizer;
    struct bpe_scratch bpe;
    struct unigram_scratch unigram;
    struct ids ids;
};

/* Fills a zeroed tokenizer from the file's JSON. On failure what was filled stays, to be closed. */
bool tokenizer_read(struct tokenizer *self, const struct spec *spec, const struct spec_node *root);

#endif
