/* What turns a regression's score into a probability and a decision, learnt from scores of texts it
 * did not see. */
#ifndef LEAT_CLASSIFY_TUNING_H
#define LEAT_CLASSIFY_TUNING_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Scores of `count` texts by one output, and which of them are positive: bits meet the mask. */
struct tuning_scores {
    const float *score;
    const uint64_t *bits;
    uint64_t mask;
    size_t count;
};

/* P(positive) = 1 / (1 + exp(-(slope * score + offset))). */
struct tuning_line {
    double slope, offset;
};

/* Least log loss, by Newton's method, with the targets of Platt, "Probabilistic Outputs for Support
 * Vector Machines" (1999), which keep it finite for classes that are rare or separable. */
struct tuning_line tuning_calibrate(const struct tuning_scores *scores);

/* The score from which saying yes gives the best F1. The threshold that is best on a sample is a
 * matter of a few texts when a label is rare, so this is the median of those that are best on
 * TUNING_SAMPLES samples drawn with replacement (from a fixed seed). */
enum { TUNING_SAMPLES = 101 };
bool tuning_threshold(const struct tuning_scores *scores, float *threshold, struct leat_error *err);

/* Probabilities of labels that are folded into groups: probability[label * texts + text], bit l of
 * a text's bits says whether it has label l. */
struct tuning_groups {
    const float *probability;
    const uint64_t *bits;
    size_t texts;
    const uint8_t *group; /* by label */
    unsigned labels;
    unsigned groups;
};

/* Moves thresholds so that labels are found and groups too. A text is in a group when any of its
 * labels reaches its threshold, so thresholds that are best one by one say a large group too often.
 * Each label of a group of several is taken in turn, twice, and its threshold goes to the best of
 * some between half and double of what it is, by mean F1 of labels + mean F1 of groups. */
bool tuning_refine(const struct tuning_groups *self, float *threshold, struct leat_error *err);

/* Counts of right and wrong decisions; F1 and the rest follow. */
struct tuning_counts {
    size_t hit, said, there; /* said and there; said; there */
};

double tuning_precision(const struct tuning_counts *counts);
double tuning_recall(const struct tuning_counts *counts);
double tuning_f1(const struct tuning_counts *counts);

#endif
