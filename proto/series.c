/* The live series of leat.h: a cutter, and a client that takes its blocks. */
#include "proto/cutter.h"
#include "proto/leat.h"

#include <stdlib.h>
#include <string.h>

struct leat_series {
    struct leat_client *client;
    struct cutter *cutter;
    msgpack_sbuffer record;
};

struct leat_series *leat_series_open(struct leat_client *client,
                                     const struct leat_series_options *options,
                                     struct leat_error *err)
{
    struct leat_series_limits limits;
    if (!leat_series_limits(client, &limits, err))
        return NULL;
    struct leat_series *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    bool fewer = options->rows > 0 && options->rows < limits.rows;
    msgpack_sbuffer_init(&self->record);
    self->client = client;
    self->cutter = cutter_open(&(struct cutter_options){.series = options->series,
                                                        .base = options->base,
                                                        .start = options->start,
                                                        .monthly = options->monthly,
                                                        .rows = fewer ? options->rows : limits.rows,
                                                        .longest = limits.longest},
                               err);
    if (!self->cutter)
        leat_series_close(&self);
    return self;
}

void leat_series_close(struct leat_series **self)
{
    if (!*self)
        return;
    cutter_close(&(*self)->cutter);
    msgpack_sbuffer_destroy(&(*self)->record);
    free(*self);
    *self = NULL;
}

static bool told(bool taken, const struct cutter_why *why, struct leat_error *err)
{
    return taken || leat_fail(err, "%s (%s)", why->reason, why->code);
}

bool leat_series_back(struct leat_series *self, int64_t ts, double close, struct leat_error *err)
{
    struct cutter_why why;
    if (cutter_rows(self->cutter) > 0)
        return leat_fail(err, "rows to look back on come before all others");
    return told(cutter_back(self->cutter, ts, &close, &why), &why, err);
}

bool leat_series_flush(struct leat_series *self, struct leat_error *err)
{
    if (cutter_rows(self->cutter) == 0)
        return true;
    const char *name = cutter_series(self->cutter);
    msgpack_sbuffer_clear(&self->record);
    cutter_pack(self->cutter, &self->record);
    if (!leat_send(self->client, "series", name, strlen(name), self->record.data, self->record.size,
                   err))
        return false;
    cutter_advance(self->cutter);
    return true;
}

bool leat_series_add(struct leat_series *self, int64_t ts, double close, struct leat_error *err)
{
    struct cutter_why why;
    if (cutter_due(self->cutter, ts) && !leat_series_flush(self, err))
        return false;
    return told(cutter_add(self->cutter, ts, &close, &why), &why, err);
}
