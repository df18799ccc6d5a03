/* The card of an encoder: the file leat-card.json in its folder, which says what its labels stand
 * for. `leat model inspect` writes one, to be edited; without one labels of common names are known
 * (meanings.h).
 *
 *   {"kind": "encoder", "name": "...", "version": "1",
 *    "labels": [{"name": "anger", "threshold": 0.5, "emotion": "anger", "sentiment": "negative"}]}
 *
 * There is one label for each of the model's (config.json's id2label), in any order. "emotion" is
 * one of anger, disgust, fear, joy, sadness, surprise, trust, neutral, "sentiment" one of positive,
 * negative, neutral; either is null for a label that stands for none. "threshold" is the
 * probability from which on a text has the label.
 *
 * What is not there by default: the threshold is 0.5. A model that chooses one label of all
 * (softmax) always gives its best one, and others only from their threshold on. */
#ifndef LEAT_CLASSIFY_ENCODER_CARD_H
#define LEAT_CLASSIFY_ENCODER_CARD_H

#include "services/classify/card.h"
#include "services/classify/encoder/config.h"

#define ENCODER_CARD_FILE "leat-card.json"

/* Fills in name, version, labels (in the model's order; an emotion or a sentiment is its COUNT
 * where it is null) and the content's hash. From the folder's card, or from the labels' names when
 * there is none; then a label that is not known is an error that tells how to make a card. */
bool encoder_card_read(const char *folder, const struct encoder_config *config, struct card *card,
                       struct leat_error *err);

/* What the names say, without a file; labels that say nothing stand for none. */
void encoder_card_guess(const char *folder, const struct encoder_config *config, struct card *card);

/* Writes a card that encoder_card_read takes. */
bool encoder_card_write(const char *path, const struct card *card, struct leat_error *err);

#endif
