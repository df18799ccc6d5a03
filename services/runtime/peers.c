#include "services/runtime/peers.h"

#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/runtime/peers_address.h"
#include "services/runtime/peers_silence.h"
#include "services/runtime/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REFRESH_MS = 5000,
    STALE_MS = 10000,
    SILENT_MS = 15000,
    LOOKS = 3,        /* at a connection, in that time: all must find it silent */
    GOOD_ANSWERS = 3, /* without an address, until it goes */
};

/* One entry of the list of addresses. */
struct source {
    struct peers_address address;
    bool failing; /* its last lookup gave no answer */
};

/* One address that is connected, or tried. */
struct peer {
    char address[PEERS_ADDRESS_TEXT];
    uint32_t sources; /* bit i: entry i of the list leads here */
    uint8_t missing[RESOLVER_NAMES_MAX];
    bool local, connected, complained;
    int silent;          /* looks in a row that found it silent */
    int fd;              /* of the connection, libzmq's own; -1: there is none */
    const char *trouble; /* how the last try to shake hands failed; NULL: it did not */
    int64_t since_us;    /* of the last connect or loss */
};

struct leat_peers {
    char *service, *peer_name, *setting;
    void *socket, *monitor;
    int resolver; /* descriptor, or -1 */
    int64_t stale_us, silent_us;
    int64_t look_us; /* when connections are looked at next */
    struct source sources[RESOLVER_NAMES_MAX];
    int n_sources;
    int names[RESOLVER_NAMES_MAX]; /* the resolver's i-th name belongs to sources[names[i]] */
    int n_names;
    struct peer peers[LEAT_PEERS_MAX];
    int n_peers;
    struct leat_metric *known, *connected, *resets;
};

static void peers_count(struct leat_peers *self)
{
    leat_metric_set(self->known, leat_peers_known(self));
    leat_metric_set(self->connected, leat_peers_connected(self));
}

static void peers_log(const struct leat_peers *self, enum leat_log_level level, const char *event,
                      const struct peer *peer)
{
    leat_log(level, self->service, event, LEAT_S("peer", self->peer_name),
             LEAT_S("address", peer->address));
}

static struct peer *peers_find(struct leat_peers *self, const char *address)
{
    for (int i = 0; i < self->n_peers; i++)
        if (strcmp(self->peers[i].address, address) == 0)
            return &self->peers[i];
    return NULL;
}

static bool peers_add(struct leat_peers *self, const char *address, int source, bool local,
                      struct leat_error *err)
{
    struct peer *peer = peers_find(self, address);
    if (!peer) {
        if (self->n_peers == LEAT_PEERS_MAX)
            return leat_fail(err, "more than %d addresses", LEAT_PEERS_MAX);
        if (zmq_connect(self->socket, address) != 0)
            return leat_fail(err, "cannot connect to %.200s (setting %s): %s", address,
                             self->setting, zmq_strerror(zmq_errno()));
        peer = &self->peers[self->n_peers++];
        *peer = (struct peer){
            .local = local, .connected = local, .fd = -1, .since_us = leat_monotonic_us()};
        snprintf(peer->address, sizeof peer->address, "%s", address);
        peers_log(self, LEAT_DEBUG, "peer_added", peer);
    }
    peer->sources |= UINT32_C(1) << source;
    peer->missing[source] = 0;
    return true;
}

static void peers_remove(struct leat_peers *self, int i)
{
    peers_log(self, LEAT_INFO, "peer_removed", &self->peers[i]);
    zmq_disconnect(self->socket, self->peers[i].address);
    self->peers[i] = self->peers[--self->n_peers];
}

/* Ensures 1: an address goes when each entry of the list that led to it has answered three times in
 * a row without it. */
static void peers_answer(struct leat_peers *self, int source, const struct resolver_answer *answer)
{
    const char(*hosts)[LEAT_HOST_TEXT] = (const char(*)[LEAT_HOST_TEXT])answer->body;
    for (int i = 0; i < self->n_peers; i++)
        if (self->peers[i].sources & UINT32_C(1) << source)
            self->peers[i].missing[source]++;
    for (int i = 0; i < answer->count; i++) {
        char address[PEERS_ADDRESS_TEXT];
        struct leat_error err;
        peers_address_of_host(hosts[i], self->sources[source].address.port, address);
        if (!peers_add(self, address, source, false, &err))
            leat_log(LEAT_WARN, self->service, "peer_refused", LEAT_S("reason", err.text));
    }
    for (int i = self->n_peers - 1; i >= 0; i--) {
        struct peer *peer = &self->peers[i];
        if (peer->missing[source] >= GOOD_ANSWERS) {
            peer->sources &= ~(UINT32_C(1) << source);
            peer->missing[source] = 0;
            if (!peer->sources)
                peers_remove(self, i);
        }
    }
}

static void peers_read_resolver(struct leat_peers *self)
{
    struct resolver_answer answer;
    while (recv(self->resolver, &answer, sizeof answer, MSG_DONTWAIT) > 0) {
        int index = self->names[answer.name];
        struct source *source = &self->sources[index];
        if (answer.count < 0 && !source->failing)
            leat_log(LEAT_WARN, self->service, "peer_lookup_failed",
                     LEAT_S("peer", self->peer_name), LEAT_S("name", source->address.host),
                     LEAT_S("reason", answer.body));
        source->failing = answer.count < 0;
        if (answer.count > 0)
            peers_answer(self, index, &answer);
    }
}

/* NULL: that event is none. The one that tells most stays. */
static const char *peers_trouble(unsigned event, uint32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return "our key is not among those that may connect there";
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        return value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
                   ? "one side has keys (security.keys), the other has none"
                   : "it speaks something else, or has another server key";
    return event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
               ? "it ends connections: another server key, or no service of Leat"
               : NULL;
}

static void peers_event(struct leat_peers *self, unsigned event, uint32_t value,
                        const char *address)
{
    struct peer *peer = peers_find(self, address);
    const char *trouble = peers_trouble(event, value);
    if (peer && event == ZMQ_EVENT_CONNECTED) {
        peer->fd = (int)value;
        return;
    }
    /* A connection that was given up may end after the next one stands. */
    if (peer && event == ZMQ_EVENT_DISCONNECTED) {
        if (peer->fd != (int)value)
            return;
        peer->fd = -1;
    }
    if (peer && trouble) {
        if (!peer->trouble || event != ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
            peer->trouble = trouble;
        return;
    }
    bool connected = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    if (!peer || peer->connected == connected)
        return;
    peers_log(self, LEAT_INFO, connected ? "peer_connected" : "peer_lost", peer);
    peer->connected = connected;
    peer->complained = false;
    peer->trouble = NULL;
    peer->since_us = leat_monotonic_us();
}

/* An event is two frames: its number (16 bits) and a value (32 bits), then the address. */
static void peers_read_monitor(struct leat_peers *self)
{
    unsigned char head[6];
    char address[PEERS_ADDRESS_TEXT];
    while (zmq_recv(self->monitor, head, sizeof head, ZMQ_DONTWAIT) == sizeof head) {
        uint16_t event;
        uint32_t value;
        memcpy(&event, head, sizeof event);
        memcpy(&value, head + sizeof event, sizeof value);
        int size = zmq_recv(self->monitor, address, sizeof address - 1, ZMQ_DONTWAIT);
        if (size < 0 || (size_t)size >= sizeof address)
            continue;
        address[size] = '\0';
        peers_event(self, event, value, address);
    }
}

static void peers_reset(struct leat_peers *self, struct peer *peer)
{
    zmq_disconnect(self->socket, peer->address);
    zmq_connect(self->socket, peer->address);
    leat_metric_inc(self->resets, 1);
    peer->connected = false;
    peer->silent = 0;
    peer->fd = -1;
    peer->since_us = leat_monotonic_us();
}

/* Ensures 3. */
static void peers_reset_silent(struct leat_peers *self)
{
    int64_t now = leat_monotonic_us();
    if (now < self->look_us)
        return;
    int64_t pause = self->silent_us / LOOKS;
    self->look_us = now + pause;
    for (int i = 0; i < self->n_peers; i++) {
        struct peer *peer = &self->peers[i];
        bool silent = peer->connected && peers_silent(peer->fd, pause / 1000);
        peer->silent = silent ? peer->silent + 1 : 0;
        if (peer->silent == LOOKS) {
            peers_log(self, LEAT_WARN, "peer_silent", peer);
            peers_reset(self, peer);
        }
    }
}

/* Ensures 2. Returns the ms until the next address, or the next look at all, is due. */
static int64_t peers_reset_stale(struct leat_peers *self)
{
    int64_t now = leat_monotonic_us(), due = self->look_us;
    for (int i = 0; i < self->n_peers; i++) {
        struct peer *peer = &self->peers[i];
        if (peer->connected)
            continue;
        if (now - peer->since_us >= self->stale_us) {
            leat_log(peer->complained ? LEAT_DEBUG : LEAT_WARN, self->service, "peer_not_connected",
                     LEAT_S("peer", self->peer_name), LEAT_S("address", peer->address),
                     LEAT_S("reason", peer->trouble ? peer->trouble : "no answer"));
            peers_reset(self, peer);
            peer->complained = true;
        }
        if (peer->since_us + self->stale_us < due)
            due = peer->since_us + self->stale_us;
    }
    return (due - now) / 1000 + 1;
}

int64_t leat_peers_turn(struct leat_peers *self)
{
    if (self->resolver >= 0)
        peers_read_resolver(self);
    peers_read_monitor(self);
    peers_reset_silent(self);
    int64_t due = peers_reset_stale(self);
    peers_count(self);
    return due;
}

/* Takes the list apart; what needs no lookup is connected. */
static bool peers_list(struct leat_peers *self, const struct leat_security *security,
                       const char *list, struct leat_error *err)
{
    for (const char *at = list; *at;) {
        size_t size = strcspn(at, ",");
        char text[PEERS_ADDRESS_TEXT + 64];
        const char *from = at + strspn(at, " ");
        size_t length = (size_t)(at + size - from);
        at += size + (at[size] == ',');
        while (length > 0 && from[length - 1] == ' ')
            length--;
        if (length == 0)
            continue;
        if (length >= sizeof text || self->n_sources == RESOLVER_NAMES_MAX)
            return leat_fail(err, "setting %s: more than %d addresses, or one too long",
                             self->setting, RESOLVER_NAMES_MAX);
        memcpy(text, from, length);
        text[length] = '\0';
        int index = self->n_sources++;
        struct peers_address *address = &self->sources[index].address;
        if (!peers_address_parse(text, address, err))
            return leat_fail_in(err, "setting %s", self->setting);
        if (!leat_security_may_connect(security, text, self->setting, err))
            return false;
        if (address->named)
            self->names[self->n_names++] = index;
        else if (!peers_add(self, address->connect, index, address->local, err))
            return false;
    }
    if (self->n_sources == 0)
        return leat_fail(err, "setting %s is empty: it must say where %s is", self->setting,
                         self->peer_name);
    return true;
}

static bool peers_monitor(struct leat_peers *self, void *zmq, struct leat_error *err)
{
    char address[64];
    int unbounded = 0;
    snprintf(address, sizeof address, "inproc://leat.monitor.%p", self->socket);
    self->monitor = zmq_socket(zmq, ZMQ_PAIR);
    /* libzmq's own thread would wait for an owner that is busy, if there were a bound. */
    if (self->monitor)
        zmq_setsockopt(self->monitor, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
    if (self->monitor &&
        zmq_socket_monitor(self->socket, address,
                           ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED) == 0 &&
        zmq_connect(self->monitor, address) == 0)
        return true;
    return leat_fail(err, "cannot watch connections: %s", zmq_strerror(zmq_errno()));
}

static bool peers_resolve(struct leat_peers *self, const struct leat_peers_options *options,
                          struct leat_error *err)
{
    char names[RESOLVER_NAMES_MAX][RESOLVER_NAME_TEXT];
    if (self->n_names == 0)
        return true;
    for (int i = 0; i < self->n_names; i++)
        memcpy(names[i], self->sources[self->names[i]].address.host, RESOLVER_NAME_TEXT);
    self->resolver = resolver_start((const char(*)[RESOLVER_NAME_TEXT])names, self->n_names,
                                    options->refresh_ms ? options->refresh_ms : REFRESH_MS,
                                    options->lookup, options->lookup_arg, err);
    return self->resolver >= 0;
}

static void peers_metrics(struct leat_peers *self, struct leat_metrics *metrics)
{
    char labels[128];
    snprintf(labels, sizeof labels, "stage=\"%s\",peer=\"%s\"", self->service, self->peer_name);
    self->known = leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_peers_known", labels,
                                   "Addresses behind the name of a service.");
    self->connected = leat_metrics_add(metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_peers_connected",
                                       labels, "Addresses of a service that are connected now.");
    self->resets =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_peers_resets_total", labels,
                         "Connections begun anew: they did not come about, or fell silent.");
}

struct leat_peers *leat_peers_open(const struct leat_peers_options *options, struct leat_error *err)
{
    struct leat_peers *self = calloc(1, sizeof *self);
    if (self)
        self->resolver = -1;
    if (!self || !(self->service = strdup(options->service)) ||
        !(self->peer_name = strdup(options->peer)) || !(self->setting = strdup(options->setting))) {
        leat_fail(err, "out of memory");
        leat_peers_close(&self, 0);
        return NULL;
    }
    self->stale_us = (options->stale_ms ? options->stale_ms : STALE_MS) * 1000;
    self->silent_us = (options->silent_ms ? options->silent_ms : SILENT_MS) * 1000;
    peers_metrics(self, options->metrics);
    self->socket =
        options->topic
            ? leat_socket_subscriber(options->zmq, options->security, options->topic, err)
        : options->best_effort ? leat_socket_side_output(options->zmq, options->security, err)
                               : leat_socket_output(options->zmq, options->security, err);
    if (!self->socket || !peers_monitor(self, options->zmq, err) ||
        !peers_list(self, options->security, options->addresses, err) ||
        !peers_resolve(self, options, err))
        leat_peers_close(&self, 0);
    else
        peers_count(self);
    return self;
}

void *leat_peers_socket(const struct leat_peers *self)
{
    return self->socket;
}

int leat_peers_items(const struct leat_peers *self, zmq_pollitem_t items[LEAT_PEERS_ITEMS])
{
    int n = 0;
    items[n++] = (zmq_pollitem_t){.socket = self->monitor, .events = ZMQ_POLLIN};
    if (self->resolver >= 0)
        items[n++] = (zmq_pollitem_t){.fd = self->resolver, .events = ZMQ_POLLIN};
    return n;
}

int leat_peers_known(const struct leat_peers *self)
{
    return self->n_peers;
}

int leat_peers_connected(const struct leat_peers *self)
{
    int n = 0;
    for (int i = 0; i < self->n_peers; i++)
        n += self->peers[i].connected;
    return n;
}

void leat_peers_close(struct leat_peers **self, int linger_ms)
{
    struct leat_peers *peers = *self;
    if (!peers)
        return;
    if (peers->resolver >= 0)
        close(peers->resolver);
    if (peers->monitor)
        zmq_socket_monitor(peers->socket, NULL, 0);
    leat_socket_close(&peers->monitor, 0);
    leat_socket_close(&peers->socket, linger_ms);
    free(peers->service);
    free(peers->peer_name);
    free(peers->setting);
    free(peers);
    *self = NULL;
}
