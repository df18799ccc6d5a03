#include "services/classify/linear.h"
#include "services/classify/linear_file.h"
#include "services/classify/linear_kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct linear {
    struct linear_file file;
    struct card card;
    struct features_shape shape;
    float thresholds[CARD_LABELS_MOST];
    uint8_t emotions[CARD_LABELS_MOST];
    uint8_t tf[LINEAR_TF_CODES];
    linear_kernel *add;
};

struct linear_scratch {
    struct features *features;
    int16_t *x;
    size_t room;
};

/* The two files belong together when the card repeats the model file's checksum. */
static bool check_pair(const struct linear *self, const char *model_path, const char *card_path,
                       struct leat_error *err)
{
    char hash[CARD_HASH_BYTES];
    linear_file_hash(self->file.head, hash);
    if (strcmp(hash, self->card.model_hash) != 0)
        return leat_fail(err, "model card %s: model.hash: expected %s, the checksum of %s",
                         card_path, hash, model_path);
    if (self->card.label_count != self->file.head->labels)
        return leat_fail(err, "model card %s: labels: expected %u, as many as in %s, found %u",
                         card_path, self->file.head->labels, model_path, self->card.label_count);
    return true;
}

struct linear *linear_open(const char *model_path, const char *card_path, struct leat_error *err)
{
    struct linear *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory for a model");
        return NULL;
    }
    if (!linear_file_open(model_path, &self->file, err) ||
        !card_read(card_path, &self->card, err) || !check_pair(self, model_path, card_path, err)) {
        linear_close(&self);
        return NULL;
    }
    self->shape.read_bytes = self->file.head->read_bytes;
    memcpy(self->shape.bits, self->file.head->bits, sizeof self->file.head->bits);
    for (unsigned i = 0; i < self->card.label_count; i++) {
        self->thresholds[i] = self->card.labels[i].threshold;
        self->emotions[i] = self->card.labels[i].emotion;
    }
    linear_tf(self->tf);
    self->add = linear_kernel_choose();
    return self;
}

void linear_close(struct linear **self)
{
    if (!*self)
        return;
    linear_file_close(&(*self)->file);
    free(*self);
    *self = NULL;
}

struct linear_scratch *linear_scratch_open(const struct linear *self, struct leat_error *err)
{
    struct linear_scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch) {
        scratch->features = features_open(&self->shape, err);
        scratch->x = malloc(features_room(&self->shape) * sizeof *scratch->x);
        if (scratch->features && scratch->x)
            return scratch;
        linear_scratch_close(&scratch);
    }
    leat_fail(err, "out of memory for scoring");
    return NULL;
}

void linear_scratch_close(struct linear_scratch **scratch)
{
    if (!*scratch)
        return;
    features_close(&(*scratch)->features);
    free((*scratch)->x);
    free(*scratch);
    *scratch = NULL;
}

void linear_tf(uint8_t tf[LINEAR_TF_CODES])
{
    tf[0] = 0;
    for (int count = 1; count < LINEAR_TF_CODES; count++)
        tf[count] = (uint8_t)lrint((1 + log(count)) * 16);
}

void linear_vector(const struct features_list *list, const uint8_t *idf, size_t step,
                   const uint8_t tf[LINEAR_TF_CODES], int16_t *x)
{
    uint64_t squares = 0;
    for (size_t i = 0; i < list->size; i++) {
        uint32_t count = list->items[i].count;
        uint32_t code = tf[count < LINEAR_TF_CODES ? count : LINEAR_TF_CODES - 1];
        uint32_t value = code * idf[list->items[i].row * step]; /* at most 105 * 255 */
        x[i] = (int16_t)value;
        squares += (uint64_t)value * value;
    }
    if (squares == 0)
        return;
    /* Root, division and product are correctly rounded everywhere, so this is exact. */
    double unit = LINEAR_UNIT / sqrt((double)squares);
    for (size_t i = 0; i < list->size; i++)
        x[i] = (int16_t)(x[i] * unit + 0.5);
}

static double sigmoid(double logit)
{
    return 1 / (1 + exp(-logit));
}

/* Logits of one block of outputs. No sum overflows: x of a family has length LINEAR_UNIT, so the
 * sizes of n of them sum to at most sqrt(n) * LINEAR_UNIT + n / 2; with n below 2^19
 * (FEATURES_READ_MOST) and weights of at most 128 that is below 2^31. */
static void score_block(const struct linear *self, const struct features_list *list,
                        int16_t *const x[FEATURES_FAMILIES], size_t first, double *logit)
{
    const struct linear_head *head = self->file.head;
    size_t end = head->outputs < first + LINEAR_BLOCK ? head->outputs : first + LINEAR_BLOCK;
    for (size_t i = first; i < end; i++)
        logit[i] = (double)self->file.bias[i];
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        int32_t sum[LINEAR_BLOCK];
        self->add(self->file.rows[f] + first, head->stride, &list[f], x[f], sum);
        for (size_t i = first; i < end; i++)
            logit[i] += (double)self->file.scale[f][i] * sum[i - first] / LINEAR_UNIT;
    }
}

void linear_score(const struct linear *self, struct linear_scratch *scratch, const char *text,
                  size_t size, struct linear_scores *scores)
{
    const struct linear_head *head = self->file.head;
    struct features_list list[FEATURES_FAMILIES];
    scores->truncated = features_extract(scratch->features, text, size, list) < size;

    int16_t *x[FEATURES_FAMILIES] = {scratch->x, scratch->x + list[FEATURES_WORDS].size};
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        linear_vector(&list[f], (const uint8_t *)self->file.rows[f] + head->stride - 1,
                      head->stride, self->tf, x[f]);

    double logit[LINEAR_STRIDE_MOST];
    for (size_t first = 0; first < head->outputs; first += LINEAR_BLOCK)
        score_block(self, list, x, first, logit);
    for (unsigned i = 0; i < head->labels; i++)
        scores->label[i] = (float)sigmoid(logit[i]);
    double part[SENTIMENT_COUNT];
    double whole = 0;
    for (unsigned s = 0; s < SENTIMENT_COUNT; s++)
        whole += part[s] = sigmoid(logit[head->labels + s]);
    for (unsigned s = 0; s < SENTIMENT_COUNT; s++)
        scores->sentiment[s] =
            whole > 0 ? (float)(part[s] / whole) : (float)(1.0 / SENTIMENT_COUNT);
}

const struct card *linear_card(const struct linear *self)
{
    return &self->card;
}

const float *linear_thresholds(const struct linear *self)
{
    return self->thresholds;
}

const uint8_t *linear_emotions(const struct linear *self)
{
    return self->emotions;
}

struct linear_hash linear_content_hash(const struct linear *self)
{
    uint64_t parts[4] = {self->file.head->hash[0], self->file.head->hash[1], self->card.content_low,
                         self->card.content_high};
    XXH128_hash_t hash = XXH3_128bits(parts, sizeof parts);
    return (struct linear_hash){.low = hash.low64, .high = hash.high64};
}

const struct features_shape *linear_shape(const struct linear *self)
{
    return &self->shape;
}
