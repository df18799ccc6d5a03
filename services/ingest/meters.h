/* What ingest counts, all in one place. */
#ifndef LEAT_INGEST_METERS_H
#define LEAT_INGEST_METERS_H

#include "services/runtime/metrics.h"

enum { METERS_KINDS = 16 }; /* flows counted each by itself, and one for everything else */

/* Of one kind of record. */
struct meters_kind {
    struct leat_metric *accepted, *rejected;                     /* records */
    struct leat_metric *dispatched, *resent, *probes, *returned; /* batches */
    struct leat_metric *in_flight_batches, *in_flight_bytes, *window_bytes;
    struct leat_metric *round_trip, *oldest_age;
};

struct meters {
    struct meters_kind kinds[METERS_KINDS + 1]; /* in the order of leat_flows; [flows]: other */
    size_t flows;

    /* the front door */
    struct leat_metric *hello, *sends, *repeated, *busy, *gap, *fenced, *unknown, *malformed;
    struct leat_metric *refused; /* connections */
    struct leat_metric *answers_lost, *done_told, *sessions;

    /* the one-way port */
    struct leat_metric *oneway_frames, *oneway_undecodable;

    /* the journal */
    struct leat_metric *journal_batches, *journal_bytes, *journal_max_bytes, *journal_file_bytes;
    struct leat_metric *journal_damaged, *journal_clients, *journal_unknown;
    struct leat_metric *commits, *commit_seconds, *commit_failures;

    /* acknowledgements */
    struct leat_metric *acks, *acks_late, *acks_undecodable;
};

/* Registers everything. */
void meters_open(struct meters *self, struct leat_metrics *metrics);

/* Those of a flow, by its place in leat_flows; any other number is "other". */
struct meters_kind *meters_kind(struct meters *self, size_t flow);

#endif
