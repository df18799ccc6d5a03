#include "services/classify/encoder/encoder.h"

#include "services/classify/encoder/team.h"
#include "services/classify/encoder/tokenizer.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    WINDOW_TEXTS = 1024, /* are in hand at once, ordered and packed together */
    CHUNK_TEXTS = 16,    /* a thread takes at once to make tokens of */
};

struct encoder {
    struct checkpoint *checkpoint;
    struct tokenizer *tokenizer;
    struct batcher *batcher;
    struct tokenizer_scratch **scratches; /* one for each thread */
    unsigned threads;
    int32_t *ids;  /* WINDOW_TEXTS x max_tokens */
    float *logits; /* WINDOW_TEXTS x labels */
    struct forward_text window[WINDOW_TEXTS];
    struct encoder_text *texts; /* of the window in hand, as they were given */
    size_t n_texts;
    atomic_size_t next; /* text to be made tokens of */
    uint8_t hash[16];
};

static bool hash_file(XXH3_state_t *state, const char *folder, const char *name,
                      struct leat_error *err)
{
    char path[PATH_MAX], block[1 << 14];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return leat_fail(err, "%s: the path is too long", folder);
    FILE *in = fopen(path, "rbe");
    if (!in)
        return leat_fail(err, "%s: %s", path, strerror(errno));
    size_t n;
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        XXH3_128bits_update(state, block, n);
    bool good = !ferror(in) || leat_fail(err, "%s: it cannot be read", path);
    fclose(in);
    return good;
}

static bool make_hash(struct encoder *self, const char *folder, enum encoder_precision precision,
                      struct leat_error *err)
{
    uint8_t weights[16] = {0};
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return leat_fail(err, "out of memory");
    XXH3_128bits_reset(state);
    bool good = hash_file(state, folder, "config.json", err) &&
                hash_file(state, folder, "tokenizer.json", err) &&
                (checkpoint_hash(self->checkpoint, weights) || leat_fail(err, "out of memory"));
    XXH3_128bits_update(state, weights, sizeof weights);
    XXH3_128bits_update(state, encoder_precision_name(precision),
                        strlen(encoder_precision_name(precision)));
    XXH128_canonicalFromHash((XXH128_canonical_t *)self->hash, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return good;
}

static bool open_tokenizer(struct encoder *self, const char *folder, struct leat_error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/tokenizer.json", folder) >= (int)sizeof path)
        return leat_fail(err, "%s: the path is too long", folder);
    if (!(self->tokenizer = tokenizer_open(path, err)))
        return false;
    const struct encoder_config *config = encoder_config(self);
    if ((size_t)tokenizer_ids(self->tokenizer) > config->vocabulary)
        return leat_fail(err, "%s: it gives ids up to %d, and config.json has a vocab_size of %zu",
                         path, tokenizer_ids(self->tokenizer) - 1, config->vocabulary);
    if (tokenizer_specials(self->tokenizer) == 0)
        return leat_fail(err,
                         "%s: post_processor: expected special tokens around a text, the "
                         "first of which the model classifies by",
                         path);
    return true;
}

static bool make_room(struct encoder *self, unsigned threads, struct leat_error *err)
{
    const struct encoder_config *config = encoder_config(self);
    self->threads = threads;
    self->ids = malloc(WINDOW_TEXTS * config->max_tokens * sizeof *self->ids);
    self->logits = malloc(WINDOW_TEXTS * config->labels * sizeof *self->logits);
    self->scratches = calloc(threads, sizeof *self->scratches);
    if (!self->ids || !self->logits || !self->scratches)
        return leat_fail(err, "out of memory");
    for (unsigned i = 0; i < threads; i++)
        if (!(self->scratches[i] = tokenizer_scratch_open(self->tokenizer, err)))
            return false;
    return true;
}

struct encoder *encoder_open(const char *folder, const struct encoder_options *options,
                             struct leat_error *err)
{
    struct encoder *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    if (!(self->checkpoint = checkpoint_open(folder, options->precision, err)) ||
        !open_tokenizer(self, folder, err) || !make_hash(self, folder, options->precision, err) ||
        !make_room(self, options->threads, err) ||
        !(self->batcher = batcher_open(checkpoint_model(self->checkpoint), options->threads,
                                       options->batch_tokens, err)))
        encoder_close(&self);
    return self;
}

void encoder_close(struct encoder **self_)
{
    struct encoder *self = *self_;
    if (!self)
        return;
    batcher_close(&self->batcher);
    for (unsigned i = 0; self->scratches && i < self->threads; i++)
        tokenizer_scratch_close(&self->scratches[i]);
    tokenizer_close(&self->tokenizer);
    checkpoint_close(&self->checkpoint);
    free(self->scratches);
    free(self->ids);
    free(self->logits);
    free(self);
    *self_ = NULL;
}

const struct encoder_config *encoder_config(const struct encoder *self)
{
    return &checkpoint_model(self->checkpoint)->config;
}

static void make_tokens(void *self_, unsigned worker)
{
    struct encoder *self = self_;
    const struct encoder_config *config = encoder_config(self);
    for (;;) {
        size_t first = atomic_fetch_add(&self->next, CHUNK_TEXTS);
        for (size_t i = first; i < first + CHUNK_TEXTS && i < self->n_texts; i++) {
            struct encoder_text *text = &self->texts[i];
            int32_t *ids = self->ids + i * config->max_tokens;
            size_t length = tokenizer_encode(self->tokenizer, self->scratches[worker], text->text,
                                             text->size, config->max_tokens, ids, &text->truncated);
            self->window[i] = (struct forward_text){
                .ids = ids,
                .length = length,
                .logits = self->logits + i * config->labels,
                .embedding = text->embedding,
            };
        }
        if (first + CHUNK_TEXTS >= self->n_texts)
            return;
    }
}

/* Logits to probabilities, as the reference's pipeline does. */
static void finish(const struct encoder_config *config, const float *logits, float *out)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < config->labels; i++)
        most = (double)logits[i] > most ? (double)logits[i] : most;
    for (size_t i = 0; i < config->labels; i++)
        sum += exp((double)logits[i] - most);
    for (size_t i = 0; i < config->labels; i++)
        out[i] = (float)(config->independent ? 1 / (1 + exp(-(double)logits[i]))
                                             : exp((double)logits[i] - most) / sum);
}

static bool run_window(struct encoder *self, struct encoder_text *texts, size_t n,
                       struct leat_error *err)
{
    self->texts = texts;
    self->n_texts = n;
    atomic_store(&self->next, 0);
    team_run(batcher_team(self->batcher), make_tokens, self);
    for (size_t i = 0; i < n; i++)
        if (self->window[i].length == 0)
            return leat_fail(err, "out of memory"); /* there are special tokens at least */
    if (!batcher_run(self->batcher, self->window, n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        finish(encoder_config(self), self->window[i].logits, texts[i].probability);
    return true;
}

bool encoder_run(struct encoder *self, struct encoder_text *texts, size_t n, struct leat_error *err)
{
    for (size_t done = 0; done < n; done += WINDOW_TEXTS)
        if (!run_window(self, texts + done, n - done < WINDOW_TEXTS ? n - done : WINDOW_TEXTS, err))
            return false;
    return true;
}

const char *encoder_kernel(const struct encoder *self)
{
    return checkpoint_kernel(self->checkpoint);
}

const struct batcher_stats *encoder_stats(const struct encoder *self)
{
    return batcher_stats(self->batcher);
}

void encoder_hash(const struct encoder *self, uint8_t out[16])
{
    memcpy(out, self->hash, sizeof self->hash);
}
