/* Who may talk: CURVE on the sockets between processes, and nothing open to others without it.
 *
 * The setting security.keys names a folder, as `leat keys` makes it:
 *
 *     server.key, server.pub     what every address that Leat binds proves itself by
 *     service.key, service.pub   what a service proves itself by where it connects
 *     services/                  public keys of those who may connect to stages
 *     clients/                   public keys of those who may connect to ingest
 *
 * Ensures:
 *  1. With keys, every socket that is bound asks for a key of its folder, and every socket that
 *     connects asks the other side for server.pub's secret; a key that is put into or taken out of
 *     the folder counts for the next connection, without a restart.
 *  2. Without keys, and unless security.insecure is said, nothing is bound to, or connected
 *     with, anything but this machine: loopback, ipc, inproc. */
#ifndef LEAT_SECURITY_H
#define LEAT_SECURITY_H

#include "services/runtime/settings.h"

struct leat_security;

/* Reads the keys if there are to be any, starts who checks them, and makes the ZeroMQ context that
 * they are good for. `admits`: the folder of keys that may connect to what this process binds.
 * NULL: a key is missing, damaged, or readable by everybody. */
struct leat_security *leat_security_open(const struct leat_settings *settings, const char *admits,
                                         struct leat_error *err);

/* The context. All sockets with keys must be of this one. */
void *leat_security_zmq(const struct leat_security *self);

/* Ends the context, and with it waits for what lingers: all sockets must be closed. Idempotent. */
void leat_security_close(struct leat_security **self);

/* Of a socket that is not bound or connected yet. `self` may be NULL: in the clear, and nothing is
 * refused. */
bool leat_security_serve(const struct leat_security *self, void *socket, struct leat_error *err);
bool leat_security_join(const struct leat_security *self, void *socket, struct leat_error *err);

/* Ensures 2; false: the reason says what to do. `address`: tcp://HOST:PORT and so on. */
bool leat_security_may_bind(const struct leat_security *self, const char *address,
                            const char *setting, struct leat_error *err);
bool leat_security_may_connect(const struct leat_security *self, const char *address,
                               const char *setting, struct leat_error *err);

#endif
