/* A session of PostgreSQL that never blocks for ever.
 *
 * Everything is done on a non-blocking connection: a wait is made of short slices, between which it
 * looks whether the process is stopping and whether there was any progress lately. A dead network
 * shows by keepalives and tcp_user_timeout, which the conninfo gets unless it has them; and so it
 * gets that only a server that takes writes will do. */
#ifndef LEAT_PERSIST_CONNECTION_H
#define LEAT_PERSIST_CONNECTION_H

#include "proto/wire.h"

#include <libpq-fe.h>

struct connection;

struct connection_options {
    const char *url;
    int64_t timeout_ms;          /* without progress: given up */
    bool (*stopping)(void *arg); /* may be NULL */
    /* Called every stall_ms (0: once a second) while a statement makes no progress; may be NULL. */
    void (*stalled)(void *arg, int64_t waited_ms);
    int64_t stall_ms;
    void *arg;
    /* Of the conninfo's hosts the one that this session talks to, and no other; may be NULL. */
    const struct connection *beside;
};

/* Why a script ended early. */
struct connection_failure {
    bool broken;         /* the connection is of no use any more */
    char sqlstate[6];    /* of the server's error, or "" */
    char constraint[64]; /* that it names, or "" */
    bool has_context;    /* it came from within a row's work, not from a statement's beginning */
    uint64_t copy_line;  /* row of a COPY that it names (from 1), or 0 */
    char copy_table[64]; /* the table of that COPY */
    struct leat_error error;
};

/* What a script did. */
struct connection_done {
    uint64_t inserted; /* rows that its INSERT statements wrote */
    bool committed;    /* its last statement was a COMMIT that did so */
};

/* A libpq URL or conninfo that parses, or false with the reason. */
bool connection_url_ok(const char *url, struct leat_error *err);

/* Connects to the first of the conninfo's hosts, and of the addresses behind their names, that
 * serves; each has connect_timeout for itself. NULL with the reasons of all. `refused`: the server
 * said that it does not want us (password, no such database, no right to it), or the conninfo is
 * wrong: trying again does not help. What else a server may say (that it starts, or has no
 * connection left) passes. The options' URL and arg must outlive it. */
struct connection *connection_open(const struct connection_options *options, bool *refused,
                                   struct leat_error *err);

void connection_close(struct connection **self);

/* Process id of the session's server process. */
int connection_pid(const struct connection *self);

/* Runs one or more statements, separated by semicolons, in one round trip. The n-th COPY … FROM
 * STDIN among them takes the n-th span. After a server's error the session is as the error left it:
 * perhaps inside a failed transaction. `done` and `failure` are filled in either case. */
bool connection_run(struct connection *self, const char *script, const struct leat_span *copies,
                    size_t n_copies, struct connection_done *done,
                    struct connection_failure *failure);

/* One statement with text parameters that gives rows; the caller clears the result. NULL with the
 * failure. */
PGresult *connection_query(struct connection *self, const char *sql, const char *const *params,
                           int n_params, struct connection_failure *failure);

#endif
