#include "services/classify/model.h"

#include "services/classify/encoder/encoder.h"
#include "services/classify/encoder_card.h"
#include "services/classify/linear.h"
#include "services/classify/shipped.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { TEXTS_AT_ONCE = 1024 }; /* an encoder orders that many by length */

/* One of the two is open. */
struct model {
    struct linear *linear;
    struct linear_scratch *scratch;
    struct encoder *encoder;
    struct card encoder_card;
    float thresholds[CARD_LABELS_MOST];
    uint8_t emotions[CARD_LABELS_MOST];
    uint8_t sentiments[CARD_LABELS_MOST];
};

/* The model file and the card beside it. */
static bool linear_paths(const char *given, char model[PATH_MAX], char card[PATH_MAX],
                         struct leat_error *err)
{
    if (*given == 0) {
        if (!shipped_path("default.model", model, PATH_MAX, err))
            return false;
    } else if (snprintf(model, PATH_MAX, "%s", given) >= PATH_MAX) {
        return leat_fail(err, "the model's path is too long");
    }
    const char *slash = strrchr(model, '/');
    const char *dot = strrchr(slash ? slash : model, '.');
    int stem = dot ? (int)(dot - model) : (int)strlen(model);
    return snprintf(card, PATH_MAX, "%.*s.json", stem, model) < PATH_MAX ||
           leat_fail(err, "the model's path is too long");
}

static bool open_linear(struct model *self, const char *path, struct leat_error *err)
{
    char model[PATH_MAX], card[PATH_MAX];
    return linear_paths(path, model, card, err) && (self->linear = linear_open(model, card, err)) &&
           (self->scratch = linear_scratch_open(self->linear, err));
}

static bool open_encoder(struct model *self, const struct model_options *options,
                         struct leat_error *err)
{
    struct encoder_options how = {.threads = options->threads,
                                  .batch_tokens = options->batch_tokens};
    if (!encoder_precision_choose(options->precision, &how.precision, err))
        return leat_fail_in(err, "precision");
    return (self->encoder = encoder_open(options->path, &how, err)) &&
           encoder_card_read(options->path, encoder_config(self->encoder), &self->encoder_card,
                             err);
}

struct model *model_open(const struct model_options *options, struct leat_error *err)
{
    struct model *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    struct stat about;
    bool folder = stat(options->path, &about) == 0 && S_ISDIR(about.st_mode);
    if (!(folder ? open_encoder(self, options, err) : open_linear(self, options->path, err))) {
        model_close(&self);
        return NULL;
    }
    const struct card *card = model_card(self);
    for (unsigned i = 0; i < card->label_count; i++) {
        self->thresholds[i] = card->labels[i].threshold;
        self->emotions[i] = card->labels[i].emotion;
        self->sentiments[i] = card->labels[i].sentiment;
    }
    return self;
}

void model_close(struct model **self)
{
    if (!*self)
        return;
    linear_scratch_close(&(*self)->scratch);
    linear_close(&(*self)->linear);
    encoder_close(&(*self)->encoder);
    free(*self);
    *self = NULL;
}

static bool exclusive(const struct model *self)
{
    return self->encoder && !encoder_config(self->encoder)->independent;
}

/* An encoder has no sentiment head: its labels are folded to the three groups like emotions. */
static void fold_sentiment(const struct model *self, struct model_text *text)
{
    _Static_assert((int)SENTIMENT_COUNT < (int)EMOTION_NEUTRAL, "the groups are among the members");
    uint8_t group[CARD_LABELS_MOST];
    uint32_t share[EMOTION_COUNT];
    size_t count = self->encoder_card.label_count;
    for (size_t i = 0; i < count; i++)
        group[i] = self->sentiments[i] < SENTIMENT_COUNT ? self->sentiments[i] : EMOTION_COUNT;
    if (exclusive(self))
        emotion_fold(text->label, group, count, share);
    else
        emotion_distribution(text->label, self->thresholds, group, count, share);
    share[SENTIMENT_NEUTRAL] += share[EMOTION_NEUTRAL]; /* where there was nothing to share by */
    for (int s = 0; s < SENTIMENT_COUNT; s++)
        text->sentiment[s] = (float)share[s] / EMOTION_WHOLE;
}

static bool run_encoder(struct model *self, struct model_text *texts, size_t n,
                        struct leat_error *err)
{
    struct encoder_text asked[TEXTS_AT_ONCE];
    for (size_t done = 0; done < n; done += TEXTS_AT_ONCE) {
        size_t count = n - done < TEXTS_AT_ONCE ? n - done : TEXTS_AT_ONCE;
        for (size_t i = 0; i < count; i++) {
            struct model_text *text = &texts[done + i];
            asked[i] = (struct encoder_text){.text = text->text,
                                             .size = text->size,
                                             .probability = text->label,
                                             .embedding = text->embedding};
        }
        if (!encoder_run(self->encoder, asked, count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            texts[done + i].truncated = asked[i].truncated;
            fold_sentiment(self, &texts[done + i]);
        }
    }
    return true;
}

bool model_run(struct model *self, struct model_text *texts, size_t n, struct leat_error *err)
{
    if (self->encoder)
        return run_encoder(self, texts, n, err);
    for (size_t i = 0; i < n; i++) {
        struct linear_scores scores;
        linear_score(self->linear, self->scratch, texts[i].text, texts[i].size, &scores);
        memcpy(texts[i].label, scores.label, sizeof scores.label);
        memcpy(texts[i].sentiment, scores.sentiment, sizeof scores.sentiment);
        texts[i].truncated = scores.truncated;
    }
    return true;
}

const struct card *model_card(const struct model *self)
{
    return self->linear ? linear_card(self->linear) : &self->encoder_card;
}

bool model_has_emotions(const struct model *self)
{
    for (unsigned i = 0; i < model_card(self)->label_count; i++)
        if (self->emotions[i] < EMOTION_COUNT)
            return true;
    return false;
}

bool model_has_sentiments(const struct model *self)
{
    bool has[SENTIMENT_COUNT + 1] = {false};
    for (unsigned i = 0; i < model_card(self)->label_count; i++)
        has[self->sentiments[i] < SENTIMENT_COUNT ? self->sentiments[i] : SENTIMENT_COUNT] = true;
    return self->linear || (has[SENTIMENT_POSITIVE] && has[SENTIMENT_NEGATIVE]);
}

size_t model_list(const struct model *self, const float *label, struct emotion_found *found)
{
    size_t count = model_card(self)->label_count;
    if (!exclusive(self))
        return emotion_list(label, self->thresholds, count, found);
    float thresholds[CARD_LABELS_MOST];
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        thresholds[i] = self->thresholds[i];
        best = label[i] > label[best] ? i : best;
    }
    thresholds[best] = 0;
    return emotion_list(label, thresholds, count, found);
}

void model_fold(const struct model *self, const float *label, uint32_t share[EMOTION_COUNT])
{
    size_t count = model_card(self)->label_count;
    if (exclusive(self))
        emotion_fold(label, self->emotions, count, share);
    else
        emotion_distribution(label, self->thresholds, self->emotions, count, share);
}

size_t model_width(const struct model *self)
{
    return self->encoder ? encoder_config(self->encoder)->hidden : 0;
}

void model_hash(const struct model *self, uint8_t out[16])
{
    if (self->linear) {
        struct linear_hash hash = linear_content_hash(self->linear);
        memcpy(out, &hash, sizeof hash);
        return;
    }
    struct {
        uint8_t files[16];
        uint64_t card[2];
    } all = {.card = {self->encoder_card.content_low, self->encoder_card.content_high}};
    encoder_hash(self->encoder, all.files);
    XXH128_canonicalFromHash((XXH128_canonical_t *)out, XXH3_128bits(&all, sizeof all));
}

const char *model_kernel(const struct model *self)
{
    return self->encoder ? encoder_kernel(self->encoder) : "linear";
}

struct model_stats model_stats(const struct model *self)
{
    if (!self->encoder)
        return (struct model_stats){0};
    const struct batcher_stats *stats = encoder_stats(self->encoder);
    return (struct model_stats){.tokens = stats->tokens, .rows = stats->rows, .room = stats->room};
}
