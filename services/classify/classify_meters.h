/* What classify counts, as /metrics shows it. */
#ifndef LEAT_CLASSIFY_CLASSIFY_METERS_H
#define LEAT_CLASSIFY_CLASSIFY_METERS_H

#include "services/classify/finder.h"
#include "services/runtime/stage.h"

/* Texts of a batch, by where their results came from. */
struct classify_tally {
    int64_t computed, repeated, recent, cached, failed, truncated;
};

struct classify_meters {
    struct leat_metric *computed, *repeated, *recent, *cached, *failed, *truncated;
    struct leat_metric *tokens, *rows, *room, *computing, *waiting;
    struct leat_metric *requests, *retries, *embedded, *unembedded, *billed, *requesting, *pausing;
    struct model_stats models;      /* what the metrics have of a finder's */
    struct provider_stats provider; /* likewise */
};

/* `provider`: also what is counted of one. */
void classify_meters_open(struct classify_meters *self, struct leat_stage_context *ctx,
                          bool provider);

/* What was done over a batch, and in how many µs, after waiting for it for `waited` of them. */
void classify_meters_batch(struct classify_meters *self, const struct classify_tally *tally,
                           const struct finder *finder, int64_t waited, int64_t worked);

/* What the provider has done since this was last called; for the middle of a batch. */
void classify_meters_provider(struct classify_meters *self, const struct finder *finder);

#endif
