/* Sockets, each with all of its options set in one place (sockets.c says why each is as it is).
 *
 * The functions return NULL with a reason for a person ("cannot bind tcp://…: address already in
 * use (setting cache.inbox)"). Everything here may use one context for the whole process; inproc
 * addresses may be connected before they are bound. `security` (which may be NULL, see security.h)
 * decides on keys, and on which addresses may be bound. */
#ifndef LEAT_SOCKETS_H
#define LEAT_SOCKETS_H

#include "proto/wire.h"
#include "services/runtime/security.h"

/* Data between stages. An inbox is bound to one address, or to several separated by commas;
 * `max_frame`: a peer that sends a larger frame is disconnected. An output is connected by
 * peers.h. */
void *leat_socket_inbox(void *zmq, const struct leat_security *security, const char *address,
                        const char *setting, size_t max_frame, struct leat_error *err); /* PULL */
void *leat_socket_output(void *zmq, const struct leat_security *security,
                         struct leat_error *err); /* PUSH */

/* For what is sent without waiting, and dropped when there is no room: a longer queue. */
void *leat_socket_side_output(void *zmq, const struct leat_security *security,
                              struct leat_error *err); /* PUSH */

/* Acknowledgements: persist publishes, ingest subscribes to its run and connects by peers.h. */
void *leat_socket_publisher(void *zmq, const struct leat_security *security, const char *address,
                            const char *setting, struct leat_error *err); /* PUB */
void *leat_socket_subscriber(void *zmq, const struct leat_security *security,
                             const uint8_t topic[LEAT_ID_SIZE], struct leat_error *err); /* SUB */

/* The front door: of a client `asked` frames at least may wait to be read; unroutable answers fail
 * with EHOSTUNREACH, a client that has not read so many `answers` with EAGAIN. */
void *leat_socket_router(void *zmq, const struct leat_security *security, const char *address,
                         const char *setting, size_t max_frame, int asked, int answers,
                         struct leat_error *err); /* ROUTER */

/* Two ends of a pipe between threads (PAIR over inproc); no bound, so only for small orders. */
bool leat_socket_pair(void *zmq, void *ends[2], struct leat_error *err);

/* Closes; what is not sent yet gets `linger_ms` (never for ever). Idempotent. */
void leat_socket_close(void **socket, int linger_ms);

/* ZMQ_POLLIN and ZMQ_POLLOUT as they are now. */
int leat_socket_events(void *socket);

#endif
