/* Dead letters: the records that could not be stored, each a row of dead_letters. And replays: a
 * record that `leat dead replay` sends again names the dead letter it was, so that this one goes in
 * the transaction that stores the record.
 *
 * A replayed record carries the key "replay_of" in its map: {origin: bin of 16 bytes, seq, record},
 * the dead letter's key. When it fails again, that same dead letter is written anew (it keeps its
 * first_seen) instead of a second one. Anything else under that key is ignored. */
#ifndef LEAT_PERSIST_LETTERS_H
#define LEAT_PERSIST_LETTERS_H

#include "services/flows/table.h"

/* The table of dead letters, and the key alone, for those that go. */
extern const struct leat_table letters_table; /* dead_letters */
extern const struct leat_table letters_gone;  /* only ever a temporary table */

/* Why a record is a dead letter. Any bytes; what is not valid text is made so. */
struct letters_reason {
    struct leat_span stage, code, message;
};

/* A row of dead_letters for an item, in the batch's arena. `id`: the record's natural key, size 0:
 * none. `now`: µs. */
const struct leat_value *letters_row(struct leat_batch *batch, uint32_t index,
                                     const msgpack_object *record, struct leat_span id,
                                     const struct letters_reason *why, int64_t now);

/* A row of letters_gone when the record is a replay, else NULL. */
const struct leat_value *letters_replay(struct leat_batch *batch, const msgpack_object *record);

#endif
