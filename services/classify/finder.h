/* What can be found in a text, by the models and topics that the settings name: everything that may
 * be cached of it. */
#ifndef LEAT_CLASSIFY_FINDER_H
#define LEAT_CLASSIFY_FINDER_H

#include "services/classify/model.h"
#include "services/classify/provider/provider.h"
#include "services/flows/text/result.h"
#include "services/runtime/settings.h"

struct finder;

/* Opens models and topics. `watch`: of a provider of embeddings; and it is asked whether to go on
 * before every few texts, if they take long. NULL: nobody minds. NULL with the reason, which names
 * the file or the setting. */
struct finder *finder_open(const struct leat_settings *settings, const struct provider_watch *watch,
                           struct leat_error *err);
void finder_close(struct finder **self);

/* Ensures: equal fingerprints give equal results for equal texts (an encoder's but for the last
 * bits of its sums). Everything that a result depends on besides the text goes in: models and
 * cards, topic file, settings, and the form it is packed in. */
void finder_fingerprint(const struct finder *self, uint8_t out[LEAT_FINGERPRINT_SIZE]);

/* Why nothing was found in a text. */
struct finder_why {
    const char *code, *message;
};

/* Told of every text in order; `result` and what it points to are valid during the call. It is NULL
 * when nothing was found, and `why` says why. */
typedef void finder_found(void *context, size_t index, const struct text_result *result,
                          const struct finder_why *why);

/* `patient`: a provider that does not answer is waited for. False when memory is out, or when told
 * to stop; then some were told of, and others not. */
bool finder_run(struct finder *self, const struct leat_span *texts, size_t n, bool patient,
                finder_found *found, void *context, struct leat_error *err);

/* Did the last run wait for a provider in vain? */
bool finder_gave_up(const struct finder *self);

/* Does it take longer to find something than to remember it? */
bool finder_is_slow(const struct finder *self);

/* "name version", of both models when there are two. */
const char *finder_model_name(const struct finder *self);

/* What that is computed by (model.h). */
const char *finder_kernel(const struct finder *self);

size_t finder_labels(const struct finder *self);
size_t finder_topics(const struct finder *self);

/* Of the encoders together, so far. */
struct model_stats finder_stats(const struct finder *self);

/* Of the provider of embeddings, so far; NULL when there is none. */
const struct provider_stats *finder_provider_stats(const struct finder *self);

#endif
