#include "services/classify/classify.h"

#include "services/classify/linear.h"
#include "services/classify/shipped.h"
#include "services/classify/topics.h"
#include "services/classify/weights.h"
#include "services/flows/fill.h"
#include "services/flows/text/record.h"
#include "services/flows/text/result.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/tables.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* The order of the reporting set is the same for a model's card and for what is stored. */
_Static_assert((int)EMOTION_COUNT == (int)TEXT_EMOTIONS, "one reporting set");
_Static_assert((int)CARD_LABELS_MOST <= (int)TEXT_MAX_LABELS, "room for every label of a card");
_Static_assert((int)TEXT_MAX_TOPICS <= (int)TOPICS_MOST, "topics fit");

/* Which text of a batch has been classified already, by its cache key. */
struct seen {
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    uint32_t item; /* index + 1; 0: free */
};

struct classify {
    struct leat_stage_context *ctx;
    struct linear *model;
    struct linear_scratch *scratch;
    struct topics *topics;
    struct topics_scratch *topics_scratch;
    struct weights_options weights;
    double lower, upper;
    char model_name[2 * CARD_NAME_BYTES];
    uint8_t fingerprint[16];
    struct seen *seen;
    size_t seen_size; /* a power of two, at least twice the largest batch so far */
    struct leat_fill fill;
    msgpack_sbuffer buffer;
    int64_t announce_us, announced_at;
    struct tally {
        int64_t computed, repeated, cached, failed, truncated;
    } now; /* of the batch in hand */
    struct leat_metric *computed, *repeated, *cached, *failed, *truncated;
};

static void read_topics_options(const struct leat_settings *settings, struct topics_options *out)
{
    topics_options_init(out);
    out->whole_value = leat_settings_real(settings, "topics.whole_value");
    out->partial_value = leat_settings_real(settings, "topics.partial_value");
    out->boost_above = leat_settings_real(settings, "topics.boost_above");
    out->boost_divisor = leat_settings_real(settings, "topics.boost_divisor");
    out->keep_from = leat_settings_real(settings, "topics.keep_from");
    out->most = (size_t)leat_settings_int(settings, "topics.most");
}

static bool read_weights_options(const struct leat_settings *settings, struct weights_options *out,
                                 struct leat_error *err)
{
    weights_options_init(out);
    out->unknown_base = leat_settings_real(settings, "weights.unknown");
    out->verified_factor = leat_settings_real(settings, "weights.verified_factor");
    out->high_reach = (uint64_t)leat_settings_int(settings, "weights.high_reach");
    out->high_factor = leat_settings_real(settings, "weights.high_factor");
    out->middle_reach = (uint64_t)leat_settings_int(settings, "weights.middle_reach");
    out->middle_factor = leat_settings_real(settings, "weights.middle_factor");
    out->least = leat_settings_real(settings, "weights.least");
    out->most = leat_settings_real(settings, "weights.most");
    if (!weights_parse_bases(out, leat_settings_str(settings, "weights.bases"), err))
        return leat_fail_in(err, "setting weights.bases");
    return weights_options_check(out, err) || leat_fail_in(err, "settings weights.*");
}

/* The model file that the settings name, and the card beside it. */
static bool model_paths(const struct leat_settings *settings, char model[PATH_MAX],
                        char card[PATH_MAX], struct leat_error *err)
{
    const char *given = leat_settings_str(settings, "classify.model");
    if (*given == 0) {
        if (!shipped_path("default.model", model, PATH_MAX, err))
            return false;
    } else if (snprintf(model, PATH_MAX, "%s", given) >= PATH_MAX) {
        return leat_fail(err, "setting classify.model: the path is too long");
    }
    const char *slash = strrchr(model, '/');
    const char *dot = strrchr(slash ? slash : model, '.');
    int stem = dot ? (int)(dot - model) : (int)strlen(model);
    if (snprintf(card, PATH_MAX, "%.*s.json", stem, model) >= PATH_MAX)
        return leat_fail(err, "setting classify.model: the path is too long");
    return true;
}

static bool open_model(struct classify *self, const struct leat_settings *settings,
                       struct leat_error *err)
{
    char model[PATH_MAX], card[PATH_MAX];
    if (!model_paths(settings, model, card, err))
        return false;
    self->model = linear_open(model, card, err);
    if (!self->model || !(self->scratch = linear_scratch_open(self->model, err)))
        return false;
    const struct card *read = linear_card(self->model);
    snprintf(self->model_name, sizeof self->model_name, "%s %s", read->name, read->version);
    return true;
}

static bool open_topics(struct classify *self, const struct leat_settings *settings,
                        struct leat_error *err)
{
    char path[PATH_MAX];
    const char *given = leat_settings_str(settings, "classify.topics");
    if (*given == 0 && !shipped_path("topics.json", path, sizeof path, err))
        return false;
    struct topics_options options;
    read_topics_options(settings, &options);
    self->topics = topics_open(*given ? given : path, &options, err);
    if (!self->topics)
        return false;
    self->topics_scratch = topics_scratch_open(self->topics);
    return self->topics_scratch || leat_fail(err, "out of memory");
}

/* Ensures: equal fingerprints give equal results for equal texts. Everything that a result depends
 * on besides the text goes in: model and card, topic file, settings, and the form it is packed in.
 * Weights do not: they are never cached. */
static void make_fingerprint(struct classify *self, const struct leat_settings *settings)
{
    static const char *const names[] = {
        "classify.sentiment_lower", "classify.sentiment_upper",
        "topics.whole_value",       "topics.partial_value",
        "topics.boost_above",       "topics.boost_divisor",
        "topics.keep_from",         "topics.most",
    };
    struct linear_hash model = linear_content_hash(self->model);
    char text[1024];
    int n = snprintf(text, sizeof text, "text %d %016" PRIx64 "%016" PRIx64 " %016" PRIx64,
                     TEXT_RESULT_VERSION, model.high, model.low, topics_hash(self->topics));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %.17g",
                      strcmp(names[i], "topics.most") == 0
                          ? (double)leat_settings_int(settings, names[i])
                          : leat_settings_real(settings, names[i]));
    XXH128_canonicalFromHash((XXH128_canonical_t *)self->fingerprint,
                             XXH3_128bits(text, (size_t)n));
}

static void announce(struct classify *self)
{
    msgpack_sbuffer_clear(&self->buffer);
    leat_fill_write(&self->fill, "text", self->fingerprint, &self->buffer);
    leat_stage_side(self->ctx,
                    (struct leat_span){(const uint8_t *)self->buffer.data, self->buffer.size});
    self->announced_at = leat_monotonic_us();
}

static struct leat_metric *counter(struct leat_stage_context *ctx, const char *labels)
{
    return leat_metrics_add(leat_stage_metrics(ctx), LEAT_COUNTER, LEAT_UNIT_COUNT,
                            "leat_classify_texts_total", labels,
                            "Texts by where their result came from.");
}

static void classify_close(void **self_)
{
    struct classify *self = *self_;
    if (!self)
        return;
    linear_scratch_close(&self->scratch);
    linear_close(&self->model);
    topics_scratch_close(&self->topics_scratch);
    topics_close(&self->topics);
    leat_fill_destroy(&self->fill);
    msgpack_sbuffer_destroy(&self->buffer);
    free(self->seen);
    free(self);
    *self_ = NULL;
}

static bool classify_open(void **self_, struct leat_stage_context *ctx, struct leat_error *err)
{
    const struct leat_settings *settings = leat_stage_settings(ctx);
    struct classify *self = calloc(1, sizeof *self);
    if (!self)
        return leat_fail(err, "out of memory");
    *self_ = self;
    self->ctx = ctx;
    leat_fill_init(&self->fill);
    msgpack_sbuffer_init(&self->buffer);
    self->lower = leat_settings_real(settings, "classify.sentiment_lower");
    self->upper = leat_settings_real(settings, "classify.sentiment_upper");
    self->announce_us = leat_settings_int(settings, "classify.announce") * 1000;
    bool ok = self->lower < self->upper ||
              leat_fail(err, "classify.sentiment_lower must be below classify.sentiment_upper");
    if (!ok || !read_weights_options(settings, &self->weights, err) ||
        !open_model(self, settings, err) || !open_topics(self, settings, err)) {
        classify_close(self_);
        return false;
    }
    make_fingerprint(self, settings);
    self->computed = counter(ctx, "source=\"model\"");
    self->repeated = counter(ctx, "source=\"same_batch\"");
    self->cached = counter(ctx, "source=\"cache\"");
    self->failed = counter(ctx, "source=\"none\"");
    self->truncated =
        leat_metrics_add(leat_stage_metrics(ctx), LEAT_COUNTER, LEAT_UNIT_COUNT,
                         "leat_classify_truncated_total", "", "Texts longer than the model reads.");
    leat_log(LEAT_INFO, "classify", "model_opened", LEAT_S("model", self->model_name),
             LEAT_I("labels", linear_card(self->model)->label_count),
             LEAT_I("topics", topics_count(self->topics)));
    announce(self);
    return true;
}

static struct leat_span of_string(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

static void find_emotions(const struct classify *self, const struct linear_scores *scores,
                          struct text_result *out)
{
    const struct card *card = linear_card(self->model);
    const float *thresholds = linear_thresholds(self->model);
    struct emotion_found found[CARD_LABELS_MOST];
    out->n_emotions = emotion_list(scores->label, thresholds, card->label_count, found);
    for (size_t i = 0; i < out->n_emotions; i++) {
        out->emotions[i].label = of_string(card->labels[found[i].label].name);
        out->emotions[i].probability = found[i].probability;
    }
    emotion_distribution(scores->label, thresholds, linear_emotions(self->model), card->label_count,
                         out->distribution);
    enum emotion best = emotion_label(out->distribution);
    out->emotion_label = of_string(emotion_name(best));
    out->emotion_score = out->distribution[best] / (double)EMOTION_WHOLE;
}

static void find_topics(struct classify *self, struct leat_span text, struct text_result *out)
{
    struct topics_match matches[TOPICS_MOST];
    out->n_topics = topics_score(self->topics, self->topics_scratch, (const char *)text.data,
                                 text.size, NULL, matches);
    for (size_t i = 0; i < out->n_topics; i++)
        out->topics[i] = (struct text_topic){
            .topic = of_string(matches[i].key),
            .confidence = matches[i].confidence,
            .keyword_score = matches[i].keyword_score,
            .embedding_score = NAN, /* no embedding model */
        };
}

/* Everything about one text that may be cached. */
static void compute(struct classify *self, struct leat_span text, struct text_result *out)
{
    struct linear_scores scores;
    linear_score(self->model, self->scratch, (const char *)text.data, text.size, &scores);
    out->model = of_string(self->model_name);
    out->sentiment_score = sentiment_score((double)scores.sentiment[SENTIMENT_POSITIVE],
                                           (double)scores.sentiment[SENTIMENT_NEGATIVE]);
    out->sentiment_label =
        of_string(sentiment_name(sentiment_label(out->sentiment_score, self->lower, self->upper)));
    find_emotions(self, &scores, out);
    find_topics(self, text, out);
    out->truncated = scores.truncated;
    self->now.truncated += scores.truncated;
}

static void set_result(struct classify *self, struct leat_batch *batch, struct leat_item *item,
                       const struct text_result *result)
{
    msgpack_sbuffer_clear(&self->buffer);
    text_result_pack(result, &self->buffer);
    item->result = leat_batch_keep(batch, self->buffer.data, self->buffer.size);
}

static void set_weights(struct classify *self, struct leat_batch *batch, struct leat_item *item,
                        const struct text_record *record, double sentiment, double emotion)
{
    struct text_weights weights = {
        .influence =
            weights_influence(&self->weights, (const char *)record->source_type.data,
                              record->source_type.size, (const char *)record->platform.data,
                              record->platform.size, record->verified, (uint64_t)record->reach),
        .confidence = weights_confidence(sentiment, emotion),
    };
    msgpack_sbuffer_clear(&self->buffer);
    text_weights_pack(&weights, &self->buffer);
    item->derived = leat_batch_keep(batch, self->buffer.data, self->buffer.size);
}

/* An empty table with room for every item of a batch. */
static bool seen_reset(struct classify *self, uint32_t items)
{
    size_t size = self->seen_size ? self->seen_size : 1024;
    while (size < 2 * (size_t)items)
        size *= 2;
    if (size != self->seen_size) {
        struct seen *grown = realloc(self->seen, size * sizeof *grown);
        if (!grown)
            return false;
        self->seen = grown;
        self->seen_size = size;
    }
    memset(self->seen, 0, self->seen_size * sizeof *self->seen);
    return true;
}

/* The slot of a key: taken by an equal text of this batch, or free (item 0) and now the key's. */
static struct seen *seen_find(struct classify *self, const uint8_t key[LEAT_CACHE_KEY_SIZE])
{
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    for (size_t at = hash;; at++) {
        struct seen *slot = &self->seen[at & (self->seen_size - 1)];
        if (slot->item == 0)
            memcpy(slot->key, key, LEAT_CACHE_KEY_SIZE);
        if (memcmp(slot->key, key, LEAT_CACHE_KEY_SIZE) == 0)
            return slot;
    }
}

/* One text: its result from the cache, from an equal text of the batch, or from the model. */
static bool classify_item(struct classify *self, struct leat_batch *batch, uint32_t index,
                          struct leat_error *err)
{
    static const struct leat_flow_limits limits = {.text_max_bytes = SIZE_MAX};
    struct leat_item *item = &batch->items[index];
    msgpack_object object;
    struct text_record record;
    struct leat_why why;
    if (!leat_wire_unpack(item->record, batch->zone, &object, err))
        return false;
    if (!text_record_read(&object, &limits, &record, &why))
        return leat_fail(err, "%s: %s", why.code, why.message);

    struct text_result result;
    if (item->result.size > 0 && text_result_read(item->result, batch->zone, &result, NULL)) {
        self->now.cached++;
    } else {
        uint8_t key[LEAT_CACHE_KEY_SIZE];
        text_cache_key(self->fingerprint, record.text, key);
        struct seen *seen = seen_find(self, key);
        if (seen->item > 0) {
            item->result = batch->items[seen->item - 1].result;
            if (!text_result_read(item->result, batch->zone, &result, err))
                return false;
            self->now.repeated++;
        } else {
            compute(self, record.text, &result);
            set_result(self, batch, item, &result);
            leat_fill_add(&self->fill, key, item->result);
            seen->item = index + 1;
            self->now.computed++;
        }
    }
    set_weights(self, batch, item, &record, result.sentiment_score, result.emotion_score);
    return true;
}

static void count(struct classify *self)
{
    leat_metric_inc(self->computed, self->now.computed);
    leat_metric_inc(self->repeated, self->now.repeated);
    leat_metric_inc(self->cached, self->now.cached);
    leat_metric_inc(self->failed, self->now.failed);
    leat_metric_inc(self->truncated, self->now.truncated);
    self->now = (struct tally){0};
}

static enum leat_verdict classify_batch(void *self_, struct leat_batch *batch)
{
    struct classify *self = self_;
    if (!seen_reset(self, batch->head.count)) {
        leat_log(LEAT_ERR, "classify", "out_of_memory", LEAT_I("records", batch->head.count));
        return LEAT_DROP;
    }
    for (uint32_t i = 0; i < batch->head.count; i++) {
        struct leat_error err;
        if (batch->items[i].error.size > 0)
            continue;
        if (!classify_item(self, batch, i, &err)) {
            leat_batch_fail(batch, i, "classify", "record_malformed", "%s", err.text);
            self->now.failed++;
        }
    }
    count(self);
    if (self->fill.count > 0)
        announce(self);
    return LEAT_FORWARD;
}

/* Tells the caches the fingerprint every few seconds, so that one that started later learns it
 * though there is nothing to compute. */
static int classify_tick(void *self_, bool idle)
{
    (void)idle;
    struct classify *self = self_;
    int64_t left = self->announced_at + self->announce_us - leat_monotonic_us();
    if (left > 0)
        return (int)(left / 1000) + 1;
    announce(self);
    return (int)(self->announce_us / 1000);
}

static const struct leat_stage classify_stage = {
    .name = "classify",
    .help = "finds sentiment, emotions and topics in texts",
    .settings = classify_settings,
    .isolated = true,
    .side_out = "cache.results_address",
    .open = classify_open,
    .batch = classify_batch,
    .tick = classify_tick,
    .close = classify_close,
};

const struct leat_service classify_service = {
    .name = "classify",
    .help = "finds sentiment, emotions and topics in texts",
    .settings = classify_settings,
    .stage = &classify_stage,
};
