/* The service behind the front door: it validates, journals, answers, dispatches, and sends again
 * until persist has acknowledged. One thread, one loop (ingest.c); each part has a header:
 *
 *     door      clients: hello, send, ack, busy, …     sessions   who they are
 *     oneway    records by plain PUSH                  records    each is checked and packed
 *     commit    one transaction for all that came      journal    what was accepted, on disk
 *     dispatch  from the journal to the first stage    flights    what is in flight, and when again
 *     removals  acknowledged batches leave             meters     what is counted
 */
#ifndef LEAT_INGEST_H
#define LEAT_INGEST_H

#include "services/runtime/service.h"

extern const struct leat_service ingest_service;

#endif
