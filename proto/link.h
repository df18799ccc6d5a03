/* One DEALER socket to one address, and what its monitor tells: whether the connection stands. */
#ifndef LEAT_PROTO_LINK_H
#define LEAT_PROTO_LINK_H

#include "proto/keys.h"
#include "proto/wire.h"

#include <zmq.h>

struct link;

/* Begins to connect; libzmq goes on trying by itself. `number` is different for every link of the
 * context. `keys` NULL: in the clear. NULL when the address is malformed. Strings must outlive the
 * link. */
struct link *link_open(void *zmq, const char *address, unsigned number,
                       const struct leat_keys *keys, struct leat_error *err);
void link_close(struct link **self);

const char *link_address(const struct link *self);

/* What link_watch saw. */
enum {
    LINK_LOST = 1,   /* a connection that stood has ended */
    LINK_STOOD = 2,  /* a connection stands (perhaps a new one after LINK_LOST) */
    LINK_DENIED = 4, /* the other side has refused this one, for the first time in a row */
};

/* Reads what the monitor has to tell; dials again where libzmq has given up (it does when a
 * handshake fails). The union of the above. */
unsigned link_watch(struct link *self, int64_t now_ms);

/* Sends a frame at once, or not at all (false): not connected, or no room. */
bool link_send(struct link *self, const msgpack_sbuffer *frame);

/* Receives a frame into `msg`, which is initialised; false: none is there. */
bool link_receive(struct link *self, zmq_msg_t *msg);

/* What zmq_poll must wait for: two items. `writing`: also for room to send. */
enum { LINK_POLL_ITEMS = 2 };
void link_poll_items(const struct link *self, bool writing, zmq_pollitem_t items[LINK_POLL_ITEMS]);

/* Why nothing is heard, for a person. */
const char *link_trouble(const struct link *self);

#endif
