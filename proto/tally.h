/* How far the store is with what a client sent, from ingest's cumulative `done`.
 *
 * Ingest counts by the client's name, for ever; a tally counts since the channel was opened, and
 * goes on counting when ingest comes back with an older journal. */
#ifndef LEAT_PROTO_TALLY_H
#define LEAT_PROTO_TALLY_H

#include "proto/message.h"

struct tally {
    uint64_t through; /* every send up to this seq is done */
    uint64_t committed, dead;
    uint64_t committed_base, dead_base; /* of these: before the channel was opened */
    uint64_t lost;                      /* sends that were accepted and are missing */
};

/* The first welcome: what is counted there is not ours. */
void tally_begin(struct tally *self, const struct leat_message *welcome);

/* Takes a done, or the fields of a welcome. */
void tally_read(struct tally *self, const struct leat_message *done);

/* Ingest welcomes with less than it had answered for (`answered`): its journal is an older one, or
 * new. Counts afresh from there, on top of what was counted. */
void tally_roll_back(struct tally *self, uint64_t answered, const struct leat_message *welcome);

uint64_t tally_committed(const struct tally *self);
uint64_t tally_dead(const struct tally *self);

#endif
