#include "services/runtime/security.h"

#include "proto/keys.h"
#include "services/runtime/log.h"

#include <arpa/inet.h>
#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct leat_security {
    void *zmq;
    bool keys, insecure;
    zactor_t *checker; /* czmq's answer to "may this key in?" */
    struct leat_key_pair server;
    struct leat_keys service;
};

static bool read_keys(struct leat_security *self, const char *dir, struct leat_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/server.key", dir);
    if (!leat_key_pair_read(path, &self->server, err))
        return false;
    memcpy(self->service.server, self->server.public_key, LEAT_KEY_TEXT);
    snprintf(path, sizeof path, "%s/service.key", dir);
    return leat_key_pair_read(path, &self->service.own, err);
}

/* czmq checks keys for the sockets of its own context only, so that is the process' one. It must
 * leave signals alone: the process has plans for them. */
static bool start_checker(struct leat_security *self, const char *dir, const char *admits,
                          struct leat_error *err)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, admits);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return leat_fail(err, "there is no folder %s: 'leat keys' makes it", path);
    if (access(path, R_OK | X_OK) != 0)
        return leat_fail(err, "cannot read the folder %s: %s", path, strerror(errno));
    zsys_handler_set(NULL);
    self->zmq = zsys_init();
    self->checker = self->zmq ? zactor_new(zauth, NULL) : NULL;
    if (!self->checker)
        return leat_fail(err, "cannot start checking keys: %s", zmq_strerror(zmq_errno()));
    zstr_sendx(self->checker, "CURVE", path, NULL);
    zsock_wait(self->checker);
    return true;
}

struct leat_security *leat_security_open(const struct leat_settings *settings, const char *admits,
                                         struct leat_error *err)
{
    const char *dir = leat_settings_str(settings, "security.keys");
    struct leat_security *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->keys = dir[0] != '\0';
    self->insecure = leat_settings_bool(settings, "security.insecure");
    if (!self->keys)
        self->zmq = zmq_ctx_new();
    if (self->keys ? read_keys(self, dir, err) && start_checker(self, dir, admits, err)
                   : self->zmq || leat_fail(err, "cannot start ZeroMQ: %s", strerror(errno)))
        return self;
    if (self->keys)
        leat_fail_in(err, "setting security.keys");
    leat_security_close(&self);
    return NULL;
}

void *leat_security_zmq(const struct leat_security *self)
{
    return self->zmq;
}

void leat_security_close(struct leat_security **self_p)
{
    struct leat_security *self = *self_p;
    if (!self)
        return;
    if (self->keys) {
        zactor_destroy(&self->checker);
        if (self->zmq)
            zsys_shutdown();
    } else if (self->zmq) {
        zmq_ctx_term(self->zmq);
    }
    free(self);
    *self_p = NULL;
}

/* With a domain libzmq asks the checker about every connection. */
bool leat_security_serve(const struct leat_security *self, void *socket, struct leat_error *err)
{
    static const char domain[] = "leat";
    int yes = 1;
    if (!self || !self->keys)
        return true;
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, self->server.secret_key, LEAT_KEY_TEXT) == 0 &&
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) == 0)
        return true;
    return leat_fail(err, "cannot use the keys: %s", zmq_strerror(zmq_errno()));
}

bool leat_security_join(const struct leat_security *self, void *socket, struct leat_error *err)
{
    return !self || !self->keys || leat_keys_apply(&self->service, socket, err);
}

/* --- what others can reach ------------------------------------------------------------------ */

static bool number_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
    return false;
}

/* Names other than localhost are not looked up: what they lead to may change. */
static bool stays_here(const char *address)
{
    char host[256];
    if (strncmp(address, "tcp://", 6) != 0)
        return true;
    const char *from = address + 6, *colon = strrchr(from, ':');
    size_t size = colon ? (size_t)(colon - from) : strlen(from);
    if (size >= 2 && from[0] == '[' && from[size - 1] == ']') {
        from++;
        size -= 2;
    }
    snprintf(host, sizeof host, "%.*s", (int)size, from);
    return number_is_loopback(host) || strcmp(host, "localhost") == 0 || strcmp(host, "lo") == 0;
}

static bool may(const struct leat_security *self, const char *address)
{
    return !self || self->keys || self->insecure || stays_here(address);
}

#define WHAT_TO_DO                                                                                 \
    "make keys with 'leat keys' and name their folder by security.keys, or say security.insecure " \
    "= yes where nobody else is on that network"

bool leat_security_may_bind(const struct leat_security *self, const char *address,
                            const char *setting, struct leat_error *err)
{
    return may(self, address) ||
           leat_fail(err,
                     "will not bind %.100s (setting %s): other machines could reach it, and there "
                     "are no keys; " WHAT_TO_DO,
                     address, setting);
}

bool leat_security_may_connect(const struct leat_security *self, const char *address,
                               const char *setting, struct leat_error *err)
{
    return may(self, address) ||
           leat_fail(err,
                     "will not connect to %.100s (setting %s): that may be another machine, and "
                     "there are no keys; " WHAT_TO_DO,
                     address, setting);
}
