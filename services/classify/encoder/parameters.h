/* What an encoder has learnt: the tensors of its checkpoint under the names of its architecture,
 * the products packed for the processor. The table of words stays in the mapped file, which all
 * processes of a machine share. */
#ifndef LEAT_ENCODER_PARAMETERS_H
#define LEAT_ENCODER_PARAMETERS_H

#include "services/classify/encoder/config.h"
#include "services/classify/encoder/matmul.h"
#include "services/classify/encoder/safetensors.h"

/* The shapes of product that a model has. */
enum parameters_product {
    PARAMETERS_QKV,      /* queries, keys and values at once, each padded (see head_width) */
    PARAMETERS_ATTENDED, /* what the heads found, to hidden */
    PARAMETERS_INNER,    /* hidden to inner, with the activation */
    PARAMETERS_OUTER,    /* inner to hidden */
    PARAMETERS_PRODUCTS,
};

struct parameters_norm {
    const float *gain, *bias;
};

struct parameters_layer {
    struct matmul_weights *products[PARAMETERS_PRODUCTS];
    struct parameters_norm attention_norm, output_norm;
};

struct parameters {
    size_t head_width; /* hidden / heads, rounded up to 16: the columns more are zero */
    const struct safetensors_tensor *words; /* vocabulary x hidden, in the file */
    const float *places;                    /* positions x hidden: position and type 0 */
    struct parameters_norm norm;            /* of the embeddings */
    struct matmul *shapes[PARAMETERS_PRODUCTS];
    struct parameters_layer *layers;
    struct matmul *head_shape; /* hidden to hidden, always in floats */
    struct matmul_weights *head;
    const float *classifier, *classifier_bias; /* labels x hidden, labels */
    float *floats;                             /* owns all that are pointed to above */
};

/* Takes what `config` says from `file`, which must stay open. A tensor that is missing, misshapen,
 * or there without being known is an error that names it. */
bool parameters_open(struct parameters *self, const struct matmul_engine *engine,
                     const struct encoder_config *config, const struct safetensors *file,
                     enum encoder_precision precision, struct leat_error *err);
void parameters_close(struct parameters *self, const struct encoder_config *config);

#endif
