#include "services/classify/classify_meters.h"

static struct leat_metric *counter(struct leat_stage_context *ctx, const char *name,
                                   const char *labels, const char *help)
{
    return leat_metrics_add(leat_stage_metrics(ctx), LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels,
                            help);
}

static struct leat_metric *timer(struct leat_stage_context *ctx, const char *name,
                                 const char *labels, const char *help)
{
    return leat_metrics_add(leat_stage_metrics(ctx), LEAT_COUNTER, LEAT_UNIT_US, name, labels,
                            help);
}

static void open_provider(struct classify_meters *self, struct leat_stage_context *ctx)
{
    static const char texts[] = "leat_classify_embedding_texts_total";
    static const char texts_help[] =
        "Texts that a provider was asked to embed, by what came of it.";
    static const char seconds[] = "leat_classify_embedding_seconds_total";
    static const char seconds_help[] =
        "Time with the provider: in requests, and in pauses before it is asked again.";
    self->requests = counter(ctx, "leat_classify_embedding_requests_total", "",
                             "Requests to the provider of embeddings.");
    self->retries = counter(ctx, "leat_classify_embedding_retries_total", "",
                            "Requests that were made again because one before failed.");
    self->embedded = counter(ctx, texts, "outcome=\"embedded\"", texts_help);
    self->unembedded = counter(ctx, texts, "outcome=\"failed\"", texts_help);
    self->billed = counter(ctx, "leat_classify_embedding_tokens_total", "",
                           "Tokens that the provider says it read.");
    self->requesting = timer(ctx, seconds, "doing=\"requesting\"", seconds_help);
    self->pausing = timer(ctx, seconds, "doing=\"pausing\"", seconds_help);
}

void classify_meters_open(struct classify_meters *self, struct leat_stage_context *ctx,
                          bool provider)
{
    static const char texts[] = "leat_classify_texts_total";
    static const char texts_help[] = "Texts by where their result came from.";
    static const char seconds[] = "leat_classify_seconds_total";
    static const char seconds_help[] = "Time by what classify was doing.";
    self->computed = counter(ctx, texts, "source=\"model\"", texts_help);
    self->repeated = counter(ctx, texts, "source=\"same_batch\"", texts_help);
    self->recent = counter(ctx, texts, "source=\"recent\"", texts_help);
    self->cached = counter(ctx, texts, "source=\"cache\"", texts_help);
    self->failed = counter(ctx, texts, "source=\"none\"", texts_help);
    self->truncated =
        counter(ctx, "leat_classify_truncated_total", "", "Texts longer than the model reads.");
    self->tokens = counter(ctx, "leat_classify_tokens_total", "", "Tokens that encoders read.");
    self->rows = counter(ctx, "leat_classify_rows_total", "",
                         "Rows that encoders computed: tokens, and padding.");
    self->room = counter(ctx, "leat_classify_token_room_total", "",
                         "Tokens that there was room for in what encoders computed at once.");
    self->computing = timer(ctx, seconds, "doing=\"computing\"", seconds_help);
    self->waiting = timer(ctx, seconds, "doing=\"waiting\"", seconds_help);
    if (provider)
        open_provider(self, ctx);
}

void classify_meters_provider(struct classify_meters *self, const struct finder *finder)
{
    const struct provider_stats *now = finder_provider_stats(finder), *then = &self->provider;
    if (!now)
        return;
    leat_metric_inc(self->requests, (int64_t)(now->requests - then->requests));
    leat_metric_inc(self->retries, (int64_t)(now->retries - then->retries));
    leat_metric_inc(self->embedded, (int64_t)(now->texts - then->texts));
    leat_metric_inc(self->unembedded, (int64_t)(now->failed - then->failed));
    leat_metric_inc(self->billed, (int64_t)(now->tokens - then->tokens));
    leat_metric_inc(self->requesting, (int64_t)(now->requesting_us - then->requesting_us));
    leat_metric_inc(self->pausing, (int64_t)(now->pausing_us - then->pausing_us));
    self->provider = *now;
}

void classify_meters_batch(struct classify_meters *self, const struct classify_tally *tally,
                           const struct finder *finder, int64_t waited, int64_t worked)
{
    leat_metric_inc(self->computed, tally->computed);
    leat_metric_inc(self->repeated, tally->repeated);
    leat_metric_inc(self->recent, tally->recent);
    leat_metric_inc(self->cached, tally->cached);
    leat_metric_inc(self->failed, tally->failed);
    leat_metric_inc(self->truncated, tally->truncated);
    struct model_stats now = finder_stats(finder);
    leat_metric_inc(self->tokens, (int64_t)(now.tokens - self->models.tokens));
    leat_metric_inc(self->rows, (int64_t)(now.rows - self->models.rows));
    leat_metric_inc(self->room, (int64_t)(now.room - self->models.room));
    self->models = now;
    classify_meters_provider(self, finder);
    leat_metric_inc(self->waiting, waited);
    leat_metric_inc(self->computing, worked);
}
