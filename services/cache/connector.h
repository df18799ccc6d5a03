/* Connects to Redis in a thread of its own, because looking a name up and connecting may take
 * seconds and the stage must not wait: it asks for a connection and takes it when it is there. */
#ifndef LEAT_CACHE_CONNECTOR_H
#define LEAT_CACHE_CONNECTOR_H

#include "proto/error.h"

#include <hiredis/hiredis.h>

/* Where a Redis is. */
struct redis_address {
    char host[256]; /* a name or number; or the socket's path when port is 0 */
    int port;
    int database;
    char password[256]; /* empty: none */
};

/* Reads "redis://[:PASSWORD@]HOST[:PORT][/DB]" or "unix:PATH[?db=DB]". */
bool redis_address_parse(const char *url, struct redis_address *out, struct leat_error *err);

struct connector;

struct connector *connector_start(const struct redis_address *address, int timeout_ms,
                                  struct leat_error *err);

/* Waits for the thread: at most as long as one attempt takes. Idempotent. */
void connector_stop(struct connector **self);

/* Asks for one connection; its outcome is for connector_result. */
void connector_ask(struct connector *self);

/* True when the attempt asked for has ended: *connection is the caller's, authenticated and on its
 * database, or NULL with the reason. */
bool connector_result(struct connector *self, redisContext **connection, struct leat_error *err);

#endif
