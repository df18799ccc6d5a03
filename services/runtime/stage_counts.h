/* The metrics that every stage has. Private to the runtime. */
#ifndef LEAT_STAGE_COUNTS_H
#define LEAT_STAGE_COUNTS_H

#include "services/runtime/metrics.h"

/* Why a frame was dropped; what is dropped is sent again by ingest. */
enum stage_drop {
    DROP_UNDECODABLE, /* no batch */
    DROP_STAGE,       /* for another stage */
    DROP_KIND,        /* of a kind that has no way through this stage */
    DROP_REFUSED,     /* the stage itself said so */
    DROP_SIDE,        /* to the second inbox of another stage, which was full */
    DROP_REASONS,
};

struct stage_counts {
    struct leat_metric *batches_in, *records_in, *bytes_in;
    struct leat_metric *batches_out, *records_out, *bytes_out;
    struct leat_metric *in_hand, *errors;
    struct leat_metric *work_us, *wait_input_us, *wait_output_us;
    struct leat_metric *dropped[DROP_REASONS];
};

void stage_counts_open(struct stage_counts *self, struct leat_metrics *metrics, const char *stage);

#endif
