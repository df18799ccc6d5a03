/* The dead letters that a transaction takes away: those that are of records which it stores. A
 * record that is a replay names the one it was. But any other record may have one, too, which
 * another copy of its batch left when it failed: whether this copy is the first or the tenth, and
 * whether the other came before or will come, nothing here can tell. So all are named that there
 * could be; hardly ever is there any.
 *
 * A stretch lies in one batch: with a seq each, PostgreSQL knows that there is little to find and
 * looks it up, where it would read the whole table for stretches over several. */
#ifndef LEAT_PERSIST_GONE_H
#define LEAT_PERSIST_GONE_H

#include "services/persist/load.h"

enum gone_number { GONE_SEQ, GONE_FIRST, GONE_LAST, GONE_NUMBERS };

/* Dead letters of one batch, from the first to the last record. */
struct gone_stretch {
    const uint8_t *origin; /* LEAT_ID_SIZE bytes */
    int64_t numbers[GONE_NUMBERS];
};

/* Begins as all zeros, and is used again and again. */
struct gone {
    struct gone_stretch *items;
    size_t n, room;
};

/* Those of a range of a load, whose batches they point into. */
void gone_collect(struct gone *self, const struct load *load, struct load_range range);

void gone_destroy(struct gone *self);

#endif
