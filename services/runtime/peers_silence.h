/* Whether the host at the other end of a connection has fallen silent, by what the kernel knows.
 *
 * TCP's keepalive finds that out where nothing is under way. Where something is, TCP sends it again
 * after longer and longer pauses, and for a quarter of an hour: when a network is back after a
 * minute, the next try may be another minute away. A time limit of the kernel's
 * (ZMQ_TCP_MAXRT, which is TCP_USER_TIMEOUT) would cut a reader that holds back, too: since Linux
 * 5.11 it runs also while the window is closed, whatever the other kernel answers. */
#ifndef LEAT_PEERS_SILENCE_H
#define LEAT_PEERS_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

/* What was sent over `fd` again, or asked of a reader that holds back, has no answer yet, and
 * nothing has come for `ms`. For a moment that is so of any connection that was idle; a kernel
 * answers at once, also for a reader that holds back. (If TCP's question to that one is lost, it
 * stays so until the next; a cut then costs some batches that go twice.) False: not TCP, or closed
 * meanwhile. */
bool peers_silent(int fd, int64_t ms);

#endif
