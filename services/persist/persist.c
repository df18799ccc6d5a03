/* The stage: collects batches into a load, and has it written when it is full or old enough.
 * Writers do that in threads of their own: while they do, the next load is collected.
 *
 * Ensures: 1. A batch is acknowledged only after every record of it is committed, as rows or as a
 * dead letter. 2. While the store is away nothing is read and nothing is given up; what could not
 * be written is tried again, after growing pauses, for ever. 3. Memory is bounded: for each writer
 * and for what is being collected, persist.rows and persist.bytes, and one batch more. */
#include "services/persist/persist.h"

#include "services/persist/crew.h"
#include "services/persist/gauges.h"
#include "services/persist/receipts.h"
#include "services/runtime/clock.h"
#include "services/tables.h"
#include "services/runtime/jitter.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    BUSY_ROWS = 100,  /* a transaction of so many rows shows that much is coming in, … */
    BUSY_US = 200000, /* … for so long after it */
    GOOD_ROWS = 2000, /* more rows hardly make a transaction cheaper a row */
    SMALL_ROWS = 100, /* a load of fewer is waited for, … */
    SMALL_MS = 5,     /* … so long, so that its acknowledgements go out at once */
    RESULT_MS = 1,    /* how often results are looked for otherwise, */
    AWAY_MS = 20,     /* and while the store is away */
    SLICE_MS = 100,   /* of a wait for a free writer */
};

struct limits {
    size_t rows, bytes;
    int64_t wait_us, wait_busy_us, wait_most_us;
};

struct persist {
    struct leat_stage_context *ctx;
    struct limits limits;
    int64_t retry_least_ms, retry_most_ms;
    struct crew *crew;
    struct catalog *catalog;
    struct load *load; /* being collected */
    struct receipts receipts;
    struct gauges gauges;
    struct leat_log_site kind_site;
    atomic_bool closing;
    bool away;            /* what was tried last failed */
    int64_t pause_ms;     /* before the next try; doubled each time */
    int64_t next_us;      /* monotonic: when to try again */
    int64_t oldest_us;    /* monotonic: when the first batch of the load came */
    int64_t committed_us; /* monotonic: of the last commit */
    size_t committed_rows;
    struct leat_jitter jitter;
};

static void read_limits(struct limits *limits, const struct leat_settings *settings)
{
    limits->rows = (size_t)leat_settings_int(settings, "persist.rows");
    limits->bytes = (size_t)leat_settings_int(settings, "persist.bytes");
    limits->wait_us = leat_settings_int(settings, "persist.wait") * 1000;
    limits->wait_busy_us = leat_settings_int(settings, "persist.wait_busy") * 1000;
    limits->wait_most_us = leat_settings_int(settings, "persist.wait_most") * 1000;
}

/* Asked by the writers' threads. */
static bool is_stopping(void *arg)
{
    struct persist *self = arg;
    return atomic_load(&self->closing) || leat_stage_stopping(self->ctx);
}

/* --- the store comes and goes ----------------------------------------------------------------- */

static void back(struct persist *self)
{
    if (self->away) {
        leat_log(LEAT_INFO, "persist", "store_back");
        leat_stage_ready(self->ctx, true, NULL);
    }
    self->away = false;
    self->pause_ms = self->retry_least_ms;
    leat_metric_set(self->gauges.ready, 1);
}

/* Instances that lost the same server come back at different times. */
static int64_t jittered(struct persist *self, int64_t ms)
{
    int64_t least = ms * 3 / 4;
    return leat_jitter(&self->jitter, least, least + ms / 2);
}

static void away(struct persist *self, const struct leat_error *why)
{
    int64_t pause_ms = jittered(self, self->pause_ms);
    leat_log(LEAT_WARN, "persist", "store_away", LEAT_S("reason", why->text),
             LEAT_I("retry_ms", pause_ms));
    if (!self->away)
        leat_stage_ready(self->ctx, false, "the store is away");
    self->away = true;
    self->next_us = leat_monotonic_us() + pause_ms * 1000;
    self->pause_ms *= 2;
    if (self->pause_ms > self->retry_most_ms)
        self->pause_ms = self->retry_most_ms;
    leat_metric_set(self->gauges.ready, 0);
    leat_metric_inc(self->gauges.away, 1);
}

/* --- results ---------------------------------------------------------------------------------- */

static void take_receipts(struct persist *self, const struct load *load, uint64_t number)
{
    int64_t batches = 0, committed = 0, dead = 0;
    for (size_t i = 0; i < load_batches(load); i++) {
        const struct load_batch *it = load_batch(load, i);
        uint32_t good, bad;
        if (it->aside)
            continue;
        load_count(load, i, &good, &bad);
        receipts_add(&self->receipts, number, &it->batch->head, good, bad);
        batches++;
        committed += good;
        dead += bad;
    }
    leat_metric_inc(self->gauges.batches, batches);
    leat_metric_inc(self->gauges.committed, committed);
    leat_metric_inc(self->gauges.dead, dead);
}

static void accept_result(struct persist *self, const struct writer_result *result, uint64_t number)
{
    leat_metric_inc(self->gauges.seconds, result->us);
    if (!result->done) {
        away(self, &result->err);
        return;
    }
    if (result->load) {
        take_receipts(self, result->load, number);
        self->committed_us = leat_monotonic_us();
        self->committed_rows = load_row_count(result->load);
        load_clear(result->load);
    }
    if (crew_failed(self->crew) == 0)
        back(self);
}

static void show(struct persist *self)
{
    struct store_counts store;
    struct triage_counts triage;
    size_t rows, bytes;
    crew_counts(self->crew, &store, &triage);
    gauges_copy(&self->gauges, &store, &triage);
    crew_weight(self->crew, &rows, &bytes);
    leat_metric_set(self->gauges.waiting_rows, (int64_t)(rows + load_row_count(self->load)));
    leat_metric_set(self->gauges.waiting_bytes, (int64_t)(bytes + load_bytes(self->load)));
}

/* Takes what the writers have to say, waiting up to `wait_ms` for the first of it. */
static void take_results(struct persist *self, int wait_ms)
{
    struct writer_result result;
    uint64_t number;
    for (; crew_take(self->crew, wait_ms, &result, &number); wait_ms = 0)
        accept_result(self, &result, number);
    receipts_publish(&self->receipts, self->ctx, crew_earliest(self->crew));
    show(self);
}

/* --- loads ------------------------------------------------------------------------------------ */

static bool is_empty(const struct persist *self)
{
    return load_batches(self->load) == 0;
}

static bool is_full(const struct persist *self)
{
    return load_row_count(self->load) >= self->limits.rows ||
           load_bytes(self->load) >= self->limits.bytes;
}

static bool is_good(const struct persist *self)
{
    return load_row_count(self->load) >= GOOD_ROWS || is_full(self);
}

/* Hands the load to a writer; false when none is free. */
static bool hand_over(struct persist *self)
{
    struct load *empty = crew_give(self->crew, self->load, is_good(self));
    if (!empty)
        return false;
    self->load = empty;
    return true;
}

/* How long the first batch of a load may wait for more. */
static int64_t patience_us(const struct persist *self, int64_t now, bool idle)
{
    if (!idle)
        return self->limits.wait_most_us;
    bool busy = self->committed_rows >= BUSY_ROWS && now - self->committed_us < BUSY_US;
    return is_good(self) ? 0 : busy ? self->limits.wait_busy_us : self->limits.wait_us;
}

static enum leat_verdict take(void *arg, struct leat_batch *batch)
{
    struct persist *self = arg;
    uint64_t suppressed;
    if (is_empty(self))
        self->oldest_us = leat_monotonic_us();
    if (!load_add(self->load, batch, leat_now_us())) {
        leat_metric_inc(self->gauges.refused_kinds, 1);
        if (leat_log_allow(&self->kind_site, &suppressed))
            leat_log(LEAT_WARN, "persist", "kind_unknown", LEAT_S("kind", batch->head.kind),
                     LEAT_I("seq", batch->head.seq), LEAT_I("suppressed", suppressed));
        return LEAT_DROP;
    }
    /* Full: not before there is room for more is anything else read. */
    while (is_full(self) && !self->away && !is_stopping(self) && !hand_over(self))
        take_results(self, SLICE_MS);
    return LEAT_TAKEN;
}

/* --- turns ------------------------------------------------------------------------------------ */

static int until_ms(int64_t when_us, int64_t now_us)
{
    return when_us <= now_us ? 0 : (int)((when_us - now_us + 999) / 1000);
}

/* Away: what comes next is a result, or the next try. */
static int turn_away(struct persist *self, int64_t now)
{
    if (crew_working(self->crew) > 0)
        return AWAY_MS;
    if (now < self->next_us)
        return until_ms(self->next_us, now);
    crew_retry(self->crew);
    return AWAY_MS;
}

static int tick(void *arg, bool idle)
{
    struct persist *self = arg;
    take_results(self, 0);
    int64_t now = leat_monotonic_us();
    if (self->away)
        return turn_away(self, now);
    int wait_ms = crew_working(self->crew) > 0 ? RESULT_MS : -1;
    if (is_empty(self))
        return wait_ms;
    int64_t due = self->oldest_us + patience_us(self, now, idle);
    if (now < due)
        return wait_ms > 0 ? wait_ms : until_ms(due, now);
    bool small = load_row_count(self->load) < SMALL_ROWS;
    if (hand_over(self) && small && idle)
        take_results(self, SMALL_MS);
    return RESULT_MS;
}

/* Waits for all that is being written. */
static void settle(struct persist *self)
{
    while (crew_working(self->crew) > 0 && !is_stopping(self))
        take_results(self, SLICE_MS);
}

/* One try: what the store does not take now comes again from the journal. */
static bool drain(void *arg)
{
    struct persist *self = arg;
    settle(self);
    if (!is_empty(self) && !self->away && hand_over(self))
        settle(self);
    receipts_publish(&self->receipts, self->ctx, UINT64_MAX);
    return is_empty(self) && crew_working(self->crew) == 0 && crew_failed(self->crew) == 0;
}

static void reload(void *arg, const struct leat_settings *fresh)
{
    struct persist *self = arg;
    read_limits(&self->limits, fresh);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void close_persist(void **arg)
{
    struct persist *self = *arg;
    if (!self)
        return;
    atomic_store(&self->closing, true);
    crew_close(&self->crew);
    load_destroy(&self->load);
    catalog_close(&self->catalog);
    receipts_destroy(&self->receipts);
    free(self);
    *arg = NULL;
}

static bool open_crew(struct persist *self, struct leat_error *err)
{
    const struct leat_settings *settings = leat_stage_settings(self->ctx);
    const struct store_options options = {
        .url = leat_settings_str(settings, "store.url"),
        .lock_timeout_ms = leat_settings_int(settings, "persist.lock_timeout"),
        .blocker_age_ms = leat_settings_int(settings, "persist.blocker_age"),
        .timeout_ms = leat_settings_int(settings, "persist.timeout"),
        .staged = leat_settings_int(settings, "persist.staged"),
        .stopping = is_stopping,
        .arg = self,
    };
    bool not_there;
    self->crew =
        crew_open(&options, self->catalog, (size_t)leat_settings_int(settings, "persist.sessions"),
                  &not_there, err);
    if (!self->crew)
        return leat_fail_in(err, "store");
    if (not_there)
        away(self, err); /* it may come later than we do */
    else
        back(self);
    return true;
}

static bool open_persist(void **arg, struct leat_stage_context *ctx, struct leat_error *err)
{
    struct persist *self = calloc(1, sizeof *self);
    if (!self)
        return leat_fail(err, "out of memory");
    const struct leat_settings *settings = leat_stage_settings(ctx);
    self->ctx = ctx;
    leat_jitter_init(&self->jitter);
    self->retry_least_ms = leat_settings_int(settings, "persist.retry_least");
    self->retry_most_ms = leat_settings_int(settings, "persist.retry_most");
    self->pause_ms = self->retry_least_ms;
    read_limits(&self->limits, settings);
    gauges_open(&self->gauges, leat_stage_metrics(ctx));
    *arg = self;
    self->catalog = catalog_open(settings, err);
    if (self->catalog) {
        self->load = load_new(self->catalog);
        if (open_crew(self, err))
            return true;
    }
    close_persist(arg);
    return false;
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
