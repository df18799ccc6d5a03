/* A BERT-family classifier as the Hugging Face hub serves it: a folder with config.json,
 * tokenizer.json and model.safetensors. Texts in, probabilities of labels out, many at once. */
#ifndef LEAT_ENCODER_ENCODER_H
#define LEAT_ENCODER_ENCODER_H

#include "services/classify/encoder/batcher.h"
#include "services/classify/encoder/checkpoint.h"

struct encoder_options {
    enum encoder_precision precision;
    unsigned threads;    /* 1 or more */
    size_t batch_tokens; /* tokens a thread computes at once, at most, unless one text has more */
};

/* A text, and where to write what is found in it. */
struct encoder_text {
    const char *text; /* UTF-8 */
    size_t size;
    float *probability; /* one for each label: independent of each other, or with the sum 1 */
    float *embedding;   /* hidden floats (forward.h), or NULL */
    bool truncated;     /* it had more tokens than the model reads */
};

struct encoder;

/* NULL with the reason, which names the file. */
struct encoder *encoder_open(const char *folder, const struct encoder_options *options,
                             struct leat_error *err);
void encoder_close(struct encoder **self);

/* Lives as long as the encoder. */
const struct encoder_config *encoder_config(const struct encoder *self);

/* Any number of texts of any size. Memory in use does not grow with their number. False when
 * memory is out. */
bool encoder_run(struct encoder *self, struct encoder_text *texts, size_t n,
                 struct leat_error *err);

/* What multiplies most of it (checkpoint.h). */
const char *encoder_kernel(const struct encoder *self);

const struct batcher_stats *encoder_stats(const struct encoder *self);

/* XXH3-128 of all three files and the precision: equal ones give equal results (but for the last
 * bits). */
void encoder_hash(const struct encoder *self, uint8_t out[16]);

#endif
