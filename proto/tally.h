/* How far the store is with what a client sent, from ingest's cumulative `done`.
 *
 * Ingest counts by the client's name, for ever; a tally counts since the channel was opened, and
 * goes on counting when ingest comes back with an older journal. That one stores again what it
 * stored before, and tells it again.
 *
 * Ensures: no more is counted than was accepted and can still be done. */
#ifndef LEAT_PROTO_TALLY_H
#define LEAT_PROTO_TALLY_H

#include "proto/message.h"

/* Records. */
struct tally_counts {
    uint64_t committed, dead;
};

struct tally {
    uint64_t through;           /* every send up to this seq is done */
    struct tally_counts told;   /* by this journal, last … */
    struct tally_counts base;   /* … and when it was met */
    struct tally_counts before; /* counted with the journals before this one … */
    uint64_t past;              /* … and accepted by them: records this one tells no news of */
    uint64_t lost;              /* sends that were accepted and are missing */
};

/* The first welcome: what is counted there is not ours. */
void tally_begin(struct tally *self, const struct leat_message *welcome);

/* Takes a done, or the fields of a welcome. */
void tally_read(struct tally *self, const struct leat_message *done);

/* Ingest welcomes with less than it had answered for (`answered`; `accepted` records): its journal
 * is an older one, or new. Counts afresh from there, on top of what was counted. */
void tally_roll_back(struct tally *self, uint64_t answered, uint64_t accepted,
                     const struct leat_message *welcome);

/* Of the records `accepted` so far. */
struct tally_counts tally_counts(const struct tally *self, uint64_t accepted);

#endif
