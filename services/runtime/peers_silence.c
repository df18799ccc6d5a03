#include "services/runtime/peers_silence.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* The descriptor is libzmq's: it may have been closed a moment ago, even its number given to
 * another connection. Nothing is changed by asking. */
bool peers_silent(int fd, int64_t ms)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_retransmits + info.tcpi_probes > 0 && info.tcpi_last_ack_recv >= ms;
}
