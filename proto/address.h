/* Addresses of sockets, as people write them: checked before libzmq reads something else in them.
 */
#ifndef LEAT_PROTO_ADDRESS_H
#define LEAT_PROTO_ADDRESS_H

#include "proto/error.h"

/* What stands between the addresses of a list. */
#define LEAT_ADDRESS_SEPARATORS ", \t"

/* Whether `port` is a number from `least` to 65535. */
bool leat_address_port(const char *port, int least);

/* Whether a list names at least one address, and each is one to connect to. */
bool leat_address_list(const char *list, struct leat_error *err);

#endif
