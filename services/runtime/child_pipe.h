/* What travels between a service and its child, on one stream socket. Private to the runtime.
 *
 * A frame is a head of five bytes (size of what follows the head, in the machine's own order;
 * type), then the payload. Both ends are the same program. */
#ifndef LEAT_CHILD_PIPE_H
#define LEAT_CHILD_PIPE_H

#include "proto/wire.h"

#include <stdbool.h>

enum {
    CHILD_FD_PIPE = 3, /* in the child */
    CHILD_FD_METRICS = 4,
    CHILD_HEAD = 5,
    CHILD_FRAME_MAX = 1 << 30, /* above it the other side has lost its mind */
};

enum child_frame {
    /* to the child */
    CHILD_SETTINGS = 's', /* the first one: leat_settings_dump */
    CHILD_RELOAD = 'r',   /* the same, later */
    CHILD_BATCH = 'b',    /* a batch's frame */
    /* to the parent */
    CHILD_OPENED = 'o', /* the stage is open */
    CHILD_FAILED = 'f', /* it could not be: the reason; the child ends */
    CHILD_ANSWER = 'a', /* a verdict (one byte), then the batch's items */
    CHILD_SIDE = 'x',   /* leat_stage_side */
    CHILD_READY = 'y',  /* leat_stage_ready: one byte, then the reason */
    CHILD_WAITS = 'w',  /* leat_stage_waits: nothing */
};

void child_head_write(uint8_t head[CHILD_HEAD], enum child_frame type, size_t size);
enum child_frame child_head_read(const uint8_t head[CHILD_HEAD], size_t *size);

/* --- the parent's end: never waits --------------------------------------------------------- */

struct child_outgoing;

struct child_pipe {
    int fd; /* -1: closed */
    struct child_outgoing *first, **last;
    uint8_t head[CHILD_HEAD];
    size_t got; /* of head and payload */
    size_t size;
    uint8_t *memory; /* LEAT_BATCH_HEAD_MAX free bytes, then the payload */
};

void child_pipe_open(struct child_pipe *self, int fd);
void child_pipe_close(struct child_pipe *self);

/* Puts a frame into the queue. `owned`, when not NULL, is freed once it is sent; else the bytes
 * must stay until they are answered, or the pipe is closed. */
void child_pipe_put(struct child_pipe *self, enum child_frame type, struct leat_span payload,
                    void *owned);

/* True while something waits to be written. */
bool child_pipe_writes(const struct child_pipe *self);

/* Writes what can be written now; false when the other end is gone. */
bool child_pipe_flush(struct child_pipe *self);

/* One frame that has come in whole. `memory` is the caller's then: the payload stands in it after
 * LEAT_BATCH_HEAD_MAX bytes. */
enum child_read { CHILD_READ_FRAME, CHILD_READ_NONE, CHILD_READ_END };
enum child_read child_pipe_read(struct child_pipe *self, enum child_frame *type,
                                struct leat_span *payload, uint8_t **memory);

/* --- the child's end: waits ----------------------------------------------------------------- */

/* False when the parent is gone. */
bool child_write(int fd, enum child_frame type, struct leat_span payload);
/* The payload, malloc'd, with a NUL after it; NULL when the parent is gone. */
uint8_t *child_read(int fd, enum child_frame *type, size_t *size);

#endif
