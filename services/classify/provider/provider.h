/* Embeddings from a provider: any endpoint that speaks as OpenAI's /v1/embeddings does. Many texts
 * a request; what fails for a while is asked again.
 *
 * Ensures:
 *  1. Every text has a vector or the reason why it has none, unless the process is told to stop.
 *  2. Nothing is asked again before the provider wishes it (Retry-After), or sooner than a pause
 *     that doubles, with jitter.
 *  3. A text that the provider does not want costs no other text its vector. When a request is
 *     refused (400, 413, 422), or broken off (500) or answered by something else than was asked for
 *     a few times, a harmless text is asked for: if the provider takes that one, the others are
 *     asked for in halves, until those at fault stand alone. If that one is not wanted either, the
 *     request's texts have no vector.
 *  4. Everything else, a wrong key and a wrong path included, is no fault of the texts: it is tried
 *     again until there was no good answer for `give_up`.
 *  5. The key is in no log, reason, metric or fingerprint. */
#ifndef LEAT_PROVIDER_PROVIDER_H
#define LEAT_PROVIDER_PROVIDER_H

#include "proto/wire.h"
#include "services/runtime/settings.h"

/* What a provider asks of its owner. */
struct provider_watch {
    void *owner;
    bool (*goes_on)(void *owner); /* asked several times a second while it waits; false: stop */
    void (*away)(void *owner, const char *reason); /* it does not answer; NULL: that is over */
};

/* A text, and what became of it. */
struct provider_text {
    struct leat_span text; /* UTF-8 */
    float *vector;         /* provider_width floats, of length 1; until the next run. NULL: none */
    bool truncated;        /* it has more bytes than embeddings.text_bytes */
    char code[32];         /* why there is none: embedding_unavailable (nobody answers), */
    char message[200]; /* embedding_refused, embedding_malformed (what answers makes no sense) */
};

/* So far. */
struct provider_stats {
    uint64_t requests, retries; /* retries are requests, too */
    uint64_t texts, failed;     /* with a vector, and without */
    uint64_t tokens;            /* as the provider says */
    uint64_t requesting_us, pausing_us;
};

struct provider;

/* Settings embeddings.*; `watch` may be NULL: nobody minds. NULL with the reason. */
struct provider *provider_open(const struct leat_settings *settings,
                               const struct provider_watch *watch, struct leat_error *err);
void provider_close(struct provider **self);

/* Asks for the vectors of `n` texts. `give_up_ms`: -1: embeddings.give_up. False: told to stop, or
 * out of memory. */
bool provider_run(struct provider *self, struct provider_text *texts, size_t n, int64_t give_up_ms,
                  struct leat_error *err);

/* Was the last run without an answer for too long? */
bool provider_gave_up(const struct provider *self);

/* Numbers of a vector; 0 before the first answer. From then on it is the same. */
size_t provider_width(const struct provider *self);

/* 128 bits of what its vectors depend on. */
void provider_hash(const struct provider *self, uint8_t out[16]);

const struct provider_stats *provider_stats(const struct provider *self);

#endif
