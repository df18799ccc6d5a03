#include "services/persist/gauges.h"

static struct leat_metric *counter(struct leat_metrics *metrics, const char *name,
                                   const char *labels, const char *help)
{
    return leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels, help);
}

static struct leat_metric *gauge(struct leat_metrics *metrics, const char *name, const char *help)
{
    return leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, name, "", help);
}

static void open_results(struct gauges *self, struct leat_metrics *m)
{
    self->committed = counter(m, "leat_persist_records_total", "result=\"committed\"",
                              "Records that ended in the store");
    self->dead = counter(m, "leat_persist_records_total", "result=\"dead\"",
                         "Records that ended in the store");
    self->batches = counter(m, "leat_persist_batches_total", "", "Batches that were committed");
    self->refused_kinds = counter(m, "leat_persist_unknown_kinds_total", "",
                                  "Batches dropped because their kind is unknown");
    self->set_aside = counter(m, "leat_persist_set_aside_total", "",
                              "Batches left for later because another session held their keys");
    self->buried =
        counter(m, "leat_persist_refused_rows_total", "", "Records that the store itself refused");
}

static void open_store(struct gauges *self, struct leat_metrics *m)
{
    self->direct = counter(m, "leat_persist_transactions_total", "path=\"direct\"",
                           "Committed transactions by path");
    self->staged = counter(m, "leat_persist_transactions_total", "path=\"staged\"",
                           "Committed transactions by path");
    self->conflicts = counter(m, "leat_persist_conflicts_total", "",
                              "Times that the direct path met a key that was there");
    self->unchanged = counter(m, "leat_persist_unchanged_rows_total", "",
                              "Rows that the store had already, as new or newer");
    self->connects = counter(m, "leat_persist_connects_total", "", "Sessions opened");
    self->ended =
        counter(m, "leat_persist_blockers_ended_total", "", "Blocking sessions that were ended");
    self->seconds =
        leat_metrics_add(m, LEAT_COUNTER, LEAT_UNIT_US, "leat_persist_write_seconds_total", "",
                         "Time spent in writing to the store");
    self->retries = counter(m, "leat_persist_retries_total", "",
                            "Transactions tried again at once after a lost race");
    self->lock_timeouts = counter(m, "leat_persist_lock_timeouts_total", "",
                                  "Times that another session's keys were waited for in vain");
    self->away = counter(m, "leat_persist_away_total", "",
                         "Attempts that failed because the store was away");
}

void gauges_open(struct gauges *self, struct leat_metrics *metrics)
{
    open_results(self, metrics);
    open_store(self, metrics);
    self->ready = gauge(metrics, "leat_persist_store_ready", "1: the store takes writes");
    self->waiting_rows = gauge(metrics, "leat_persist_waiting_rows", "Rows that are not committed");
    self->waiting_bytes =
        gauge(metrics, "leat_persist_waiting_bytes", "Bytes of the batches that are not committed");
}

void gauges_copy(struct gauges *self, const struct store_counts *store,
                 const struct triage_counts *triage)
{
    leat_metric_set(self->direct, (int64_t)store->direct);
    leat_metric_set(self->staged, (int64_t)store->staged);
    leat_metric_set(self->conflicts, (int64_t)store->conflicts);
    leat_metric_set(self->unchanged, (int64_t)store->unchanged);
    leat_metric_set(self->connects, (int64_t)store->connects);
    leat_metric_set(self->ended, (int64_t)store->ended);
    leat_metric_set(self->retries, (int64_t)triage->retries);
    leat_metric_set(self->lock_timeouts, (int64_t)triage->lock_timeouts);
    leat_metric_set(self->set_aside, (int64_t)triage->set_aside);
    leat_metric_set(self->buried, (int64_t)triage->buried);
}
