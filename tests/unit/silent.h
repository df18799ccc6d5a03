/* A server that takes connections and says nothing. */
#ifndef TESTS_UNIT_SILENT_H
#define TESTS_UNIT_SILENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct silent {
    int fd;
    unsigned port;
};

/* Port 0: any. */
static inline struct silent silent_open(const char *address, unsigned port)
{
    struct silent self = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), port};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof at;
    inet_pton(AF_INET, address, &at.sin_addr);
    assert_int_equal(bind(self.fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(self.fd, 16), 0);
    assert_int_equal(getsockname(self.fd, (struct sockaddr *)&at, &size), 0);
    self.port = ntohs(at.sin_port);
    return self;
}

/* How many have come since it was last asked. */
static inline unsigned silent_visits(const struct silent *self)
{
    unsigned n = 0;
    for (int fd; (fd = accept(self->fd, NULL, NULL)) >= 0; n++)
        close(fd);
    return n;
}

#endif
