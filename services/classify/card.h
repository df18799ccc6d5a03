/* A model's card: the JSON file beside the model file that says what the model is, what its outputs
 * mean, what it was trained on and how good it measured. Reading it is strict: what classify relies
 * on must be there, of the right type, in range, and agree with itself. */
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
    CARD_TEXT_BYTES = 512,
    CARD_HASH_BYTES = 33 /* 32 hexadecimal digits and the end */
};

struct card_label {
    char name[CARD_NAME_BYTES];
    float threshold;   /* in (0, 1): the label is in a text when its probability reaches this */
    uint8_t emotion;   /* enum emotion: where it is folded to */
    uint8_t sentiment; /* enum sentiment: the group it was trained in */
    unsigned count;    /* training texts that have it */
    float precision, recall, f1; /* measured */
};

/* Quality on `on`, a name; counts and shares of texts, all in [0, 1] but `texts`. */
struct card_quality {
    char on[CARD_TEXT_BYTES];
    unsigned texts;
    float macro_f1, micro_f1; /* over the labels, each text's set of labels above threshold */
    float sentiment_accuracy; /* three-way, cut at -0.2 and 0.2 */
    float sentiment_macro_f1;
};

struct card {
    char name[CARD_NAME_BYTES];
    char version[CARD_NAME_BYTES];
    char description[CARD_TEXT_BYTES];
    char language[CARD_NAME_BYTES];
    char model_hash[CARD_HASH_BYTES]; /* XXH3-128 of the model file: binds the two files */
    char data_name[CARD_TEXT_BYTES], data_source[CARD_TEXT_BYTES], data_license[CARD_TEXT_BYTES];
    char recipe[CARD_TEXT_BYTES];
    unsigned data_texts;
    struct card_quality quality;
    unsigned label_count;
    struct card_label labels[CARD_LABELS_MOST];
};

/* Reads and checks. A failure names the file, the place in it ("labels[3].threshold") and what was
 * expected there. */
bool card_read(const char *path, struct card *card, struct leat_error *err);

/* Writes a card that card_read takes, to `path` itself; whoever needs it atomic renames. */
bool card_write(const char *path, const struct card *card, struct leat_error *err);

/* The number of the label of that name, -1 when there is none. */
int card_find(const struct card *card, const char *name);

#endif
