#include "services/classify/provider/provider.h"

#include "services/classify/provider/answer.h"
#include "services/classify/provider/endpoint.h"
#include "services/classify/provider/provider_options.h"
#include "services/classify/provider/question.h"
#include "services/flows/text/result.h"
#include "services/runtime/clock.h"
#include "services/runtime/jitter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    PAUSE_MIN_MS = 500,
    PAUSE_MAX_MS = 30000,
    PAUSE_DOUBLINGS = 6,   /* that lead from the least to the most */
    ODD_MOST = 3,          /* answers to a request that are its texts' fault, perhaps */
    REQUEST_MIN_MS = 1000, /* however little time is left */
    NUMBER_BYTES = 32,     /* of a number as JSON, at most, with what is between two */
    ITEM_BYTES = 256,      /* of what is around an embedding */
};

struct provider {
    struct provider_options options;
    struct provider_watch watch;
    struct endpoint_watch asked;
    struct endpoint *endpoint;
    struct provider_stats stats;
    size_t width;
    struct leat_jitter jitter;
    int64_t not_before_us; /* what a Retry-After said */
    struct leat_error why; /* of the last exchange that was no good one */

    /* Of a run. */
    struct provider_text *texts;
    struct leat_span *inputs; /* the texts as far as they are read; behind them a harmless one */
    size_t n, room;
    float *vectors; /* (n + 1) x width */
    size_t vectors_room;
    int64_t give_up_us, deadline_us;
    bool away, gave_up;
};

/* What an exchange came to. */
enum outcome {
    DONE,
    LATER,     /* nobody there, overloaded, the key is wrong: another time */
    SENSELESS, /* a good status, and not what was asked for */
    REFUSED,   /* perhaps because of the texts */
    BROKEN,    /* by the texts, or broken */
    STOPPED,
};

static bool goes_on(void *self_)
{
    struct provider *self = self_;
    return !self->watch.goes_on || self->watch.goes_on(self->watch.owner);
}

struct provider *provider_open(const struct leat_settings *settings,
                               const struct provider_watch *watch, struct leat_error *err)
{
    struct provider *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->asked = (struct endpoint_watch){self, goes_on};
    if (watch)
        self->watch = *watch;
    leat_jitter_init(&self->jitter);
    if (provider_options_read(settings, &self->options, err)) {
        self->endpoint = endpoint_open(self->options.url, self->options.key, &self->asked, err);
        if (!self->endpoint)
            leat_fail_in(err, "settings embeddings.url and embeddings.key");
        self->width = self->options.dimensions;
    }
    if (!self->endpoint)
        provider_close(&self);
    return self;
}

void provider_close(struct provider **self)
{
    if (!*self)
        return;
    endpoint_close(&(*self)->endpoint);
    explicit_bzero((*self)->options.key, sizeof(*self)->options.key);
    free((*self)->inputs);
    free((*self)->vectors);
    free(*self);
    *self = NULL;
}

bool provider_gave_up(const struct provider *self)
{
    return self->gave_up;
}

size_t provider_width(const struct provider *self)
{
    return self->width;
}

const struct provider_stats *provider_stats(const struct provider *self)
{
    return &self->stats;
}

void provider_hash(const struct provider *self, uint8_t out[16])
{
    const struct provider_options *options = &self->options;
    const uint64_t numbers[] = {options->dimensions, options->text_bytes};
    XXH128_hash_t of[3] = {
        XXH3_128bits(options->url, strlen(options->url)),
        XXH3_128bits(options->model, strlen(options->model)),
        XXH3_128bits(numbers, sizeof numbers),
    };
    XXH128_canonicalFromHash((XXH128_canonical_t *)out, XXH3_128bits(of, sizeof of));
}

/* --- texts ---------------------------------------------------------------------------------- */

/* Not more than the setting allows, and no half characters. */
static struct leat_span cut(struct leat_span text, size_t most, bool *truncated)
{
    *truncated = text.size > most;
    if (*truncated)
        text.size = leat_wire_text_prefix(text, most);
    return text;
}

/* For the reason of the last exchange. */
static void fail_texts(struct provider *self, size_t first, size_t n, const char *code)
{
    for (size_t i = first; i < first + n; i++) {
        struct provider_text *text = &self->texts[i];
        snprintf(text->code, sizeof text->code, "%s", code);
        snprintf(text->message, sizeof text->message, "%.*s", (int)sizeof text->message - 1,
                 self->why.text);
    }
    self->stats.failed += n;
}

/* How many texts from the first on go into one request. */
static size_t fitting(const struct provider *self, size_t first)
{
    size_t n = 1, bytes = self->inputs[first].size;
    while (first + n < self->n && n < self->options.most_texts &&
           bytes + self->inputs[first + n].size <= self->options.most_bytes)
        bytes += self->inputs[first + n++].size;
    return n;
}

static bool make_room(struct provider *self, struct leat_error *err)
{
    size_t n = self->n + 1;
    if (n > self->room) {
        struct leat_span *larger = realloc(self->inputs, n * sizeof *larger);
        if (!larger)
            return leat_fail(err, "out of memory");
        self->inputs = larger;
        self->room = n;
    }
    size_t floats = n * self->width;
    if (floats > self->vectors_room) {
        float *larger = realloc(self->vectors, floats * sizeof *larger);
        if (!larger)
            return leat_fail(err, "out of memory");
        self->vectors = larger;
        self->vectors_room = floats;
    }
    return true;
}

/* --- one request ---------------------------------------------------------------------------- */

static size_t answer_most(const struct provider *self, size_t n)
{
    size_t width = self->width > 0 ? self->width : TEXT_EMBEDDING_MAX;
    return n * (width * NUMBER_BYTES + ITEM_BYTES) + (1 << 16);
}

/* What it says is for people, unless it repeats the key to them. */
static enum outcome judge_status(const struct provider *self, const struct endpoint_answer *answer,
                                 struct leat_error *err)
{
    char said[160];
    long status = answer->status;
    answer_complaint(answer->body, answer->size, self->options.key, said);
    leat_fail(err, "%s answered with HTTP %ld%s%s", endpoint_name(self->endpoint), status,
              *said ? ": " : "", said);
    return status == 400 || status == 413 || status == 422 ? REFUSED
           : status == 500                                 ? BROKEN
                                                           : LATER;
}

static enum outcome take_answer(struct provider *self, size_t first, size_t n,
                                const struct endpoint_answer *from, struct leat_error *err)
{
    struct answer *answer =
        answer_open(from->body, from->size, n, self->width, TEXT_EMBEDDING_MAX, err);
    bool good = answer != NULL, first_one = self->width == 0;
    if (good && first_one) {
        self->width = answer_width(answer);
        good = make_room(self, err);
    }
    good = good && answer_take(answer, self->vectors + first * self->width, err);
    if (!good && first_one)
        self->width = 0; /* nothing of it is believed */
    if (good) {
        self->stats.texts += n;
        self->stats.tokens += answer_tokens(answer);
    }
    answer_close(&answer);
    if (!good)
        leat_fail_in(err, "%s does not answer as it should", endpoint_name(self->endpoint));
    return good ? DONE : SENSELESS;
}

static enum outcome exchange(struct provider *self, size_t first, size_t n)
{
    struct leat_error *err = &self->why;
    struct endpoint_answer answer;
    char *question = question_make(self->options.model, self->options.encoding,
                                   self->options.dimensions, self->inputs + first, n);
    if (!question) {
        leat_fail(err, "out of memory for a request");
        return LATER;
    }
    int64_t begin = leat_monotonic_us(), left = (self->deadline_us - begin) / 1000;
    int64_t timeout = left < self->options.timeout_ms ? left : self->options.timeout_ms;
    self->stats.requests++;
    enum endpoint_outcome outcome =
        endpoint_post(self->endpoint, question, strlen(question), answer_most(self, n),
                      timeout > REQUEST_MIN_MS ? timeout : REQUEST_MIN_MS, &answer, err);
    free(question);
    self->stats.requesting_us += (uint64_t)(leat_monotonic_us() - begin);
    if (outcome == ENDPOINT_STOPPED)
        return STOPPED;
    if (outcome == ENDPOINT_SILENT) {
        leat_fail_in(err, "%s does not answer", endpoint_name(self->endpoint));
        return LATER;
    }
    if (outcome == ENDPOINT_TALKATIVE) {
        leat_fail(err, "%s answers with more than %zu bytes", endpoint_name(self->endpoint),
                  answer_most(self, n));
        return SENSELESS;
    }
    if (answer.retry_after > 0)
        self->not_before_us = leat_monotonic_us() + answer.retry_after * 1000;
    return answer.status == 200 ? take_answer(self, first, n, &answer, err)
                                : judge_status(self, &answer, err);
}

/* --- until there is an answer --------------------------------------------------------------- */

/* Doubled every time, and spread over its upper half: those who were refused together do not come
 * again together. */
static int64_t backoff(struct provider *self, unsigned tries)
{
    int64_t most = (int64_t)PAUSE_MIN_MS << (tries < PAUSE_DOUBLINGS ? tries : PAUSE_DOUBLINGS);
    most = most < PAUSE_MAX_MS ? most : PAUSE_MAX_MS;
    return leat_jitter(&self->jitter, most / 2, most);
}

static void tell_away(struct provider *self, const char *reason)
{
    if (self->watch.away && (reason != NULL) != self->away)
        self->watch.away(self->watch.owner, reason);
    self->away = reason != NULL;
}

/* Waits until `until_us` or until it is time to give up; false: told to stop. */
static bool wait_until(struct provider *self, int64_t until_us, struct leat_error *err)
{
    int64_t begin = leat_monotonic_us();
    if (until_us <= begin)
        return true;
    tell_away(self, self->why.text);
    if (until_us > self->deadline_us) {
        self->gave_up = true;
        until_us = self->deadline_us;
    }
    bool going = until_us <= begin || endpoint_pause(self->endpoint, (until_us - begin) / 1000 + 1);
    self->stats.pausing_us += (uint64_t)(leat_monotonic_us() - begin);
    return going || leat_fail(err, "told to stop while it waited for embeddings");
}

static const char *code_of(enum outcome outcome)
{
    return outcome == SENSELESS ? "embedding_malformed" : "embedding_refused";
}

/* Asks for a text that nobody can object to: DONE says that the fault is with the others. Their
 * reason stays. */
static enum outcome ask_harmless(struct provider *self, struct leat_error *err)
{
    struct leat_error why = self->why;
    if (!wait_until(self, self->not_before_us, err))
        return STOPPED;
    enum outcome outcome = self->gave_up ? LATER : exchange(self, self->n, 1);
    self->why = why;
    return outcome;
}

static bool ask(struct provider *self, size_t first, size_t n, bool suspect,
                struct leat_error *err);

/* The texts may be at fault: are they, and which of them? *settled: each has a vector or a reason;
 * otherwise it is the provider's fault, and they are to be asked for again. False: told to stop. */
static bool find_fault(struct provider *self, size_t first, size_t n, enum outcome outcome,
                       bool suspect, bool *settled, struct leat_error *err)
{
    enum outcome harmless = suspect && outcome != BROKEN ? DONE : ask_harmless(self, err);
    *settled = harmless != LATER && harmless != BROKEN;
    if (harmless == STOPPED)
        return leat_fail(err, "told to stop while it waited for embeddings");
    if (!*settled)
        return true;
    /* What takes nothing at all is not asked which texts it would take. */
    if (n > 1 && harmless == DONE)
        return ask(self, first, n / 2, true, err) && ask(self, first + n / 2, n - n / 2, true, err);
    fail_texts(self, first, n, code_of(outcome));
    return true;
}

/* `suspect`: one of the texts is at fault. False: told to stop. Ends: every turn comes nearer to
 * the deadline or to ODD_MOST, every step down has fewer texts. */
static bool ask(struct provider *self, size_t first, size_t n, bool suspect, struct leat_error *err)
{
    unsigned odd = 0;
    for (unsigned tries = 0;; tries++) {
        bool settled = false;
        if (!wait_until(self, self->not_before_us, err))
            return false;
        if (self->gave_up) {
            fail_texts(self, first, n, "embedding_unavailable");
            return true;
        }
        self->stats.retries += tries > 0;
        enum outcome outcome = exchange(self, first, n);
        if (outcome == DONE) {
            self->deadline_us = leat_monotonic_us() + self->give_up_us;
            tell_away(self, NULL);
            return true;
        }
        if (outcome == STOPPED)
            return leat_fail(err, "told to stop while it waited for embeddings");
        odd = outcome == LATER ? 0 : odd + 1;
        if (odd > 0 && (odd % ODD_MOST == 0 || outcome == REFUSED || (suspect && n > 1)) &&
            !find_fault(self, first, n, outcome, suspect, &settled, err))
            return false;
        if (settled)
            return true;
        if (!wait_until(self, leat_monotonic_us() + backoff(self, tries) * 1000, err))
            return false;
    }
}

bool provider_run(struct provider *self, struct provider_text *texts, size_t n, int64_t give_up_ms,
                  struct leat_error *err)
{
    self->texts = texts;
    self->n = n;
    self->gave_up = false;
    self->give_up_us = (give_up_ms < 0 ? self->options.give_up_ms : give_up_ms) * 1000;
    self->deadline_us = leat_monotonic_us() + self->give_up_us;
    if (!make_room(self, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        self->inputs[i] = cut(texts[i].text, self->options.text_bytes, &texts[i].truncated);
        texts[i].vector = NULL;
        texts[i].code[0] = '\0';
    }
    self->inputs[n] = (struct leat_span){(const uint8_t *)"text", 4};
    bool good = true;
    for (size_t first = 0; good && first < n;) {
        size_t count = fitting(self, first);
        good = ask(self, first, count, false, err);
        first += count;
    }
    tell_away(self, NULL);
    for (size_t i = 0; good && i < n; i++)
        if (!texts[i].code[0])
            texts[i].vector = self->vectors + i * self->width;
    return good;
}
