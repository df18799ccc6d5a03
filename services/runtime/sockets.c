#include "services/runtime/sockets.h"

#include "proto/address.h"
#include "proto/keepalive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

enum {
    /* Batches that wait in a pipe. At 2 the next one is there when one is done, and a slow instance
     * holds back little; on inproc the limits of both ends add up. */
    DATA_HWM = 2,

    /* Frames of a side output, 100 KB to 1 MB each, that wait for an instance that is at work for a
     * moment; what comes beyond is dropped. */
    SIDE_HWM = 32,

    /* Without a bound the kernel swallows megabytes for a stalled reader. */
    KERNEL_BUFFER = 128 << 10,

    /* Heartbeats only between ends that always read: an end that is blocked by backpressure would
     * answer none, and a healthy connection be cut. And only between ends that queue what they read
     * without a bound (PUB reads nothing, SUB has none): when a connection breaks whose reader is
     * full, libzmq 4.3.4 ends the process at its next heartbeat, and at one of the other end that
     * is still in its buffer ("Assertion failed: !_io_error"). SUB gives a PUB up by the time to
     * live that heartbeats carry only if one was the last thing that came: any other message stops
     * that clock. */
    HEARTBEAT_MS = 5000,
    HEARTBEAT_TIMEOUT_MS = 15000,

    /* A connection that says no ZMTP in this time is closed: random bytes, port scanners. */
    HANDSHAKE_MS = 10000,

    /* A peer that comes back is met again within this time. */
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 1000,

    /* What is queued for an address that is disconnected has this long to leave. With -1 it would
     * go, later, to whoever binds that address then. */
    DISCONNECT_LINGER_MS = 1000,

    /* Acks are small and repeated; a subscriber that stands still must not cost the publisher
     * memory. */
    ACKS_HWM = 256,
    ACKS_FRAME_MAX = 1 << 20,

    /* A PULL sends nothing back but the commands of ZMTP. */
    BACKWARDS_MAX = 64 << 10,
};

static void set_int(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

static void set_max_frame(void *socket, size_t bytes)
{
    int64_t limit = (int64_t)bytes;
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit);
}

/* What every socket between processes has. A SUB needs keepalive most: its publisher may long have
 * given it up. Where it does not run, peers_silence.h is for that. */
static void *socket_new(void *zmq, int type, struct leat_error *err)
{
    void *socket = zmq_socket(zmq, type);
    if (!socket) {
        leat_fail(err, "cannot make a socket: %s", zmq_strerror(zmq_errno()));
        return NULL;
    }
    set_int(socket, ZMQ_LINGER, DISCONNECT_LINGER_MS);
    set_int(socket, ZMQ_IPV6, 1);
    leat_keepalive(socket);
    set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    return socket;
}

static void set_data(void *socket)
{
    set_int(socket, ZMQ_SNDHWM, DATA_HWM);
    set_int(socket, ZMQ_RCVHWM, DATA_HWM);
    set_int(socket, ZMQ_SNDBUF, KERNEL_BUFFER);
    set_int(socket, ZMQ_RCVBUF, KERNEL_BUFFER);
}

static void set_heartbeat(void *socket)
{
    set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_int(socket, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS);
}

/* Of a socket that connects. */
static void *with_keys(void *socket, const struct leat_security *security, struct leat_error *err)
{
    if (!leat_security_join(security, socket, err))
        leat_socket_close(&socket, 0);
    return socket;
}

static const char *bind_reason(int code)
{
    switch (code) {
    case EADDRINUSE:
        return "the address is in use: another program, or another instance of this one, listens "
               "there";
    case EADDRNOTAVAIL:
        return "no interface of this machine has that address";
    case EACCES:
        return "no permission (ports below 1024 need it)";
    case ENODEV:
        return "no such host or interface";
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
        return "not an address; expected tcp://HOST:PORT, ipc://PATH or inproc://NAME";
    default:
        return zmq_strerror(code);
    }
}

static bool port_ok(const char *address)
{
    const char *colon = strrchr(address, ':');
    return strncmp(address, "tcp://", 6) != 0 || strcmp(colon, ":*") == 0 ||
           leat_address_port(colon + 1, 0);
}

static bool bind_one(void *socket, const char *address, const char *setting, struct leat_error *err)
{
    if (!port_ok(address))
        return leat_fail(err, "cannot bind %.200s (setting %s): the port must be 0 to 65535",
                         address, setting);
    if (zmq_bind(socket, address) == 0)
        return true;
    return leat_fail(err, "cannot bind %.200s (setting %s): %s", address, setting,
                     bind_reason(zmq_errno()));
}

/* Binds to all of a comma-separated list; closes the socket when one of them fails. */
static void *bind_all(void *socket, const struct leat_security *security, const char *addresses,
                      const char *setting, struct leat_error *err)
{
    bool any = false, ok = leat_security_serve(security, socket, err);
    for (const char *at = addresses; ok && *at;) {
        size_t size = strcspn(at, ",");
        char address[256];
        const char *from = at;
        at += size + (at[size] == ',');
        while (size > 0 && *from == ' ')
            from++, size--;
        while (size > 0 && from[size - 1] == ' ')
            size--;
        if (size >= sizeof address)
            ok = leat_fail(err, "setting %s: address too long", setting);
        else if (size > 0) {
            memcpy(address, from, size);
            address[size] = '\0';
            any = true;
            ok = leat_security_may_bind(security, address, setting, err) &&
                 bind_one(socket, address, setting, err);
        }
    }
    if (ok && !any)
        ok = leat_fail(err, "setting %s is empty: it must say which address to bind", setting);
    if (!ok)
        leat_socket_close(&socket, 0);
    return socket;
}

void *leat_socket_inbox(void *zmq, const struct leat_security *security, const char *address,
                        const char *setting, size_t max_frame, struct leat_error *err)
{
    void *socket = socket_new(zmq, ZMQ_PULL, err);
    if (!socket)
        return NULL;
    set_data(socket);
    set_max_frame(socket, max_frame);
    return bind_all(socket, security, address, setting, err);
}

void *leat_socket_output(void *zmq, const struct leat_security *security, struct leat_error *err)
{
    void *socket = socket_new(zmq, ZMQ_PUSH, err);
    if (!socket)
        return NULL;
    set_data(socket);
    set_max_frame(socket, BACKWARDS_MAX);
    /* Nothing is queued for an address that nobody answers at. */
    set_int(socket, ZMQ_IMMEDIATE, 1);
    return with_keys(socket, security, err);
}

void *leat_socket_side_output(void *zmq, const struct leat_security *security,
                              struct leat_error *err)
{
    void *socket = leat_socket_output(zmq, security, err);
    if (socket)
        set_int(socket, ZMQ_SNDHWM, SIDE_HWM);
    return socket;
}

void *leat_socket_publisher(void *zmq, const struct leat_security *security, const char *address,
                            const char *setting, struct leat_error *err)
{
    void *socket = socket_new(zmq, ZMQ_PUB, err);
    if (!socket)
        return NULL;
    set_heartbeat(socket);
    set_int(socket, ZMQ_SNDHWM, ACKS_HWM);
    set_max_frame(socket, ACKS_FRAME_MAX);
    return bind_all(socket, security, address, setting, err);
}

void *leat_socket_subscriber(void *zmq, const struct leat_security *security,
                             const uint8_t topic[LEAT_ID_SIZE], struct leat_error *err)
{
    void *socket = socket_new(zmq, ZMQ_SUB, err);
    if (!socket)
        return NULL;
    set_int(socket, ZMQ_RCVHWM, 0); /* see HEARTBEAT_MS */
    set_max_frame(socket, ACKS_FRAME_MAX);
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, LEAT_ID_SIZE);
    return with_keys(socket, security, err);
}

/* libzmq counts the ids that it gives to clients from what rand() says, and ends the process when a
 * client has given itself one that is next. Nobody can when nobody knows where it began. */
static void seed_client_ids(void)
{
    unsigned seed = 0;
    if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed)
        srand(seed);
}

void *leat_socket_router(void *zmq, const struct leat_security *security, const char *address,
                         const char *setting, size_t max_frame, int asked, int answers,
                         struct leat_error *err)
{
    seed_client_ids();
    void *socket = socket_new(zmq, ZMQ_ROUTER, err);
    if (!socket)
        return NULL;
    /* A client may send heartbeats of its own (see HEARTBEAT_MS), so one that keeps to what it may
     * send must never find its queue full. libzmq notes what was read in steps of half of it. */
    set_int(socket, ZMQ_RCVHWM, 2 * asked);
    set_int(socket, ZMQ_SNDHWM, answers);
    set_int(socket, ZMQ_RCVBUF, KERNEL_BUFFER);
    set_int(socket, ZMQ_SNDBUF, KERNEL_BUFFER);
    /* An answer that cannot be delivered is told, not dropped in silence. */
    set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
    set_max_frame(socket, max_frame);
    return bind_all(socket, security, address, setting, err);
}

bool leat_socket_pair(void *zmq, void *ends[2], struct leat_error *err)
{
    char address[64];
    for (int i = 0; i < 2; i++) {
        ends[i] = zmq_socket(zmq, ZMQ_PAIR);
        if (ends[i]) {
            set_int(ends[i], ZMQ_LINGER, 0);
            set_int(ends[i], ZMQ_SNDHWM, 0);
            set_int(ends[i], ZMQ_RCVHWM, 0);
        }
    }
    /* The socket's own address in memory makes the name unique while it lives. */
    snprintf(address, sizeof address, "inproc://leat.pair.%p", ends[0]);
    if (ends[0] && ends[1] && zmq_bind(ends[0], address) == 0 && zmq_connect(ends[1], address) == 0)
        return true;
    leat_fail(err, "cannot make a pipe between threads: %s", zmq_strerror(zmq_errno()));
    leat_socket_close(&ends[0], 0);
    leat_socket_close(&ends[1], 0);
    return false;
}

void leat_socket_close(void **socket, int linger_ms)
{
    if (!*socket)
        return;
    set_int(*socket, ZMQ_LINGER, linger_ms < 0 ? 0 : linger_ms);
    zmq_close(*socket);
    *socket = NULL;
}

int leat_socket_events(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}
