#include "services/classify/classify.h"

#include "services/classify/classify_meters.h"
#include "services/classify/finder.h"
#include "services/classify/recent.h"
#include "services/classify/weights.h"
#include "services/flows/fill.h"
#include "services/flows/text/record.h"
#include "services/flows/text/result.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/tables.h"

#include <stdlib.h>
#include <string.h>

enum {
    GIVEN_UP = 64,
    GATHERED_BYTES = 64 * 1024, /* of batches: more at once is hardly faster */
    FILL_BYTES = 1024 * 1024,   /* of results told to the caches at once: SIDE_HWM counts frames */
};

/* Which text has been met already, by its cache key. */
struct seen {
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    uint32_t work; /* number + 1; 0: free */
};

/* Where an item's result comes from. */
enum source {
    FROM_NOWHERE, /* the item has an error */
    FROM_CACHE,   /* or recent */
    FROM_MODEL,
    FROM_EQUAL, /* an equal text before it */
};

/* An item of the batches in hand. */
struct work {
    struct leat_batch *batch;
    struct leat_item *item;
    enum source source;
    uint32_t equal; /* FROM_EQUAL: the work that is done for both */
    struct text_record record;
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    double sentiment, emotion; /* scores, for the weights; FROM_EQUAL: see there */
};

struct classify {
    struct leat_stage_context *ctx;
    struct finder *finder;
    struct weights_options weights;
    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE];
    struct seen *seen;
    size_t seen_size; /* a power of two, at least twice the most items so far */
    struct work *work;
    size_t n_work;
    struct leat_span *texts; /* those to be computed, and */
    uint32_t *works;         /* whose they are */
    size_t n_texts;
    size_t room; /* items that work, texts and works have room for */
    struct leat_fill fill;
    msgpack_sbuffer buffer;
    int64_t announce_us, announced_at;
    int64_t idle_since;
    struct classify_meters meters;
    struct classify_tally now;   /* of the batches in hand */
    struct recent *recent;       /* NULL: what is found is found as fast anew */
    struct provider_watch watch; /* of what the finder's provider does */
    struct given_up {
        uint8_t origin[LEAT_ID_SIZE];
        uint64_t seq;
    } given_up[GIVEN_UP]; /* batches whose texts were without a provider for too long, a ring */
    size_t n_given_up;
    struct leat_log_site failed_site;
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

static bool provider_goes_on(void *self_)
{
    struct classify *self = self_;
    if (self->finder) /* not while that is being opened */
        classify_meters_provider(&self->meters, self->finder);
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
    recent_close(&self->recent);
    leat_fill_destroy(&self->fill);
    msgpack_sbuffer_destroy(&self->buffer);
    free(self->seen);
    free(self->work);
    free(self->texts);
    free(self->works);
    free(self);
    *self_ = NULL;
}

/* What a linear model finds is found as fast as it is looked up. */
static bool open_recent(struct classify *self, const struct leat_settings *settings)
{
    size_t bytes = (size_t)leat_settings_int(settings, "classify.recent_bytes");
    if (bytes == 0 || !finder_is_slow(self->finder))
        return true;
    self->recent = recent_open(bytes);
    return self->recent != NULL;
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
    classify_meters_open(&self->meters, ctx, finder_provider_stats(self->finder) != NULL);
    if (!open_recent(self, settings)) {
        classify_close(self_);
        return leat_fail(err, "out of memory");
    }
    leat_log(
        LEAT_INFO, "classify", "model_opened", LEAT_S("model", finder_model_name(self->finder)),
        LEAT_S("by", finder_kernel(self->finder)), LEAT_I("labels", finder_labels(self->finder)),
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

/* Room for every item of the batches in hand; nothing seen yet. */
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
        self->works = grown(self->works, items, sizeof *self->works, &good);
    }
    if (!good)
        return false;
    self->seen_size = size;
    self->room = items > self->room ? items : self->room;
    memset(self->seen, 0, self->seen_size * sizeof *self->seen);
    self->n_texts = 0;
    return true;
}

/* The slot of a key: taken by an equal text, or free (work 0) and now the key's. */
static struct seen *seen_find(struct classify *self, const uint8_t key[LEAT_CACHE_KEY_SIZE])
{
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    for (size_t at = hash;; at++) {
        struct seen *slot = &self->seen[at & (self->seen_size - 1)];
        if (slot->work == 0)
            memcpy(slot->key, key, LEAT_CACHE_KEY_SIZE);
        if (memcmp(slot->key, key, LEAT_CACHE_KEY_SIZE) == 0)
            return slot;
    }
}

/* Takes `known` as the item's result; false: it is none. */
static bool take_known(struct work *work, struct leat_span known)
{
    struct text_result result;
    if (known.size == 0 || !text_result_read(known, work->batch->zone, &result, NULL))
        return false;
    work->item->result = known;
    work->source = FROM_CACHE;
    work->sentiment = result.sentiment_score;
    work->emotion = result.emotion_score;
    return true;
}

/* One that the cache filled in, if it was found as it would be found here: a cache that has not
 * heard yet of another model, or another setting, still fills in what was found before. */
static bool take_cached(const struct classify *self, struct work *work)
{
    struct leat_span known = work->item->result;
    work->item->result = (struct leat_span){0};
    return memcmp(work->batch->head.fingerprint, self->fingerprint, sizeof self->fingerprint) ==
               0 &&
           take_known(work, known);
}

/* One that was found here a short while ago. */
static bool take_recent(const struct classify *self, struct work *work)
{
    struct leat_span known =
        self->recent ? recent_find(self->recent, work->key) : (struct leat_span){0};
    return known.size > 0 && take_known(work, leat_batch_keep(work->batch, known.data, known.size));
}

/* Reads an item and says where its result is to come from. */
static bool look_at(struct classify *self, uint32_t number, struct leat_error *err)
{
    static const struct leat_flow_limits limits = {.text_max_bytes = SIZE_MAX};
    struct work *work = &self->work[number];
    msgpack_object object;
    struct leat_why why;
    if (!leat_wire_unpack(work->item->record, work->batch->zone, &object, err))
        return false;
    if (!text_record_read(&object, &limits, &work->record, &why))
        return leat_fail(err, "%s: %s", why.code, why.message);

    if (take_cached(self, work)) {
        self->now.cached++;
        return true;
    }
    text_cache_key(self->fingerprint, work->record.text, work->key);
    if (take_recent(self, work)) {
        self->now.recent++;
        return true;
    }
    struct seen *seen = seen_find(self, work->key);
    if (seen->work > 0) {
        work->source = FROM_EQUAL;
        work->equal = seen->work - 1;
        self->now.repeated++;
        return true;
    }
    seen->work = number + 1;
    work->source = FROM_MODEL;
    self->texts[self->n_texts] = work->record.text;
    self->works[self->n_texts++] = number;
    return true;
}

static void fail_text(struct classify *self, const struct work *work, const struct finder_why *why)
{
    uint64_t suppressed;
    uint32_t index = (uint32_t)(work->item - work->batch->items);
    leat_batch_fail(work->batch, index, "classify", why->code, "%s", why->message);
    self->now.failed++;
    if (leat_log_allow(&self->failed_site, &suppressed))
        leat_log(LEAT_WARN, "classify", "text_failed", LEAT_S("code", why->code),
                 LEAT_S("reason", why->message), LEAT_I("suppressed", suppressed));
}

static void take_result(void *self_, size_t text, const struct text_result *result,
                        const struct finder_why *why)
{
    struct classify *self = self_;
    struct work *work = &self->work[self->works[text]];
    if (!result) {
        fail_text(self, work, why);
        return;
    }
    msgpack_sbuffer_clear(&self->buffer);
    text_result_pack(result, &self->buffer);
    work->item->result = leat_batch_keep(work->batch, self->buffer.data, self->buffer.size);
    leat_fill_add(&self->fill, work->key, work->item->result);
    if (self->fill.entries.size >= FILL_BYTES)
        announce(self);
    if (self->recent)
        recent_put(self->recent, work->key, work->item->result);
    work->sentiment = result->sentiment_score;
    work->emotion = result->emotion_score;
    self->now.computed++;
    self->now.truncated += result->truncated;
}

/* Bytes of one batch for another, which may outlive it. */
static struct leat_span shared(const struct work *to, const struct work *from,
                               struct leat_span bytes)
{
    return to->batch == from->batch || bytes.size == 0
               ? bytes
               : leat_batch_keep(to->batch, bytes.data, bytes.size);
}

/* Results and errors of equal texts, and the weights of all that have a result. */
static void finish(struct classify *self, struct work *work)
{
    const struct work *computed = work;
    struct leat_item *item = work->item;
    if (work->source == FROM_EQUAL) {
        computed = &self->work[work->equal];
        item->result = shared(work, computed, computed->item->result);
        item->error = shared(work, computed, computed->item->error);
        self->now.failed += item->error.size > 0;
    }
    if (item->error.size == 0)
        set_weights(self, work->batch, item, &work->record, computed->sentiment, computed->emotion);
}

/* Its copies, which were sent while it waited, must not wait as long again. */
static bool was_given_up(const struct classify *self, const struct leat_batch_head *head)
{
    for (size_t i = 0; i < self->n_given_up && i < GIVEN_UP; i++)
        if (self->given_up[i].seq == head->seq &&
            memcmp(self->given_up[i].origin, head->origin, LEAT_ID_SIZE) == 0)
            return true;
    return false;
}

static void remember_given_up(struct classify *self, const struct leat_batch_head *head)
{
    struct given_up *slot = &self->given_up[self->n_given_up++ % GIVEN_UP];
    memcpy(slot->origin, head->origin, LEAT_ID_SIZE);
    slot->seq = head->seq;
}

/* Lists the items of all batches and looks at those without an error; *patient: there are some that
 * were not waited for in vain before. */
static bool begin(struct classify *self, struct leat_batch *const *batches, size_t n, bool *patient)
{
    uint32_t count = 0, number = 0;
    for (size_t b = 0; b < n; b++)
        count += batches[b]->head.count;
    if (!make_room(self, count))
        return false;
    *patient = false;
    for (size_t b = 0; b < n; b++) {
        *patient = *patient || !was_given_up(self, &batches[b]->head);
        for (uint32_t i = 0; i < batches[b]->head.count; i++, number++) {
            struct leat_item *item = &batches[b]->items[i];
            struct leat_error wrong;
            self->work[number] =
                (struct work){.batch = batches[b], .item = item, .source = FROM_NOWHERE};
            if (item->error.size > 0 || look_at(self, number, &wrong))
                continue;
            leat_batch_fail(batches[b], i, "classify", "record_malformed", "%s", wrong.text);
            self->now.failed++;
        }
    }
    self->n_work = count;
    return true;
}

/* Everything in the batches that has no error and no result yet. */
static bool work_through(struct classify *self, struct leat_batch *const *batches, size_t n,
                         struct leat_error *err)
{
    bool patient;
    if (!begin(self, batches, n, &patient))
        return leat_fail(err, "out of memory");
    if (!finder_run(self->finder, self->texts, self->n_texts, patient, take_result, self, err))
        return false;
    if (patient && finder_gave_up(self->finder))
        for (size_t b = 0; b < n; b++)
            remember_given_up(self, &batches[b]->head);
    for (size_t i = 0; i < self->n_work; i++)
        if (self->work[i].source != FROM_NOWHERE)
            finish(self, &self->work[i]);
    return true;
}

static void classify_batches(void *self_, struct leat_batch *const *batches, size_t n,
                             enum leat_verdict *verdicts)
{
    struct classify *self = self_;
    struct leat_error err;
    int64_t since = leat_monotonic_us();
    int64_t waited = since - self->idle_since;
    self->now = (struct classify_tally){0};
    bool good = work_through(self, batches, n, &err);
    self->idle_since = leat_monotonic_us();
    classify_meters_batch(&self->meters, &self->now, self->finder, waited,
                          self->idle_since - since);
    if (self->fill.count > 0)
        announce(self);
    if (!good)
        leat_log(LEAT_ERR, "classify", "batch_dropped", LEAT_S("reason", err.text),
                 LEAT_I("batches", n), LEAT_I("records", batches[0]->head.count));
    for (size_t b = 0; b < n; b++)
        verdicts[b] = good ? LEAT_FORWARD : LEAT_DROP;
}

static enum leat_verdict classify_batch(void *self_, struct leat_batch *batch)
{
    enum leat_verdict verdict;
    classify_batches(self_, &batch, 1, &verdict);
    return verdict;
}

/* A model that is slow is less so for many texts at once; others need not wait for each other. */
static bool classify_gathers(void *self_, size_t n, size_t bytes)
{
    const struct classify *self = self_;
    (void)n;
    return bytes < GATHERED_BYTES && finder_is_slow(self->finder);
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
    .gathers = classify_gathers,
    .batches = classify_batches,
    .tick = classify_tick,
    .close = classify_close,
};

const struct leat_service classify_service = {
    .name = "classify",
    .help = "finds sentiment, emotions and topics in texts",
    .settings = classify_settings,
    .stage = &classify_stage,
};
