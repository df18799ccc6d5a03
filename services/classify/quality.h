/* How good a model is on labelled texts: the figures of its card. */
#ifndef LEAT_CLASSIFY_QUALITY_H
#define LEAT_CLASSIFY_QUALITY_H

#include "proto/error.h"
#include "services/classify/card.h"
#include "services/classify/examples.h"
#include "services/classify/linear.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bits of a text: its labels from bit 0, and from bit card->label_count, in the order of enum
 * sentiment, whether it has a positive label, a negative one, or neither. */
uint64_t quality_bits(uint64_t labels, const struct card *card);

/* Both fill card->quality but `on`, and precision, recall and f1 of the labels, from the set of
 * labels that reach card's thresholds. A text that is both positive and negative is not in the
 * three-way sentiment figures. */

/* probability[output * texts + text], outputs as in the model file; bits as quality_bits. */
void quality_of_probabilities(const float *probability, const uint64_t *bits, size_t texts,
                              struct card *card);

/* Scores the texts with the model as it is loaded. */
bool quality_of_model(const struct linear *model, const struct examples *examples,
                      struct card *card, struct leat_error *err);

#endif
