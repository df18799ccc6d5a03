#include "services/classify/encoder/matmul.h"

#include "services/classify/encoder/huge.h"

#include <math.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 5, ROWS_MOST = MATMUL_ROWS_LEAST << (SIZES - 1), ROOM_ALIGN = 64 };

/* Of libgomp, with which Debian's oneDNN makes threads; for the calling thread alone. */
void omp_set_num_threads(int threads);

struct matmul_engine {
    dnnl_engine_t engine;
    const struct encoder_kernels *kernels;
};

/* Memory that grows to what was asked for. */
struct room {
    void *data;
    size_t size;
};

struct matmul_thread {
    const struct matmul_engine *engine;
    dnnl_stream_t stream;
    struct room scratch; /* oneDNN's */
    struct room rounded; /* a block's rows, when they are not floats */
    struct room scales;  /* theirs: a kernels_scale for a row of bytes, floats for one of INT16 */
};

/* The kernel for one number of rows. */
struct block {
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t in, out, scratch;
};

struct matmul {
    const struct matmul_engine *engine;
    struct matmul_shape shape;
    dnnl_memory_desc_t packed, bias;
    struct block blocks[SIZES]; /* of 16, 32, ... rows; ENCODER_INT16 needs none */
    char kernel[64];
};

struct matmul_weights {
    dnnl_memory_t packed, bias;
    void *data;     /* of packed */
    float *outputs; /* ENCODER_INT8: scales, sums and biases, one after the other */
    size_t n;
    struct int16_weights int16; /* ENCODER_INT16: this, and nothing of the above */
};

static bool check(dnnl_status_t status, const char *what, struct leat_error *err)
{
    return status == dnnl_success || leat_fail(err, "oneDNN cannot %s: status %d", what, status);
}

struct matmul_engine *matmul_engine_open(const struct encoder_kernels *kernels,
                                         struct leat_error *err)
{
    struct matmul_engine *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->kernels = kernels;
    if (!check(dnnl_engine_create(&self->engine, dnnl_cpu, 0), "start", err))
        matmul_engine_close(&self);
    return self;
}

void matmul_engine_close(struct matmul_engine **self)
{
    if (!*self)
        return;
    dnnl_engine_destroy((*self)->engine);
    free(*self);
    *self = NULL;
}

struct matmul_thread *matmul_thread_open(const struct matmul_engine *engine, struct leat_error *err)
{
    struct matmul_thread *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    omp_set_num_threads(1);
    self->engine = engine;
    if (!check(dnnl_stream_create(&self->stream, engine->engine, dnnl_stream_default_flags),
               "make a stream", err))
        matmul_thread_close(&self);
    return self;
}

void matmul_thread_close(struct matmul_thread **self)
{
    if (!*self)
        return;
    dnnl_stream_destroy((*self)->stream);
    free((*self)->scratch.data);
    free((*self)->rounded.data);
    free((*self)->scales.data);
    free(*self);
    *self = NULL;
}

static bool make_room(struct room *self, size_t size, struct leat_error *err)
{
    if (size <= self->size)
        return true;
    size = (size + ROOM_ALIGN - 1) / ROOM_ALIGN * ROOM_ALIGN;
    void *grown = aligned_alloc(ROOM_ALIGN, size);
    if (!grown)
        return leat_fail(err, "out of memory");
    free(self->data);
    self->data = grown;
    self->size = size;
    return true;
}

static dnnl_memory_desc_t matrix(size_t rows, size_t columns, dnnl_data_type_t type,
                                 dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    /* Fails for sizes that are out of range only; the configuration's are not. */
    if (dnnl_memory_desc_init_by_tag(&desc, 2, dims, type, tag) != dnnl_success)
        memset(&desc, 0, sizeof desc);
    return desc;
}

static dnnl_data_type_t weights_type(const struct matmul_shape *shape)
{
    static const dnnl_data_type_t types[] = {
        [ENCODER_F32] = dnnl_f32, [ENCODER_BF16] = dnnl_bf16, [ENCODER_INT8] = dnnl_s8};
    return types[shape->precision];
}

static dnnl_data_type_t in_type(const struct matmul_shape *shape)
{
    static const dnnl_data_type_t types[] = {
        [ENCODER_F32] = dnnl_f32, [ENCODER_BF16] = dnnl_bf16, [ENCODER_INT8] = dnnl_u8};
    return types[shape->precision];
}

static bool make_attributes(const struct matmul_shape *shape, dnnl_primitive_attr_t *out)
{
    static const dnnl_alg_kind_t algorithms[] = {
        [MATMUL_GELU] = dnnl_eltwise_gelu_erf,
        [MATMUL_GELU_TANH] = dnnl_eltwise_gelu_tanh,
        [MATMUL_RELU] = dnnl_eltwise_relu,
        [MATMUL_TANH] = dnnl_eltwise_tanh,
    };
    if (dnnl_primitive_attr_create(out) != dnnl_success)
        return false;
    bool good =
        dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user) == dnnl_success;
    if (shape->activation == MATMUL_LINEAR || shape->precision == ENCODER_INT8)
        return good; /* bytes: only once they are floats again */
    dnnl_post_ops_t after;
    if (!good || dnnl_post_ops_create(&after) != dnnl_success)
        return false;
    good = dnnl_post_ops_append_eltwise(after, 1, algorithms[shape->activation], 0, 0) ==
               dnnl_success &&
           dnnl_primitive_attr_set_post_ops(*out, after) == dnnl_success;
    dnnl_post_ops_destroy(after);
    return good;
}

/* The block of the most rows is made first: it says how weights are packed, for all. */
static bool open_block(struct matmul *self, size_t rows, struct block *block,
                       dnnl_primitive_attr_t attributes, struct leat_error *err)
{
    const struct matmul_shape *shape = &self->shape;
    block->in = matrix(rows, shape->inputs, in_type(shape), dnnl_ab);
    block->out = matrix(rows, shape->outputs, dnnl_f32, dnnl_ab);
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t chosen = NULL;
    const dnnl_memory_desc_t *bias = shape->precision == ENCODER_INT8 ? NULL : &self->bias;
    bool good =
        check(dnnl_matmul_desc_init(&desc, &block->in, &self->packed, bias, &block->out),
              "describe a product", err) &&
        check(dnnl_primitive_desc_create(&chosen, &desc, attributes, self->engine->engine, NULL),
              "choose a kernel", err) &&
        check(dnnl_primitive_create(&block->primitive, chosen), "make a kernel", err);
    if (good) {
        self->packed = *dnnl_primitive_desc_query_md(chosen, dnnl_query_weights_md, 0);
        block->scratch = *dnnl_primitive_desc_query_md(chosen, dnnl_query_scratchpad_md, 0);
        const char *name = "";
        dnnl_primitive_desc_query(chosen, dnnl_query_impl_info_str, 0, (void *)&name);
        snprintf(self->kernel, sizeof self->kernel, "oneDNN %.50s", name);
    }
    dnnl_primitive_desc_destroy(chosen);
    return good;
}

struct matmul *matmul_open(const struct matmul_engine *engine, const struct matmul_shape *shape,
                           struct leat_error *err)
{
    struct matmul *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->engine = engine;
    self->shape = *shape;
    if (shape->precision == ENCODER_INT16) {
        snprintf(self->kernel, sizeof self->kernel, "int16 %.50s", engine->kernels->name);
        return self;
    }
    self->packed = matrix(shape->inputs, shape->outputs, weights_type(shape), dnnl_format_tag_any);
    self->bias = matrix(1, shape->outputs, dnnl_f32, dnnl_ab);
    omp_set_num_threads(1); /* kernels are made for as many threads as there are when they are */
    dnnl_primitive_attr_t attributes = NULL;
    bool good = make_attributes(shape, &attributes) || leat_fail(err, "out of memory");
    for (int i = SIZES - 1; good && i >= 0; i--)
        good = open_block(self, (size_t)MATMUL_ROWS_LEAST << i, &self->blocks[i], attributes, err);
    dnnl_primitive_attr_destroy(attributes);
    if (!good)
        matmul_close(&self);
    return self;
}

void matmul_close(struct matmul **self)
{
    if (!*self)
        return;
    for (int i = 0; i < SIZES; i++)
        dnnl_primitive_destroy((*self)->blocks[i].primitive);
    free(*self);
    *self = NULL;
}

/* To int8, each output by its own scale. */
static bool to_int8(struct matmul_weights *self, const struct matmul_shape *shape,
                    const float *weights, const float *bias, int8_t *out, struct leat_error *err)
{
    self->outputs = malloc(3 * shape->outputs * sizeof *self->outputs);
    if (!self->outputs)
        return leat_fail(err, "out of memory");
    memcpy(self->outputs + 2 * self->n, bias, self->n * sizeof *bias);
    for (size_t o = 0; o < shape->outputs; o++) {
        const float *row = weights + o * shape->inputs;
        float most = 0;
        long sum = 0;
        for (size_t i = 0; i < shape->inputs; i++)
            most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
        float scale = most > 0 && isfinite(most) ? most / 127 : 1;
        for (size_t i = 0; i < shape->inputs; i++) {
            float value = nearbyintf(row[i] / scale);
            int8_t rounded = value >= -127 && value <= 127 ? (int8_t)value : 0;
            out[o * shape->inputs + i] = rounded;
            sum += rounded;
        }
        self->outputs[o] = scale;
        self->outputs[self->n + o] = (float)sum;
    }
    return true;
}

static bool reorder(const struct matmul *self, const void *from, dnnl_memory_t to,
                    struct leat_error *err)
{
    const struct matmul_shape *shape = &self->shape;
    dnnl_engine_t engine = self->engine->engine;
    dnnl_data_type_t type = shape->precision == ENCODER_INT8 ? dnnl_s8 : dnnl_f32;
    dnnl_memory_desc_t plain = matrix(shape->inputs, shape->outputs, type, dnnl_ba);
    dnnl_memory_t source = NULL;
    dnnl_primitive_desc_t chosen = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t stream = NULL;
    bool good =
        check(dnnl_memory_create(&source, &plain, engine, (void *)from), "read weights", err) &&
        check(dnnl_reorder_primitive_desc_create(&chosen, &plain, engine, &self->packed, engine,
                                                 NULL),
              "pack weights", err) &&
        check(dnnl_primitive_create(&primitive, chosen), "pack weights", err) &&
        check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "pack weights", err);
    if (good) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, to}};
        good = check(dnnl_primitive_execute(primitive, stream, 2, args), "pack weights", err) &&
               check(dnnl_stream_wait(stream), "pack weights", err);
    }
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(chosen);
    dnnl_memory_destroy(source);
    return good;
}

static bool copy_bias(struct matmul_weights *self, const float *bias, struct leat_error *err)
{
    void *data = NULL;
    if (!check(dnnl_memory_get_data_handle(self->bias, &data), "keep biases", err))
        return false;
    memcpy(data, bias, self->n * sizeof *bias);
    return true;
}

static bool pack_for_onednn(const struct matmul *self, struct matmul_weights *out,
                            const float *weights, const float *bias, struct leat_error *err)
{
    dnnl_engine_t engine = self->engine->engine;
    const struct matmul_shape *shape = &self->shape;
    int8_t *bytes = NULL;
    if (shape->precision == ENCODER_INT8 && !(bytes = malloc(shape->inputs * shape->outputs)))
        return leat_fail(err, "out of memory");
    out->n = shape->outputs;
    out->data = huge_alloc(dnnl_memory_desc_get_size(&self->packed), 1);
    bool good = (out->data || leat_fail(err, "out of memory")) &&
                check(dnnl_memory_create(&out->packed, &self->packed, engine, out->data),
                      "keep weights", err) &&
                check(dnnl_memory_create(&out->bias, &self->bias, engine, DNNL_MEMORY_ALLOCATE),
                      "keep biases", err) &&
                copy_bias(out, bias, err) &&
                (!bytes || to_int8(out, shape, weights, bias, bytes, err)) &&
                reorder(self, bytes ? (const void *)bytes : weights, out->packed, err);
    free(bytes);
    return good;
}

struct matmul_weights *matmul_pack(const struct matmul *self, const float *weights,
                                   const float *bias, struct leat_error *err)
{
    const struct matmul_shape *shape = &self->shape;
    struct matmul_weights *out = calloc(1, sizeof *out);
    if (!out) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    bool good = shape->precision == ENCODER_INT16
                    ? int16_pack(&out->int16, self->engine->kernels, shape->inputs, shape->outputs,
                                 weights, bias, err)
                    : pack_for_onednn(self, out, weights, bias, err);
    if (!good)
        matmul_weights_close(&out);
    return out;
}

void matmul_weights_close(struct matmul_weights **self)
{
    if (!*self)
        return;
    dnnl_memory_destroy((*self)->packed);
    dnnl_memory_destroy((*self)->bias);
    free((*self)->data);
    free((*self)->outputs);
    int16_close(&(*self)->int16);
    free(*self);
    *self = NULL;
}

size_t matmul_rows(size_t rows)
{
    return (rows + MATMUL_ROWS_LEAST - 1) / MATMUL_ROWS_LEAST * MATMUL_ROWS_LEAST;
}

static bool round_to_bytes(const struct matmul *self, struct matmul_thread *thread, size_t rows,
                           const float *in, struct leat_error *err)
{
    size_t inputs = self->shape.inputs;
    if (!make_room(&thread->scales, rows * sizeof(struct kernels_scale), err))
        return false;
    struct kernels_scale *scales = thread->scales.data;
    uint8_t *out = thread->rounded.data;
    for (size_t row = 0; row < rows; row++)
        scales[row] =
            self->engine->kernels->to_bytes(in + row * inputs, out + row * inputs, inputs);
    return true;
}

static bool round_to_int16(const struct matmul *self, struct matmul_thread *thread, size_t rows,
                           const float *in, struct leat_error *err)
{
    const struct encoder_kernels *kernels = self->engine->kernels;
    size_t inputs = self->shape.inputs, chunks = int16_chunks(inputs);
    if (!make_room(&thread->scales, rows * chunks * sizeof(float), err))
        return false;
    float *scale = thread->scales.data;
    int16_t *out = thread->rounded.data;
    for (size_t row = 0; row < rows; row++, in += inputs, out += inputs + inputs % 2)
        for (size_t from = 0; from < inputs; from += INT16_CHUNK, scale++) {
            size_t n = inputs - from < INT16_CHUNK ? inputs - from : INT16_CHUNK;
            float most = kernels->largest(in + from, n);
            *scale = most / INT16_ROW_MOST;
            kernels->to_int16(in + from, most > 0 ? INT16_ROW_MOST / most : 0, out + from, n);
        }
    return true;
}

/* A block's rows as its products want them; NULL when memory is out. */
static const void *round_rows(const struct matmul *self, struct matmul_thread *thread, size_t rows,
                              const float *in, struct leat_error *err)
{
    size_t inputs = self->shape.inputs;
    enum encoder_precision precision = self->shape.precision;
    if (precision == ENCODER_F32)
        return in;
    if (!make_room(&thread->rounded, rows * (inputs + inputs % 2) * sizeof(uint16_t), err) ||
        (precision == ENCODER_INT8 && !round_to_bytes(self, thread, rows, in, err)) ||
        (precision == ENCODER_INT16 && !round_to_int16(self, thread, rows, in, err)))
        return NULL;
    if (precision == ENCODER_BF16)
        self->engine->kernels->to_bf16(in, thread->rounded.data, rows * inputs);
    return thread->rounded.data;
}

static bool multiply(const struct matmul *self, const struct block *block,
                     struct matmul_thread *thread, const struct matmul_weights *weights,
                     const void *in, float *out, struct leat_error *err)
{
    dnnl_engine_t engine = self->engine->engine;
    if (!make_room(&thread->scratch, dnnl_memory_desc_get_size(&block->scratch), err))
        return false;
    dnnl_memory_t source = NULL, result = NULL, scratch = NULL;
    bool good =
        check(dnnl_memory_create(&source, &block->in, engine, (void *)in), "read rows", err) &&
        check(dnnl_memory_create(&result, &block->out, engine, out), "write rows", err) &&
        check(dnnl_memory_create(&scratch, &block->scratch, engine, thread->scratch.data), "work",
              err);
    if (good) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, source},
                                  {DNNL_ARG_WEIGHTS, weights->packed},
                                  {DNNL_ARG_DST, result},
                                  {DNNL_ARG_SCRATCHPAD, scratch},
                                  {DNNL_ARG_BIAS, weights->bias}};
        int count = self->shape.precision == ENCODER_INT8 ? 4 : 5;
        good = check(dnnl_primitive_execute(block->primitive, thread->stream, count, args),
                     "multiply", err) &&
               check(dnnl_stream_wait(thread->stream), "multiply", err);
    }
    dnnl_memory_destroy(scratch);
    dnnl_memory_destroy(result);
    dnnl_memory_destroy(source);
    return good;
}

/* What integers still need, a row at a time, while it is in the processor's nearest cache. */
static void finish_rows(const struct matmul *self, const struct matmul_thread *thread,
                        const struct matmul_weights *weights, size_t rows, float *out)
{
    static const enum encoder_activation activations[] = {
        [MATMUL_GELU] = ENCODER_GELU,
        [MATMUL_GELU_TANH] = ENCODER_GELU_TANH,
        [MATMUL_RELU] = ENCODER_RELU,
    };
    const struct encoder_kernels *kernels = self->engine->kernels;
    const struct matmul_shape *shape = &self->shape;
    const struct kernels_scale *scales = thread->scales.data;
    struct kernels_outputs outputs = {weights->outputs, weights->outputs + weights->n,
                                      weights->outputs + 2 * weights->n};
    for (size_t row = 0; row < rows; row++, out += shape->outputs) {
        if (shape->precision == ENCODER_INT8)
            kernels->from_bytes(out, scales[row], outputs, shape->outputs);
        if (shape->activation != MATMUL_LINEAR)
            kernels->activate(out, activations[shape->activation], shape->outputs);
    }
}

/* 16-bit integers take any multiple of MATMUL_ROWS_LEAST, oneDNN what kernels were made for. */
static size_t choose_rows(const struct matmul *self, size_t left, const struct block **block)
{
    int i = SIZES - 1;
    if (self->shape.precision == ENCODER_INT16)
        return left < ROWS_MOST ? left : ROWS_MOST;
    while (left < (size_t)MATMUL_ROWS_LEAST << i)
        i--;
    *block = &self->blocks[i];
    return (size_t)MATMUL_ROWS_LEAST << i;
}

bool matmul_run(const struct matmul *self, struct matmul_thread *thread,
                const struct matmul_weights *weights, size_t rows, const float *in, float *out,
                struct leat_error *err)
{
    enum encoder_precision precision = self->shape.precision;
    for (size_t left = matmul_rows(rows); left > 0;) {
        const struct block *block = NULL;
        size_t count = choose_rows(self, left, &block);
        const void *rounded = round_rows(self, thread, count, in, err);
        if (!rounded)
            return false;
        if (precision == ENCODER_INT16)
            self->engine->kernels->multiply_int16(&weights->int16, rounded, thread->scales.data,
                                                  count, out);
        else if (!multiply(self, block, thread, weights, rounded, out, err))
            return false;
        if (precision == ENCODER_INT16 || precision == ENCODER_INT8)
            finish_rows(self, thread, weights, count, out);
        in += count * self->shape.inputs;
        out += count * self->shape.outputs;
        left -= count;
    }
    return true;
}

const char *matmul_kernel(const struct matmul *self)
{
    return self->kernel;
}
