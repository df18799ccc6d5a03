#include "services/classify/train.h"
#include "services/classify/examples.h"
#include "services/classify/linear.h"
#include "services/classify/linear_file.h"
#include "services/classify/logistic.h"
#include "services/classify/quality.h"
#include "services/classify/tuning.h"
#include "services/classify/vectors.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUTS_MOST = CARD_LABELS_MOST + SENTIMENT_COUNT, WEIGHT_MOST = 127 };

/* A threshold is a probability with six decimals that is neither 0 nor 1. */
#define THRESHOLD_LEAST 1e-6

struct train_options train_defaults(void)
{
    return (struct train_options){
        .name = "linear",
        .version = "1",
        .description = "Emotions and sentiment of short texts.",
        .language = "en",
        .data_name = "not named",
        .data_source = "not named",
        .data_license = "not named",
        .c = 0.25,
        .sentiment_c = 0.25,
        .balance = 1,
        .word_bits = 16,
        .gram_bits = 16,
        .read_bytes = 4096,
        .folds = 5,
        .threads = 2,
    };
}

/* All that a training holds; freed in one place. */
struct train {
    const struct train_options *options;
    struct features_shape shape;
    size_t width, outputs;
    struct card card;
    struct examples data;
    struct vectors vectors;
    uint64_t *bits;                  /* by text: its labels, and above them its sentiment */
    uint8_t *idf[FEATURES_FAMILIES]; /* a table of codes each */
    float *weights;                  /* [output][width] */
    float *held_out;                 /* [output][text] */
    struct tuning_line lines[OUTPUTS_MOST];
    float *floats; /* as in the model file: bias, scales */
    int8_t *rows[FEATURES_FAMILIES];
    struct timespec began;
};

static bool check_options(const struct train_options *o, struct leat_error *err)
{
    if (!o->data_path || !o->labels_path || !o->model_path || !o->card_path)
        return leat_fail(err, "training needs texts, labels, and where to write model and card");
    if (!(o->c > 0 && o->c <= 1e6) || !(o->sentiment_c > 0 && o->sentiment_c <= 1e6))
        return leat_fail(err, "C: expected a number above 0 and at most a million");
    if (!(o->balance >= 0 && o->balance <= 1))
        return leat_fail(err, "balance: expected a number from 0 to 1");
    if (o->folds < TRAIN_FOLDS_LEAST || o->folds > TRAIN_FOLDS_MOST)
        return leat_fail(err, "folds: expected %d to %d", TRAIN_FOLDS_LEAST, TRAIN_FOLDS_MOST);
    if (o->threads < 1 || o->threads > TRAIN_THREADS_MOST)
        return leat_fail(err, "threads: expected 1 to %d", TRAIN_THREADS_MOST);
    return true;
}

static bool read_input(struct train *t, struct leat_error *err)
{
    const struct train_options *o = t->options;
    if (!examples_read_labels(o->labels_path, o->map_path, &t->card, err) ||
        !examples_read(o->data_path, t->card.label_count, &t->data, err))
        return false;
    if (t->data.count < o->folds)
        return leat_fail(err, "%s: expected at least %u texts, found %zu", o->data_path, o->folds,
                         t->data.count);
    t->outputs = t->card.label_count + SENTIMENT_COUNT;
    t->card.data_texts = (unsigned)t->data.count;
    for (size_t i = 0; i < t->data.count; i++)
        for (unsigned l = 0; l < t->card.label_count; l++)
            t->card.labels[l].texts += (unsigned)(t->data.items[i].labels >> l & 1);
    for (unsigned l = 0; l < t->card.label_count; l++)
        if (t->card.labels[l].texts < o->folds)
            return leat_fail(
                err, "%s: texts with the label %s: expected at least %u, one a fold, found %u",
                o->data_path, t->card.labels[l].name, o->folds, t->card.labels[l].texts);
    return true;
}

static bool take_memory(struct train *t, struct leat_error *err)
{
    size_t stride = linear_file_stride(t->card.label_count);
    bool good = true;
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        size_t rows = (size_t)1 << t->shape.bits[f];
        t->idf[f] = malloc(rows);
        t->rows[f] = calloc(rows, stride);
        good = good && t->idf[f] && t->rows[f];
    }
    t->bits = malloc(t->data.count * sizeof *t->bits);
    t->weights = malloc(t->outputs * t->width * sizeof *t->weights);
    t->held_out = malloc(t->outputs * t->data.count * sizeof *t->held_out);
    t->floats = malloc(t->outputs * (1 + FEATURES_FAMILIES) * sizeof *t->floats);
    good = good && t->bits && t->weights && t->held_out && t->floats;
    return good ? true : leat_fail(err, "out of memory for training");
}

static void tell(void *context, size_t done, size_t all)
{
    const struct train *t = context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct train_progress progress = {.done = done, .all = all, .left = -1};
    progress.seconds =
        (double)(now.tv_sec - t->began.tv_sec) + (double)(now.tv_nsec - t->began.tv_nsec) / 1e9;
    if (done > 0)
        progress.left = progress.seconds / (double)done * (double)(all - done);
    if (t->options->progress)
        t->options->progress(t->options->context, &progress);
}

/* All outputs, each once for every fold and once for good. */
static bool fit(struct train *t, struct leat_error *err)
{
    const struct train_options *o = t->options;
    size_t count = t->outputs * (o->folds + 1);
    struct logistic_task *tasks = malloc(count * sizeof *tasks);
    if (!tasks)
        return leat_fail(err, "out of memory for training");
    for (size_t i = 0; i < count; i++) {
        size_t output = i / (o->folds + 1);
        bool label = output < t->card.label_count;
        unsigned fold = (unsigned)(i % (o->folds + 1));
        bool whole = fold == o->folds;
        tasks[i] = (struct logistic_task){
            .mask = UINT64_C(1) << output,
            .c = label ? o->c : o->sentiment_c,
            .balance = label ? o->balance : 0,
            .fold = fold,
            .weights = whole ? t->weights + output * t->width : NULL,
            .held_out = whole ? NULL : t->held_out + output * t->data.count,
        };
    }
    struct logistic logistic = {.vectors = &t->vectors,
                                .bits = t->bits,
                                .width = t->width,
                                .folds = o->folds,
                                .threads = o->threads};
    clock_gettime(CLOCK_MONOTONIC, &t->began);
    bool good = logistic_run(&logistic, tasks, count, tell, t, err);
    free(tasks);
    return good;
}

static float probability(struct tuning_line line, float score)
{
    return (float)(1 / (1 + exp(-(line.slope * (double)score + line.offset))));
}

/* Calibrates every output: held-out scores become probabilities. Finds the labels' thresholds. */
static bool tune(struct train *t, struct leat_error *err)
{
    float threshold[CARD_LABELS_MOST];
    uint8_t group[CARD_LABELS_MOST];
    for (size_t output = 0; output < t->outputs; output++) {
        float *score = t->held_out + output * t->data.count;
        struct tuning_scores scores = {score, t->bits, UINT64_C(1) << output, t->data.count};
        t->lines[output] = tuning_calibrate(&scores);
        if (output < t->card.label_count) {
            float cut;
            if (!tuning_threshold(&scores, &cut, err))
                return false;
            threshold[output] = probability(t->lines[output], cut);
            group[output] = t->card.labels[output].emotion;
        }
        for (size_t i = 0; i < t->data.count; i++)
            score[i] = probability(t->lines[output], score[i]);
    }
    const struct tuning_groups groups = {t->held_out,         t->bits,      t->data.count, group,
                                         t->card.label_count, EMOTION_COUNT};
    if (!tuning_refine(&groups, threshold, err))
        return false;
    for (unsigned l = 0; l < t->card.label_count; l++) {
        double p = fmin(fmax((double)threshold[l], THRESHOLD_LEAST), 1 - THRESHOLD_LEAST);
        t->card.labels[l].threshold = (float)(rint(p * 1e6) / 1e6);
    }
    return true;
}

/* Rounds one output's weights for one table to bytes, and returns what a byte is worth. */
static float quantise(const float *weights, size_t count, int8_t *column, size_t stride)
{
    float most = 0;
    for (size_t row = 0; row < count; row++)
        most = fmaxf(most, fabsf(weights[row]));
    float scale = most / WEIGHT_MOST;
    for (size_t row = 0; row < count; row++)
        column[row * stride] = scale > 0 ? (int8_t)lrintf(weights[row] / scale) : 0;
    return scale;
}

static void assemble(struct train *t)
{
    size_t stride = linear_file_stride(t->card.label_count);
    for (size_t output = 0; output < t->outputs; output++) {
        const float *weights = t->weights + output * t->width;
        struct tuning_line line = t->lines[output];
        t->floats[output] = (float)(line.slope * (double)weights[t->width - 1] + line.offset);
        for (size_t f = 0; f < FEATURES_FAMILIES; f++) {
            size_t rows = (size_t)1 << t->shape.bits[f];
            float scale = quantise(weights, rows, t->rows[f] + output, stride);
            t->floats[(f + 1) * t->outputs + output] = (float)(line.slope * (double)scale);
            weights += rows;
        }
    }
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        for (size_t row = 0; row < (size_t)1 << t->shape.bits[f]; row++)
            t->rows[f][row * stride + stride - 1] = (int8_t)t->idf[f][row];
}

static void describe(struct train *t, const struct linear_head *head)
{
    const struct train_options *o = t->options;
    struct card *card = &t->card;
    snprintf(card->name, sizeof card->name, "%s", o->name);
    snprintf(card->version, sizeof card->version, "%s", o->version);
    snprintf(card->description, sizeof card->description, "%s", o->description);
    snprintf(card->language, sizeof card->language, "%s", o->language);
    snprintf(card->data_name, sizeof card->data_name, "%s", o->data_name);
    snprintf(card->data_source, sizeof card->data_source, "%s", o->data_source);
    snprintf(card->data_license, sizeof card->data_license, "%s", o->data_license);
    snprintf(card->recipe, sizeof card->recipe,
             "case-folded words and pairs of words (2^%u rows) and character 2-5-grams inside "
             "words (2^%u rows), hashed; sublinear tf, idf, L2 norm per family; one "
             "L2-regularised logistic regression per label (liblinear, C %g, class balance %g, "
             "columns scaled by log-count ratio) and three for sentiment (C %g); calibrated and "
             "thresholds chosen on %u-fold held-out scores; 8-bit weights; reads %zu bytes",
             o->word_bits, o->gram_bits, o->c, o->balance, o->sentiment_c, o->folds, o->read_bytes);
    linear_file_hash(head, card->model_hash);
}

/* Measures the finished files on the dev texts, or, without them, the held-out probabilities. */
static bool judge(struct train *t, const char *model_path, const char *card_path,
                  struct leat_error *err)
{
    const struct train_options *o = t->options;
    struct card_quality *quality = &t->card.quality;
    if (!o->dev_path) {
        snprintf(quality->on, sizeof quality->on,
                 "the training texts, each scored by regressions that did not see it (%u folds)",
                 o->folds);
        quality_of_probabilities(t->held_out, t->bits, t->data.count, &t->card);
        return true;
    }
    snprintf(quality->on, sizeof quality->on, "dev texts, not seen in training or tuning");
    struct examples dev;
    if (!examples_read(o->dev_path, t->card.label_count, &dev, err))
        return false;
    struct linear *model = linear_open(model_path, card_path, err);
    bool good = model && quality_of_model(model, &dev, &t->card, err);
    linear_close(&model);
    examples_close(&dev);
    return good;
}

static bool write_files(struct train *t, const char *model_path, const char *card_path,
                        struct leat_error *err)
{
    const struct train_options *o = t->options;
    struct linear_head head = {.read_bytes = (uint32_t)o->read_bytes,
                               .labels = t->card.label_count,
                               .bits = {o->word_bits, o->gram_bits}};
    const int8_t *rows[FEATURES_FAMILIES] = {t->rows[FEATURES_WORDS], t->rows[FEATURES_GRAMS]};
    if (!linear_file_write(model_path, &head, t->floats, rows, err))
        return false;
    describe(t, &head);
    /* Once to be loaded and measured, once with what was measured. */
    snprintf(t->card.quality.on, sizeof t->card.quality.on, "not measured");
    return card_write(card_path, &t->card, err) && judge(t, model_path, card_path, err) &&
           card_write(card_path, &t->card, err);
}

static bool replace(const char *from, const char *to, struct leat_error *err)
{
    return rename(from, to) == 0 ? true : leat_fail(err, "%s: %s", to, strerror(errno));
}

static bool publish(struct train *t, struct leat_error *err)
{
    const struct train_options *o = t->options;
    char model[4096], card[4096];
    int m = snprintf(model, sizeof model, "%s.%d.tmp", o->model_path, (int)getpid());
    int c = snprintf(card, sizeof card, "%s.%d.tmp", o->card_path, (int)getpid());
    if (m >= (int)sizeof model || c >= (int)sizeof card)
        return leat_fail(err, "the path of model or card is too long");
    bool good = write_files(t, model, card, err) && replace(model, o->model_path, err) &&
                replace(card, o->card_path, err);
    if (!good) {
        unlink(model);
        unlink(card);
    }
    return good;
}

static void train_free(struct train *t)
{
    examples_close(&t->data);
    vectors_close(&t->vectors);
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        free(t->idf[f]);
        free(t->rows[f]);
    }
    free(t->bits);
    free(t->weights);
    free(t->held_out);
    free(t->floats);
    free(t);
}

bool train_run(const struct train_options *options, struct leat_error *err)
{
    if (!check_options(options, err))
        return false;
    struct train *t = calloc(1, sizeof *t);
    if (!t)
        return leat_fail(err, "out of memory for training");
    t->options = options;
    t->shape = (struct features_shape){.bits = {options->word_bits, options->gram_bits},
                                       .read_bytes = options->read_bytes};
    bool good = features_check(&t->shape, err) && read_input(t, err);
    t->width = good ? vectors_width(&t->shape) : 0;
    good = good && take_memory(t, err) && vectors_idf(&t->data, &t->shape, t->idf, err) &&
           vectors_build(&t->data, &t->shape, t->idf, &t->vectors, err);
    for (size_t i = 0; good && i < t->data.count; i++)
        t->bits[i] = quality_bits(t->data.items[i].labels, &t->card);
    good = good && fit(t, err) && tune(t, err);
    if (good)
        assemble(t);
    good = good && publish(t, err);
    train_free(t);
    return good;
}
