#include "services/runtime/peers_address.h"

#include "proto/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void peers_address_of_host(const char *host, const char *port, char out[PEERS_ADDRESS_TEXT])
{
    const char *format = strchr(host, ':') ? "tcp://[%s]:%s" : "tcp://%s:%s";
    snprintf(out, PEERS_ADDRESS_TEXT, format, host, port);
}

/* Numeric hosts are written again in their one canonical form. */
static bool host_numeric(const char *host, char out[LEAT_HOST_TEXT])
{
    unsigned char bytes[sizeof(struct in6_addr)];
    int family = strchr(host, ':') ? AF_INET6 : AF_INET;
    return inet_pton(family, host, bytes) == 1 && inet_ntop(family, bytes, out, LEAT_HOST_TEXT);
}

static bool parse_tcp(const char *text, struct peers_address *out, struct leat_error *err)
{
    const char *host = text + strlen("tcp://");
    const char *colon = strrchr(host, ':');
    char numeric[LEAT_HOST_TEXT];
    if (!colon || !leat_address_port(colon + 1, 1))
        return leat_fail(err, "\"%.100s\" has no port (1 to 65535) at its end", text);
    size_t size = (size_t)(colon - host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    if (size == 0 || size >= sizeof out->host)
        return leat_fail(err, "\"%.100s\" has no host", text);
    memcpy(out->host, host, size);
    out->host[size] = '\0';
    snprintf(out->port, sizeof out->port, "%s", colon + 1);
    if (strcspn(out->host, "*;/ ") != size)
        return leat_fail(err,
                         "\"%.100s\" is no address to connect to: the host must be a name or "
                         "a number",
                         text);
    if (host_numeric(out->host, numeric)) {
        peers_address_of_host(numeric, out->port, out->connect);
        return true;
    }
    if (strchr(out->host, ':'))
        return leat_fail(err, "\"%.100s\": IPv6 is written tcp://[::1]:PORT", text);
    out->named = true;
    return true;
}

bool peers_address_parse(const char *text, struct peers_address *out, struct leat_error *err)
{
    memset(out, 0, sizeof *out);
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_tcp(text, out, err);
    bool inproc = strncmp(text, "inproc://", 9) == 0 && text[9];
    bool ipc = strncmp(text, "ipc://", 6) == 0 && text[6];
    if (!inproc && !ipc)
        return leat_fail(err,
                         "\"%.100s\" is no address; expected tcp://HOST:PORT, ipc://PATH or "
                         "inproc://NAME",
                         text);
    if (strlen(text) >= sizeof out->connect)
        return leat_fail(err, "\"%.100s...\" is too long", text);
    snprintf(out->connect, sizeof out->connect, "%s", text);
    out->local = inproc;
    return true;
}
