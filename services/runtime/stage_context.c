#include "services/runtime/stage_context.h"

const struct leat_settings *leat_stage_settings(const struct leat_stage_context *ctx)
{
    return ctx->settings;
}

struct leat_metrics *leat_stage_metrics(const struct leat_stage_context *ctx)
{
    return ctx->metrics;
}

void leat_stage_ready(struct leat_stage_context *ctx, bool ready, const char *reason)
{
    ctx->ready(ctx->owner, ready, reason);
}

void leat_stage_ack(struct leat_stage_context *ctx, const struct leat_batch_head *head,
                    uint32_t committed, uint32_t dead)
{
    ctx->ack(ctx->owner, head, committed, dead);
}

void leat_stage_side(struct leat_stage_context *ctx, struct leat_span bytes)
{
    ctx->side(ctx->owner, bytes);
}

bool leat_stage_stopping(const struct leat_stage_context *ctx)
{
    return ctx->stopping(ctx->owner);
}

bool leat_stage_waits(const struct leat_stage_context *ctx)
{
    return ctx->waits(ctx->owner);
}
