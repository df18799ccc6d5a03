#include "services/classify/classify.h"

#include "services/classify/finder.h"
#include "services/classify/weights.h"
#include "services/flows/fill.h"
#include "services/flows/text/record.h"
#include "services/flows/text/result.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/tables.h"

#include <stdlib.h>
#include <string.h>

/* Which text of a batch has been met already, by its cache key. */
struct seen {
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    uint32_t item; /* index + 1; 0: free */
};

/* Where an item's result comes from. */
enum source {
    FROM_NOWHERE, /* the item has an error */
    FROM_CACHE,
    FROM_MODEL,
    FROM_EQUAL, /* an equal text before it in the batch */
};

/* An item of the batch in hand. */
struct work {
    enum source source;
    uint32_t equal; /* FROM_EQUAL: the item that is computed for both */
    struct text_record record;
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    double sentiment, emotion; /* scores, for the weights; FROM_EQUAL: see there */
};

struct classify {
    struct leat_stage_context *ctx;
    struct finder *finder;
    struct weights_options weights;
    uint8_t fingerprint[16];
    struct seen *seen;
    size_t seen_size; /* a power of two, at least twice the largest batch so far */
    struct work *work;
    struct leat_span *texts; /* those to be computed, and */
    uint32_t *items;         /* whose they are */
    size_t n_texts;
    size_t room;              /* items that work, texts and items have room for */
    struct leat_batch *batch; /* in hand */
    struct leat_fill fill;
    msgpack_sbuffer buffer;
    int64_t announce_us, announced_at;
    int64_t idle_since;
    struct tally {
        int64_t computed, repeated, cached, failed, truncated;
    } now;                      /* of the batch in hand */
    struct model_stats counted; /* what the metrics have of the finder's */
    struct leat_metric *computed, *repeated, *cached, *failed, *truncated;
    struct leat_metric *tokens, *rows, *token_room, *computing, *waiting;
    struct provider_watch watch;
    struct provider_stats told; /* what the metrics have of the provider's */
    struct leat_metric *requests, *retries, *embedded, *unembedded, *billed, *requesting, *pausing;
};

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

static void announce(struct classify *self)
{
    msgpack_sbuffer_clear(&self->buffer);
    leat_fill_write(&self->fill, "text", self->fingerprint, &self->buffer);
    leat_stage_side(self->ctx,
                    (struct leat_span){(const uint8_t *)self->buffer.data, self->buffer.size});
    self->announced_at = leat_monotonic_us();
}

static struct leat_metric *counter(struct leat_stage_context *ctx, const char *name,
                                   const char *labels, const char *help)
{
    return leat_metrics_add(leat_stage_metrics(ctx), LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels,
                            help);
}

static void open_metrics(struct classify *self)
{
    static const char texts[] = "leat_classify_texts_total";
    static const char texts_help[] = "Texts by where their result came from.";
    static const char seconds[] = "leat_classify_seconds_total";
    static const char seconds_help[] = "Time by what classify was doing.";
    struct leat_stage_context *ctx = self->ctx;
    struct leat_metrics *metrics = leat_stage_metrics(ctx);
    self->computed = counter(ctx, texts, "source=\"model\"", texts_help);
    self->repeated = counter(ctx, texts, "source=\"same_batch\"", texts_help);
    self->cached = counter(ctx, texts, "source=\"cache\"", texts_help);
    self->failed = counter(ctx, texts, "source=\"none\"", texts_help);
    self->truncated =
        counter(ctx, "leat_classify_truncated_total", "", "Texts longer than the model reads.");
    self->tokens = counter(ctx, "leat_classify_tokens_total", "", "Tokens that encoders read.");
    self->rows = counter(ctx, "leat_classify_rows_total", "",
                         "Rows that encoders computed: tokens, and padding.");
    self->token_room = counter(ctx, "leat_classify_token_room_total", "",
                               "Tokens that there was room for in what encoders computed at once.");
    self->computing = leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_US, seconds,
                                       "doing=\"computing\"", seconds_help);
    self->waiting = leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_US, seconds,
                                     "doing=\"waiting\"", seconds_help);
}

static void open_provider_metrics(struct classify *self)
{
    static const char texts[] = "leat_classify_embedding_texts_total";
    static const char texts_help[] =
        "Texts that a provider was asked to embed, by what came of it.";
    static const char seconds[] = "leat_classify_embedding_seconds_total";
    static const char seconds_help[] =
        "Time with the provider: in requests, and in pauses after them.";
    struct leat_stage_context *ctx = self->ctx;
    struct leat_metrics *metrics = leat_stage_metrics(ctx);
    self->requests = counter(ctx, "leat_classify_embedding_requests_total", "",
                             "Requests to the provider of embeddings.");
    self->retries = counter(ctx, "leat_classify_embedding_retries_total", "",
                            "Requests that were made again because one before failed.");
    self->embedded = counter(ctx, texts, "outcome=\"embedded\"", texts_help);
    self->unembedded = counter(ctx, texts, "outcome=\"failed\"", texts_help);
    self->billed = counter(ctx, "leat_classify_embedding_tokens_total", "",
                           "Tokens that the provider says it read.");
    self->requesting = leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_US, seconds,
                                        "doing=\"requesting\"", seconds_help);
    self->pausing = leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_US, seconds,
                                     "doing=\"pausing\"", seconds_help);
}

static void count_provider(struct classify *self)
{
    const struct provider_stats *now = self->finder ? finder_provider_stats(self->finder) : NULL;
    if (!now)
        return;
    leat_metric_inc(self->requests, (int64_t)(now->requests - self->told.requests));
    leat_metric_inc(self->retries, (int64_t)(now->retries - self->told.retries));
    leat_metric_inc(self->embedded, (int64_t)(now->texts - self->told.texts));
    leat_metric_inc(self->unembedded, (int64_t)(now->failed - self->told.failed));
    leat_metric_inc(self->billed, (int64_t)(now->tokens - self->told.tokens));
    leat_metric_inc(self->requesting, (int64_t)(now->requesting_us - self->told.requesting_us));
    leat_metric_inc(self->pausing, (int64_t)(now->pausing_us - self->told.pausing_us));
    self->told = *now;
}

static bool provider_goes_on(void *self_)
{
    struct classify *self = self_;
    count_provider(self);
    return leat_stage_waits(self->ctx);
}

static void provider_away(void *self_, const char *reason)
{
    struct classify *self = self_;
    leat_stage_ready(self->ctx, reason == NULL, reason);
}

static void classify_close(void **self_)
{
    struct classify *self = *self_;
    if (!self)
        return;
    finder_close(&self->finder);
    leat_fill_destroy(&self->fill);
    msgpack_sbuffer_destroy(&self->buffer);
    free(self->seen);
    free(self->work);
    free(self->texts);
    free(self->items);
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
    self->announce_us = leat_settings_int(settings, "classify.announce") * 1000;
    self->watch = (struct provider_watch){self, provider_goes_on, provider_away};
    if (!read_weights_options(settings, &self->weights, err) ||
        !(self->finder = finder_open(settings, &self->watch, err))) {
        classify_close(self_);
        return false;
    }
    finder_fingerprint(self->finder, self->fingerprint);
    open_metrics(self);
    if (finder_provider_stats(self->finder))
        open_provider_metrics(self);
    leat_log(LEAT_INFO, "classify", "model_opened",
             LEAT_S("model", finder_model_name(self->finder)),
             LEAT_I("labels", finder_labels(self->finder)),
             LEAT_I("topics", finder_topics(self->finder)));
    announce(self);
    self->idle_since = leat_monotonic_us();
    return true;
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

/* The array with room for `n` items; as it was, and *good false, when memory is out. */
static void *grown(void *array, size_t n, size_t size, bool *good)
{
    void *larger = realloc(array, n * size);
    if (!larger)
        *good = false;
    return larger ? larger : array;
}

/* Room for every item of a batch; nothing seen yet. */
static bool make_room(struct classify *self, uint32_t items)
{
    bool good = true;
    size_t size = self->seen_size ? self->seen_size : 1024;
    while (size < 2 * (size_t)items)
        size *= 2;
    if (size != self->seen_size)
        self->seen = grown(self->seen, size, sizeof *self->seen, &good);
    if (items > self->room) {
        self->work = grown(self->work, items, sizeof *self->work, &good);
        self->texts = grown(self->texts, items, sizeof *self->texts, &good);
        self->items = grown(self->items, items, sizeof *self->items, &good);
    }
    if (!good)
        return false;
    self->seen_size = size;
    self->room = items > self->room ? items : self->room;
    memset(self->seen, 0, self->seen_size * sizeof *self->seen);
    self->n_texts = 0;
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

/* Reads an item and says where its result is to come from. */
static bool look_at(struct classify *self, uint32_t index, struct leat_error *err)
{
    static const struct leat_flow_limits limits = {.text_max_bytes = SIZE_MAX};
    struct leat_item *item = &self->batch->items[index];
    struct work *work = &self->work[index];
    msgpack_object object;
    struct leat_why why;
    if (!leat_wire_unpack(item->record, self->batch->zone, &object, err))
        return false;
    if (!text_record_read(&object, &limits, &work->record, &why))
        return leat_fail(err, "%s: %s", why.code, why.message);

    struct text_result result;
    if (item->result.size > 0 && text_result_read(item->result, self->batch->zone, &result, NULL)) {
        work->source = FROM_CACHE;
        work->sentiment = result.sentiment_score;
        work->emotion = result.emotion_score;
        self->now.cached++;
        return true;
    }
    text_cache_key(self->fingerprint, work->record.text, work->key);
    struct seen *seen = seen_find(self, work->key);
    if (seen->item > 0) {
        work->source = FROM_EQUAL;
        work->equal = seen->item - 1;
        self->now.repeated++;
        return true;
    }
    seen->item = index + 1;
    work->source = FROM_MODEL;
    self->texts[self->n_texts] = work->record.text;
    self->items[self->n_texts++] = index;
    return true;
}

static void take_result(void *self_, size_t text, const struct text_result *result,
                        const struct finder_why *why)
{
    struct classify *self = self_;
    uint32_t index = self->items[text];
    struct work *work = &self->work[index];
    if (!result) {
        leat_batch_fail(self->batch, index, "classify", why->code, "%s", why->message);
        self->now.failed++;
        return;
    }
    struct leat_item *item = &self->batch->items[index];
    msgpack_sbuffer_clear(&self->buffer);
    text_result_pack(result, &self->buffer);
    item->result = leat_batch_keep(self->batch, self->buffer.data, self->buffer.size);
    leat_fill_add(&self->fill, work->key, item->result);
    work->sentiment = result->sentiment_score;
    work->emotion = result->emotion_score;
    self->now.computed++;
    self->now.truncated += result->truncated;
}

/* Results and errors of equal texts, and the weights of all that have a result. */
static void finish(struct classify *self, uint32_t index)
{
    const struct work *work = &self->work[index], *computed = work;
    struct leat_item *item = &self->batch->items[index];
    if (work->source == FROM_EQUAL) {
        computed = &self->work[work->equal];
        item->result = self->batch->items[work->equal].result;
        item->error = self->batch->items[work->equal].error;
        self->now.failed += item->error.size > 0;
    }
    if (item->error.size > 0)
        return;
    set_weights(self, self->batch, item, &work->record, computed->sentiment, computed->emotion);
}

static void count(struct classify *self)
{
    leat_metric_inc(self->computed, self->now.computed);
    leat_metric_inc(self->repeated, self->now.repeated);
    leat_metric_inc(self->cached, self->now.cached);
    leat_metric_inc(self->failed, self->now.failed);
    leat_metric_inc(self->truncated, self->now.truncated);
    self->now = (struct tally){0};
    struct model_stats stats = finder_stats(self->finder);
    leat_metric_inc(self->tokens, (int64_t)(stats.tokens - self->counted.tokens));
    leat_metric_inc(self->rows, (int64_t)(stats.rows - self->counted.rows));
    leat_metric_inc(self->token_room, (int64_t)(stats.room - self->counted.room));
    self->counted = stats;
    count_provider(self);
}

/* Everything in the batch that has no error and no result yet. */
static bool work_through(struct classify *self, struct leat_error *err)
{
    struct leat_batch *batch = self->batch;
    if (!make_room(self, batch->head.count))
        return leat_fail(err, "out of memory");
    for (uint32_t i = 0; i < batch->head.count; i++) {
        struct leat_error wrong;
        self->work[i].source = FROM_NOWHERE;
        if (batch->items[i].error.size > 0 || look_at(self, i, &wrong))
            continue;
        leat_batch_fail(batch, i, "classify", "record_malformed", "%s", wrong.text);
        self->now.failed++;
    }
    if (!finder_run(self->finder, self->texts, self->n_texts, take_result, self, err))
        return false;
    for (uint32_t i = 0; i < batch->head.count; i++)
        if (self->work[i].source != FROM_NOWHERE)
            finish(self, i);
    return true;
}

static enum leat_verdict classify_batch(void *self_, struct leat_batch *batch)
{
    struct classify *self = self_;
    struct leat_error err;
    int64_t begin = leat_monotonic_us();
    leat_metric_inc(self->waiting, begin - self->idle_since);
    self->batch = batch;
    bool good = work_through(self, &err);
    self->batch = NULL;
    self->idle_since = leat_monotonic_us();
    leat_metric_inc(self->computing, self->idle_since - begin);
    count(self);
    if (self->fill.count > 0)
        announce(self);
    if (!good)
        leat_log(LEAT_ERR, "classify", "batch_dropped", LEAT_S("reason", err.text),
                 LEAT_I("records", batch->head.count));
    return good ? LEAT_FORWARD : LEAT_DROP;
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
