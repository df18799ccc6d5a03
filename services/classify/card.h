/* A model's card: the JSON file beside the model file that says what the model is, what its outputs
 * mean, what it was trained on and how good it measured. Reading is strict: what classify relies on
 * must be there, of the right type, in range, and agree with itself. Keys it does not know are left
 * to people. */
#ifndef LEAT_CLASSIFY_CARD_H
#define LEAT_CLASSIFY_CARD_H

#include "proto/error.h"
#include "services/classify/emotion.h"
#include "services/classify/sentiment.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CARD_LABELS_MOST =
        60, /* with the sentiment head and idf a row of weights then fills 64 bytes */
    CARD_NAME_BYTES = 64,
    CARD_TEXT_BYTES = 640,
    CARD_HASH_BYTES = 33 /* 32 hexadecimal digits and the end */
};

struct card_label {
    char name[CARD_NAME_BYTES];
    float threshold;             /* in (0, 1): a text has the label from this probability on */
    uint8_t emotion;             /* enum emotion: where it is folded to */
    uint8_t sentiment;           /* enum sentiment: the group it was trained in */
    unsigned texts;              /* training texts that have it */
    float precision, recall, f1; /* measured on quality.on */
};

/* Measured quality; shares are in [0, 1]. */
struct card_quality {
    char on[CARD_TEXT_BYTES]; /* which texts, and what else to know about the figures */
    unsigned texts;
    float macro_f1, micro_f1; /* over the labels: each text's set of labels */
    float reported_macro_f1;  /* over the eight of emotion.h: labels folded by the map */
    float sentiment_accuracy; /* three-way, the score cut at -0.2 and 0.2 */
    float sentiment_macro_f1; /* likewise */
};

struct card {
    char name[CARD_NAME_BYTES];
    char version[CARD_NAME_BYTES];
    char description[CARD_TEXT_BYTES];
    char language[CARD_NAME_BYTES];
    char model_hash[CARD_HASH_BYTES]; /* the model file's own checksum: binds the two files */
    char data_name[CARD_TEXT_BYTES], data_source[CARD_TEXT_BYTES], data_license[CARD_TEXT_BYTES];
    char recipe[CARD_TEXT_BYTES];
    unsigned data_texts;
    struct card_quality quality;
    unsigned label_count;
    struct card_label labels[CARD_LABELS_MOST];
    uint64_t content_low, content_high; /* XXH3-128 of the card's bytes, set by card_read */
};

/* Reads and checks. A failure names the file, the place in it ("labels[3].threshold") and what was
 * expected there. */
bool card_read(const char *path, struct card *card, struct leat_error *err);

/* Writes a card that card_read takes, to `path` itself: whoever needs it atomic renames. */
bool card_write(const char *path, const struct card *card, struct leat_error *err);

/* The number of the label of that name, -1 when there is none. */
int card_find(const struct card *card, const char *name);

#endif
