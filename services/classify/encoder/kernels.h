/* What an encoder computes besides products with weights, on rows of floats, in one set of
 * functions for each instruction set. Rows may have any length and lie anywhere; all functions may
 * be called by any number of threads at once. */
#ifndef LEAT_ENCODER_KERNELS_H
#define LEAT_ENCODER_KERNELS_H

#include "services/classify/encoder/config.h"
#include "services/classify/encoder/int16.h"

#include <stddef.h>
#include <stdint.h>

/* A row in integers: value = scale * (integer - zero). */
struct kernels_scale {
    float scale, zero;
};

/* How products of bytes become floats again, a member for each output of a layer. */
struct kernels_outputs {
    const float *scale; /* of the output's weights: weight = scale * int8 */
    const float *sum;   /* of the output's int8 weights: what a byte of `zero` is worth */
    const float *bias;
};

/* One text's queries, keys and values: `length` rows, `stride` floats apart. */
struct kernels_heads {
    const float *query, *key, *value;
    size_t stride, length;
    size_t heads, width; /* a head's columns, one after the other; width is a multiple of 16 */
    float scale;         /* what query times key is multiplied by: 1 / sqrt(true width) */
};

struct encoder_kernels {
    const char *name;

    /* row = (row + add - mean) / sqrt(variance + epsilon) * gain + bias; `add` NULL: nothing. */
    void (*layer_norm)(float *row, const float *add, const float *gain, const float *bias,
                       float epsilon, size_t n);

    void (*activate)(float *row, enum encoder_activation activation, size_t n);

    /* To the nearest bfloat16, ties to even. */
    void (*to_bf16)(const float *row, uint16_t *out, size_t n);

    /* To bytes over the row's own range, which is widened to hold 0. */
    struct kernels_scale (*to_bytes)(const float *row, uint8_t *out, size_t n);

    /* In place: what oneDNN made of a row of bytes and int8 weights, as it would have been made of
     * floats: out = (out - zero * sum) * scale * output's scale + bias. */
    void (*from_bytes)(float *row, struct kernels_scale row_scale, struct kernels_outputs outputs,
                       size_t n);

    /* To the nearest of factor * value, which the caller keeps within 16 bits. `out` has room for n
     * rounded up to even. */
    void (*to_int16)(const float *row, float factor, int16_t *out, size_t n);

    /* out = scale * in * weights + bias (int16.h). `rows` is a multiple of 4; a row of `in` is as
     * long as the weights have pairs, and a row of `out` as they have outputs. `scales` has one for
     * each chunk of each row: value = scale * integer. */
    void (*multiply_int16)(const struct int16_weights *weights, const int16_t *in,
                           const float *scales, size_t rows, float *out);

    /* out = softmax(scale * query * keys) * values, for every row and head; `out` has rows of
     * heads * width floats. `scratch` has kernels_attend_floats floats. */
    void (*attend)(const struct kernels_heads *heads, float *out, float *scratch);

    /* The largest absolute value. */
    float (*largest)(const float *row, size_t n);

    float (*dot)(const float *a, const float *b, size_t n);

    /* sum += row */
    void (*add)(float *sum, const float *row, size_t n);
};

/* Scratch that attend needs for a text of `length` tokens. */
size_t kernels_attend_floats(size_t length, size_t width);

/* The fastest this processor can run. */
const struct encoder_kernels *encoder_kernels_choose(void);

/* All that this processor can run, the plain one first; ended by NULL. For tests. */
enum { ENCODER_KERNEL_SETS = 5 };
void encoder_kernels_all(const struct encoder_kernels *out[ENCODER_KERNEL_SETS]);

extern const struct encoder_kernels encoder_kernels_plain, encoder_kernels_avx2,
    encoder_kernels_avx512, encoder_kernels_vnni;

#endif
