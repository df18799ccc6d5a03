#include "services/regress/regress.h"

#include "services/flows/series/flow.h"
#include "services/flows/series/record.h"
#include "services/regress/features.h"
#include "services/runtime/log.h"
#include "services/tables.h"

#include <stdio.h>
#include <stdlib.h>

struct regress {
    struct series_windows windows;
    struct series_names names;
    struct series_limits limits;
    size_t growth; /* bytes of features that a byte of a record may give */
    struct features *features;
    struct leat_metric *blocks, *rows, *fits, *failed;
};

static void regress_close(void **self_)
{
    struct regress *self = *self_;
    if (!self)
        return;
    features_destroy(&self->features);
    free(self);
    *self_ = NULL;
}

static struct leat_metric *counter(struct leat_stage_context *ctx, const char *name,
                                   const char *help)
{
    return leat_metrics_add(leat_stage_metrics(ctx), LEAT_COUNTER, LEAT_UNIT_COUNT, name, "", help);
}

static bool regress_open(void **self_, struct leat_stage_context *ctx, struct leat_error *err)
{
    const struct leat_settings *settings = leat_stage_settings(ctx);
    struct regress *self = calloc(1, sizeof *self);
    if (!self)
        return leat_fail(err, "out of memory");
    *self_ = self;
    if (!series_settings_read(settings, &self->windows, &self->names, err)) {
        regress_close(self_);
        return false;
    }
    self->limits = (struct series_limits){
        .max_rows = (size_t)leat_settings_int(settings, "series.max_rows"),
        .longest = self->windows.longest,
        .names = &self->names,
    };
    self->growth = series_growth(&self->windows, &self->names);
    self->features = features_new(&self->windows, &self->names);
    self->blocks = counter(ctx, "leat_regress_blocks_total", "Blocks of series computed.");
    self->rows = counter(ctx, "leat_regress_rows_total", "Rows that features were found for.");
    self->fits = counter(ctx, "leat_regress_fits_total", "Windows that a parabola was fitted to.");
    self->failed = counter(ctx, "leat_regress_failed_total", "Blocks that could not be computed.");
    leat_log(LEAT_INFO, "regress", "windows_ready",
             LEAT_S("windows", leat_settings_str(settings, "regress.windows")),
             LEAT_S("instructions", features_set_name(self->features)));
    return true;
}

/* Every stage may be older or set otherwise than ingest: what was let in is looked at again. */
static bool compute(struct regress *self, struct leat_batch *batch, struct leat_item *item,
                    struct leat_why *why)
{
    msgpack_object object;
    struct series_record record;
    struct leat_error err;
    if (!leat_wire_unpack(item->record, batch->zone, &object, &err)) {
        *why = (struct leat_why){.code = "record_malformed"};
        snprintf(why->message, sizeof why->message, "%.199s", err.text);
        return false;
    }
    if (!series_record_read(&object, &self->limits, &record, why))
        return false;
    item->result = features_find(self->features, &record, batch);
    /* What a frame may hold follows from what a send may hold, so no record may grow further. */
    if (item->result.size > self->growth * item->record.size + SERIES_GROWTH) {
        item->result = (struct leat_span){0};
        *why =
            (struct leat_why){"no_room", "its times are so close to 1970-01-01 that it is packed "
                                         "more tightly than a frame of features has room for"};
        return false;
    }
    leat_metric_inc(self->blocks, 1);
    leat_metric_inc(self->rows, record.n - record.warmup);
    leat_metric_inc(self->fits, (int64_t)features_fits(self->features));
    return true;
}

static enum leat_verdict regress_batch(void *self_, struct leat_batch *batch)
{
    struct regress *self = self_;
    for (uint32_t i = 0; i < batch->head.count; i++) {
        struct leat_why why;
        if (batch->items[i].error.size > 0)
            continue;
        if (!compute(self, batch, &batch->items[i], &why)) {
            leat_batch_fail(batch, i, "regress", why.code, "%s", why.message);
            leat_metric_inc(self->failed, 1);
        }
    }
    return LEAT_FORWARD;
}

static const struct leat_stage regress_stage = {
    .name = "regress",
    .help = "finds regression features in time series",
    .settings = regress_settings,
    .isolated = true,
    .open = regress_open,
    .batch = regress_batch,
    .close = regress_close,
};

const struct leat_service regress_service = {
    .name = "regress",
    .help = "finds regression features in time series",
    .settings = regress_settings,
    .stage = &regress_stage,
};
