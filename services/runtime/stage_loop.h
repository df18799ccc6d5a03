/* The loop around a stage: inbox, orders, second inbox, outputs, acks, drain. Private to the
 * runtime.
 *
 * Ensures:
 *  1. Orders are obeyed however long the next stage blocks.
 *  2. While a batch waits for the next stage, and while the stage is not ready, nothing is read
 *     from the inbox: senders wait.
 *  3. A frame that this stage cannot use is dropped, counted, and logged at most once a second;
 *     the batch in it, if there is one, comes again from ingest. */
#ifndef LEAT_STAGE_LOOP_H
#define LEAT_STAGE_LOOP_H

#include "services/runtime/service.h"

/* Runs until an order ends it. Settings: NAME.inbox, and those that the stage names. */
enum leat_exit stage_loop_run(const struct leat_stage *stage, struct leat_host *host);

#endif
