/* A layer's weights as 16-bit integers, in the order in which kernels.h multiplies by them.
 *
 * Why 16-bit integers: AVX-512 VNNI multiplies and adds 32 pairs of them in one instruction
 * (vpdpwssd), twice what a multiply-add of floats does, on processors from 2019 on; bfloat16's own
 * instruction is that fast only with AMX and on AMD. Sums are exact, and what is rounded at the
 * beginning is rounded less than in bfloat16: the values of a chunk of a row share a scale, as do
 * an output's weights, and have 15 bits and about 11 of their own (bfloat16: 8). A value that
 * stands out costs the others of its chunk some bits, and no other chunk.
 *
 * Ensures: no sum overflows. A sum goes over at most INT16_CHUNK inputs before it is added to
 * floats. Row values are at most INT16_ROW_MOST = 2^14 - 1; an output's scale is such that the
 * absolute weights of any chunk add up to at most INT16_SUM_MOST, rounding included; and
 * INT16_ROW_MOST * INT16_SUM_MOST < 2^31. */
#ifndef LEAT_ENCODER_INT16_H
#define LEAT_ENCODER_INT16_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    INT16_CHUNK = 256, /* inputs: a multiple of 2 */
    INT16_PANEL = 32,  /* outputs that lie together */
    INT16_ROW_MOST = (1 << 14) - 1,
    INT16_SUM_MOST = INT32_MAX / INT16_ROW_MOST,
};

/* Panel after panel of INT16_PANEL outputs; in a panel pair after pair of inputs; of each pair two
 * weights for every output. Inputs and outputs are filled up with zeros. */
struct int16_weights {
    size_t inputs, outputs;
    size_t pairs; /* of inputs, rounded up */
    int16_t *panels;
    float *scale; /* of each output: weight = scale * int; filled up like the panels */
    float *bias;  /* likewise */
};

struct encoder_kernels;

/* Of a row with so many inputs; the last one may be shorter. */
static inline size_t int16_chunks(size_t inputs)
{
    return (inputs + INT16_CHUNK - 1) / INT16_CHUNK;
}

/* `weights` is outputs x inputs, row-major; `bias` has one for each output. */
bool int16_pack(struct int16_weights *self, const struct encoder_kernels *kernels, size_t inputs,
                size_t outputs, const float *weights, const float *bias, struct leat_error *err);
void int16_close(struct int16_weights *self);

#endif
