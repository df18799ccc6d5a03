/* The instances of another service: one socket, connected to every address behind its name.
 *
 * `addresses` is a comma-separated list. Of tcp://NAME:PORT all A and AAAA records are connected
 * and looked up again every `refresh_ms` by a thread of its own, so that instances may come and go;
 * tcp://1.2.3.4:PORT, tcp://[::1]:PORT, ipc://… and inproc://… are taken as they are.
 *
 * Ensures:
 *  1. An address goes only after three good answers in a row without it; a failed lookup is no
 *     answer. What is queued for an address that goes gets a second to leave.
 *  2. An address that has not been connected for `stale_ms` is disconnected and connected again: a
 *     socket that met a foreign service at that address would otherwise never try again.
 *  3. A connection over which the other host has not answered for `silent_ms` is given up and begun
 *     anew (peers_silence.h). What is under way in it is lost, or comes twice.
 *  4. Nothing here blocks. The owner polls `items` beside its own sockets and calls
 *     leat_peers_turn. */
#ifndef LEAT_PEERS_H
#define LEAT_PEERS_H

#include "services/runtime/metrics.h"
#include "services/runtime/security.h"
#include "proto/wire.h"

#include <zmq.h>

/* Looks a name up: writes up to `max` numeric hosts ("10.0.0.7", "fe80::1") and returns how many;
 * -1 when there is no answer now, with the reason. Called in the thread of the lookups. */
enum { LEAT_HOST_TEXT = 64, LEAT_PEERS_MAX = 256 };
typedef int leat_lookup_fn(void *arg, const char *name, char hosts[][LEAT_HOST_TEXT], int max,
                           struct leat_error *err);

struct leat_peers_options {
    void *zmq;
    const struct leat_security *security; /* may be NULL, see security.h */
    struct leat_metrics *metrics;
    const char *service;    /* whose peers these are, for logs and labels: "cache" */
    const char *peer;       /* what they are: "classify", "persist.acks" */
    const char *addresses;  /* the value of … */
    const char *setting;    /* … this setting, for messages */
    const uint8_t *topic;   /* NULL: a PUSH; else a SUB for these LEAT_ID_SIZE bytes */
    bool best_effort;       /* a PUSH with room for what nobody waits to send */
    int64_t refresh_ms;     /* setting peers.refresh; 0: 5 s */
    int64_t stale_ms;       /* 0: 10 s */
    int64_t silent_ms;      /* 0: 15 s */
    leat_lookup_fn *lookup; /* NULL: getaddrinfo */
    void *lookup_arg;
};

struct leat_peers;

/* Connects to all that is known at once; names follow when they are looked up. NULL: an address is
 * malformed (the reason names the setting). Strings are copied. */
struct leat_peers *leat_peers_open(const struct leat_peers_options *options,
                                   struct leat_error *err);

/* The socket, to send on (use ZMQ_DONTWAIT) or to read acks from. Valid until close. */
void *leat_peers_socket(const struct leat_peers *self);

/* What else must be polled for input: fills `items` and returns how many (at most 2). */
enum { LEAT_PEERS_ITEMS = 2 };
int leat_peers_items(const struct leat_peers *self, zmq_pollitem_t items[LEAT_PEERS_ITEMS]);

/* Takes in what has happened; cheap when nothing has. To be called whenever the owner's poll
 * returns; returns after how many ms it wants to be called again at the latest. */
int64_t leat_peers_turn(struct leat_peers *self);

/* Addresses known, and those of them connected now. inproc counts as connected. */
int leat_peers_known(const struct leat_peers *self);
int leat_peers_connected(const struct leat_peers *self);

/* Closes the socket too; what is queued gets `linger_ms`. Idempotent. */
void leat_peers_close(struct leat_peers **self, int linger_ms);

#endif
