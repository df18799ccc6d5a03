#include "proto/link.h"

#include "proto/keepalive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REDIAL_MS = 10000,  /* without a connection for so long: dial anew */
    DENIED_MS = 1000,   /* … after a refusal, which may be mended any moment */
    RECONNECT_MS = 100, /* first pause between tries; libzmq doubles it up to … */
    RECONNECT_MAX_MS = 5000,
    HANDSHAKE_MS = 5000,   /* a peer that accepts and says nothing is dropped after this */
    UNANSWERED_MS = 15000, /* what the other host's kernel does not answer for so long: cut */
    HIGH_WATER = 1000,     /* sends are bounded by credit long before */
    MAX_ANSWER = 32 << 20, /* bytes; a larger frame is no answer of ingest's */
};

/* How the last try to shake hands went wrong. */
enum failure {
    FAILED_NOT,
    FAILED_SILENTLY,     /* the other side hung up, or is no ZeroMQ */
    FAILED_KEYS_ASKED,   /* it wants keys, and there are none */
    FAILED_KEYS_UNKNOWN, /* it has none, and there are some */
    FAILED_DENIED,       /* it does not know this client's key */
};

struct link {
    const char *address;
    bool keys;
    enum failure failure;
    void *socket;
    void *monitor;
    bool up;
    bool reached; /* the other side accepted a connection at least once */
    int64_t dialed_ms;
};

static void set(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

static void configure(void *socket, const char *address)
{
    int64_t max_answer = MAX_ANSWER;
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_answer, sizeof max_answer);
    /* A frame never waits for a connection: it would go out ahead of the new session's hello. */
    set(socket, ZMQ_IMMEDIATE, 1);
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_SNDHWM, HIGH_WATER);
    /* Unbounded: ingest has no more answers for us than we have sends. */
    set(socket, ZMQ_RCVHWM, 0);
    set(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    set(socket, ZMQ_CONNECT_TIMEOUT, HANDSHAKE_MS);
    set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    /* No heartbeats: libzmq 4.3.4 ends a process that finds one behind more frames than it may
     * queue, when their connection is broken already. Ingest always reads, so the kernel's time
     * limit cuts only dead connections. */
    set(socket, ZMQ_TCP_MAXRT, UNANSWERED_MS);
    leat_keepalive(socket);
    /* With it libzmq takes IPv6 alone for a name such as localhost: only for [addresses]. */
    set(socket, ZMQ_IPV6, strchr(address, '[') != NULL);
}

static bool watch(struct link *self, void *zmq, unsigned number, struct leat_error *err)
{
    char name[48];
    snprintf(name, sizeof name, "inproc://leat-link-%u", number);
    if (zmq_socket_monitor(self->socket, name,
                           ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED) != 0)
        return leat_fail(err, "%s: cannot be watched: %s", self->address, zmq_strerror(errno));
    self->monitor = zmq_socket(zmq, ZMQ_PAIR);
    if (!self->monitor)
        return leat_fail(err, "%s: cannot be watched: %s", self->address, zmq_strerror(errno));
    set(self->monitor, ZMQ_LINGER, 0);
    /* libzmq's own thread would wait for a program that is idle for long, if there were a bound;
     * and whoever then asks the socket for anything waits for that thread. */
    set(self->monitor, ZMQ_RCVHWM, 0);
    if (zmq_connect(self->monitor, name) != 0)
        return leat_fail(err, "%s: cannot be watched: %s", self->address, zmq_strerror(errno));
    return true;
}

struct link *link_open(void *zmq, const char *address, unsigned number,
                       const struct leat_keys *keys, struct leat_error *err)
{
    struct link *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "%s: out of memory", address);
        return NULL;
    }
    self->address = address;
    self->keys = keys != NULL;
    self->dialed_ms = -1;
    self->socket = zmq_socket(zmq, ZMQ_DEALER);
    if (!self->socket) {
        leat_fail(err, "%s: no socket: %s", address, zmq_strerror(errno));
        link_close(&self);
        return NULL;
    }
    configure(self->socket, address);
    if ((keys && !leat_keys_apply(keys, self->socket, err)) || !watch(self, zmq, number, err)) {
        link_close(&self);
        return NULL;
    }
    if (zmq_connect(self->socket, address) != 0) {
        leat_fail(err, "%s is no address to connect to: %s", address, zmq_strerror(errno));
        link_close(&self);
        return NULL;
    }
    return self;
}

void link_close(struct link **self_p)
{
    struct link *self = *self_p;
    if (!self)
        return;
    if (self->socket) {
        zmq_socket_monitor(self->socket, NULL, 0);
        zmq_close(self->socket);
    }
    if (self->monitor)
        zmq_close(self->monitor);
    free(self);
    *self_p = NULL;
}

const char *link_address(const struct link *self)
{
    return self->address;
}

/* One event: a frame with its number (16 bits) and a value (32 bits), then a frame with the
 * address. 0: none waits. */
static uint16_t next_event(struct link *self, uint32_t *value)
{
    uint8_t first[6];
    uint16_t event = 0;
    int size = zmq_recv(self->monitor, first, sizeof first, ZMQ_DONTWAIT);
    if (size != sizeof first)
        return 0;
    memcpy(&event, first, sizeof event);
    memcpy(value, first + sizeof event, sizeof *value);
    char address[8];
    zmq_recv(self->monitor, address, sizeof address, ZMQ_DONTWAIT);
    return event;
}

/* libzmq gives up after a refusal; a wrong server key looks like a hang-up, again and again. */
static unsigned note_failure(struct link *self, uint16_t event, uint32_t value)
{
    enum failure before = self->failure;
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        self->failure = FAILED_DENIED;
    else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
             value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        self->failure = self->keys ? FAILED_KEYS_UNKNOWN : FAILED_KEYS_ASKED;
    else if (self->failure == FAILED_NOT)
        self->failure = FAILED_SILENTLY;
    return self->failure > FAILED_SILENTLY && self->failure != before ? LINK_DENIED : 0;
}

unsigned link_watch(struct link *self, int64_t now_ms)
{
    unsigned seen = 0;
    uint32_t value;
    uint16_t event;
    while ((event = next_event(self, &value)) != 0) {
        if (event == ZMQ_EVENT_CONNECTED) {
            self->reached = true;
        } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            self->up = true;
            self->failure = FAILED_NOT;
            seen |= LINK_STOOD;
        } else if (event == ZMQ_EVENT_DISCONNECTED) {
            if (self->up)
                seen |= LINK_LOST;
            self->up = false;
            self->dialed_ms = now_ms;
        } else {
            seen |= note_failure(self, event, value);
        }
    }
    if (self->dialed_ms < 0)
        self->dialed_ms = now_ms;
    int64_t patience = self->failure > FAILED_SILENTLY ? DENIED_MS : REDIAL_MS;
    if (!self->up && now_ms - self->dialed_ms >= patience) {
        zmq_disconnect(self->socket, self->address);
        zmq_connect(self->socket, self->address);
        self->dialed_ms = now_ms;
    }
    return seen;
}

bool link_send(struct link *self, const msgpack_sbuffer *frame)
{
    return zmq_send(self->socket, frame->data, frame->size, ZMQ_DONTWAIT) >= 0;
}

bool link_receive(struct link *self, zmq_msg_t *msg)
{
    return zmq_msg_recv(msg, self->socket, ZMQ_DONTWAIT) >= 0;
}

void link_poll_items(const struct link *self, bool writing, zmq_pollitem_t items[LINK_POLL_ITEMS])
{
    items[0] =
        (zmq_pollitem_t){self->socket, 0, (short)(ZMQ_POLLIN | (writing ? ZMQ_POLLOUT : 0)), 0};
    items[1] = (zmq_pollitem_t){self->monitor, 0, ZMQ_POLLIN, 0};
}

const char *link_trouble(const struct link *self)
{
    if (self->up)
        return "connected, but hello is not answered: is it the port for acknowledged sends?";
    if (self->failure == FAILED_DENIED)
        return "this client's key is not among those that may connect there";
    if (self->failure == FAILED_KEYS_ASKED)
        return "it talks with keys only, and none were given";
    if (self->failure == FAILED_KEYS_UNKNOWN)
        return "keys were given, but it talks without";
    if (self->failure == FAILED_SILENTLY && self->keys)
        return "something is there, but it ends the connection: it has another key than the "
               "server's that was given, talks without keys, or is not ingest's port for "
               "acknowledged sends";
    /* Its reason may be overtaken by its hanging up. */
    if (self->failure == FAILED_SILENTLY)
        return "something is there, but it ends the connection: it talks with keys only, and none "
               "were given, or it is not ingest's port for acknowledged sends";
    if (self->reached)
        return "something is there, but it does not speak as ingest's port for acknowledged sends "
               "does";
    return "cannot be reached";
}
