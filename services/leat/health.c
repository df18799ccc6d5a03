/* leat health: asks a process whether it is ready, as schedulers do that cannot speak HTTP, from an
 * image that has no other program. */
#include "services/leat/commands.h"
#include "services/leat/options.h"
#include "services/runtime/clock.h"
#include "services/runtime/service.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER = 8192 };

static const double default_timeout = 5;

static const struct manual_option health_options[] = {
    {"--timeout", "SECONDS", "How long all of it may take. Default: 5."},
    {NULL, NULL, NULL},
};

static const struct manual_section health_sections[] = {
    {"Exit status", "  0  every process is ready\n"
                    "  1  one is not, or did not answer\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat health 127.0.0.1:9550\n"
                 "  leat health --timeout 2 127.0.0.1:9551 127.0.0.1:9552"},
    {NULL, NULL},
};

const struct manual health_manual = {
    .name = "health",
    .summary = "ask running processes whether they are ready",
    .synopsis = "[--timeout SECONDS] HOST:PORT...",
    .description =
        "Asks /readyz at each HOST:PORT (settings ingest.http, cache.http and so on; run.http of "
        "'leat run') and prints the answer: a line for each service, with the reason when it is "
        "not ready.",
    .options = health_options,
    .sections = health_sections,
};

struct health {
    const char *address;
    int64_t until_us; /* monotonic */
};

/* False: the time is over, or the socket has failed. */
static bool health_wait(const struct health *self, int fd, short events, struct leat_error *err)
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

static int health_connect_one(const struct health *self, const struct addrinfo *at,
                              struct leat_error *err)
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
    else if (!health_wait(self, fd, POLLOUT, err))
        code = ETIMEDOUT;
    else
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
    if (code == 0)
        return fd;
    leat_fail(err, "%s: %s", self->address, strerror(code));
    close(fd);
    return -1;
}

static int health_connect(const struct health *self, struct leat_error *err)
{
    char host[256];
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
        fd = health_connect_one(self, at, err);
    freeaddrinfo(found);
    return fd;
}

/* The whole answer, ended by NUL; what does not fit is cut. */
static bool health_ask(const struct health *self, int fd, char answer[ANSWER],
                       struct leat_error *err)
{
    char request[400];
    int size = snprintf(request, sizeof request,
                        "GET /readyz HTTP/1.1\r\nHost: %.256s\r\nConnection: close\r\n\r\n",
                        self->address);
    size_t used = 0;
    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        return leat_fail(err, "%s: %s", self->address, strerror(errno));
    while (used < ANSWER - 1) {
        if (!health_wait(self, fd, POLLIN, err))
            return false;
        ssize_t n = recv(fd, answer + used, ANSWER - 1 - used, 0);
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

/* Prints what the process says of itself. False: it is not ready. */
static bool health_tell(const struct health *self, const char *answer, struct leat_error *err)
{
    const char *body = strstr(answer, "\r\n\r\n");
    int status = 0;
    if (!body || sscanf(answer, "HTTP/1.%*1[01] %3d", &status) != 1)
        return leat_fail(err, "%s: this is no HTTP answer", self->address);
    if (status != 200 && status != 503)
        return leat_fail(err, "%s: answered %d: is this a process of Leat?", self->address, status);
    fputs(body + 4, stdout);
    return status == 200 || leat_fail(err, "%s: not ready", self->address);
}

static bool health_check(const struct health *self, struct leat_error *err)
{
    char answer[ANSWER];
    int fd = health_connect(self, err);
    if (fd < 0)
        return false;
    bool ok = health_ask(self, fd, answer, err);
    close(fd);
    return ok && health_tell(self, answer, err);
}

static bool read_options(struct options *self, double *timeout, int argc, char **argv,
                         struct leat_error *err)
{
    if (!options_parse(self, &health_manual, argc, argv, err))
        return false;
    if (!options_number(self, "--timeout", 0.01, 86400, timeout, err) ||
        (self->n_operands == 0 && !leat_fail(err, "name a HOST:PORT; see 'leat help health'"))) {
        options_end(self);
        return false;
    }
    return true;
}

int command_health(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    double timeout = default_timeout;
    int status = LEAT_EXIT_OK;
    if (!read_options(&options, &timeout, argc, argv, &err)) {
        render_complain("leat health", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    struct health self = {.until_us = leat_monotonic_us() + (int64_t)(timeout * 1e6)};
    for (size_t i = 0; i < options.n_operands; i++) {
        self.address = options.operands[i];
        if (health_check(&self, &err))
            continue;
        render_complain("leat health", "%s", err.text);
        status = LEAT_EXIT_FAILED;
    }
    options_end(&options);
    return status;
}
