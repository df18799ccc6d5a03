#include "services/classify/encoder/config.h"

#include "services/classify/json_file.h"

#include <stdio.h>
#include <string.h>

/* Names of the same thing, and the defaults that the reference gives to what a file leaves out. */
struct dialect {
    const char *architecture, *model_type;
    enum encoder_architecture kind;
    const char *hidden, *layers, *heads, *inner, *activation;
    double epsilon;
    size_t types;
    bool counts_from_padding;
};

static const struct dialect dialects[] = {
    {"BertForSequenceClassification", "bert", ENCODER_BERT, "hidden_size", "num_hidden_layers",
     "num_attention_heads", "intermediate_size", "hidden_act", 1e-12, 2, false},
    {"DistilBertForSequenceClassification", "distilbert", ENCODER_DISTILBERT, "dim", "n_layers",
     "n_heads", "hidden_dim", "activation", 1e-12, 0, false},
    {"RobertaForSequenceClassification", "roberta", ENCODER_ROBERTA, "hidden_size",
     "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", 1e-12, 2, true},
    {"XLMRobertaForSequenceClassification", "xlm-roberta", ENCODER_ROBERTA, "hidden_size",
     "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", 1e-12, 2, true},
};

static const struct dialect *find_dialect(const json_t *root, struct leat_error *err)
{
    const json_t *list = json_object_get(root, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    const char *type = json_string_value(json_object_get(root, "model_type"));
    for (size_t i = 0; name && i < sizeof dialects / sizeof *dialects; i++) {
        if (strcmp(name, dialects[i].architecture) != 0)
            continue;
        if (type && strcmp(type, dialects[i].model_type) != 0) {
            leat_fail(err, "model_type: expected \"%s\", as architectures[0] is %s",
                      dialects[i].model_type, name);
            return NULL;
        }
        return &dialects[i];
    }
    leat_fail(err, "architectures[0]: expected one of BertForSequenceClassification, "
                   "DistilBertForSequenceClassification, RobertaForSequenceClassification, "
                   "XLMRobertaForSequenceClassification");
    return NULL;
}

/* A whole number from `least` to `most`. */
static bool read_size(const json_t *root, const char *key, size_t least, size_t most, size_t *out,
                      struct leat_error *err)
{
    const json_t *value = json_object_get(root, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < (json_int_t)least || number > (json_int_t)most)
        return leat_fail(err, "%s: expected a whole number from %zu to %zu", key, least, most);
    *out = (size_t)number;
    return true;
}

static bool has(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    return value && !json_is_null(value);
}

static bool read_sizes(const json_t *root, const struct dialect *dialect,
                       struct encoder_config *out, struct leat_error *err)
{
    if (!read_size(root, "vocab_size", 1, 1 << 24, &out->vocabulary, err) ||
        !read_size(root, dialect->hidden, 1, 1 << 14, &out->hidden, err) ||
        !read_size(root, dialect->layers, 1, 256, &out->layers, err) ||
        !read_size(root, dialect->heads, 1, 256, &out->heads, err) ||
        !read_size(root, dialect->inner, 1, 1 << 16, &out->inner, err) ||
        !read_size(root, "max_position_embeddings", 1, 1 << 16, &out->positions, err))
        return false;
    if (out->hidden % out->heads != 0)
        return leat_fail(err, "%s: expected a multiple of %s (%zu)", dialect->hidden,
                         dialect->heads, out->heads);
    out->types = dialect->types;
    if (dialect->types > 0 && has(root, "type_vocab_size") &&
        !read_size(root, "type_vocab_size", 1, 1024, &out->types, err))
        return false;
    if (dialect->counts_from_padding) {
        size_t padding = 1;
        if (has(root, "pad_token_id") &&
            !read_size(root, "pad_token_id", 0, out->vocabulary - 1, &padding, err))
            return false;
        out->first_position = padding + 1;
    }
    if (out->positions < out->first_position + 2)
        return leat_fail(err, "max_position_embeddings: expected at least %zu",
                         out->first_position + 2);
    out->max_tokens = out->positions - out->first_position;
    return true;
}

static bool read_activation(const json_t *root, const char *key, struct encoder_config *out,
                            struct leat_error *err)
{
    static const struct {
        const char *name;
        enum encoder_activation activation;
    } known[] = {
        {"gelu", ENCODER_GELU},
        {"gelu_new", ENCODER_GELU_TANH},
        {"gelu_pytorch_tanh", ENCODER_GELU_TANH},
        {"relu", ENCODER_RELU},
    };
    const char *name = has(root, key) ? json_string_value(json_object_get(root, key)) : "gelu";
    for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            out->activation = known[i].activation;
            return true;
        }
    return leat_fail(err, "%s: expected one of gelu, gelu_new, gelu_pytorch_tanh, relu", key);
}

static bool read_epsilon(const json_t *root, const struct dialect *dialect,
                         struct encoder_config *out, struct leat_error *err)
{
    out->epsilon = (float)dialect->epsilon;
    const json_t *value = json_object_get(root, "layer_norm_eps");
    if (dialect->kind == ENCODER_DISTILBERT || !value)
        return true; /* DistilBERT's is fixed */
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 0 && number <= 0.1))
        return leat_fail(err, "layer_norm_eps: expected a number from 0 to 0.1");
    out->epsilon = (float)number;
    return true;
}

/* Positions other than a table of them are another computation. */
static bool check_positions(const json_t *root, struct leat_error *err)
{
    const char *type = json_string_value(json_object_get(root, "position_embedding_type"));
    if (has(root, "position_embedding_type") && (!type || strcmp(type, "absolute") != 0))
        return leat_fail(err, "position_embedding_type: expected \"absolute\"");
    return true;
}

static bool read_label(const json_t *names, size_t label, struct encoder_config *out,
                       struct leat_error *err)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", label);
    const json_t *name = json_object_get(names, key);
    size_t size = json_string_length(name);
    if (!json_is_string(name) || size == 0 || size >= ENCODER_LABEL_BYTES)
        return leat_fail(err, "id2label.%s: expected a string of 1 to %d bytes", key,
                         ENCODER_LABEL_BYTES - 1);
    memcpy(out->label[label], json_string_value(name), size + 1);
    for (size_t other = 0; other < label; other++)
        if (strcmp(out->label[other], out->label[label]) == 0)
            return leat_fail(err, "id2label.%s: expected another name than that of id2label.%zu",
                             key, other);
    return true;
}

static bool read_labels(const json_t *root, struct encoder_config *out, struct leat_error *err)
{
    const json_t *names = json_object_get(root, "id2label");
    out->labels = 2; /* what the reference makes of a file that is silent */
    if (!has(root, "id2label")) {
        if (has(root, "num_labels") &&
            !read_size(root, "num_labels", 1, ENCODER_LABELS_MOST, &out->labels, err))
            return false;
        for (size_t i = 0; i < out->labels; i++)
            snprintf(out->label[i], ENCODER_LABEL_BYTES, "LABEL_%zu", i);
        return true;
    }
    out->labels = json_object_size(names);
    if (!json_is_object(names) || out->labels == 0 || out->labels > ENCODER_LABELS_MOST)
        return leat_fail(err, "id2label: expected an object with 1 to %d members",
                         ENCODER_LABELS_MOST);
    for (size_t i = 0; i < out->labels; i++)
        if (!read_label(names, i, out, err))
            return false;
    return true;
}

static bool read_problem(const json_t *root, struct encoder_config *out, struct leat_error *err)
{
    out->independent = out->labels == 1;
    if (!has(root, "problem_type"))
        return true;
    const char *type = json_string_value(json_object_get(root, "problem_type"));
    if (type && strcmp(type, "multi_label_classification") == 0)
        out->independent = true;
    else if (!type || strcmp(type, "single_label_classification") != 0)
        return leat_fail(err, "problem_type: expected single_label_classification or "
                              "multi_label_classification");
    return true;
}

static bool read_root(const json_t *root, struct encoder_config *out, struct leat_error *err)
{
    const struct dialect *dialect = find_dialect(root, err);
    if (!dialect)
        return false;
    out->architecture = dialect->kind;
    return read_sizes(root, dialect, out, err) &&
           read_activation(root, dialect->activation, out, err) &&
           read_epsilon(root, dialect, out, err) && check_positions(root, err) &&
           read_labels(root, out, err) && read_problem(root, out, err);
}

bool encoder_config_read(const char *path, struct encoder_config *out, struct leat_error *err)
{
    *out = (struct encoder_config){0};
    json_t *root = json_file_read(path, NULL, err);
    bool good = root && read_root(root, out, err);
    json_decref(root);
    return good ? true : leat_fail_in(err, "%s", path);
}
