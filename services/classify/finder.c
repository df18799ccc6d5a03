#include "services/classify/finder.h"

#include "services/classify/encoder/kernels.h"
#include "services/classify/shipped.h"
#include "services/classify/topics.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* The order of the reporting set is the same for a model's card and for what is stored. */
_Static_assert((int)EMOTION_COUNT == (int)TEXT_EMOTIONS, "one reporting set");
_Static_assert((int)CARD_LABELS_MOST <= (int)TEXT_MAX_LABELS, "room for every label of a card");
_Static_assert((int)TEXT_MAX_TOPICS <= (int)TOPICS_MOST, "topics fit");

enum {
    AT_ONCE = 1024, /* texts that models are given, of */
    AT_ONCE_BYTES = 256 * 1024,
};

/* That a provider may take for the topics: a stage waits for it as for those of texts, who opens a
 * finder for something else does not. */
static const int64_t stage_open_ms = INT64_C(1) << 40, other_open_ms = 20000;

struct finder {
    struct model *emotion;   /* also of sentiments, unless: */
    struct model *sentiment; /* NULL: `emotion` tells both */
    struct topics *topics;
    struct topics_scratch *scratch;
    double lower, upper; /* bounds of the sentiment labels */
    char name[TEXT_MODEL_MAX + 1];
    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE];
    struct model_text *texts;      /* AT_ONCE */
    struct model_text *sentiments; /* AT_ONCE, when that is another model's */
    bool store;                    /* embeddings go into the results */
    float *embeddings;             /* AT_ONCE x width; NULL: the model for emotions makes none */
    struct provider *provider;     /* who makes them; NULL: nobody, or the model */
    int64_t open_ms;               /* that it may take for the topics */
    struct provider_text *asked;   /* of the batch in hand */
    size_t asked_room;
    const struct encoder_kernels *kernels;
    struct provider_watch watch;
    float *topic_vectors; /* topics x width; NULL: keywords alone find topics */
    float *cosines;       /* topics */
};

static void read_topics_options(const struct leat_settings *settings, struct topics_options *out)
{
    topics_options_init(out);
    const struct {
        const char *name;
        double *value;
    } rows[] = {
        {"topics.whole_value", &out->whole_value},
        {"topics.partial_value", &out->partial_value},
        {"topics.boost_above", &out->boost_above},
        {"topics.boost_divisor", &out->boost_divisor},
        {"topics.keyword_share", &out->keyword_share},
        {"topics.embedding_share", &out->embedding_share},
        {"topics.embedding_floor", &out->embedding_floor},
        {"topics.agreement_factor", &out->agreement_factor},
        {"topics.agreement_keyword_above", &out->agreement_keyword_above},
        {"topics.agreement_embedding_above", &out->agreement_embedding_above},
        {"topics.conviction_factor", &out->conviction_factor},
        {"topics.conviction_keyword_above", &out->conviction_keyword_above},
        {"topics.conviction_embedding_above", &out->conviction_embedding_above},
        {"topics.keep_from", &out->keep_from},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i].value = leat_settings_real(settings, rows[i].name);
    out->most = (size_t)leat_settings_int(settings, "topics.most");
}

static unsigned threads_wanted(const struct leat_settings *settings)
{
    int64_t wanted = leat_settings_int(settings, "classify.threads");
    long there = sysconf(_SC_NPROCESSORS_ONLN);
    return wanted > 0 ? (unsigned)wanted : there > 0 ? (unsigned)there : 1;
}

static struct model *open_one(const struct leat_settings *settings, const char *setting,
                              struct leat_error *err)
{
    struct model_options options = {
        .path = leat_settings_str(settings, setting),
        .precision = leat_settings_str(settings, "classify.precision"),
        .threads = threads_wanted(settings),
        .batch_tokens = (size_t)leat_settings_int(settings, "classify.batch_tokens"),
    };
    struct model *model = model_open(&options, err);
    if (!model)
        leat_fail_in(err, "setting %s", setting);
    return model;
}

/* The setting that names the model for a task: its own, or the one for all. */
static const char *setting_of(const struct leat_settings *settings, const char *own)
{
    return *leat_settings_str(settings, own) ? own : "classify.model";
}

static bool open_models(struct finder *self, const struct leat_settings *settings,
                        struct leat_error *err)
{
    const char *emotion = setting_of(settings, "classify.emotion_model");
    const char *sentiment = setting_of(settings, "classify.sentiment_model");
    bool both =
        strcmp(leat_settings_str(settings, emotion), leat_settings_str(settings, sentiment)) == 0;
    if (!(self->emotion = open_one(settings, emotion, err)) ||
        (!both && !(self->sentiment = open_one(settings, sentiment, err))))
        return false;
    if (!model_has_emotions(self->emotion))
        return leat_fail(err,
                         "setting %s: no label of the model stands for an emotion: "
                         "classify.emotion_model names one that has such labels",
                         emotion);
    if (!model_has_sentiments(both ? self->emotion : self->sentiment))
        return leat_fail(err,
                         "setting %s: the model has no labels that are positive and negative: "
                         "classify.sentiment_model names one that has such labels",
                         sentiment);
    const struct card *card = model_card(self->emotion);
    int n = snprintf(self->name, sizeof self->name, "%s %s", card->name, card->version);
    if (self->sentiment) {
        card = model_card(self->sentiment);
        snprintf(self->name + n, sizeof self->name - (size_t)n, " + %s %s", card->name,
                 card->version);
    }
    return true;
}

static bool open_topics(struct finder *self, const struct leat_settings *settings,
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
    self->scratch = topics_scratch_open(self->topics);
    return self->scratch || leat_fail(err, "out of memory");
}

/* A topic's vector is that of "name description". malloc'd. */
static char *topic_text(const struct finder *self, size_t topic, struct leat_span *out)
{
    char *text;
    int size = asprintf(&text, "%s %s", topics_name(self->topics, topic),
                        topics_description(self->topics, topic));
    if (size < 0)
        return NULL;
    *out = (struct leat_span){(const uint8_t *)text, (size_t)size};
    return text;
}

static size_t width_of(const struct finder *self)
{
    return self->provider ? provider_width(self->provider) : model_width(self->emotion);
}

static bool make_topic_vectors(struct finder *self, struct leat_error *err)
{
    size_t topics = topics_count(self->topics);
    self->topic_vectors = malloc((topics + 1) * width_of(self) * sizeof *self->topic_vectors);
    self->cosines = malloc((topics + 1) * sizeof *self->cosines);
    return (self->topic_vectors && self->cosines) || leat_fail(err, "out of memory");
}

static bool embed_by_model(struct finder *self, const struct leat_span *texts, size_t n,
                           struct leat_error *err)
{
    if (!make_topic_vectors(self, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        self->texts[0] = (struct model_text){
            .text = (const char *)texts[i].data,
            .size = texts[i].size,
            .embedding = self->topic_vectors + i * width_of(self),
        };
        if (!model_run(self->emotion, self->texts, 1, err))
            return false;
    }
    return true;
}

/* Room for the batch in hand to be asked for. */
static bool make_asked(struct finder *self, const struct leat_span *texts, size_t n,
                       struct leat_error *err)
{
    if (n > self->asked_room) {
        struct provider_text *larger = realloc(self->asked, n * sizeof *larger);
        if (!larger)
            return leat_fail(err, "out of memory");
        self->asked = larger;
        self->asked_room = n;
    }
    for (size_t i = 0; i < n; i++)
        self->asked[i].text = texts[i];
    return true;
}

static bool embed_by_provider(struct finder *self, const struct leat_span *texts, size_t n,
                              struct leat_error *err)
{
    if (!make_asked(self, texts, n, err) ||
        !provider_run(self->provider, self->asked, n, self->open_ms, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!self->asked[i].vector)
            return leat_fail(err, "%s", self->asked[i].message);
    if (!make_topic_vectors(self, err))
        return false;
    for (size_t i = 0; i < n; i++)
        memcpy(self->topic_vectors + i * width_of(self), self->asked[i].vector,
               width_of(self) * sizeof *self->topic_vectors);
    return true;
}

static bool embed_topics(struct finder *self, struct leat_error *err)
{
    size_t n = topics_count(self->topics);
    char **texts = calloc(n + 1, sizeof *texts);
    struct leat_span *spans = calloc(n + 1, sizeof *spans);
    bool good = texts && spans;
    for (size_t i = 0; good && i < n; i++)
        good = (texts[i] = topic_text(self, i, &spans[i]));
    if (!good)
        leat_fail(err, "out of memory");
    good = good && (self->provider ? embed_by_provider : embed_by_model)(self, spans, n, err);
    for (size_t i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
    free(spans);
    return good || leat_fail_in(err, "setting topics.embeddings");
}

/* Who makes embeddings, for whom `setting` asks. */
static bool open_maker(struct finder *self, const struct leat_settings *settings,
                       const struct provider_watch *watch, const char *setting,
                       struct leat_error *err)
{
    if (*leat_settings_str(settings, "embeddings.url"))
        return (self->provider = provider_open(settings, watch, err));
    size_t width = model_width(self->emotion);
    if (width == 0)
        return leat_fail(err,
                         "setting %s: the model for emotions gives no embeddings: "
                         "classify.emotion_model or classify.model has to name an encoder's "
                         "folder, or embeddings.url a provider",
                         setting);
    if (width > TEXT_EMBEDDING_MAX)
        return leat_fail(err, "setting %s: the model's embeddings have %zu numbers; at most %d do",
                         setting, width, TEXT_EMBEDDING_MAX);
    self->embeddings = malloc(AT_ONCE * width * sizeof *self->embeddings);
    return self->embeddings || leat_fail(err, "out of memory");
}

static bool open_embeddings(struct finder *self, const struct leat_settings *settings,
                            const struct provider_watch *watch, struct leat_error *err)
{
    bool topics = leat_settings_bool(settings, "topics.embeddings");
    self->store = leat_settings_bool(settings, "embeddings.store");
    self->kernels = encoder_kernels_choose();
    if (!topics && !self->store)
        return !*leat_settings_str(settings, "embeddings.url") ||
               leat_fail(err, "setting embeddings.url: neither embeddings.store nor "
                              "topics.embeddings asks for embeddings");
    return open_maker(self, settings, watch, topics ? "topics.embeddings" : "embeddings.store",
                      err) &&
           (!topics || embed_topics(self, err));
}

static void make_fingerprint(struct finder *self, const struct leat_settings *settings)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return;
    XXH3_128bits_reset(state);
    struct {
        uint8_t models[3][16];
        uint64_t topics;
        uint32_t version, with;
    } files = {.topics = topics_hash(self->topics),
               .version = TEXT_RESULT_VERSION,
               .with = (self->sentiment ? 1 : 0) | (self->topic_vectors ? 2 : 0) |
                       (self->store ? 4 : 0)};
    model_hash(self->emotion, files.models[0]);
    if (self->sentiment)
        model_hash(self->sentiment, files.models[1]);
    if (self->provider)
        provider_hash(self->provider, files.models[2]);
    XXH3_128bits_update(state, &files, sizeof files);
    struct topics_options options;
    memset(&options, 0, sizeof options);
    read_topics_options(settings, &options);
    XXH3_128bits_update(state, &options, sizeof options);
    const double bounds[] = {self->lower, self->upper};
    XXH3_128bits_update(state, bounds, sizeof bounds);
    XXH128_canonicalFromHash((XXH128_canonical_t *)self->fingerprint, XXH3_128bits_digest(state));
    XXH3_freeState(state);
}

static bool open_parts(struct finder *self, const struct leat_settings *settings,
                       const struct provider_watch *watch, struct leat_error *err)
{
    self->lower = leat_settings_real(settings, "classify.sentiment_lower");
    self->upper = leat_settings_real(settings, "classify.sentiment_upper");
    if (self->lower >= self->upper)
        return leat_fail(err, "classify.sentiment_lower must be below classify.sentiment_upper");
    if (!open_models(self, settings, err) || !open_topics(self, settings, err))
        return false;
    self->texts = calloc(AT_ONCE, sizeof *self->texts);
    self->sentiments = self->sentiment ? calloc(AT_ONCE, sizeof *self->sentiments) : NULL;
    if (!self->texts || (self->sentiment && !self->sentiments))
        return leat_fail(err, "out of memory");
    if (!open_embeddings(self, settings, watch, err))
        return false;
    make_fingerprint(self, settings);
    return true;
}

struct finder *finder_open(const struct leat_settings *settings, const struct provider_watch *watch,
                           struct leat_error *err)
{
    struct finder *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->open_ms = watch ? stage_open_ms : other_open_ms;
    if (!open_parts(self, settings, watch, err))
        finder_close(&self);
    if (self && watch && finder_is_slow(self))
        self->watch = *watch;
    return self;
}

void finder_close(struct finder **self_)
{
    struct finder *self = *self_;
    if (!self)
        return;
    model_close(&self->emotion);
    model_close(&self->sentiment);
    topics_scratch_close(&self->scratch);
    topics_close(&self->topics);
    free(self->texts);
    free(self->sentiments);
    free(self->embeddings);
    provider_close(&self->provider);
    free(self->asked);
    free(self->topic_vectors);
    free(self->cosines);
    free(self);
    *self_ = NULL;
}

void finder_fingerprint(const struct finder *self, uint8_t out[LEAT_FINGERPRINT_SIZE])
{
    memcpy(out, self->fingerprint, sizeof self->fingerprint);
}

static struct leat_span of_string(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

static void find_sentiment(const struct finder *self, const struct model_text *text,
                           struct text_result *out)
{
    out->sentiment_score = sentiment_score((double)text->sentiment[SENTIMENT_POSITIVE],
                                           (double)text->sentiment[SENTIMENT_NEGATIVE]);
    out->sentiment_label =
        of_string(sentiment_name(sentiment_label(out->sentiment_score, self->lower, self->upper)));
}

static void find_emotions(const struct finder *self, const struct model_text *text,
                          struct text_result *out)
{
    const struct card *card = model_card(self->emotion);
    struct emotion_found found[CARD_LABELS_MOST];
    out->n_emotions = model_list(self->emotion, text->label, found);
    for (size_t i = 0; i < out->n_emotions; i++) {
        out->emotions[i].label = of_string(card->labels[found[i].label].name);
        out->emotions[i].probability = found[i].probability;
    }
    model_fold(self->emotion, text->label, out->distribution);
    enum emotion best = emotion_label(out->distribution);
    out->emotion_label = of_string(emotion_name(best));
    out->emotion_score = out->distribution[best] / (double)EMOTION_WHOLE;
}

static void find_topics(struct finder *self, const struct model_text *text, const float *vector,
                        struct text_result *out)
{
    size_t width = width_of(self);
    for (size_t i = 0; self->topic_vectors && i < topics_count(self->topics); i++)
        self->cosines[i] = self->kernels->dot(vector, self->topic_vectors + i * width, width);
    struct topics_match matches[TOPICS_MOST];
    out->n_topics = topics_score(self->topics, self->scratch, text->text, text->size,
                                 self->topic_vectors ? self->cosines : NULL, matches);
    for (size_t i = 0; i < out->n_topics; i++)
        out->topics[i] = (struct text_topic){
            .topic = of_string(matches[i].key),
            .confidence = matches[i].confidence,
            .keyword_score = matches[i].keyword_score,
            .embedding_score = self->topic_vectors ? matches[i].embedding_score : (double)NAN,
        };
}

static bool run_some(struct finder *self, const struct leat_span *texts, size_t n,
                     struct leat_error *err)
{
    size_t width = self->embeddings ? width_of(self) : 0;
    for (size_t i = 0; i < n; i++) {
        struct model_text text = {.text = (const char *)texts[i].data, .size = texts[i].size};
        if (self->sentiment)
            self->sentiments[i] = text;
        text.embedding = self->embeddings ? self->embeddings + i * width : NULL;
        self->texts[i] = text;
    }
    return model_run(self->emotion, self->texts, n, err) &&
           (!self->sentiment || model_run(self->sentiment, self->sentiments, n, err));
}

/* The text's vector, from wherever it comes; NULL: there is none. */
static float *vector_of(const struct finder *self, const struct model_text *text,
                        const struct provider_text *asked)
{
    return self->embeddings ? text->embedding : asked ? asked->vector : NULL;
}

static void find(struct finder *self, size_t i, const struct provider_text *asked,
                 struct text_result *out)
{
    const struct model_text *text = &self->texts[i];
    const struct model_text *sentiment = self->sentiment ? &self->sentiments[i] : text;
    float *vector = vector_of(self, text, asked);
    out->model = of_string(self->name);
    find_sentiment(self, sentiment, out);
    find_emotions(self, text, out);
    find_topics(self, text, vector, out);
    out->truncated = text->truncated || sentiment->truncated || (asked && asked->truncated);
    out->embedding = self->store ? text_embedding(vector, width_of(self)) : (struct leat_span){0};
}

/* How many texts are given to the models at once: not so many that it takes for ever. */
static size_t count_some(const struct leat_span *texts, size_t n)
{
    size_t count = 1, bytes = texts[0].size;
    while (count < n && count < AT_ONCE && bytes + texts[count].size <= AT_ONCE_BYTES)
        bytes += texts[count++].size;
    return count;
}

bool finder_run(struct finder *self, const struct leat_span *texts, size_t n, bool patient,
                finder_found *found, void *context, struct leat_error *err)
{
    if (self->provider && (!make_asked(self, texts, n, err) ||
                           !provider_run(self->provider, self->asked, n, patient ? -1 : 0, err)))
        return false;
    for (size_t done = 0, count; done < n; done += count) {
        if (self->watch.goes_on && !self->watch.goes_on(self->watch.owner))
            return leat_fail(err, "told to stop");
        count = count_some(texts + done, n - done);
        if (!run_some(self, texts + done, count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            const struct provider_text *asked = self->provider ? &self->asked[done + i] : NULL;
            struct text_result result;
            if (asked && !asked->vector) {
                const struct finder_why why = {asked->code, asked->message};
                found(context, done + i, NULL, &why);
                continue;
            }
            find(self, i, asked, &result);
            found(context, done + i, &result, NULL);
        }
    }
    return true;
}

bool finder_gave_up(const struct finder *self)
{
    return self->provider && provider_gave_up(self->provider);
}

bool finder_is_slow(const struct finder *self)
{
    return self->provider || model_width(self->emotion) > 0 ||
           (self->sentiment && model_width(self->sentiment) > 0);
}

const char *finder_model_name(const struct finder *self)
{
    return self->name;
}

const char *finder_kernel(const struct finder *self)
{
    return model_kernel(self->emotion);
}

size_t finder_labels(const struct finder *self)
{
    return model_card(self->emotion)->label_count;
}

size_t finder_topics(const struct finder *self)
{
    return topics_count(self->topics);
}

struct model_stats finder_stats(const struct finder *self)
{
    struct model_stats stats = model_stats(self->emotion);
    if (self->sentiment) {
        struct model_stats more = model_stats(self->sentiment);
        stats.tokens += more.tokens;
        stats.rows += more.rows;
        stats.room += more.room;
    }
    return stats;
}

const struct provider_stats *finder_provider_stats(const struct finder *self)
{
    return self->provider ? provider_stats(self->provider) : NULL;
}
