/* Trains a linear model: labelled texts in, model file and card out.
 *
 *   1. Texts become vectors (vectors.h), of the same integers that scoring computes.
 *   2. Each label gets an L2-regularised logistic regression by liblinear, with class weights
 *      (n / (2 n_class)) ^ balance and columns scaled by what they tell of the label (contrast.h).
 *      The sentiment head is three more, not balanced: has a positive label, has a negative one,
 *      has neither.
 *   3. The texts are split in `folds`, and each part is scored by regressions that did not see it.
 *      On these scores, honest and many, each output is calibrated and each label's threshold is
 *      chosen (tuning.h). A dev set is a tenth as large, and so much less sure for rare labels.
 *   4. Scales and calibration are multiplied into the weights, which are rounded to 8 bits.
 *   5. The finished file is loaded and measured on the dev texts; without them, the card has what
 *      step 3 says.
 *
 * Deterministic: the same input gives the same files, whatever the number of threads. */
#ifndef LEAT_CLASSIFY_TRAIN_H
#define LEAT_CLASSIFY_TRAIN_H

#include "proto/error.h"
#include "services/classify/logistic.h"

#include <stdbool.h>
#include <stddef.h>

enum { TRAIN_FOLDS_LEAST = 2, TRAIN_FOLDS_MOST = 100, TRAIN_THREADS_MOST = LOGISTIC_THREADS_MOST };

struct train_progress {
    size_t done, all; /* regressions */
    double seconds;   /* since the first began */
    double left;      /* seconds, estimated; negative while nothing is known */
};

struct train_options {
    const char *data_path;   /* TSV: text, label numbers, ... (examples.h) */
    const char *labels_path; /* the labels' names, one a line */
    const char *dev_path;    /* TSV to measure on, or NULL */
    const char *map_path;    /* JSON: what the labels are folded to, or NULL for GoEmotions' 28 */
    const char *model_path;  /* written */
    const char *card_path;   /* written */

    const char *name, *version, *description, *language; /* for the card, as is what follows */
    const char *data_name, *data_source, *data_license;

    double c;           /* liblinear's C of the labels */
    double sentiment_c; /* and of the sentiment head, which is not balanced */
    double balance;     /* 0 to 1 */
    unsigned word_bits, gram_bits;
    size_t read_bytes;
    unsigned folds;
    unsigned threads;

    /* Called in the caller's thread after each regression and about once a second; may be NULL. */
    void (*progress)(void *context, const struct train_progress *progress);
    void *context;
};

/* Good defaults for all but the paths, which are NULL. */
struct train_options train_defaults(void);

/* Trains and writes both files, each by a temporary file beside it and a rename, the model first: a
 * model and a card that do not belong together are told apart when they are loaded. On failure
 * nothing that was there is changed. A broken line of the input is named by its number. */
bool train_run(const struct train_options *options, struct leat_error *err);

#endif
