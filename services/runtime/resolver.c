#include "services/runtime/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* After a failed lookup the next comes sooner: at start, others are only being started too. */
enum { RETRY_MS = 1000 };

struct resolver {
    char names[RESOLVER_NAMES_MAX][RESOLVER_NAME_TEXT];
    int n;
    int64_t refresh_ms;
    leat_lookup_fn *lookup;
    void *lookup_arg;
    int fd;
    struct resolver_answer answer;
};

static int resolver_lookup(void *arg, const char *name, char hosts[][LEAT_HOST_TEXT], int max,
                           struct leat_error *err)
{
    struct addrinfo wish = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int n = 0;
    (void)arg;
    int code = getaddrinfo(name, NULL, &wish, &found);
    if (code != 0) {
        leat_fail(err, "%s", code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
        return -1;
    }
    for (const struct addrinfo *at = found; at && n < max; at = at->ai_next)
        if (getnameinfo(at->ai_addr, at->ai_addrlen, hosts[n], LEAT_HOST_TEXT, NULL, 0,
                        NI_NUMERICHOST) == 0)
            n++;
    freeaddrinfo(found);
    return n;
}

/* True when it is answered; the owner that does not read loses an answer, not the next one. */
static bool resolver_round(struct resolver *self)
{
    bool all = true;
    for (int i = 0; i < self->n; i++) {
        struct resolver_answer *answer = &self->answer;
        char(*hosts)[LEAT_HOST_TEXT] = (char(*)[LEAT_HOST_TEXT])answer->body;
        struct leat_error err = {.text = ""};
        answer->name = i;
        answer->count = self->lookup(self->lookup_arg, self->names[i], hosts, LEAT_PEERS_MAX, &err);
        size_t body = answer->count < 0 ? sizeof err.text : (size_t)answer->count * LEAT_HOST_TEXT;
        if (answer->count < 0) {
            memcpy(answer->body, err.text, sizeof err.text);
            all = false;
        }
        send(self->fd, answer, offsetof(struct resolver_answer, body) + body,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return all;
}

static void *resolver_run(void *arg)
{
    struct resolver *self = arg;
    struct pollfd gone = {.fd = self->fd, .events = POLLIN};
    for (;;) {
        int64_t wait = self->refresh_ms;
        if (!resolver_round(self) && wait > RETRY_MS)
            wait = RETRY_MS;
        int n = poll(&gone, 1, (int)wait);
        if (n > 0 || (n < 0 && errno != EINTR))
            break; /* the owner closed its end */
    }
    close(self->fd);
    free(self);
    return NULL;
}

/* The thread handles no signals: those are for the main thread. */
static int thread_start(struct resolver *self)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int code = pthread_create(&thread, &attr, resolver_run, self);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

int resolver_start(const char (*names)[RESOLVER_NAME_TEXT], int n, int64_t refresh_ms,
                   leat_lookup_fn *lookup, void *lookup_arg, struct leat_error *err)
{
    int ends[2], code = 0;
    struct resolver *self = calloc(1, sizeof *self);
    if (!self || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        leat_fail(err, "cannot start looking names up: %s", strerror(errno));
        free(self);
        return -1;
    }
    memcpy(self->names, names, (size_t)n * RESOLVER_NAME_TEXT);
    self->n = n;
    self->refresh_ms = refresh_ms;
    self->lookup = lookup ? lookup : resolver_lookup;
    self->lookup_arg = lookup_arg;
    self->fd = ends[1];
    code = thread_start(self);
    if (code == 0)
        return ends[0];
    leat_fail(err, "cannot start looking names up: %s", strerror(code));
    close(ends[0]);
    close(ends[1]);
    free(self);
    return -1;
}
