#include "services/cache/connector.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

struct connector {
    struct redis_address address;
    int timeout_ms;
    void *zmq;  /* a context of its own, for the pair of pipes only */
    void *pipe; /* the owner's end; an empty message stops the thread */
    void *far;  /* the thread's end */
    pthread_t thread;
};

/* What the thread answers: ownership of the connection goes over with the message. */
struct outcome {
    redisContext *connection;
    struct leat_error err;
};

static bool number(const char *text, int min, int max, int *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < min || value > max)
        return false;
    *out = (int)value;
    return true;
}

static bool bad_url(struct leat_error *err)
{
    return leat_fail(err, "setting cache.url: expected redis://[:PASSWORD@]HOST[:PORT][/DB] or "
                          "unix:PATH[?db=DB]");
}

static bool parse_unix(char *text, struct redis_address *out, struct leat_error *err)
{
    char *query = strchr(text, '?');
    if (query) {
        *query = 0;
        if (strncmp(query + 1, "db=", 3) != 0 || !number(query + 4, 0, 1000000, &out->database))
            return bad_url(err);
    }
    if (*text == 0 || strlen(text) >= sizeof out->host)
        return bad_url(err);
    strcpy(out->host, text);
    return true;
}

static bool parse_tcp(char *text, struct redis_address *out, struct leat_error *err)
{
    out->port = 6379;
    char *at = strrchr(text, '@');
    if (at) {
        *at = 0;
        if (text[0] != ':' || strlen(text + 1) >= sizeof out->password)
            return bad_url(err);
        strcpy(out->password, text + 1);
        text = at + 1;
    }
    char *slash = strchr(text, '/');
    if (slash) {
        *slash = 0;
        if (slash[1] && !number(slash + 1, 0, 1000000, &out->database))
            return bad_url(err);
    }
    /* [::1]:6379 or host:6379 */
    char *port = strrchr(text, ':');
    if (text[0] == '[') {
        char *close = strchr(text, ']');
        if (!close)
            return bad_url(err);
        port = close[1] == ':' ? close + 1 : NULL;
        if (!port && close[1])
            return bad_url(err);
        *close = 0;
        text++;
    }
    if (port) {
        if (!number(port + 1, 1, 65535, &out->port))
            return bad_url(err);
        *port = 0;
    }
    if (*text == 0 || strlen(text) >= sizeof out->host)
        return bad_url(err);
    strcpy(out->host, text);
    return true;
}

bool redis_address_parse(const char *url, struct redis_address *out, struct leat_error *err)
{
    char text[1024];
    *out = (struct redis_address){0};
    if (strlen(url) >= sizeof text)
        return bad_url(err);
    if (strncmp(url, "unix:", 5) == 0)
        return parse_unix(strcpy(text, url + 5), out, err);
    if (strncmp(url, "redis://", 8) == 0)
        return parse_tcp(strcpy(text, url + 8), out, err);
    return bad_url(err);
}

/* One command whose answer must not be an error. */
static bool command(redisContext *connection, struct leat_error *err, const char *what, int argc,
                    const char **argv)
{
    redisReply *reply = redisCommandArgv(connection, argc, argv, NULL);
    bool ok = reply && reply->type != REDIS_REPLY_ERROR;
    if (!ok)
        leat_fail(err, "%s: %s", what, reply ? reply->str : connection->errstr);
    freeReplyObject(reply);
    return ok;
}

static bool introduce(const struct redis_address *address, redisContext *connection,
                      struct leat_error *err)
{
    if (*address->password &&
        !command(connection, err, "AUTH", 2, (const char *[]){"AUTH", address->password}))
        return false;
    char database[16];
    snprintf(database, sizeof database, "%d", address->database);
    if (address->database > 0 &&
        !command(connection, err, "SELECT", 2, (const char *[]){"SELECT", database}))
        return false;
    return command(connection, err, "PING", 1, (const char *[]){"PING"});
}

static void connect_once(const struct connector *self, struct outcome *out)
{
    const struct redis_address *address = &self->address;
    struct timeval timeout = {self->timeout_ms / 1000, self->timeout_ms % 1000 * 1000};
    redisContext *connection = address->port
                                   ? redisConnectWithTimeout(address->host, address->port, timeout)
                                   : redisConnectUnixWithTimeout(address->host, timeout);
    *out = (struct outcome){0};
    if (!connection) {
        leat_fail(&out->err, "out of memory");
        return;
    }
    bool ok = connection->err == 0 || leat_fail(&out->err, "%s", connection->errstr);
    ok = ok && (redisSetTimeout(connection, timeout) == REDIS_OK ||
                leat_fail(&out->err, "%s", connection->errstr));
    if (ok && introduce(address, connection, &out->err)) {
        if (address->port)
            redisEnableKeepAlive(connection);
        out->connection = connection;
    } else {
        redisFree(connection);
    }
}

static void *connector_thread(void *arg)
{
    struct connector *self = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    char order;
    while (zmq_recv(self->far, &order, 1, 0) == 1) {
        struct outcome outcome;
        connect_once(self, &outcome);
        zmq_send(self->far, &outcome, sizeof outcome, 0);
    }
    return NULL;
}

struct connector *connector_start(const struct redis_address *address, int timeout_ms,
                                  struct leat_error *err)
{
    struct connector *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->address = *address;
    self->timeout_ms = timeout_ms;
    self->zmq = zmq_ctx_new();
    if (self->zmq) {
        zmq_ctx_set(self->zmq, ZMQ_IO_THREADS, 0); /* inproc needs none */
        self->pipe = zmq_socket(self->zmq, ZMQ_PAIR);
        self->far = zmq_socket(self->zmq, ZMQ_PAIR);
    }
    if (self->pipe && self->far && zmq_bind(self->pipe, "inproc://connector") == 0 &&
        zmq_connect(self->far, "inproc://connector") == 0 &&
        pthread_create(&self->thread, NULL, connector_thread, self) == 0)
        return self;
    leat_fail(err, "cannot start the thread that connects to Redis: %s", zmq_strerror(errno));
    if (self->pipe)
        zmq_close(self->pipe);
    if (self->far)
        zmq_close(self->far);
    if (self->zmq)
        zmq_ctx_term(self->zmq);
    free(self);
    return NULL;
}

void connector_stop(struct connector **self_)
{
    struct connector *self = *self_;
    if (!self)
        return;
    zmq_send(self->pipe, "", 0, 0);
    pthread_join(self->thread, NULL);
    redisContext *connection;
    while (connector_result(self, &connection, NULL))
        if (connection)
            redisFree(connection);
    zmq_close(self->pipe);
    zmq_close(self->far);
    zmq_ctx_term(self->zmq);
    free(self);
    *self_ = NULL;
}

void connector_ask(struct connector *self)
{
    zmq_send(self->pipe, "c", 1, 0);
}

bool connector_result(struct connector *self, redisContext **connection, struct leat_error *err)
{
    struct outcome outcome;
    if (zmq_recv(self->pipe, &outcome, sizeof outcome, ZMQ_DONTWAIT) != sizeof outcome)
        return false;
    *connection = outcome.connection;
    if (!outcome.connection)
        leat_fail(err, "%s", outcome.err.text);
    return true;
}
