/* The linear model: hashed n-grams, tf-idf, one logistic regression a label, and a sentiment head.
 *
 * One file, mapped read-only, so all workers of a machine share its pages, and its card (card.h).
 * Up to the last step scoring is integer arithmetic in a fixed order, so the answer is the same on
 * every processor.
 *
 *   tf    = 1 + ln(count), in 1/16
 *   x     = tf * idf[row], each family's vector divided by its length, in 1/LINEAR_UNIT
 *   logit = bias + sum over families, over rows, of x * weight[row]
 *   P     = 1 / (1 + exp(-logit)); the three of the sentiment head are then divided by their sum
 *
 * Calibration is inside weights and bias (train.h). */
#ifndef LEAT_CLASSIFY_LINEAR_H
#define LEAT_CLASSIFY_LINEAR_H

#include "proto/error.h"
#include "services/classify/card.h"
#include "services/classify/features.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINEAR_UNIT = 1 << 14, LINEAR_TF_CODES = 256 };

struct linear;

/* Working memory of one thread for one model. */
struct linear_scratch;

struct linear_scores {
    float label[CARD_LABELS_MOST];    /* independent probabilities, in the card's order */
    float sentiment[SENTIMENT_COUNT]; /* by enum sentiment; sum 1 */
    bool truncated;                   /* the text was longer than the model reads */
};

/* 128 bits of content. */
struct linear_hash {
    uint64_t low, high;
};

/* Maps the model file and reads its card. NULL when either is missing, broken, cut short, of
 * another format, or when they do not belong together; the error says what was expected. */
struct linear *linear_open(const char *model_path, const char *card_path, struct leat_error *err);
void linear_close(struct linear **self);

struct linear_scratch *linear_scratch_open(const struct linear *self, struct leat_error *err);
void linear_scratch_close(struct linear_scratch **scratch);

/* Scores one text: any bytes, any size, also none. Any number of threads may score with one model,
 * each with a scratch of its own. Allocates nothing. */
void linear_score(const struct linear *self, struct linear_scratch *scratch, const char *text,
                  size_t size, struct linear_scores *scores);

/* The card, as checked: names, thresholds, map to the reporting set. Lives as long as the model. */
const struct card *linear_card(const struct linear *self);

/* The same by label in plain arrays of linear_card()->label_count, as emotion.h takes them. */
const float *linear_thresholds(const struct linear *self);
const uint8_t *linear_emotions(const struct linear *self);

/* Of the bytes of model file and card: what a cache's fingerprint needs to know of a model. */
struct linear_hash linear_content_hash(const struct linear *self);

/* What the features are hashed with; read_bytes is how much of a text the model reads. */
const struct features_shape *linear_shape(const struct linear *self);

/* Fills `tf` with 1 + ln(count) in 1/16; counts beyond the last are as the last. */
void linear_tf(uint8_t tf[LINEAR_TF_CODES]);

/* The vector of one family, shared by scoring and training: x[i] for list->items[i], from idf codes
 * that lie `step` bytes apart. All zero when every idf is. */
void linear_vector(const struct features_list *list, const uint8_t *idf, size_t step,
                   const uint8_t tf[LINEAR_TF_CODES], int16_t *x);

#endif
