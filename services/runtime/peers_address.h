/* One address of a list of peers, taken apart. Private to peers. */
#ifndef LEAT_PEERS_ADDRESS_H
#define LEAT_PEERS_ADDRESS_H

#include "services/runtime/resolver.h"

enum { PEERS_ADDRESS_TEXT = 256 };

struct peers_address {
    bool named; /* tcp, with a name that must be looked up: `host` and `port` */
    bool local; /* inproc: connected as soon as it is known */
    char host[RESOLVER_NAME_TEXT];
    char port[8];
    char connect[PEERS_ADDRESS_TEXT]; /* what to connect to, unless it is named */
};

/* Reads one address (not a list). false: what is wrong with it. */
bool peers_address_parse(const char *text, struct peers_address *out, struct leat_error *err);

/* "tcp://10.0.0.7:5560", "tcp://[::1]:5560": as libzmq's events spell it. */
void peers_address_of_host(const char *host, const char *port, char out[PEERS_ADDRESS_TEXT]);

#endif
