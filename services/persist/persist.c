/* The stage: collects batches into a load, and writes it when it is full or old enough.
 *
 * Ensures: 1. A batch is acknowledged only after every record of it is committed, as rows or as a
 * dead letter. 2. While the store is away nothing is read and nothing is given up; the load is
 * tried again, after growing pauses, for ever. 3. Memory is bounded: by persist.rows and
 * persist.bytes, and one batch more. */
#include "services/persist/persist.h"

#include "services/persist/load.h"
#include "services/persist/meters.h"
#include "services/persist/store.h"
#include "services/persist/triage.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/tables.h"

#include <stdlib.h>

enum {
    BUSY_ROWS = 100,  /* a transaction of so many rows shows that much is coming in, … */
    BUSY_US = 200000, /* … for so long after it */
    GOOD_ROWS = 2000, /* more rows hardly make a transaction cheaper a row */
};

struct limits {
    size_t rows, bytes;
    int64_t wait_us, wait_busy_us, wait_most_us;
};

struct persist {
    struct leat_stage_context *ctx;
    struct limits limits;
    int64_t retry_least_ms, retry_most_ms;
    struct store *store;
    struct load *load;
    struct triage_counts triage;
    struct meters meters;
    struct leat_log_site kind_site;
    bool away;            /* the last attempt failed */
    int64_t pause_ms;     /* before the next one; doubled each time */
    int64_t next_us;      /* monotonic: when to try again */
    int64_t oldest_us;    /* monotonic: when the first batch of the load came */
    int64_t committed_us; /* monotonic: of the last commit */
    size_t committed_rows;
    unsigned seed;
};

static void read_limits(struct limits *limits, const struct leat_settings *settings)
{
    limits->rows = (size_t)leat_settings_int(settings, "persist.rows");
    limits->bytes = (size_t)leat_settings_int(settings, "persist.bytes");
    limits->wait_us = leat_settings_int(settings, "persist.wait") * 1000;
    limits->wait_busy_us = leat_settings_int(settings, "persist.wait_busy") * 1000;
    limits->wait_most_us = leat_settings_int(settings, "persist.wait_most") * 1000;
}

static bool is_stopping(void *ctx)
{
    return leat_stage_stopping(ctx);
}

static void back(struct persist *self)
{
    if (self->away) {
        leat_log(LEAT_INFO, "persist", "store_back");
        leat_stage_ready(self->ctx, true, NULL);
    }
    self->away = false;
    self->pause_ms = self->retry_least_ms;
    leat_metric_set(self->meters.ready, 1);
}

/* Instances that lost the same server come back at different times. */
static int64_t jittered(struct persist *self, int64_t ms)
{
    return ms * 3 / 4 + rand_r(&self->seed) % (ms / 2 + 1);
}

static void away(struct persist *self, const struct leat_error *why)
{
    int64_t pause_ms = jittered(self, self->pause_ms);
    leat_log(LEAT_WARN, "persist", "store_away", LEAT_S("reason", why->text),
             LEAT_I("retry_ms", pause_ms), LEAT_I("batches", load_batches(self->load)));
    if (!self->away)
        leat_stage_ready(self->ctx, false, "the store is away");
    self->away = true;
    self->next_us = leat_monotonic_us() + pause_ms * 1000;
    self->pause_ms *= 2;
    if (self->pause_ms > self->retry_most_ms)
        self->pause_ms = self->retry_most_ms;
    leat_metric_set(self->meters.ready, 0);
    leat_metric_inc(self->meters.away, 1);
}

static void acknowledge(struct persist *self)
{
    int64_t batches = 0, committed = 0, dead = 0;
    for (size_t i = 0; i < load_batches(self->load); i++) {
        const struct load_batch *it = load_batch(self->load, i);
        uint32_t good, bad;
        if (it->aside)
            continue;
        load_count(self->load, i, &good, &bad);
        leat_stage_ack(self->ctx, &it->batch->head, good, bad);
        batches++;
        committed += good;
        dead += bad;
    }
    leat_metric_inc(self->meters.batches, batches);
    leat_metric_inc(self->meters.committed, committed);
    leat_metric_inc(self->meters.dead, dead);
}

static void show_load(struct persist *self)
{
    leat_metric_set(self->meters.waiting_rows, (int64_t)load_row_count(self->load));
    leat_metric_set(self->meters.waiting_bytes, (int64_t)load_bytes(self->load));
}

/* Writes the load; true when nothing of it is left. */
static bool flush(struct persist *self)
{
    struct leat_error err;
    int64_t before = leat_monotonic_us();
    bool done = triage_write(self->store, self->load, leat_now_us(), &self->triage, &err);
    leat_metric_inc(self->meters.seconds, leat_monotonic_us() - before);
    meters_copy(&self->meters, &self->store->counts, &self->triage);
    if (!done) {
        away(self, &err);
        return false;
    }
    back(self);
    acknowledge(self);
    self->committed_us = leat_monotonic_us();
    self->committed_rows = load_row_count(self->load);
    load_clear(self->load);
    show_load(self);
    return true;
}

static bool is_full(const struct persist *self)
{
    return load_row_count(self->load) >= self->limits.rows ||
           load_bytes(self->load) >= self->limits.bytes;
}

/* How long the first batch of a load may wait for more. */
static int64_t patience_us(const struct persist *self, int64_t now, bool idle)
{
    if (!idle)
        return self->limits.wait_most_us;
    bool busy = self->committed_rows >= BUSY_ROWS && now - self->committed_us < BUSY_US;
    bool good = load_row_count(self->load) >= GOOD_ROWS;
    return good ? 0 : busy ? self->limits.wait_busy_us : self->limits.wait_us;
}

static enum leat_verdict take(void *arg, struct leat_batch *batch)
{
    struct persist *self = arg;
    uint64_t suppressed;
    if (load_batches(self->load) == 0)
        self->oldest_us = leat_monotonic_us();
    if (!load_add(self->load, batch, leat_now_us())) {
        leat_metric_inc(self->meters.refused_kinds, 1);
        if (leat_log_allow(&self->kind_site, &suppressed))
            leat_log(LEAT_WARN, "persist", "kind_unknown", LEAT_S("kind", batch->head.kind),
                     LEAT_I("seq", batch->head.seq), LEAT_I("suppressed", suppressed));
        return LEAT_DROP;
    }
    if (is_full(self) && !self->away)
        flush(self);
    return LEAT_TAKEN;
}

/* Nothing to write, and the store was away: is it back? */
static void look(struct persist *self)
{
    struct leat_error err;
    bool permanent;
    if (self->store->type->check(self->store, &permanent, &err))
        back(self);
    else
        away(self, &err);
    meters_copy(&self->meters, &self->store->counts, &self->triage);
}

static int until_ms(int64_t when_us, int64_t now_us)
{
    return when_us <= now_us ? 0 : (int)((when_us - now_us + 999) / 1000);
}

static int tick(void *arg, bool idle)
{
    struct persist *self = arg;
    int64_t now = leat_monotonic_us();
    bool empty = load_batches(self->load) == 0;
    if (self->away) {
        if (now < self->next_us)
            return until_ms(self->next_us, now);
        if (empty)
            look(self);
        else
            flush(self);
        return self->away ? until_ms(self->next_us, leat_monotonic_us()) : -1;
    }
    if (empty)
        return -1;
    int64_t due = self->oldest_us + patience_us(self, now, idle);
    if (now < due) {
        show_load(self);
        return until_ms(due, now);
    }
    flush(self);
    return self->away ? until_ms(self->next_us, leat_monotonic_us()) : -1;
}

/* One attempt: what the store does not take now comes again from the journal. */
static bool drain(void *arg)
{
    struct persist *self = arg;
    return load_batches(self->load) == 0 || flush(self);
}

static void reload(void *arg, const struct leat_settings *fresh)
{
    struct persist *self = arg;
    read_limits(&self->limits, fresh);
}

static void close_persist(void **arg)
{
    struct persist *self = *arg;
    if (!self)
        return;
    store_close(&self->store);
    load_destroy(&self->load);
    free(self);
    *arg = NULL;
}

static bool open_store(struct persist *self, struct leat_error *err)
{
    const struct leat_settings *settings = leat_stage_settings(self->ctx);
    const struct store_options options = {
        .url = leat_settings_str(settings, "store.url"),
        .lock_timeout_ms = leat_settings_int(settings, "persist.lock_timeout"),
        .blocker_age_ms = leat_settings_int(settings, "persist.blocker_age"),
        .timeout_ms = leat_settings_int(settings, "persist.timeout"),
        .staged = leat_settings_int(settings, "persist.staged"),
        .stopping = is_stopping,
        .arg = self->ctx,
    };
    bool permanent;
    struct leat_error why;
    if (!(self->store = store_open(&options, self->load, err)))
        return false;
    if (self->store->type->check(self->store, &permanent, &why)) {
        back(self);
        return true;
    }
    if (permanent)
        return leat_fail(err, "store: %s", why.text);
    away(self, &why); /* it may come later than we do */
    return true;
}

static bool open_persist(void **arg, struct leat_stage_context *ctx, struct leat_error *err)
{
    struct persist *self = calloc(1, sizeof *self);
    if (!self)
        return leat_fail(err, "out of memory");
    const struct leat_settings *settings = leat_stage_settings(ctx);
    self->ctx = ctx;
    self->load = load_new();
    self->seed = (unsigned)leat_now_us();
    self->retry_least_ms = leat_settings_int(settings, "persist.retry_least");
    self->retry_most_ms = leat_settings_int(settings, "persist.retry_most");
    self->pause_ms = self->retry_least_ms;
    read_limits(&self->limits, settings);
    persist_meters_open(&self->meters, leat_stage_metrics(ctx));
    if (!open_store(self, err)) {
        void *opened = self;
        close_persist(&opened);
        return false;
    }
    *arg = self;
    return true;
}

const struct leat_stage persist_stage = {
    .name = "persist",
    .help = "stores batches in PostgreSQL or SQLite and acknowledges them",
    .settings = persist_settings,
    .publishes = "persist.acks",
    .open = open_persist,
    .batch = take,
    .tick = tick,
    .drain = drain,
    .reload = reload,
    .close = close_persist,
};

const struct leat_service persist_service = {
    .name = "persist",
    .help = "stores batches in PostgreSQL or SQLite and acknowledges them",
    .settings = persist_settings,
    .stage = &persist_stage,
};
