#include "services/classify/encoder/parameters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 160, IGNORED_MOST = 4 };

/* The names of an architecture. Those of a layer follow "LAYER.N."; each has .weight and .bias. */
struct naming {
    const char *words, *positions, *types, *norm;
    const char *layer;
    const char *query, *key, *value, *attended, *attention_norm, *inner, *outer, *output_norm;
    const char *head, *classifier;
    const char *ignored[IGNORED_MOST]; /* beginnings of what may be there and is not read */
};

static const struct naming namings[] = {
    [ENCODER_BERT] = {"bert.embeddings.word_embeddings",
                      "bert.embeddings.position_embeddings",
                      "bert.embeddings.token_type_embeddings",
                      "bert.embeddings.LayerNorm",
                      "bert.encoder.layer",
                      "attention.self.query",
                      "attention.self.key",
                      "attention.self.value",
                      "attention.output.dense",
                      "attention.output.LayerNorm",
                      "intermediate.dense",
                      "output.dense",
                      "output.LayerNorm",
                      "bert.pooler.dense",
                      "classifier",
                      {"bert.embeddings.position_ids", "cls."}},
    [ENCODER_DISTILBERT] = {"distilbert.embeddings.word_embeddings",
                            "distilbert.embeddings.position_embeddings",
                            NULL,
                            "distilbert.embeddings.LayerNorm",
                            "distilbert.transformer.layer",
                            "attention.q_lin",
                            "attention.k_lin",
                            "attention.v_lin",
                            "attention.out_lin",
                            "sa_layer_norm",
                            "ffn.lin1",
                            "ffn.lin2",
                            "output_layer_norm",
                            "pre_classifier",
                            "classifier",
                            {"distilbert.embeddings.position_ids", "vocab_"}},
    [ENCODER_ROBERTA] = {"roberta.embeddings.word_embeddings",
                         "roberta.embeddings.position_embeddings",
                         "roberta.embeddings.token_type_embeddings",
                         "roberta.embeddings.LayerNorm",
                         "roberta.encoder.layer",
                         "attention.self.query",
                         "attention.self.key",
                         "attention.self.value",
                         "attention.output.dense",
                         "attention.output.LayerNorm",
                         "intermediate.dense",
                         "output.dense",
                         "output.LayerNorm",
                         "classifier.dense",
                         "classifier.out_proj",
                         {"roberta.embeddings.position_ids", "roberta.pooler.", "lm_head."}},
};

struct loader {
    struct parameters *out;
    const struct matmul_engine *engine;
    const struct encoder_config *config;
    const struct safetensors *file;
    const struct naming *names;
    struct leat_error *err;
    bool *used;     /* by index in the file */
    float *next;    /* free room in out->floats */
    float *weights; /* one product's weights and biases, before they are packed */
    float *biases;
};

/* The tensor of that name and shape; columns 0: a vector of `rows`. */
static const struct safetensors_tensor *take(struct loader *self, const char *name, size_t rows,
                                             size_t columns)
{
    char shape[64];
    snprintf(shape, sizeof shape, columns ? "[%zu, %zu]" : "[%zu]", rows, columns);
    const struct safetensors_tensor *tensor = safetensors_find(self->file, name);
    if (!tensor) {
        leat_fail(self->err, "tensor %s is missing: expected one of shape %s", name, shape);
        return NULL;
    }
    size_t rank = columns ? 2 : 1;
    if (tensor->rank != rank || tensor->shape[0] != rows ||
        (columns && tensor->shape[1] != columns)) {
        leat_fail(self->err, "tensor %s: expected the shape %s, as the configuration says", name,
                  shape);
        return NULL;
    }
    if (tensor->type == SAFETENSORS_OTHER) {
        leat_fail(self->err, "tensor %s: expected F32, F16 or BF16", name);
        return NULL;
    }
    self->used[tensor - safetensors_at(self->file, 0)] = true;
    return tensor;
}

/* A damaged file would give results that are no numbers; or, rounded to integers, that look right.
 */
static bool are_finite(const struct loader *self, const char *name, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return leat_fail(self->err, "tensor %s: expected finite numbers", name);
    return true;
}

static bool copy(struct loader *self, const char *name, size_t rows, size_t columns, float *out)
{
    const struct safetensors_tensor *tensor = take(self, name, rows, columns);
    size_t n = rows * (columns ? columns : 1);
    if (tensor)
        safetensors_row(tensor, 0, n, out);
    return tensor && are_finite(self, name, out, n);
}

/* The same, to be kept. */
static const float *keep(struct loader *self, const char *name, size_t rows, size_t columns)
{
    float *out = self->next;
    if (!copy(self, name, rows, columns, out))
        return NULL;
    self->next += rows * (columns ? columns : 1);
    return out;
}

/* Checkpoints converted from TensorFlow call a norm's parts gamma and beta. */
static bool take_norm(struct loader *self, const char *base, struct parameters_norm *out)
{
    char gain[NAME_BYTES], bias[NAME_BYTES];
    snprintf(gain, sizeof gain, "%s.gamma", base);
    bool old = safetensors_find(self->file, gain) != NULL;
    snprintf(gain, sizeof gain, "%s.%s", base, old ? "gamma" : "weight");
    snprintf(bias, sizeof bias, "%s.%s", base, old ? "beta" : "bias");
    return (out->gain = keep(self, gain, self->config->hidden, 0)) &&
           (out->bias = keep(self, bias, self->config->hidden, 0));
}

static bool take_dense(struct loader *self, const char *base, size_t outputs, size_t inputs,
                       float *weights, float *biases)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.weight", base);
    if (!copy(self, name, outputs, inputs, weights))
        return false;
    snprintf(name, sizeof name, "%s.bias", base);
    return copy(self, name, outputs, 0, biases);
}

static bool take_embeddings(struct loader *self)
{
    const struct encoder_config *config = self->config;
    struct parameters *out = self->out;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.weight", self->names->words);
    out->words = take(self, name, config->vocabulary, config->hidden);
    if (!out->words)
        return false;
    for (size_t row = 0; row < config->vocabulary; row++) {
        safetensors_row(out->words, row, config->hidden, self->weights);
        if (!are_finite(self, name, self->weights, config->hidden))
            return false;
    }
    float *places = self->next;
    snprintf(name, sizeof name, "%s.weight", self->names->positions);
    if (!(out->places = keep(self, name, config->positions, config->hidden)))
        return false;
    if (config->types > 0) {
        snprintf(name, sizeof name, "%s.weight", self->names->types);
        const struct safetensors_tensor *types = take(self, name, config->types, config->hidden);
        if (!types)
            return false;
        safetensors_row(types, 0, config->hidden, self->weights);
        if (!are_finite(self, name, self->weights, config->hidden))
            return false;
        for (size_t i = 0; i < config->positions * config->hidden; i++)
            places[i] += self->weights[i % config->hidden];
    }
    return take_norm(self, self->names->norm, &out->norm);
}

static bool pack(struct loader *self, enum parameters_product product,
                 struct parameters_layer *layer)
{
    layer->products[product] =
        matmul_pack(self->out->shapes[product], self->weights, self->biases, self->err);
    return layer->products[product] != NULL;
}

/* Rows of one head after another, each head padded with rows of zeros. Moves from the last on, so
 * it works in place. */
static void pad_heads(const struct encoder_config *config, size_t padded, float *weights,
                      float *biases)
{
    size_t width = config->hidden / config->heads, inputs = config->hidden;
    for (size_t head = config->heads; head-- > 0;) {
        float *to = weights + head * padded * inputs;
        memmove(to, weights + head * width * inputs, width * inputs * sizeof *to);
        memset(to + width * inputs, 0, (padded - width) * inputs * sizeof *to);
        memmove(biases + head * padded, biases + head * width, width * sizeof *biases);
        memset(biases + head * padded + width, 0, (padded - width) * sizeof *biases);
    }
}

static bool take_qkv(struct loader *self, const char *prefix, struct parameters_layer *layer)
{
    const struct encoder_config *config = self->config;
    const char *const parts[] = {self->names->query, self->names->key, self->names->value};
    size_t outputs = config->heads * self->out->head_width;
    for (size_t i = 0; i < 3; i++) {
        char base[NAME_BYTES];
        snprintf(base, sizeof base, "%.90s%s", prefix, parts[i]);
        float *weights = self->weights + i * outputs * config->hidden;
        float *biases = self->biases + i * outputs;
        if (!take_dense(self, base, config->hidden, config->hidden, weights, biases))
            return false;
        pad_heads(config, self->out->head_width, weights, biases);
    }
    return pack(self, PARAMETERS_QKV, layer);
}

/* Its inputs are the heads' outputs, padded columns and all. */
static bool take_attended(struct loader *self, const char *prefix, struct parameters_layer *layer)
{
    const struct encoder_config *config = self->config;
    size_t width = config->hidden / config->heads, padded = self->out->head_width;
    char base[NAME_BYTES];
    snprintf(base, sizeof base, "%.90s%s", prefix, self->names->attended);
    if (!take_dense(self, base, config->hidden, config->hidden, self->weights, self->biases))
        return false;
    for (size_t head = config->hidden * config->heads; head-- > 0;) {
        float *to = self->weights + head * padded;
        memmove(to, self->weights + head * width, width * sizeof *to);
        memset(to + width, 0, (padded - width) * sizeof *to);
    }
    return pack(self, PARAMETERS_ATTENDED, layer);
}

static bool take_dense_layer(struct loader *self, const char *prefix, const char *name,
                             enum parameters_product product, size_t outputs, size_t inputs,
                             struct parameters_layer *layer)
{
    char base[NAME_BYTES];
    snprintf(base, sizeof base, "%.90s%s", prefix, name);
    return take_dense(self, base, outputs, inputs, self->weights, self->biases) &&
           pack(self, product, layer);
}

static bool take_layer(struct loader *self, size_t index)
{
    const struct naming *names = self->names;
    const struct encoder_config *config = self->config;
    struct parameters_layer *layer = &self->out->layers[index];
    char prefix[64], norm[NAME_BYTES];
    snprintf(prefix, sizeof prefix, "%s.%zu.", names->layer, index);
    if (!take_qkv(self, prefix, layer) || !take_attended(self, prefix, layer) ||
        !take_dense_layer(self, prefix, names->inner, PARAMETERS_INNER, config->inner,
                          config->hidden, layer) ||
        !take_dense_layer(self, prefix, names->outer, PARAMETERS_OUTER, config->hidden,
                          config->inner, layer))
        return false;
    snprintf(norm, sizeof norm, "%s%s", prefix, names->attention_norm);
    if (!take_norm(self, norm, &layer->attention_norm))
        return false;
    snprintf(norm, sizeof norm, "%s%s", prefix, names->output_norm);
    return take_norm(self, norm, &layer->output_norm);
}

static bool take_head(struct loader *self)
{
    const struct encoder_config *config = self->config;
    struct parameters *out = self->out;
    if (!take_dense(self, self->names->head, config->hidden, config->hidden, self->weights,
                    self->biases) ||
        !(out->head = matmul_pack(out->head_shape, self->weights, self->biases, self->err)))
        return false;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.weight", self->names->classifier);
    if (!(out->classifier = keep(self, name, config->labels, config->hidden)))
        return false;
    snprintf(name, sizeof name, "%s.bias", self->names->classifier);
    return (out->classifier_bias = keep(self, name, config->labels, 0)) != NULL;
}

static bool may_be_ignored(const struct naming *names, const char *tensor)
{
    for (size_t i = 0; i < IGNORED_MOST && names->ignored[i]; i++)
        if (strncmp(tensor, names->ignored[i], strlen(names->ignored[i])) == 0)
            return true;
    return false;
}

/* A tensor that the architecture does not have means that it is another one. */
static bool check_extra(const struct loader *self)
{
    for (size_t i = 0; i < safetensors_count(self->file); i++) {
        const char *name = safetensors_at(self->file, i)->name;
        if (!self->used[i] && !may_be_ignored(self->names, name))
            return leat_fail(self->err, "tensor %.200s: expected none of this name", name);
    }
    return true;
}

static bool open_shapes(struct loader *self, enum encoder_precision precision)
{
    static const enum matmul_activation activations[] = {
        [ENCODER_GELU] = MATMUL_GELU,
        [ENCODER_GELU_TANH] = MATMUL_GELU_TANH,
        [ENCODER_RELU] = MATMUL_RELU,
    };
    const struct encoder_config *config = self->config;
    size_t hidden = config->hidden, attended = config->heads * self->out->head_width;
    const struct matmul_shape shapes[PARAMETERS_PRODUCTS] = {
        [PARAMETERS_QKV] = {hidden, 3 * attended, precision, MATMUL_LINEAR},
        [PARAMETERS_ATTENDED] = {attended, hidden, precision, MATMUL_LINEAR},
        [PARAMETERS_INNER] = {hidden, config->inner, precision, activations[config->activation]},
        [PARAMETERS_OUTER] = {config->inner, hidden, precision, MATMUL_LINEAR},
    };
    for (int i = 0; i < PARAMETERS_PRODUCTS; i++)
        if (!(self->out->shapes[i] = matmul_open(self->engine, &shapes[i], self->err)))
            return false;
    struct matmul_shape head = {hidden, hidden, ENCODER_F32,
                                config->architecture == ENCODER_DISTILBERT ? MATMUL_RELU
                                                                           : MATMUL_TANH};
    return (self->out->head_shape = matmul_open(self->engine, &head, self->err)) != NULL;
}

/* Room for what is kept as floats, and for the largest product on its way. */
static bool make_room(struct loader *self)
{
    const struct encoder_config *config = self->config;
    size_t hidden = config->hidden, attended = config->heads * self->out->head_width;
    size_t kept =
        hidden * (config->positions + 2 + 4 * config->layers + config->labels) + config->labels;
    size_t largest = 3 * attended > config->inner ? 3 * attended : config->inner;
    self->out->floats = self->next = malloc(kept * sizeof(float));
    self->out->layers = calloc(config->layers, sizeof *self->out->layers);
    self->weights = malloc(largest * hidden * sizeof(float));
    self->biases = malloc((largest > hidden ? largest : hidden) * sizeof(float));
    self->used = calloc(safetensors_count(self->file) + 1, sizeof *self->used);
    return (self->out->floats && self->out->layers && self->weights && self->biases &&
            self->used) ||
           leat_fail(self->err, "out of memory");
}

bool parameters_open(struct parameters *self, const struct matmul_engine *engine,
                     const struct encoder_config *config, const struct safetensors *file,
                     enum encoder_precision precision, struct leat_error *err)
{
    size_t width = config->hidden / config->heads;
    *self = (struct parameters){.head_width = (width + 15) / 16 * 16};
    struct loader loader = {.out = self,
                            .engine = engine,
                            .config = config,
                            .file = file,
                            .names = &namings[config->architecture],
                            .err = err};
    bool good = make_room(&loader) && open_shapes(&loader, precision) && take_embeddings(&loader);
    for (size_t i = 0; good && i < config->layers; i++) {
        good = take_layer(&loader, i);
        safetensors_forget_pages(file); /* packed by now: never two copies of all of it */
    }
    good = good && take_head(&loader) && check_extra(&loader);
    free(loader.weights);
    free(loader.biases);
    free(loader.used);
    if (!good)
        parameters_close(self, config);
    return good;
}

void parameters_close(struct parameters *self, const struct encoder_config *config)
{
    for (size_t i = 0; self->layers && i < config->layers; i++)
        for (int p = 0; p < PARAMETERS_PRODUCTS; p++)
            matmul_weights_close(&self->layers[i].products[p]);
    for (int p = 0; p < PARAMETERS_PRODUCTS; p++)
        matmul_close(&self->shapes[p]);
    matmul_weights_close(&self->head);
    matmul_close(&self->head_shape);
    free(self->layers);
    free(self->floats);
    *self = (struct parameters){0};
}
