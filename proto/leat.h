/* leat.h: the client library. Sends records to Leat and knows what became of them.
 *
 * A client collects records into sends, keeps every send until ingest has answered it (answered
 * means: on disk), and sends it again after a lost connection or a restarted ingest: nothing is
 * lost, nothing is taken twice. It talks on sockets only inside the calls below; it starts no
 * thread of its own, and a handle belongs to one thread.
 *
 *     struct leat_options to = {.endpoints = "tcp://127.0.0.1:5550"};
 *     struct leat_client *c = leat_connect(&to, &err);
 *     leat_send(c, "text", id, id_size, record, record_size, &err);
 *     leat_flush(c, LEAT_UNTIL_COMMITTED, 60000, &err);
 *     leat_disconnect(&c);
 */
#ifndef LEAT_H
#define LEAT_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leat_client;

/* A record that ingest would not take. Pointers live for the call only. */
struct leat_reject {
    uint64_t record;    /* which: the number that leat_send gave it, from 0 */
    const char *code;   /* short and fixed, e.g. "text_missing" */
    const char *reason; /* for a person */
};

struct leat_options {
    const char *endpoints; /* one address, or a comma-separated list whose order is fixed: a key
                              always goes to the same one of the list */
    const char *client;    /* 1-128 bytes, this client's name; NULL: a random one. One client at a
                              time may use a name: a second one fences the first */
    size_t batch_bytes;    /* records are collected up to so many bytes a send; 0: 64 KiB */
    int linger_ms;         /* how long a record may wait for company in leat_poll; 0: 5 ms */
    int connect_ms;        /* how long leat_connect waits for a welcome; 0: 5000; -1: for ever */
    void (*on_reject)(void *arg, const struct leat_reject *reject);
    /* For logs; may be NULL. "disconnected", "reconnected"; "busy": ingest asks to wait; "gap":
     * something got lost and goes out again; "silent": no answer for seconds, hello is said again;
     * "denied": ingest does not let this
     * client in (any more), or has no keys while the client has;
     * "forgotten": a send was taken, but which of its records were rejected is no longer known;
     * "journal_lost": ingest came back with an older journal. Callbacks must not call in here. */
    void (*on_event)(void *arg, const char *event);
    void *arg;

    /* A folder with server.pub (the services' public key) and client.key (this client's own pair),
     * as `leat keys` makes it: everything is encrypted, and both sides prove who they are. NULL: in
     * the clear, which services with keys refuse. */
    const char *keys;
    const char *server_key; /* with `keys`: this file instead of server.pub; NULL: that one */
};

/* What is known now, over all endpoints; never more committed and dead than accepted. Under a name
 * that was used before, records of an earlier client may be among committed and dead if they were
 * still under way at leat_connect. */
struct leat_progress {
    uint64_t sent;      /* records given to leat_send */
    uint64_t accepted;  /* on ingest's disk */
    uint64_t rejected;  /* told to on_reject */
    uint64_t committed; /* of those accepted: in the store */
    uint64_t dead;      /* of those accepted: in dead_letters */
    uint64_t resent;    /* sends that went out again */
};

enum leat_until { LEAT_UNTIL_ACCEPTED, LEAT_UNTIL_COMMITTED };

/* Connects and waits for the welcome of every endpoint. NULL: nothing answered in time, an address
 * is malformed, or the other side speaks another version; `err` says so. */
struct leat_client *leat_connect(const struct leat_options *options, struct leat_error *err);

/* Takes one record: a packed msgpack map, copied. `key` (the text's id, the series' name) chooses
 * among several endpoints. Blocks while credit or the unanswered limit is used up. False: it was
 * not taken, because it is no msgpack object or nests deeper than 15, is larger than a send may be,
 * or is of a kind that the endpoint does not know; others may still be sent. Or because nothing can
 * be sent any more (fenced, refused): then leat_poll is false as well. */
bool leat_send(struct leat_client *self, const char *kind, const void *key, size_t key_size,
               const void *record, size_t record_size, struct leat_error *err);

enum leat_try {
    LEAT_TRY_TAKEN,
    LEAT_TRY_FULL,    /* not taken now: leat_poll, and give it again */
    LEAT_TRY_REFUSED, /* as when leat_send is false; `err` says why */
};

/* leat_send for programs that have signals and deadlines to see to: where that one would block, a
 * caught signal or not, this one says LEAT_TRY_FULL. */
enum leat_try leat_try_send(struct leat_client *self, const char *kind, const void *key,
                            size_t key_size, const void *record, size_t record_size,
                            struct leat_error *err);

/* Lets the client work for up to `timeout_ms` (0: what can be done now): sends what has waited long
 * enough, reads answers, reconnects. A caught signal ends it early. False when fenced or refused.
 */
bool leat_poll(struct leat_client *self, int timeout_ms, struct leat_error *err);

/* Sends what is open and works until every record is answered, or (LEAT_UNTIL_COMMITTED) until
 * every accepted one is committed or dead. False when `timeout_ms` passed first (-1: never) or the
 * client is fenced; nothing is lost by that: call it again. Until committed also when ingest came
 * back with an older journal than the one that held what it had accepted. */
bool leat_flush(struct leat_client *self, enum leat_until until, int timeout_ms,
                struct leat_error *err);

void leat_progress(const struct leat_client *self, struct leat_progress *out);

/* Closes. What was not answered is abandoned (it may or may not have been taken). Idempotent. */
void leat_disconnect(struct leat_client **self);

/* --- time series ---
 *
 * Records of kind "series" are blocks of rows, each with the rows before it that its windows look
 * back on. This keeps those of one live series and makes the blocks:
 *
 *     struct leat_series *s = leat_series_open (c, &(struct leat_series_options){
 *         .series = "EURUSD", .base = 1.07356}, &err);
 *     … leat_series_back (s, ts, close, &err) for every row of `leat tail EURUSD` …
 *     leat_series_add (s, ts, close, &err);     one point, as it comes
 *     leat_series_flush (s, &err);              it goes out, with leat_poll and leat_flush
 *
 * However a series is cut into points and blocks, before and after restarts of the program, what is
 * found in it is the same, bit by bit. */

struct leat_series;

/* What ingest says of blocks; over several endpoints, what all of them take. */
struct leat_series_limits {
    size_t rows;    /* rows that one block may add */
    size_t longest; /* rows of the longest window */
};

/* False: an endpoint does not take kind series. */
bool leat_series_limits(const struct leat_client *self, struct leat_series_limits *out,
                        struct leat_error *err);

struct leat_series_options {
    const char *series; /* its name, 1-128 bytes of UTF-8; with several endpoints it chooses one */
    double base;        /* the close that counts as 100; 0: the first one that is given. A series
                           must keep its base: `leat tail --json` tells it */
    bool start;         /* the series begins with the first row that is given: fewer rows than
                           windows look back on are right */
    bool monthly;       /* windows do not cross a calendar month (UTC) */
    size_t rows;        /* rows after which a block goes out without leat_series_flush; 0, or more
                           than ingest takes: as many as it takes */
};

/* Of a connected client, which must outlive it. NULL: the options make no sense, or kind series is
 * not taken. */
struct leat_series *leat_series_open(struct leat_client *client,
                                     const struct leat_series_options *options,
                                     struct leat_error *err);

/* Takes a row that is in the store already, for later ones to look back on. `ts`: microseconds
 * since 1970 UTC. Rows come in the order of time, those to look back on before all others; of many
 * the last ones count. False: the row is not taken (out of order, not finite, out of range). */
bool leat_series_back(struct leat_series *self, int64_t ts, double close, struct leat_error *err);

/* Takes a new row. False: the row is not taken, as above, or because fewer rows than windows look
 * back on were given before it without `start`; or a full block could not be sent, see leat_send:
 * then its rows are kept, and adding the row again tries it again. */
bool leat_series_add(struct leat_series *self, int64_t ts, double close, struct leat_error *err);

/* Makes a block of the rows added since the last one, if any, and gives it to leat_send, with its
 * result. */
bool leat_series_flush(struct leat_series *self, struct leat_error *err);

/* Closes; rows that were not flushed are not sent. Idempotent. */
void leat_series_close(struct leat_series **self);

#ifdef __cplusplus
}
#endif

#endif
