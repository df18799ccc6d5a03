#include "services/persist/hosts.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_PARAMS = 128 };

struct hosts {
    PQconninfoOption *options; /* what libpq has made of the parameters */
    const char *host, *hostaddr, *port;
    const char *default_port;
    size_t n, next;                          /* items of the lists */
    char *item_host, *item_addr, *item_port; /* the current ones */
    struct addrinfo *found, *left; /* addresses of the current host, and those not tried yet */
    char address[NI_MAXHOST];
    struct host current;
};

/* A value that is empty is none to libpq. */
static const char *value_of(const PQconninfoOption *options, const char *name)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val && options->val[0] ? options->val : NULL;
    return NULL;
}

/* libpq tells what it has read from all its sources, but only of a connection. This one fails for
 * its last parameter, after everything was read and before anything is done. */
static PQconninfoOption *resolve(const char *const *names, const char *const *values)
{
    const char *all_names[MAX_PARAMS + 2], *all_values[MAX_PARAMS + 2];
    size_t n = 0;
    for (; n < MAX_PARAMS && names[n]; n++) {
        all_names[n] = names[n];
        all_values[n] = values[n];
    }
    all_names[n] = "target_session_attrs";
    all_values[n] = "none: only read the parameters";
    all_names[n + 1] = all_values[n + 1] = NULL;
    PGconn *pg = PQconnectStartParams(all_names, all_values, 0);
    PQconninfoOption *options = PQconninfo(pg);
    PQfinish(pg);
    if (!options)
        abort();
    return options;
}

/* It serves where a list has an empty item. */
static const char *default_port(const PQconninfoOption *options)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, "port") == 0 && options->compiled)
            return options->compiled;
    return "5432";
}

static size_t count(const char *list)
{
    size_t n = 1;
    for (; *list; list++)
        n += *list == ',';
    return n;
}

/* The i-th item, or NULL when it is empty. */
static char *item(const char *list, size_t i)
{
    for (; i > 0; i--)
        list = strchr(list, ',') + 1;
    size_t size = strcspn(list, ",");
    char *copy = size > 0 ? strndup(list, size) : NULL;
    if (size > 0 && !copy)
        abort();
    return copy;
}

/* Lists that do not fit together are for libpq to complain of. */
static bool lists_match(const struct hosts *self)
{
    return (!self->host || count(self->host) == self->n) &&
           (!self->port || count(self->port) == self->n || count(self->port) == 1);
}

struct hosts *hosts_open(const char *const *names, const char *const *values)
{
    struct hosts *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->options = resolve(names, values);
    self->host = value_of(self->options, "host");
    self->hostaddr = value_of(self->options, "hostaddr");
    self->port = value_of(self->options, "port");
    self->default_port = default_port(self->options);
    self->n = self->hostaddr ? count(self->hostaddr) : self->host ? count(self->host) : 1;
    return self;
}

static void forget_item(struct hosts *self)
{
    free(self->item_host);
    free(self->item_addr);
    free(self->item_port);
    self->item_host = self->item_addr = self->item_port = NULL;
    if (self->found)
        freeaddrinfo(self->found);
    self->found = self->left = NULL;
}

static const struct host *next_address(struct hosts *self)
{
    const struct addrinfo *it = self->left;
    self->left = it->ai_next;
    int failed = getnameinfo(it->ai_addr, it->ai_addrlen, self->address, sizeof self->address, NULL,
                             0, NI_NUMERICHOST);
    self->current.unknown = failed ? gai_strerror(failed) : NULL;
    self->current.hostaddr = failed ? NULL : self->address;
    return &self->current;
}

static bool is_name(const char *host)
{
    return host && host[0] != '/' && host[0] != '@'; /* else a Unix socket */
}

static const struct host *next_item(struct hosts *self)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    size_t i = self->next++;
    if (self->host)
        self->item_host = item(self->host, i);
    if (self->hostaddr)
        self->item_addr = item(self->hostaddr, i);
    if (self->port)
        self->item_port = item(self->port, count(self->port) == 1 ? 0 : i);
    self->current = (struct host){
        .host = self->item_host,
        .hostaddr = self->item_addr,
        .port = self->item_port ? self->item_port : self->default_port,
    };
    /* Where the list comes from the environment, to name no host is to name all of it again. A list
     * of nothing is the default socket. */
    if (self->host && !self->item_host)
        self->current.host = self->item_addr ? self->item_addr : ",";
    if (self->item_addr || !is_name(self->item_host))
        return &self->current;
    int failed = getaddrinfo(self->item_host, NULL, &hints, &self->found);
    if (failed) {
        self->found = NULL;
        self->current.unknown = gai_strerror(failed);
        return &self->current;
    }
    self->left = self->found;
    return next_address(self);
}

const struct host *hosts_next(struct hosts *self)
{
    if (self->left)
        return next_address(self);
    forget_item(self);
    if (self->next >= self->n)
        return NULL;
    if (lists_match(self))
        return next_item(self);
    self->next = self->n;
    self->current = (struct host){self->host, self->hostaddr, self->port, NULL};
    return &self->current;
}

void hosts_close(struct hosts **self)
{
    if (!*self)
        return;
    forget_item(*self);
    PQconninfoFree((*self)->options);
    free(*self);
    *self = NULL;
}
