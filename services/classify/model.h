/* A model that classifies texts, of whichever kind: linear (linear.h), a file; or an encoder
 * (encoder/encoder.h), a folder. What classify asks of it is the same. */
#ifndef LEAT_CLASSIFY_MODEL_H
#define LEAT_CLASSIFY_MODEL_H

#include "proto/error.h"
#include "services/classify/card.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_options {
    const char *path;      /* a file or a folder; "": the model that ships with Leat */
    const char *precision; /* of an encoder: auto, f32, bf16, int16, int8 */
    unsigned threads;      /* of an encoder */
    size_t batch_tokens;   /* of an encoder */
};

/* A text, and what is found in it. */
struct model_text {
    const char *text;
    size_t size;
    float *embedding;                 /* model_width floats, or NULL */
    float label[CARD_LABELS_MOST];    /* probabilities, in the card's order */
    float sentiment[SENTIMENT_COUNT]; /* by enum sentiment; sum 1 */
    bool truncated;                   /* the model did not read all of it */
};

/* What an encoder has done so far; all 0 for a linear model. */
struct model_stats {
    uint64_t tokens; /* read */
    uint64_t rows;   /* computed: tokens, and what blocks were filled up with */
    uint64_t room;   /* tokens that there was room for */
};

struct model;

/* NULL with the reason, which names the file. */
struct model *model_open(const struct model_options *options, struct leat_error *err);
void model_close(struct model **self);

/* Fills in all texts. False when memory is out. One thread at a time. */
bool model_run(struct model *self, struct model_text *texts, size_t n, struct leat_error *err);

/* Names, thresholds, map. Lives as long as the model. */
const struct card *model_card(const struct model *self);

/* Does a label stand for an emotion; can it tell positive from negative? */
bool model_has_emotions(const struct model *self);
bool model_has_sentiments(const struct model *self);

/* The labels that a text has, most probable first: those at or above their thresholds (emotion.h);
 * of a model that chooses one label of all also the best one, always. `found` has room for
 * CARD_LABELS_MOST. */
size_t model_list(const struct model *self, const float *label, struct emotion_found *found);

/* The labels folded to the reporting set: emotion_distribution, or emotion_fold of a model that
 * chooses one label of all. */
void model_fold(const struct model *self, const float *label, uint32_t share[EMOTION_COUNT]);

/* Floats of an embedding; 0: the model gives none. */
size_t model_width(const struct model *self);

/* 128 bits of everything that its results depend on. */
void model_hash(const struct model *self, uint8_t out[16]);

/* What it is computed by, for people: "linear", or what an encoder multiplies by (checkpoint.h). */
const char *model_kernel(const struct model *self);

struct model_stats model_stats(const struct model *self);

#endif
