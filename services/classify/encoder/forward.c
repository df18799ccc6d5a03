#include "services/classify/encoder/forward.h"

#include "services/classify/encoder/huge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The feed-forward part goes through this many rows at a time: its inner rows are wide, and stay in
 * the processor's cache that way. */
enum { INNER_ROWS = 256 };

struct forward {
    const struct forward_model *model;
    struct matmul_thread *thread;
    size_t rows;     /* a multiple of MATMUL_ROWS_LEAST */
    float *state;    /* rows x hidden: what goes from layer to layer */
    float *result;   /* rows x hidden: what a product adds to it */
    float *qkv;      /* rows x 3 attended */
    float *attended; /* rows x heads * head_width */
    float *inner;    /* INNER_ROWS x inner */
    float *first;    /* texts x hidden: each text's first row, then what the head makes of it */
    float *scratch;  /* of one head's attention */
};

struct forward *forward_open(const struct forward_model *model, size_t rows, struct leat_error *err)
{
    const struct encoder_config *config = &model->config;
    size_t attended = config->heads * model->parameters.head_width;
    struct forward *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->model = model;
    self->rows = rows = matmul_rows(rows);
    /* Zeroed: rows that are only there to fill a block are computed too. */
    self->state = huge_alloc(rows * config->hidden, sizeof(float));
    self->result = huge_alloc(rows * config->hidden, sizeof(float));
    self->qkv = huge_alloc(rows * 3 * attended, sizeof(float));
    self->attended = huge_alloc(rows * attended, sizeof(float));
    self->inner = huge_alloc(INNER_ROWS * config->inner, sizeof(float));
    self->first = huge_alloc(2 * rows * config->hidden, sizeof(float));
    self->scratch = huge_alloc(
        kernels_attend_floats(config->max_tokens, model->parameters.head_width), sizeof(float));
    bool good = self->state && self->result && self->qkv && self->attended && self->inner &&
                self->first && self->scratch;
    if (!good)
        leat_fail(err, "out of memory");
    if (!good || !(self->thread = matmul_thread_open(model->engine, err)))
        forward_close(&self);
    return self;
}

void forward_close(struct forward **self_)
{
    struct forward *self = *self_;
    if (!self)
        return;
    matmul_thread_close(&self->thread);
    free(self->state);
    free(self->result);
    free(self->qkv);
    free(self->attended);
    free(self->inner);
    free(self->first);
    free(self->scratch);
    free(self);
    *self_ = NULL;
}

static bool multiply(struct forward *self, enum parameters_product product, size_t layer,
                     size_t rows, const float *in, float *out, struct leat_error *err)
{
    const struct parameters *parameters = &self->model->parameters;
    return matmul_run(parameters->shapes[product], self->thread,
                      parameters->layers[layer].products[product], rows, in, out, err);
}

static void embed(struct forward *self, const struct forward_text *const *texts, size_t n)
{
    const struct forward_model *model = self->model;
    const struct parameters *parameters = &model->parameters;
    size_t hidden = model->config.hidden;
    float *row = self->state;
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < texts[t]->length; i++, row += hidden) {
            size_t place = model->config.first_position + i;
            safetensors_row(parameters->words, (size_t)texts[t]->ids[i], hidden, row);
            model->kernels->layer_norm(row, parameters->places + place * hidden,
                                       parameters->norm.gain, parameters->norm.bias,
                                       model->config.epsilon, hidden);
        }
}

static void add_and_norm(struct forward *self, size_t from, size_t rows,
                         const struct parameters_norm *norm)
{
    size_t hidden = self->model->config.hidden;
    for (size_t row = from; row < from + rows; row++)
        self->model->kernels->layer_norm(self->state + row * hidden, self->result + row * hidden,
                                         norm->gain, norm->bias, self->model->config.epsilon,
                                         hidden);
}

static bool attention(struct forward *self, size_t layer, const struct forward_text *const *texts,
                      size_t n, size_t rows, struct leat_error *err)
{
    const struct forward_model *model = self->model;
    const struct encoder_config *config = &model->config;
    size_t width = model->parameters.head_width, attended = config->heads * width;
    if (!multiply(self, PARAMETERS_QKV, layer, rows, self->state, self->qkv, err))
        return false;
    struct kernels_heads heads = {
        .stride = 3 * attended,
        .heads = config->heads,
        .width = width,
        .scale = 1 / sqrtf((float)(config->hidden / config->heads)),
    };
    size_t row = 0;
    for (size_t t = 0; t < n; row += texts[t]->length, t++) {
        heads.query = self->qkv + row * heads.stride;
        heads.key = heads.query + attended;
        heads.value = heads.key + attended;
        heads.length = texts[t]->length;
        model->kernels->attend(&heads, self->attended + row * attended, self->scratch);
    }
    if (!multiply(self, PARAMETERS_ATTENDED, layer, rows, self->attended, self->result, err))
        return false;
    add_and_norm(self, 0, rows, &model->parameters.layers[layer].attention_norm);
    return true;
}

static bool feed_forward(struct forward *self, size_t layer, size_t rows, struct leat_error *err)
{
    const struct forward_model *model = self->model;
    size_t hidden = model->config.hidden;
    for (size_t from = 0; from < rows; from += INNER_ROWS) {
        size_t count = rows - from < INNER_ROWS ? rows - from : INNER_ROWS;
        if (!multiply(self, PARAMETERS_INNER, layer, count, self->state + from * hidden,
                      self->inner, err) ||
            !multiply(self, PARAMETERS_OUTER, layer, count, self->inner,
                      self->result + from * hidden, err))
            return false;
        add_and_norm(self, from, count, &model->parameters.layers[layer].output_norm);
    }
    return true;
}

/* The classifier reads each text's first row. */
static bool classify(struct forward *self, const struct forward_text *const *texts, size_t n,
                     struct leat_error *err)
{
    const struct forward_model *model = self->model;
    const struct parameters *parameters = &model->parameters;
    size_t hidden = model->config.hidden, row = 0;
    float *read = self->first + self->rows * hidden;
    for (size_t t = 0; t < n; row += texts[t]->length, t++)
        memcpy(self->first + t * hidden, self->state + row * hidden, hidden * sizeof(float));
    if (!matmul_run(parameters->head_shape, self->thread, parameters->head, n, self->first, read,
                    err))
        return false;
    for (size_t t = 0; t < n; t++)
        for (size_t label = 0; label < model->config.labels; label++)
            texts[t]->logits[label] =
                model->kernels->dot(read + t * hidden, parameters->classifier + label * hidden,
                                    hidden) +
                parameters->classifier_bias[label];
    return true;
}

static void pool(struct forward *self, const struct forward_text *const *texts, size_t n)
{
    const struct encoder_kernels *kernels = self->model->kernels;
    size_t hidden = self->model->config.hidden;
    const float *row = self->state;
    for (size_t t = 0; t < n; row += texts[t]->length * hidden, t++) {
        float *sum = texts[t]->embedding;
        if (!sum)
            continue;
        memset(sum, 0, hidden * sizeof *sum);
        for (size_t i = 0; i < texts[t]->length; i++)
            kernels->add(sum, row + i * hidden, hidden);
        float norm = sqrtf(kernels->dot(sum, sum, hidden));
        for (size_t i = 0; norm > 0 && i < hidden; i++)
            sum[i] /= norm; /* of the mean's direction: its length does not matter */
    }
}

bool forward_run(struct forward *self, const struct forward_text *const *texts, size_t n,
                 struct leat_error *err)
{
    size_t rows = 0;
    for (size_t t = 0; t < n; t++)
        rows += texts[t]->length;
    embed(self, texts, n);
    for (size_t layer = 0; layer < self->model->config.layers; layer++)
        if (!attention(self, layer, texts, n, rows, err) || !feed_forward(self, layer, rows, err))
            return false;
    pool(self, texts, n);
    return classify(self, texts, n, err);
}
