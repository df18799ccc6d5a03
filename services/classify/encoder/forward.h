/* One thread's walk through an encoder: texts as tokens in, logits out.
 *
 * Texts are packed: the tokens of all of them stand one after the other in one matrix, so products
 * with weights see no padding, and only attention knows where a text begins and ends. The stream of
 * values between layers, layer norms and attention are in floats in every precision; what is
 * rounded to bfloat16 or integers is what goes into a product. */
#ifndef LEAT_ENCODER_FORWARD_H
#define LEAT_ENCODER_FORWARD_H

#include "services/classify/encoder/parameters.h"

#include <stdint.h>

/* What all threads share. */
struct forward_model {
    struct encoder_config config;
    enum encoder_precision precision;
    const struct encoder_kernels *kernels;
    const struct matmul_engine *engine;
    struct parameters parameters;
};

/* A text, and where to write what is found in it. */
struct forward_text {
    const int32_t *ids; /* 1 to max_tokens, special tokens included, each below the vocabulary */
    size_t length;
    float *logits;    /* one for each label */
    float *embedding; /* hidden floats: the mean of the last layer's rows, of length 1; or NULL */
};

struct forward;

/* To be opened and used by one thread. `rows` is how many tokens it takes at once, at most. */
struct forward *forward_open(const struct forward_model *model, size_t rows,
                             struct leat_error *err);
void forward_close(struct forward **self);

/* The texts' tokens together are at most `rows`. */
bool forward_run(struct forward *self, const struct forward_text *const *texts, size_t n,
                 struct leat_error *err);

#endif
