/* The sends that ingest has not answered yet, in the order of their sequence numbers. */
#ifndef LEAT_PROTO_WINDOW_H
#define LEAT_PROTO_WINDOW_H

#include "proto/wire.h"

/* Records that go in one frame. */
struct send {
    char kind[LEAT_MAX_KIND + 1];
    msgpack_sbuffer records; /* packed, one after another */
    uint64_t *numbers;       /* which record each of them is to the program */
    uint32_t count, room;
    uint32_t times; /* that it was put on the wire */
    bool out;       /* on the wire, and its answer is to be expected */
    size_t wire;    /* bytes it was on the wire, while out */
    bool answered;
};

/* Ensures:
 * 1. kept sends have the numbers seq, seq + 1, … without a hole, the first one is unanswered;
 * 2. `out` counts exactly those that are `out`, and `out_bytes` their bytes;
 * 3. none from `next` on is out; before it, each is out or answered. */
struct window {
    struct send **ring;
    size_t size;  /* of the ring, a power of two */
    size_t first; /* where in it the first kept one is */
    size_t count; /* kept */
    size_t next;  /* which of the kept is to be put on the wire next; count: none */
    uint64_t seq; /* of the first kept one, or of the next that comes */
    size_t bytes; /* of the records of all kept ones */
    size_t out, out_bytes;
    struct send *spare; /* one for reuse */
};

void window_init(struct window *self);
void window_destroy(struct window *self);

/* An empty send, to be filled by send_add. */
struct send *window_new_send(struct window *self);
void window_free_send(struct window *self, struct send *send);
void send_add(struct send *self, const void *record, size_t size, uint64_t number);

void window_push(struct window *self, struct send *send);

/* The kept send number `i` from the first. */
struct send *window_at(const struct window *self, size_t i);

/* The send at `next` went out in a frame of so many bytes. */
void window_put_out(struct window *self, size_t wire);

/* The send `i` is answered (false: it was already). It stays until window_drop. */
bool window_answer(struct window *self, size_t i);

/* Forgets the answered ones at the beginning. */
void window_drop(struct window *self);

/* What is out from send `i` on goes out again, starting with `i`. Returns how many after `i` were
 * out: so many answers to the old copies may still come. */
size_t window_rewind(struct window *self, size_t i);

#endif
