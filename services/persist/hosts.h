/* The servers that a conninfo names, one after the other.
 *
 * libpq can be given several hosts, and takes all addresses behind each name. But its asynchronous
 * functions go on to the next one only when one fails: at one that says nothing (a machine without
 * power, a stopped server) they stay, since time is the caller's business, and the caller cannot
 * send them on. So every address is tried on its own, and this tells which ones there are.
 *
 * Lists are read as libpq reads them, from wherever it takes them: the conninfo, its service, the
 * environment. */
#ifndef LEAT_PERSIST_HOSTS_H
#define LEAT_PERSIST_HOSTS_H

/* What a conninfo for this one says; NULL: nothing. */
struct host {
    const char *host, *hostaddr, *port;
    const char *unknown; /* why nobody knows the addresses of `host`, or NULL */
};

struct hosts;

/* `names` and `values` are parameters as PQconnectStartParams takes them. Looks nothing up yet. */
struct hosts *hosts_open(const char *const *names, const char *const *values);

/* The next one, valid until the next call; NULL after the last. Looks a name up when it comes to
 * it. */
const struct host *hosts_next(struct hosts *self);

void hosts_close(struct hosts **self);

#endif
