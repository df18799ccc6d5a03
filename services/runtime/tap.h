/* A look at passing batches for whoever asks, never slowing them: a socket file
 * TAP_DIR/STAGE.PID, readable by the process' own user only, on which a few batches a second are
 * published while somebody listens. Private to the runtime; `leat tap` is the other end.
 *
 * Ensures: without a listener a batch costs a look at the clock; with one, at most ten a second are
 * given to libzmq without waiting, as references where that is possible; a listener that stands
 * still holds two of them. */
#ifndef LEAT_TAP_H
#define LEAT_TAP_H

#include "proto/wire.h"

#include <stdint.h>
#include <zmq.h>

enum { TAP_PATH = 108 }; /* of a socket file, by the kernel */

struct tap {
    void *socket;        /* NULL: there is none */
    char path[TAP_PATH]; /* of its file */
    int listeners;
    int64_t next_us;
};

/* Where TAP_DIR is empty, or has no place for a socket (logged), there is none: a tap is not worth
 * a stage. The folder is made. Files of processes that are gone are taken away. */
void tap_open(struct tap *self, void *zmq, const char *dir, const char *stage);
void tap_close(struct tap *self);

/* A frame that goes on; the caller keeps it. */
void tap_frame(struct tap *self, zmq_msg_t *frame);

/* The same of bytes. */
void tap_bytes(struct tap *self, struct leat_span bytes);

#endif
