/* Batches that are to leave the journal: acknowledged ones, and damaged ones that are set aside.
 * They wait here until the transaction that removes them is on disk, and are tried again when it
 * fails; so an acknowledgement that was read is never lost but by the end of the process. */
#ifndef LEAT_INGEST_REMOVALS_H
#define LEAT_INGEST_REMOVALS_H

#include "services/ingest/commit.h"

struct removal {
    size_t flow; /* its place in leat_flows */
    uint64_t seq;
    uint32_t committed, dead;
    bool aside;      /* damaged */
    uint64_t client; /* found when it is removed: whose `done` may change */
};

struct removals {
    struct removal *list;
    size_t n, room;
    size_t applied; /* of these: in the open transaction */
};

void removals_add(struct removals *self, const struct removal *one);
void removals_free(struct removals *self);

/* Puts those that wait into the open transaction, or begins one. */
void removals_apply(struct removals *self, struct journal *journal, struct commit *commit,
                    int64_t now);

/* The transaction ended; `removed` is told the client of each that is gone now. */
void removals_settle(struct removals *self, bool committed,
                     void (*removed)(void *arg, uint64_t client), void *arg);

#endif
