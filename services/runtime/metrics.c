#include "services/runtime/metrics.h"

#include "services/runtime/clock.h"
#include "services/runtime/log.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { METRICS_MAX = 1024, CLAIM_WAIT_US = 1000000 };

enum slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_READY };

/* A slot is written once, by who claimed it, before it becomes ready; only the value changes then.
 */
struct leat_metric {
    _Atomic int state;
    enum leat_metric_type type;
    enum leat_metric_unit unit;
    char name[80];
    char labels[112];
    char help[160];
    _Atomic int64_t value;
};

/* What is in the shared memory. The last slot is for those that found no place. */
struct table {
    struct leat_metric slots[METRICS_MAX + 1];
    _Atomic bool full;
};

struct leat_metrics {
    int fd;
    struct table *table;
};

static struct leat_metrics *metrics_map(int fd, struct leat_error *err)
{
    struct table *table =
        mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct leat_metrics *self = calloc(1, sizeof *self);
    if (table == MAP_FAILED || !self) {
        leat_fail(err, "cannot map the memory of the metrics: %s", strerror(errno));
        if (table != MAP_FAILED)
            munmap(table, sizeof *table);
        free(self);
        close(fd);
        return NULL;
    }
    self->fd = fd;
    self->table = table;
    return self;
}

struct leat_metrics *leat_metrics_new(struct leat_error *err)
{
    int fd = memfd_create("leat-metrics", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(struct table)) != 0) {
        leat_fail(err, "cannot make shared memory for the metrics: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    return metrics_map(fd, err);
}

struct leat_metrics *leat_metrics_attach(int fd, struct leat_error *err)
{
    return metrics_map(fd, err);
}

void leat_metrics_destroy(struct leat_metrics **self)
{
    if (!*self)
        return;
    munmap((*self)->table, sizeof(struct table));
    close((*self)->fd);
    free(*self);
    *self = NULL;
}

int leat_metrics_fd(const struct leat_metrics *self)
{
    return self->fd;
}

/* Waits until who claimed the slot has filled it; false when it died before (then the slot is lost,
 * and everyone passes it by). */
static bool slot_settle(const struct leat_metric *slot)
{
    int64_t until = leat_monotonic_us() + CLAIM_WAIT_US;
    while (atomic_load_explicit(&slot->state, memory_order_acquire) != SLOT_READY) {
        if (leat_monotonic_us() > until)
            return false;
        sched_yield();
    }
    return true;
}

static bool slot_claim(struct leat_metric *slot)
{
    int free_slot = SLOT_FREE;
    return atomic_compare_exchange_strong(&slot->state, &free_slot, SLOT_CLAIMED);
}

/* Slots are taken in order and never given back, so two that add the same name at once meet at the
 * same free slot, and one of them finds there what the other wrote. */
struct leat_metric *leat_metrics_add(struct leat_metrics *self, enum leat_metric_type type,
                                     enum leat_metric_unit unit, const char *name,
                                     const char *labels, const char *help)
{
    struct table *table = self->table;
    for (size_t i = 0; i < METRICS_MAX; i++) {
        struct leat_metric *slot = &table->slots[i];
        if (slot_claim(slot)) {
            slot->type = type;
            slot->unit = unit;
            snprintf(slot->name, sizeof slot->name, "%s", name);
            snprintf(slot->labels, sizeof slot->labels, "%s", labels);
            snprintf(slot->help, sizeof slot->help, "%s", help);
            atomic_store_explicit(&slot->state, SLOT_READY, memory_order_release);
            return slot;
        }
        if (slot_settle(slot) && strcmp(slot->name, name) == 0 && strcmp(slot->labels, labels) == 0)
            return slot;
    }
    if (!atomic_exchange(&table->full, true))
        leat_log(LEAT_ERR, "metrics", "metrics_table_full", LEAT_S("name", name),
                 LEAT_S("labels", labels));
    return &table->slots[METRICS_MAX];
}

void leat_metric_inc(struct leat_metric *self, int64_t by)
{
    atomic_fetch_add_explicit(&self->value, by, memory_order_relaxed);
}

void leat_metric_set(struct leat_metric *self, int64_t value)
{
    atomic_store_explicit(&self->value, value, memory_order_relaxed);
}

int64_t leat_metric_get(const struct leat_metric *self)
{
    return atomic_load_explicit(&self->value, memory_order_relaxed);
}

static int by_name(const void *a, const void *b)
{
    const struct leat_metric *x = *(const struct leat_metric *const *)a;
    const struct leat_metric *y = *(const struct leat_metric *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->labels, y->labels);
}

static size_t metrics_collect(const struct leat_metrics *self, const struct leat_metric **out)
{
    size_t n = 0;
    for (size_t i = 0; i < METRICS_MAX; i++) {
        const struct leat_metric *slot = &self->table->slots[i];
        if (atomic_load_explicit(&slot->state, memory_order_acquire) == SLOT_READY)
            out[n++] = slot;
    }
    qsort(out, n, sizeof *out, by_name);
    return n;
}

static void metric_head(FILE *to, const struct leat_metric *metric)
{
    fprintf(to, "# HELP %s ", metric->name);
    for (const char *c = metric->help; *c; c++) {
        if (*c == '\\')
            fputs("\\\\", to);
        else if (*c == '\n')
            fputs("\\n", to);
        else
            fputc(*c, to);
    }
    fprintf(to, "\n# TYPE %s %s\n", metric->name,
            metric->type == LEAT_COUNTER ? "counter" : "gauge");
}

static void metric_line(FILE *to, const struct leat_metric *metric)
{
    int64_t value = leat_metric_get(metric);
    fputs(metric->name, to);
    if (metric->labels[0])
        fprintf(to, "{%s}", metric->labels);
    if (metric->unit == LEAT_UNIT_US)
        fprintf(to, " %.6f\n", (double)value / 1e6);
    else
        fprintf(to, " %" PRId64 "\n", value);
}

char *leat_metrics_text(const struct leat_metrics *self, size_t *size)
{
    const struct leat_metric *all[METRICS_MAX];
    size_t n = metrics_collect(self, all);
    char *text = NULL;
    FILE *to = open_memstream(&text, size);
    if (!to)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(all[i]->name, all[i - 1]->name) != 0)
            metric_head(to, all[i]);
        metric_line(to, all[i]);
    }
    fclose(to);
    return text;
}
