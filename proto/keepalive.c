#include "proto/keepalive.h"

#include <zmq.h>

enum {
    IDLE = 15, /* seconds without anything, until the other kernel is asked */
    INTERVAL = 5,
    COUNT = 3, /* questions without an answer */
};

void leat_keepalive(void *socket)
{
    static const struct {
        int option, value;
    } options[] = {
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_TCP_KEEPALIVE_IDLE, IDLE},
        {ZMQ_TCP_KEEPALIVE_INTVL, INTERVAL},
        {ZMQ_TCP_KEEPALIVE_CNT, COUNT},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof options[i].value);
}
