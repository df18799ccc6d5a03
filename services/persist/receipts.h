/* Acknowledgements in the order in which loads were handed over, whichever is committed first:
 * ingest takes a batch for lost when one that it sent later has come back and this one has not. */
#ifndef LEAT_PERSIST_RECEIPTS_H
#define LEAT_PERSIST_RECEIPTS_H

#include "services/persist/load.h"
#include "services/runtime/stage.h"

/* Begins as all zeros. */
struct receipts {
    struct receipt *items;
    size_t n, room;
};

void receipts_destroy(struct receipts *self);

/* A batch of the load with that number is committed. */
void receipts_add(struct receipts *self, uint64_t load, const struct leat_batch_head *head,
                  uint32_t committed, uint32_t dead);

/* Acknowledges those of loads below `before`, in order, and forgets them. */
void receipts_publish(struct receipts *self, struct leat_stage_context *ctx, uint64_t before);

#endif
