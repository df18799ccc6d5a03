#include "services/runtime/process_gauges.h"

#include "services/runtime/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { EVERY_US = 1000000 };

void process_gauges_open(struct process_gauges *self, struct leat_metrics *metrics,
                         const struct leat_program *program)
{
    char labels[100];
    snprintf(labels, sizeof labels, "program=\"%s\",version=\"%s\"", program->name,
             program->version);
    leat_metric_set(leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_build_info",
                                     labels, "Always 1; the labels tell what runs."),
                    1);
    leat_metric_set(leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_US,
                                     "process_start_time_seconds", "",
                                     "When the process started, in seconds since 1970."),
                    leat_now_us());
    self->resident =
        leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "process_resident_memory_bytes", "",
                         "Resident memory of the process, without its children.");
    for (int i = 0; i < PROCESS_GAUGES_SERVICES && program->services[i]; i++) {
        snprintf(labels, sizeof labels, "stage=\"%s\"", program->services[i]->name);
        self->ready[i] = leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_ready",
                                          labels, "1 when the service is ready, else 0.");
    }
}

static int64_t resident_bytes(void)
{
    long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

void process_gauges_turn(struct process_gauges *self, struct leat_host *const *hosts)
{
    int64_t now = leat_monotonic_us();
    if (now - self->turned_us < EVERY_US)
        return;
    self->turned_us = now;
    leat_metric_set(self->resident, resident_bytes());
    for (int i = 0; hosts[i]; i++)
        leat_metric_set(self->ready[i], atomic_load(&hosts[i]->state) == LEAT_READY);
}
