#include "proto/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_BYTES = 512 };

/* libzmq takes a port modulo 65536, which is another one than was said. */
bool leat_address_port(const char *port, int least)
{
    size_t digits = strspn(port, "0123456789");
    return digits > 0 && digits < 6 && !port[digits] && atoi(port) >= least && atoi(port) <= 65535;
}

static bool check(const char *address, struct leat_error *err)
{
    if (strncmp(address, "ipc://", 6) == 0 && address[6])
        return true;
    if (strncmp(address, "tcp://", 6) != 0)
        return leat_fail(
            err, "%s is no address to connect to: expected tcp://HOST:PORT or ipc://PATH", address);
    const char *colon = strrchr(address + 6, ':');
    return (colon && colon > address + 6 && leat_address_port(colon + 1, 1)) ||
           leat_fail(err,
                     "%s is no address to connect to: expected tcp://HOST:PORT, with a port from 1 "
                     "to 65535",
                     address);
}

bool leat_address_list(const char *list, struct leat_error *err)
{
    char address[ADDRESS_BYTES];
    const char *at = list + strspn(list, LEAT_ADDRESS_SEPARATORS);
    if (!*at)
        return leat_fail(err, "no endpoint to connect to");
    while (*at) {
        size_t size = strcspn(at, LEAT_ADDRESS_SEPARATORS);
        if (size >= sizeof address)
            return leat_fail(err, "%.100s... is too long for an address", at);
        snprintf(address, sizeof address, "%.*s", (int)size, at);
        if (!check(address, err))
            return false;
        at += size;
        at += strspn(at, LEAT_ADDRESS_SEPARATORS);
    }
    return true;
}
