/* The encoder against what PyTorch made of the same checkpoints (tests/encoder/make_fixtures), and
 * against folders that are not what they should be.
 *
 * ENCODER_FOLDERS=DIR:DIR ... also checks those, e.g. of real size. */
#include "services/classify/encoder/batcher.h"
#include "services/classify/encoder/checkpoint.h"
#include "services/classify/encoder/team.h"
#include "tests/unit/arrays.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA "tests/data/encoder/"

static const char *const fixtures[] = {DATA "bert",        DATA "distilbert", DATA "roberta",
                                       DATA "xlm-roberta", DATA "bert-tanh",  NULL};

/* Texts with what the reference made of them, and room for what we make of them. */
struct expected {
    size_t n, labels, hidden;
    struct forward_text *texts;
    int32_t *ids;
    float *logits, *embeddings; /* ours */
    float *want_logits, *want_embeddings;
};

static void read_floats(const json_t *array, size_t n, float *out)
{
    assert_int_equal(json_array_size(array), n);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)json_number_value(json_array_get(array, i));
}

static void expected_open(struct expected *self, const char *folder,
                          const struct encoder_config *config)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/expected.json", folder);
    json_error_t where;
    json_t *root = json_load_file(path, 0, &where);
    assert_non_null(root);
    size_t tokens = 0, at = 0;
    *self = (struct expected){
        .n = json_array_size(root), .labels = config->labels, .hidden = config->hidden};
    for (size_t i = 0; i < self->n; i++)
        tokens += json_array_size(json_object_get(json_array_get(root, i), "ids"));
    self->texts = arrays_make(self->n, sizeof *self->texts);
    self->ids = arrays_make(tokens, sizeof *self->ids);
    self->logits = arrays_make(self->n * self->labels, sizeof(float));
    self->want_logits = arrays_make(self->n * self->labels, sizeof(float));
    self->embeddings = arrays_make(self->n * self->hidden, sizeof(float));
    self->want_embeddings = arrays_make(self->n * self->hidden, sizeof(float));
    for (size_t i = 0; i < self->n; i++) {
        const json_t *text = json_array_get(root, i);
        const json_t *ids = json_object_get(text, "ids");
        self->texts[i] = (struct forward_text){
            .ids = self->ids + at,
            .length = json_array_size(ids),
            .logits = self->logits + i * self->labels,
            .embedding = self->embeddings + i * self->hidden,
        };
        for (size_t k = 0; k < self->texts[i].length; k++)
            self->ids[at++] = (int32_t)json_integer_value(json_array_get(ids, k));
        read_floats(json_object_get(text, "logits"), self->labels,
                    self->want_logits + i * self->labels);
        read_floats(json_object_get(text, "embedding"), self->hidden,
                    self->want_embeddings + i * self->hidden);
    }
    json_decref(root);
}

static void expected_close(struct expected *self)
{
    free(self->texts);
    free(self->ids);
    free(self->logits);
    free(self->want_logits);
    free(self->embeddings);
    free(self->want_embeddings);
}

static size_t top(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

static double agreement(const struct expected *self)
{
    size_t same = 0;
    for (size_t i = 0; i < self->n; i++)
        same += top(self->logits + i * self->labels, self->labels) ==
                top(self->want_logits + i * self->labels, self->labels);
    return (double)same / (double)self->n;
}

static struct checkpoint *open_checkpoint(const char *folder, enum encoder_precision precision)
{
    struct leat_error err;
    struct checkpoint *checkpoint = checkpoint_open(folder, precision, &err);
    if (!checkpoint)
        fail_msg("%s", err.text);
    return checkpoint;
}

static void run(const struct checkpoint *checkpoint, unsigned threads, size_t budget,
                struct expected *expected)
{
    struct leat_error err = {""};
    struct batcher *batcher = batcher_open(checkpoint_model(checkpoint), threads, budget, &err);
    if (!batcher)
        fail_msg("%s", err.text);
    if (!batcher_run(batcher, expected->texts, expected->n, &err))
        fail_msg("%s", err.text);
    batcher_close(&batcher);
}

/* How far logits and embeddings are from the reference's. */
static void measure(const char *folder, enum encoder_precision precision, unsigned threads,
                    size_t budget, double *logits, double *embeddings, double *same)
{
    struct checkpoint *checkpoint = open_checkpoint(folder, precision);
    struct expected expected;
    expected_open(&expected, folder, &checkpoint_model(checkpoint)->config);
    run(checkpoint, threads, budget, &expected);
    *logits =
        arrays_difference(expected.logits, expected.want_logits, expected.n * expected.labels);
    *embeddings = arrays_difference(expected.embeddings, expected.want_embeddings,
                                    expected.n * expected.hidden);
    *same = agreement(&expected);
    expected_close(&expected);
    checkpoint_close(&checkpoint);
}

static void every_architecture_gives_what_the_reference_gives_at_every_length(void **state)
{
    (void)state;
    for (size_t i = 0; fixtures[i]; i++) {
        double logits, embeddings, same;
        measure(fixtures[i], ENCODER_F32, 1, 64, &logits, &embeddings, &same);
        if (!(logits <= 1e-4) || !(embeddings <= 1e-4))
            fail_msg("%s: logits differ by %g, embeddings by %g", fixtures[i], logits, embeddings);
    }
}

static void any_batching_on_any_number_of_threads_gives_the_same(void **state)
{
    (void)state;
    static const size_t budgets[] = {1, 17, 100, 5000};
    for (size_t i = 0; fixtures[i]; i++)
        for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
            double logits, embeddings, same;
            measure(fixtures[i], ENCODER_F32, 1 + (unsigned)b, budgets[b], &logits, &embeddings,
                    &same);
            if (!(logits <= 1e-4) || !(embeddings <= 1e-4))
                fail_msg("%s with %zu tokens: logits differ by %g, embeddings by %g", fixtures[i],
                         budgets[b], logits, embeddings);
        }
}

static void less_precision_changes_little(void **state)
{
    (void)state;
    enum encoder_precision int8;
    bool bytes = encoder_precision_choose("int8", &int8, NULL);
    for (size_t i = 0; fixtures[i]; i++) {
        double logits, embeddings, same;
        measure(fixtures[i], ENCODER_BF16, 2, 64, &logits, &embeddings, &same);
        if (!(logits <= 0.1) || !(embeddings <= 0.03))
            fail_msg("%s in bf16: logits differ by %g, embeddings by %g", fixtures[i], logits,
                     embeddings);
        measure(fixtures[i], ENCODER_INT16, 2, 64, &logits, &embeddings, &same);
        if (!(logits <= 0.003) || !(embeddings <= 0.001))
            fail_msg("%s in int16: logits differ by %g, embeddings by %g", fixtures[i], logits,
                     embeddings);
        if (!bytes)
            continue;
        measure(fixtures[i], ENCODER_INT8, 2, 64, &logits, &embeddings, &same);
        if (!(logits <= 0.2) || !(embeddings <= 0.05))
            fail_msg("%s in int8: logits differ by %g, embeddings by %g", fixtures[i], logits,
                     embeddings);
    }
}

/* Texts like those that the model was trained on (make_fixtures: speak). */
static void make_texts(struct expected *self, size_t n, size_t labels)
{
    enum { LONGEST = 28, WORDS = 200 };
    uint32_t random = 1;
    *self = (struct expected){.n = n, .labels = labels};
    self->texts = arrays_make(n, sizeof *self->texts);
    self->ids = arrays_make(n * (LONGEST + 2), sizeof *self->ids);
    self->logits = arrays_make(n * labels, sizeof(float));
    self->want_logits = arrays_make(n * labels, sizeof(float));
    for (size_t i = 0; i < n; i++) {
        int32_t *ids = self->ids + i * (LONGEST + 2);
        size_t words = 1 + i % LONGEST;
        self->texts[i] = (struct forward_text){
            .ids = ids, .length = words + 2, .logits = self->logits + i * labels};
        for (size_t k = 1; k <= words; k++) {
            random = random * 1664525 + 1013904223;
            float share = (float)(random >> 8) / (1 << 24);
            ids[k] = (int32_t)(WORDS * share * share);
        }
        ids[words + 1] = 1;
    }
}

static double agreement_in(enum encoder_precision precision, struct expected *expected)
{
    struct checkpoint *checkpoint = open_checkpoint(DATA "trained", precision);
    run(checkpoint, 2, 512, expected);
    checkpoint_close(&checkpoint);
    return agreement(expected);
}

static void less_precision_changes_few_labels_of_a_model_that_tells_texts_apart(void **state)
{
    (void)state;
    enum { TEXTS = 5600, LABELS = 7 };
    double logits, embeddings, same;
    measure(DATA "trained", ENCODER_F32, 1, 64, &logits, &embeddings, &same);
    assert_true(logits <= 1e-4 && embeddings <= 1e-4 && same == 1);
    struct expected expected;
    make_texts(&expected, TEXTS, LABELS);
    agreement_in(ENCODER_F32, &expected);
    memcpy(expected.want_logits, expected.logits, TEXTS * LABELS * sizeof(float));
    size_t seen[LABELS] = {0};
    for (size_t i = 0; i < TEXTS; i++)
        seen[top(expected.logits + i * LABELS, LABELS)]++;
    for (size_t label = 0; label < LABELS; label++)
        assert_true(seen[label] > TEXTS / LABELS / 4);
    enum encoder_precision int8;
    bool bytes = encoder_precision_choose("int8", &int8, NULL);
    double bf16 = agreement_in(ENCODER_BF16, &expected);
    double int16 = agreement_in(ENCODER_INT16, &expected);
    double eight = bytes ? agreement_in(ENCODER_INT8, &expected) : 1;
    print_message("same top label: bf16 %.4f, int16 %.4f, int8 %.4f\n", bf16, int16, eight);
    assert_true(bf16 >= 0.995 && int16 >= 0.995 && eight >= 0.98);
    expected_close(&expected);
}

/* Folders that are given: prints the figures, and holds f32 to its promise. */
static void folders_that_are_given_hold_too(void **state)
{
    (void)state;
    const char *given = getenv("ENCODER_FOLDERS");
    char *copy = strdup(given ? given : ""), *rest = NULL;
    for (char *folder = strtok_r(copy, ":", &rest); folder; folder = strtok_r(NULL, ":", &rest))
        for (int precision = ENCODER_F32; precision < ENCODER_PRECISIONS; precision++) {
            double logits, embeddings, same;
            measure(folder, (enum encoder_precision)precision, 2, 512, &logits, &embeddings, &same);
            print_message("%s %s: logits differ by %.2g, embeddings by %.2g, same top label %.4f\n",
                          folder, encoder_precision_name((enum encoder_precision)precision), logits,
                          embeddings, same);
            if (precision == ENCODER_F32)
                assert_true(logits <= 1e-4 && embeddings <= 1e-4);
        }
    free(copy);
}

/* A folder of its own with copies of a fixture's two files, to be broken. */
struct broken {
    char folder[64];
    char *config;
    size_t config_size;
    uint8_t *weights;
    size_t weights_size;
};

static void *read_file(const char *folder, const char *name, size_t *size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    char *out = arrays_make(1 << 20, 1);
    *size = fread(out, 1, (1 << 20) - 1, in);
    fclose(in);
    return out;
}

static void write_file(const char *folder, const char *name, const void *data, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, size, out), size);
    fclose(out);
}

static void broken_open(struct broken *self, const char *fixture)
{
    strcpy(self->folder, "/tmp/leat-test-encoder-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    self->config = read_file(fixture, "config.json", &self->config_size);
    self->weights = read_file(fixture, "model.safetensors", &self->weights_size);
}

static void broken_close(struct broken *self)
{
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", self->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", self->folder);
    unlink(path);
    rmdir(self->folder);
    free(self->config);
    free(self->weights);
}

/* The files as they are now are refused, and the reason says so. */
static void refused(const struct broken *self, const char *reason)
{
    struct leat_error err = {""};
    write_file(self->folder, "config.json", self->config, self->config_size);
    write_file(self->folder, "model.safetensors", self->weights, self->weights_size);
    struct checkpoint *checkpoint = checkpoint_open(self->folder, ENCODER_F32, &err);
    if (checkpoint)
        fail_msg("taken, though: %s", reason);
    if (!strstr(err.text, reason) || !strstr(err.text, self->folder))
        fail_msg("expected \"%s\" and the path in: %s", reason, err.text);
}

/* Replaces text in the configuration by text of any length, or in the header by as much. */
static void edit_config(struct broken *self, const char *from, const char *to)
{
    char *at = strstr(self->config, from);
    if (!at)
        fail_msg("no %s in the configuration", from);
    size_t rest = strlen(at + strlen(from)) + 1;
    memmove(at + strlen(to), at + strlen(from), rest);
    memcpy(at, to, strlen(to));
    self->config_size = strlen(self->config);
}

static void edit_header(struct broken *self, const char *from, const char *to)
{
    assert_int_equal(strlen(from), strlen(to));
    uint8_t *at = memmem(self->weights, self->weights_size, from, strlen(from));
    if (!at)
        fail_msg("no %s in the header", from);
    memcpy(at, to, strlen(to));
}

static void a_configuration_that_is_wrong_is_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *reason;
    } edits[] = {
        {"\"BertForSequenceClassification\"", "\"BertForMaskedLM\"", "architectures[0]"},
        {"\"model_type\": \"bert\"", "\"model_type\": \"roberta\"",
         "model_type: expected \"bert\""},
        {"\"hidden_size\": 36", "\"hidden_size\": \"36\"", "hidden_size: expected a whole number"},
        {"\"hidden_size\": 36", "\"hidden_size\": 37", "hidden_size: expected a multiple of"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": -1", "num_hidden_layers"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
         "tensor bert.encoder.layer.2.attention.self.query.weight is missing"},
        {"\"vocab_size\": 90", "\"vocab_size\": 91",
         "tensor bert.embeddings.word_embeddings.weight: expected the shape [91, 36]"},
        {"\"hidden_act\": \"gelu\"", "\"hidden_act\": \"silu\"",
         "hidden_act: expected one of gelu"},
        {"\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 7", "layer_norm_eps"},
        {"\"0\": \"negative\"", "\"9\": \"negative\"", "id2label.0"},
        {"\"1\": \"neutral\"", "\"1\": \"negative\"", "id2label.1: expected another name"},
        {"\"pad_token_id\": 0", "\"problem_type\": \"regression\"", "problem_type"},
        {"\"pad_token_id\": 0", "\"position_embedding_type\": \"relative_key\"",
         "position_embedding_type"},
        {"{", "[", "line 2"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct broken broken;
        broken_open(&broken, DATA "bert");
        edit_config(&broken, edits[i].from, edits[i].to);
        refused(&broken, edits[i].reason);
        broken_close(&broken);
    }
}

static void tensors_that_are_wrong_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *reason;
    } edits[] = {
        {"layer.1.intermediate.dense.weight", "layer.1.intermediate.dense.wEight",
         "tensor bert.encoder.layer.1.intermediate.dense.weight is missing"},
        {"bert.embeddings.position_ids", "bert.embeddings.position_idz",
         "tensor bert.embeddings.position_idz: expected none of this name"},
        {"\"shape\":[72,36]", "\"shape\":[36,72]",
         "tensor bert.encoder.layer.0.intermediate.dense.weight: expected the shape [72, 36]"},
        {"\"dtype\":\"F32\",\"shape\":[90,36]", "\"dtype\":\"I32\",\"shape\":[90,36]",
         "tensor bert.embeddings.word_embeddings.weight: expected F32, F16 or BF16"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct broken broken;
        broken_open(&broken, DATA "bert");
        edit_header(&broken, edits[i].from, edits[i].to);
        refused(&broken, edits[i].reason);
        broken_close(&broken);
    }
}

static void numbers_that_are_none_are_refused_with_their_tensor(void **state)
{
    (void)state;
    static const char *const tensors[] = {
        "bert.embeddings.word_embeddings.weight",
        "bert.embeddings.token_type_embeddings.weight",
        "bert.encoder.layer.1.attention.self.key.weight",
        "bert.encoder.layer.0.output.LayerNorm.bias",
        "classifier.weight",
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        struct broken broken;
        char quoted[80], reason[120];
        uint64_t header;
        broken_open(&broken, DATA "bert");
        memcpy(&header, broken.weights, sizeof header);
        snprintf(quoted, sizeof quoted, "\"%s\"", tensors[i]);
        const char *at = memmem(broken.weights, 8 + header, quoted, strlen(quoted));
        assert_non_null(at);
        const char *offsets = strstr(at, "\"data_offsets\":[");
        assert_non_null(offsets);
        uint8_t *data = broken.weights + 8 + header + strtoull(strchr(offsets, '[') + 1, NULL, 10);
        memcpy(data, &(float){i % 2 ? INFINITY : NAN}, sizeof(float));
        snprintf(reason, sizeof reason, "tensor %s: expected finite numbers", tensors[i]);
        refused(&broken, reason);
        broken_close(&broken);
    }
}

static void a_hostile_header_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *reason;
    } edits[] = {
        {"\"dtype\":\"F32\"", "\"dtype\":\"X32\"", "dtype: expected one of"},
        {"\"shape\":[90,36]", "\"shape\":[90,37]", "data_offsets: expected 13320 bytes"},
        {"\"shape\":[36]", "\"shape\":[-6]", "shape: expected sizes"},
        {"\"data_offsets\":[0,12960]", "\"data_offsets\":[9,12960]",
         "data_offsets: expected 12960"},
        {"\"data_offsets\":[0,12960]", "\"data_offsets\":[12960,0]",
         "data_offsets: expected a begin"},
        {"{\"__metadata__\"", "[\"__metadata__\"", "header, byte"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct broken broken;
        broken_open(&broken, DATA "bert");
        edit_header(&broken, edits[i].from, edits[i].to);
        refused(&broken, edits[i].reason);
        broken_close(&broken);
    }
}

static void whatever_its_length_says_a_cut_file_is_refused(void **state)
{
    (void)state;
    struct broken broken;
    broken_open(&broken, DATA "bert-tanh");
    size_t whole = broken.weights_size;
    uint64_t length;
    memcpy(&length, broken.weights, sizeof length);
    for (size_t cut = 1; cut < 64; cut++) {
        broken.weights_size = whole - cut;
        refused(&broken, "data_offsets");
    }
    for (size_t size = 0; size < 32; size++) {
        broken.weights_size = size;
        refused(&broken, "expected");
    }
    broken.weights_size = whole;
    static const uint64_t lengths[] = {0, 1, 3, UINT64_MAX, UINT64_MAX - 7, 1ULL << 40};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(broken.weights, &lengths[i], sizeof lengths[i]);
        refused(&broken, "model.safetensors: ");
    }
    broken_close(&broken);
}

/* Any one byte of the header may be anything: never a crash, at worst other numbers. */
static void no_byte_of_a_header_can_crash_it(void **state)
{
    (void)state;
    struct broken broken;
    broken_open(&broken, DATA "bert-tanh");
    uint64_t length;
    memcpy(&length, broken.weights, sizeof length);
    write_file(broken.folder, "config.json", broken.config, broken.config_size);
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", broken.folder);
    uint32_t random = 7;
    for (size_t i = 0; i < 8 + length; i++) {
        uint8_t before = broken.weights[i];
        random = random * 1664525 + 1013904223;
        broken.weights[i] = (uint8_t)(random >> 24);
        write_file(broken.folder, "model.safetensors", broken.weights, broken.weights_size);
        struct leat_error err = {""};
        struct safetensors *file = safetensors_open(path, &err);
        assert_true(file || err.text[0]);
        safetensors_close(&file);
        broken.weights[i] = before;
    }
    broken_close(&broken);
}

static void count_in(void *context, unsigned worker)
{
    unsigned *counts = context;
    counts[worker]++;
}

static void a_team_does_every_job_once_on_each_thread(void **state)
{
    (void)state;
    struct leat_error err;
    unsigned counts[4] = {0};
    struct team *team = team_open(4, &err);
    assert_non_null(team);
    for (int i = 0; i < 1000; i++)
        team_run(team, count_in, counts);
    for (int i = 0; i < 4; i++)
        assert_int_equal(counts[i], 1000);
    team_close(&team);
    team_close(&team);
}

static void packs_keep_to_the_budget_and_are_well_filled(void **state)
{
    (void)state;
    struct checkpoint *checkpoint = open_checkpoint(DATA "bert", ENCODER_F32);
    struct expected expected;
    expected_open(&expected, DATA "bert", &checkpoint_model(checkpoint)->config);
    struct leat_error err = {""};
    struct batcher *batcher = batcher_open(checkpoint_model(checkpoint), 2, 128, &err);
    assert_non_null(batcher);
    assert_true(batcher_run(batcher, expected.texts, expected.n, &err));
    const struct batcher_stats *stats = batcher_stats(batcher);
    assert_int_equal(stats->texts, expected.n);
    assert_int_equal(stats->tokens, 40 * 41 / 2);
    assert_true(stats->rows >= stats->tokens && stats->rows <= stats->tokens + 16 * stats->packs);
    assert_true(stats->tokens <= stats->room && stats->tokens * 10 >= stats->room * 7);
    assert_true(batcher_run(batcher, expected.texts, 0, &err));
    batcher_close(&batcher);
    expected_close(&expected);
    checkpoint_close(&checkpoint);
}

static void a_precision_is_asked_for_by_name(void **state)
{
    (void)state;
    enum encoder_precision precision;
    struct leat_error err;
    assert_true(encoder_precision_choose("auto", &precision, &err));
    assert_true(encoder_precision_choose("bf16", &precision, &err));
    assert_true(precision == ENCODER_BF16 || precision == ENCODER_INT16);
    assert_true(encoder_precision_choose("int16", &precision, &err));
    assert_int_equal(precision, ENCODER_INT16);
    assert_false(encoder_precision_choose("fp8", &precision, &err));
    assert_non_null(strstr(err.text, "auto, f32, bf16, int16, int8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_gives_what_the_reference_gives_at_every_length),
        cmocka_unit_test(any_batching_on_any_number_of_threads_gives_the_same),
        cmocka_unit_test(less_precision_changes_little),
        cmocka_unit_test(less_precision_changes_few_labels_of_a_model_that_tells_texts_apart),
        cmocka_unit_test(folders_that_are_given_hold_too),
        cmocka_unit_test(a_configuration_that_is_wrong_is_refused_with_the_place),
        cmocka_unit_test(tensors_that_are_wrong_are_named),
        cmocka_unit_test(numbers_that_are_none_are_refused_with_their_tensor),
        cmocka_unit_test(a_hostile_header_is_refused),
        cmocka_unit_test(whatever_its_length_says_a_cut_file_is_refused),
        cmocka_unit_test(no_byte_of_a_header_can_crash_it),
        cmocka_unit_test(a_team_does_every_job_once_on_each_thread),
        cmocka_unit_test(packs_keep_to_the_budget_and_are_well_filled),
        cmocka_unit_test(a_precision_is_asked_for_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
