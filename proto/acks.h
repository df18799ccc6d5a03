/* What persist publishes after COMMIT: one frame = the run (16 raw bytes, the topic), then a
 * msgpack map {v, acks: [[kind, seq, attempt, committed, dead], …]}. */
#ifndef LEAT_ACKS_H
#define LEAT_ACKS_H

#include "proto/wire.h"

struct leat_ack {
    char kind[LEAT_MAX_KIND + 1];
    uint64_t seq;
    uint32_t attempt;   /* of the copy that was committed: an exact round-trip sample */
    uint32_t committed; /* records in the store */
    uint32_t dead;      /* records in dead_letters */
};

void leat_acks_write(msgpack_sbuffer *to, const uint8_t run[LEAT_ID_SIZE],
                     const struct leat_ack *acks, size_t n);

/* Calls `each` for every ack of a frame; false when the frame is none (some may have been called
 * by then: acks are idempotent). */
bool leat_acks_read(struct leat_span frame, uint8_t run[LEAT_ID_SIZE],
                    void (*each)(void *arg, const struct leat_ack *ack), void *arg,
                    struct leat_error *err);

#endif
