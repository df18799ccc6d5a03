/* Dead letters: the records that could not be stored, each a row of dead_letters. And replays: a
 * record that `leat dead replay` sends again names the dead letter it was, so that this one goes in
 * the transaction that stores the record.
 *
 * Of several copies of a batch some may fail where others do not. A record that is stored is no
 * dead letter: the transaction that stores it takes away what other copies left (gone.h), and a
 * copy that fails later leaves nothing, because the row is there (statements.c).
 *
 * A replayed record carries the key "replay_of" in its map: {origin: bin of 16 bytes, seq, record},
 * the dead letter's key. When it fails again, that same dead letter is written anew (it keeps its
 * first_seen) instead of a second one. Anything else under that key is ignored. */
#ifndef LEAT_PERSIST_LETTERS_H
#define LEAT_PERSIST_LETTERS_H

#include "services/flows/flow.h"

extern const struct leat_table letters_table; /* dead_letters */

/* What a dead letter is known by: the record's. */
struct letters_key {
    const uint8_t *origin; /* LEAT_ID_SIZE bytes */
    int64_t seq, record;
};

/* Why a record is a dead letter. Any bytes; what is not valid text is made so. */
struct letters_reason {
    struct leat_span stage, code, message;
};

/* A row of dead_letters for an item, in the batch's arena. `now`: µs. */
const struct leat_value *letters_row(struct leat_batch *batch, uint32_t index,
                                     const msgpack_object *record, const struct letters_reason *why,
                                     int64_t now);

/* The dead letter that a record is a replay of, in the batch's arena; NULL: it is none. */
const struct letters_key *letters_replay(struct leat_batch *batch, const msgpack_object *record);

#endif
