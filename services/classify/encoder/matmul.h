/* Products with a layer's weights: out = activation(in * weights + bias), for any number of rows.
 * Rows go in and come out as floats; what is multiplied is floats, bfloat16 or bytes by oneDNN, or
 * 16-bit integers by our own kernels (int16.h).
 *
 * Weights are packed once, in the precision and the order that the processor's kernels want. Work
 * is done in blocks of fixed numbers of rows, for which the kernels are made when the shape is
 * opened; so the last block may compute rows that are not there (matmul_rows), and buffers need
 * room for them. Everything runs in the calling thread: whoever wants more threads calls from more
 * of them. */
#ifndef LEAT_ENCODER_MATMUL_H
#define LEAT_ENCODER_MATMUL_H

#include "proto/error.h"
#include "services/classify/encoder/kernels.h"

#include <stdbool.h>
#include <stddef.h>

enum { MATMUL_ROWS_LEAST = 16 };

/* What rows and weights are rounded to before they are multiplied; sums are 32 bits wide. */
enum encoder_precision {
    ENCODER_F32,
    ENCODER_BF16,
    ENCODER_INT16, /* by scales of each row and each output (int16.h) */
    ENCODER_INT8,  /* by one of each row and each output; rows are unsigned, with a zero each */
    ENCODER_PRECISIONS,
};

enum matmul_activation {
    MATMUL_LINEAR,
    MATMUL_GELU,
    MATMUL_GELU_TANH,
    MATMUL_RELU,
    MATMUL_TANH,
};

/* MATMUL_TANH is for ENCODER_F32 only. */
struct matmul_shape {
    size_t inputs, outputs;
    enum encoder_precision precision;
    enum matmul_activation activation;
};

/* The processor's part of oneDNN, and one thread's. */
struct matmul_engine;
struct matmul_thread;

struct matmul_engine *matmul_engine_open(const struct encoder_kernels *kernels,
                                         struct leat_error *err);
void matmul_engine_close(struct matmul_engine **self);

/* To be opened and used by one thread; it sees to it that oneDNN uses no others from there. */
struct matmul_thread *matmul_thread_open(const struct matmul_engine *engine,
                                         struct leat_error *err);
void matmul_thread_close(struct matmul_thread **self);

/* Kernels for one shape, shared by all layers and threads that have it. */
struct matmul;

struct matmul *matmul_open(const struct matmul_engine *engine, const struct matmul_shape *shape,
                           struct leat_error *err);
void matmul_close(struct matmul **self);

/* The weights of one layer, packed for a shape. */
struct matmul_weights;

/* `weights` is outputs x inputs, row-major, as checkpoints have them; `bias` has one for each
 * output. Both are copied. */
struct matmul_weights *matmul_pack(const struct matmul *self, const float *weights,
                                   const float *bias, struct leat_error *err);
void matmul_weights_close(struct matmul_weights **self);

/* How many rows are computed for `rows`: the next multiple of MATMUL_ROWS_LEAST. */
size_t matmul_rows(size_t rows);

/* `in` is rows x inputs, `out` rows x outputs. False only when memory is out. */
bool matmul_run(const struct matmul *self, struct matmul_thread *thread,
                const struct matmul_weights *weights, size_t rows, const float *in, float *out,
                struct leat_error *err);

/* How a shape is multiplied: what oneDNN calls its kernel, or the name of ours. */
const char *matmul_kernel(const struct matmul *self);

#endif
