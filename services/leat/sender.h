/* A client of Leat as the commands use it: never blocks for long, can be interrupted, gives up when
 * nothing moves any more. */
#ifndef LEAT_CLI_SENDER_H
#define LEAT_CLI_SENDER_H

#include "proto/leat.h"
#include "proto/wire.h"
#include "services/leat/options.h"

enum sender_end {
    SENDER_FINE,
    SENDER_INTERRUPTED, /* SIGINT or SIGTERM came */
    SENDER_STUCK,       /* nothing was answered or committed for the timeout */
    SENDER_REFUSED,     /* the client library cannot go on (fenced, …) */
};

struct sender_options {
    const char *to;     /* addresses, as leat_options.endpoints */
    const char *client; /* NULL: a random name */
    const char *keys;   /* the value of --keys; NULL: what LEAT_SECURITY_KEYS says, if anything */
    enum leat_until until;
    double timeout; /* seconds without any progress; 0: for ever */
    void (*on_reject)(void *arg, const struct leat_reject *reject);
    void (*on_turn)(void *arg); /* called often, for a progress bar; may be NULL */
    void *arg;
};

/* The value of --to, or where `leat run` and leat-ingest listen when nobody says otherwise. False:
 * it is no address. */
bool sender_to(const struct options *options, const char **to, struct leat_error *err);

struct sender;

/* Connects. From then on until sender_close SIGINT and SIGTERM are caught; a second one kills. NULL
 * when nothing answers. */
struct sender *sender_open(const struct sender_options *options, struct leat_error *err);
void sender_close(struct sender **self);

enum sender_put {
    SENDER_TAKEN,
    SENDER_NOT_TAKEN, /* this record cannot be sent (too large); others can */
    SENDER_ENDED,     /* sender_end says how */
};

/* Sends a record (see leat_send). */
enum sender_put sender_put(struct sender *self, const char *kind, struct leat_span key,
                           struct leat_span record, struct leat_error *err);

/* Lets the client work without waiting; false when it ended. What an input calls while it waits. */
bool sender_turn(struct sender *self, struct leat_error *err);

/* Works until all that was put is answered. */
bool sender_settle(struct sender *self, struct leat_error *err);

/* Works until what options.until says has happened to all that was put. */
bool sender_finish(struct sender *self, struct leat_error *err);

/* After an end: gives outstanding answers a moment (at most two seconds) to come in. */
void sender_linger(struct sender *self);

/* What ingest says of blocks of series (see leat_series_limits). */
bool sender_series_limits(const struct sender *self, struct leat_series_limits *out,
                          struct leat_error *err);

/* True once an ingest came back with an older journal: what is not committed may be missing. */
bool sender_rolled_back(const struct sender *self);

enum sender_end sender_end(const struct sender *self);
struct leat_progress sender_progress(const struct sender *self);

#endif
