#include "services/runtime/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS = 32,         /* at once; a scraper or two and a scheduler's probes */
    CONNECTION_MEMORY = 8192, /* bytes of request headers: more is answered 431 */
    IDLE_SECONDS = 10,
    BACKLOG = 64,
    TEXT = 4096,
};

struct leat_http {
    struct MHD_Daemon *daemon;
    struct leat_metrics *metrics;
    struct leat_host *const *hosts;
    int port;
};

static const char *state_name(int state)
{
    static const char *const names[] = {"starting", "ready", "not ready", "draining", "ended"};
    return state >= LEAT_STARTING && state <= LEAT_ENDED ? names[state] : "unknown";
}

bool leat_http_readiness(struct leat_host *const *hosts, char *text, size_t size)
{
    bool ready = true;
    size_t used = 0;
    for (; *hosts; hosts++) {
        int state = atomic_load(&(*hosts)->state);
        const char *reason = atomic_load(&(*hosts)->reason);
        bool told = reason && state != LEAT_READY;
        ready = ready && state == LEAT_READY;
        int n = snprintf(text + used, size - used, "%s: %s%s%s\n", (*hosts)->name,
                         state_name(state), told ? ": " : "", told ? reason : "");
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
    return ready;
}

static enum MHD_Result answer(struct MHD_Connection *to, unsigned status, const char *type,
                              const char *text, size_t size, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(size, (void *)text, mode);
    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE)
            free((void *)text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(to, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *to, unsigned status, const char *text)
{
    return answer(to, status, "text/plain; charset=utf-8", text, strlen(text),
                  MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer_metrics(struct leat_http *self, struct MHD_Connection *to)
{
    size_t size = 0;
    char *text = leat_metrics_text(self->metrics, &size);
    if (!text)
        return answer_text(to, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    return answer(to, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, size,
                  MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *to, const char *url,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **request)
{
    struct leat_http *self = arg;
    char text[TEXT];
    (void)version, (void)body, (void)request;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        *body_size = 0;
        return answer_text(to, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(self, to);
    if (strcmp(url, "/healthz") == 0)
        return answer_text(to, MHD_HTTP_OK, "ok\n");
    if (strcmp(url, "/readyz") == 0) {
        bool ready = leat_http_readiness(self->hosts, text, sizeof text);
        return answer_text(to, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
    }
    return answer_text(to, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
}

/* Takes HOST:PORT apart; "*" or no host means all interfaces. */
static bool address_split(const char *address, char *host, size_t host_size, char *port,
                          size_t port_size)
{
    const char *colon = strrchr(address, ':');
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strlen(colon + 1) > 5 || atoi(colon + 1) > 65535)
        return false;
    const char *from = address;
    size_t size = (size_t)(colon - address);
    if (size >= 2 && from[0] == '[' && from[size - 1] == ']') {
        from++;
        size -= 2;
    }
    if (size >= host_size)
        return false;
    memcpy(host, from, size);
    host[size] = '\0';
    if (strcmp(host, "*") == 0)
        host[0] = '\0';
    snprintf(port, port_size, "%s", colon + 1);
    return true;
}

static int listen_on(const struct addrinfo *at)
{
    int yes = 1, no = 0;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* The listening socket; made here and not by the library, whose errors say nothing. */
static int http_listen(const char *address, const char *setting, enum leat_http_failure *failure,
                       struct leat_error *err)
{
    char host[256], port[8];
    struct addrinfo wish = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found = NULL;
    *failure = LEAT_HTTP_MALFORMED;
    if (!address_split(address, host, sizeof host, port, sizeof port)) {
        leat_fail(err, "setting %s: \"%.100s\" is no HOST:PORT", setting, address);
        return -1;
    }
    int code = getaddrinfo(host[0] ? host : NULL, port, &wish, &found);
    if (code != 0) {
        leat_fail(err, "setting %s: host of \"%.100s\": %s", setting, address, gai_strerror(code));
        return -1;
    }
    int fd = -1;
    errno = 0;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = listen_on(at);
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        *failure = reason == EADDRINUSE ? LEAT_HTTP_IN_USE : LEAT_HTTP_OTHER;
        leat_fail(err, "cannot listen on %.100s for HTTP (setting %s): %s", address, setting,
                  reason == EADDRINUSE ? "the address is in use" : strerror(reason));
    }
    return fd;
}

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

struct leat_http *leat_http_open(const char *address, const char *setting,
                                 struct leat_metrics *metrics, struct leat_host *const *hosts,
                                 enum leat_http_failure *failure, struct leat_error *err)
{
    int fd = http_listen(address, setting, failure, err);
    if (fd < 0)
        return NULL;
    struct leat_http *self = calloc(1, sizeof *self);
    *failure = LEAT_HTTP_OTHER;
    if (!self) {
        leat_fail(err, "out of memory");
        close(fd);
        return NULL;
    }
    self->metrics = metrics;
    self->hosts = hosts;
    self->port = bound_port(fd);
    self->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, handle, self,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (!self->daemon) {
        leat_fail(err, "cannot start the HTTP server on %.100s (setting %s)", address, setting);
        close(fd);
        free(self);
        return NULL;
    }
    return self;
}

int leat_http_port(const struct leat_http *self)
{
    return self->port;
}

void leat_http_close(struct leat_http **self)
{
    if (!*self)
        return;
    MHD_stop_daemon((*self)->daemon);
    free(*self);
    *self = NULL;
}
