#include "services/leat/http_get.h"

#include "services/runtime/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MAX = 256 };

struct get {
    const char *address;
    int64_t until_us; /* monotonic */
};

/* False: the time is over, or the socket has failed. */
static bool wait_for(const struct get *self, int fd, short events, struct leat_error *err)
{
    for (;;) {
        struct pollfd item = {.fd = fd, .events = events};
        int64_t left = self->until_us - leat_monotonic_us();
        if (left <= 0)
            return leat_fail(err, "%s: no answer in time", self->address);
        int n = poll(&item, 1, (int)(left / 1000) + 1);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return leat_fail(err, "%s: %s", self->address, strerror(errno));
    }
}

static int connect_one(const struct get *self, const struct addrinfo *at, struct leat_error *err)
{
    int code = 0;
    socklen_t size = sizeof code;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        leat_fail(err, "%s: %s", self->address, strerror(errno));
        return -1;
    }
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
        return fd;
    if (errno != EINPROGRESS)
        code = errno;
    else if (!wait_for(self, fd, POLLOUT, err))
        code = ETIMEDOUT;
    else
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
    if (code == 0)
        return fd;
    leat_fail(err, "%s: %s", self->address, strerror(code));
    close(fd);
    return -1;
}

bool http_address(const char *address, struct leat_error *err)
{
    const char *colon = strrchr(address, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    bool good = colon && colon > address && colon - address < HOST_MAX && digits > 0 &&
                digits <= 5 && !colon[1 + digits] && atoi(colon + 1) <= 65535 &&
                atoi(colon + 1) > 0;
    return good || leat_fail(err, "'%.100s' is no HOST:PORT", address);
}

static int connect_to(const struct get *self, struct leat_error *err)
{
    char host[HOST_MAX];
    struct addrinfo wish = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    const char *colon = strrchr(self->address, ':');
    size_t size = colon ? (size_t)(colon - self->address) : 0;
    bool bracketed = size > 2 && self->address[0] == '[' && colon[-1] == ']';
    if (size == 0 || size >= sizeof host || !colon[1]) {
        leat_fail(err, "\"%.100s\" is no HOST:PORT", self->address);
        return -1;
    }
    snprintf(host, sizeof host, "%.*s", (int)(size - (bracketed ? 2 : 0)),
             self->address + (bracketed ? 1 : 0));
    int code = getaddrinfo(host, colon + 1, &wish, &found);
    if (code != 0) {
        leat_fail(err, "%s: %s", self->address, gai_strerror(code));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = connect_one(self, at, err);
    freeaddrinfo(found);
    return fd;
}

/* The whole answer, ended by NUL; what does not fit is cut. */
static bool ask(const struct get *self, int fd, const char *path, char *answer, size_t room,
                struct leat_error *err)
{
    char request[400];
    int size = snprintf(request, sizeof request,
                        "GET %.64s HTTP/1.1\r\nHost: %.256s\r\nConnection: close\r\n\r\n", path,
                        self->address);
    size_t used = 0;
    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        return leat_fail(err, "%s: %s", self->address, strerror(errno));
    while (used < room - 1) {
        if (!wait_for(self, fd, POLLIN, err))
            return false;
        ssize_t n = recv(fd, answer + used, room - 1 - used, 0);
        if (n == 0)
            break;
        if (n > 0)
            used += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            return leat_fail(err, "%s: %s", self->address, strerror(errno));
    }
    answer[used] = '\0';
    return true;
}

int http_answer_read(const char *answer, const char **body)
{
    int status;
    const char *end = strstr(answer, "\r\n\r\n");
    if (!end || sscanf(answer, "HTTP/1.%*1[01] %3d", &status) != 1 || status < 100)
        return 0;
    *body = end + 4;
    return status;
}

int http_get(const char *address, const char *path, int64_t until_us, char *answer, size_t room,
             const char **body, struct leat_error *err)
{
    const struct get self = {address, until_us};
    int fd = connect_to(&self, err);
    if (fd < 0)
        return 0;
    bool good = ask(&self, fd, path, answer, room, err);
    close(fd);
    if (!good)
        return 0;
    int status = http_answer_read(answer, body);
    if (status == 0)
        leat_fail(err, "%s: this is no HTTP answer", address);
    return status;
}
