/* Counters and gauges of one process, in Prometheus' terms.
 *
 * They live in shared memory of a fixed size, so a stage's child process counts into the same ones;
 * every access is one relaxed atomic operation, and callers count per batch, not per record. */
#ifndef LEAT_METRICS_H
#define LEAT_METRICS_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

enum leat_metric_type { LEAT_COUNTER, LEAT_GAUGE };
enum leat_metric_unit {
    LEAT_UNIT_COUNT, /* shown as it is */
    LEAT_UNIT_US,    /* kept in microseconds, shown in seconds */
};

struct leat_metrics;
struct leat_metric;

struct leat_metrics *leat_metrics_new(struct leat_error *err);
void leat_metrics_destroy(struct leat_metrics **self);

/* The descriptor that a child inherits, and the child's side of it. */
int leat_metrics_fd(const struct leat_metrics *self);
struct leat_metrics *leat_metrics_attach(int fd, struct leat_error *err);

/* The metric of that name and labels, made at the first call; any thread, any process. `labels` is
 * what stands inside the braces, e.g. "stage=\"classify\"", or "". Names follow Prometheus'
 * conventions: leat_…_total for counters, base units. Never NULL: when the table (1024) is full,
 * which is a defect, a slot that nobody sees is returned and the first such name is logged. */
struct leat_metric *leat_metrics_add(struct leat_metrics *self, enum leat_metric_type type,
                                     enum leat_metric_unit unit, const char *name,
                                     const char *labels, const char *help);

void leat_metric_inc(struct leat_metric *self, int64_t by);
void leat_metric_set(struct leat_metric *self, int64_t value);
int64_t leat_metric_get(const struct leat_metric *self);

/* The text exposition format, sorted by name, HELP and TYPE once each. The caller frees it. */
char *leat_metrics_text(const struct leat_metrics *self, size_t *size);

#endif
