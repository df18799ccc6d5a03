/* Connections that did not come about: who has no key, another one, or none of Leat's tongue. */
#include "services/ingest/door_private.h"

#include "services/runtime/log.h"
#include "services/runtime/sockets.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

bool door_refusals_open(struct door *self, void *zmq, struct leat_error *err)
{
    char address[64];
    int unbounded = 0;
    snprintf(address, sizeof address, "inproc://leat.door.%p", self->socket);
    self->monitor = zmq_socket(zmq, ZMQ_PAIR);
    /* libzmq's own thread would wait for us, if there were a bound. */
    if (self->monitor)
        zmq_setsockopt(self->monitor, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
    if (self->monitor &&
        zmq_socket_monitor(self->socket, address,
                           ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) ==
            0 &&
        zmq_connect(self->monitor, address) == 0)
        return true;
    return leat_fail(err, "cannot watch connections: %s", zmq_strerror(zmq_errno()));
}

static const char *reason_of(uint16_t event, uint32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return "its key is not in the folder of clients";
    if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        return "one side has keys, the other has none";
    if (value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
        return "it has another server's key";
    return "it does not speak ZMTP";
}

void door_refusals_read(struct door *self)
{
    uint8_t head[6], address[256];
    while (zmq_recv(self->monitor, head, sizeof head, ZMQ_DONTWAIT) == sizeof head) {
        uint16_t event;
        uint32_t value;
        uint64_t swallowed;
        memcpy(&event, head, sizeof event);
        memcpy(&value, head + sizeof event, sizeof value);
        zmq_recv(self->monitor, address, sizeof address, ZMQ_DONTWAIT);
        leat_metric_inc(self->parts.meters->refused, 1);
        if (leat_log_allow(&self->refusals, &swallowed))
            leat_log(LEAT_WARN, "ingest", "connection_refused",
                     LEAT_S("reason", reason_of(event, value)), LEAT_I("swallowed", swallowed));
    }
}

void door_refusals_close(struct door *self)
{
    if (self->monitor && self->socket)
        zmq_socket_monitor(self->socket, NULL, 0);
    leat_socket_close(&self->monitor, 0);
}
