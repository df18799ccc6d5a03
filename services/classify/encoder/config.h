/* What kind of encoder a folder holds: its config.json as the Hugging Face hub serves it.
 *
 * Four architectures are read, each a sequence classifier: BERT, DistilBERT, RoBERTa and
 * XLM-RoBERTa (which differs from RoBERTa by its tokenizer alone). Reading is strict: what the
 * computation depends on must be there or have the architecture's own default, be of the right type
 * and in range; anything that would be computed differently from the reference is refused. */
#ifndef LEAT_ENCODER_CONFIG_H
#define LEAT_ENCODER_CONFIG_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    ENCODER_LABELS_MOST = 60, /* as many as a card has room for */
    ENCODER_LABEL_BYTES = 64,
};

enum encoder_architecture { ENCODER_BERT, ENCODER_DISTILBERT, ENCODER_ROBERTA };

enum encoder_activation {
    ENCODER_GELU,      /* x/2 (1 + erf(x / sqrt 2)) */
    ENCODER_GELU_TANH, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): gelu_new */
    ENCODER_RELU,
};

struct encoder_config {
    enum encoder_architecture architecture;
    enum encoder_activation activation;
    size_t vocabulary; /* tokens */
    size_t hidden;     /* width of a token's vector */
    size_t layers;
    size_t heads;          /* hidden is a multiple of it */
    size_t inner;          /* width inside the feed-forward part */
    size_t positions;      /* rows of the position table */
    size_t first_position; /* row of a text's first token: RoBERTa counts from padding + 1 */
    size_t max_tokens;     /* positions - first_position: special tokens included */
    size_t types;          /* rows of the token type table; 0: there is none */
    float epsilon;         /* of the layer norms */
    bool independent;      /* sigmoid a label (multi-label), else softmax over all */
    size_t labels;
    char label[ENCODER_LABELS_MOST][ENCODER_LABEL_BYTES]; /* LABEL_0 ... where it names none */
};

/* Reads and checks the file. The error names the file, the key and what was expected. */
bool encoder_config_read(const char *path, struct encoder_config *out, struct leat_error *err);

#endif
