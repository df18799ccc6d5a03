/* A thread that looks names up again and again. Private to peers. */
#ifndef LEAT_RESOLVER_H
#define LEAT_RESOLVER_H

#include "services/runtime/peers.h"

enum { RESOLVER_NAME_TEXT = 256, RESOLVER_NAMES_MAX = 32 };

/* One datagram on the resolver's descriptor. */
struct resolver_answer {
    int32_t name;  /* index into the names */
    int32_t count; /* hosts in `body`, each LEAT_HOST_TEXT bytes; -1: no answer, `body` says why */
    char body[LEAT_PEERS_MAX * LEAT_HOST_TEXT];
};

/* Starts the thread. It owns copies of all it needs and ends soon after the returned descriptor is
 * closed, even if a lookup still hangs in a name server then: nobody waits for it. Read answers
 * with recv (…, MSG_DONTWAIT). -1: it could not be started. */
int resolver_start(const char (*names)[RESOLVER_NAME_TEXT], int n, int64_t refresh_ms,
                   leat_lookup_fn *lookup, void *lookup_arg, struct leat_error *err);

#endif
