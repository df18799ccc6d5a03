#include "services/runtime/stage_counts.h"

#include <stdio.h>

void stage_counts_open(struct stage_counts *self, struct leat_metrics *metrics, const char *stage)
{
    static const char *const reasons[DROP_REASONS] = {"undecodable", "stage", "kind", "refused",
                                                      "side"};
    char labels[100];
    snprintf(labels, sizeof labels, "stage=\"%s\"", stage);
    const struct {
        struct leat_metric **metric;
        enum leat_metric_type type;
        enum leat_metric_unit unit;
        const char *name, *help;
    } rows[] = {
        {&self->batches_in, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_batches_in_total",
         "Batches read from the inbox."},
        {&self->records_in, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_records_in_total",
         "Records in the batches read."},
        {&self->bytes_in, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_bytes_in_total",
         "Bytes of the batches read."},
        {&self->batches_out, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_batches_out_total",
         "Batches sent on to the next stage."},
        {&self->records_out, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_records_out_total",
         "Records in the batches sent on."},
        {&self->bytes_out, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_bytes_out_total",
         "Bytes of the batches sent on."},
        {&self->in_hand, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_stage_in_hand_batches",
         "Batches being worked on or waiting for the next stage."},
        {&self->errors, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_record_errors_total",
         "Records that got an error in this stage."},
        {&self->work_us, LEAT_COUNTER, LEAT_UNIT_US, "leat_stage_work_seconds_total",
         "Time spent working."},
        {&self->wait_input_us, LEAT_COUNTER, LEAT_UNIT_US, "leat_stage_wait_input_seconds_total",
         "Time spent waiting for batches."},
        {&self->wait_output_us, LEAT_COUNTER, LEAT_UNIT_US, "leat_stage_wait_output_seconds_total",
         "Time spent waiting for the next stage to take a batch."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        *rows[i].metric = leat_metrics_add(metrics, rows[i].type, rows[i].unit, rows[i].name,
                                           labels, rows[i].help);
    for (int i = 0; i < DROP_REASONS; i++) {
        snprintf(labels, sizeof labels, "stage=\"%s\",reason=\"%s\"", stage, reasons[i]);
        self->dropped[i] =
            leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_dropped_total",
                             labels, "Frames dropped; ingest sends their batches again.");
    }
}
