/* The clients' table, in the journal: what has been taken from each client id, and the answers it
 * was given, so that a repeated send gets the same answer after a restart too. A send is taken by
 * journal_append.
 *
 * Inside a transaction these functions see what it has changed so far; outside, what is synced.
 * What is told to anyone outside (welcome, done) is to be asked after journal_commit. */
#ifndef LEAT_INGEST_CLIENTS_H
#define LEAT_INGEST_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"
#include "services/ingest/journal.h"

enum { CLIENTS_ID_MAX = 128 };

struct client {
    uint64_t number;    /* 1, 2, ...: never given twice in a journal */
    uint64_t session;   /* of its last hello; sends of any other one are fenced */
    uint32_t instance;  /* whose hello that was; 0: it did not tell */
    uint64_t held;      /* its last send that was taken; 0: none */
    uint64_t done;      /* every send up to here is committed: one below its first open one */
    uint64_t committed; /* records, since the journal knows the client */
    uint64_t dead;      /* records that became dead letters */
    int64_t used_us;    /* its last hello or send */
};

/* Who says hello. */
struct caller {
    const void *id; /* the client's name, 1-128 bytes */
    size_t size;
    uint32_t instance; /* the caller's own number; 0: it tells none */
    uint64_t session;  /* the one that the caller was welcomed to; 0: none yet */
    bool again;        /* it has said hello before, and knows of no welcome */
};

/* Knows the client by its id (made if it is new) and gives it a session number that no client has
 * had. But a caller that was welcomed before, or may have been, since when another instance has
 * said hello under the name, changes nothing: the name is the other one's, and out->instance says
 * whose. In a transaction; it may be told once that is committed. JOURNAL_REFUSED for an id out of
 * bounds, JOURNAL_FULL when there are too many clients. */
enum journal_result clients_hello(struct journal *journal, const struct caller *caller,
                                  int64_t now_us, struct client *out, struct leat_error *err);

/* The client as it is now. JOURNAL_REFUSED: there is none of this number. */
enum journal_result clients_get(struct journal *journal, uint64_t number, struct client *out,
                                struct leat_error *err);

/* The answer that was given to the client's send `seq`. False: not kept (or damaged). The bytes are
 * the map's, at any alignment, valid until the next call on the journal. Inside a transaction it
 * may be one that is not yet synced: tell it after journal_commit. */
bool clients_answer(struct journal *journal, uint64_t number, uint64_t seq, const void **answer,
                    size_t *size);

/* Whom to forget. */
struct clients_expiry {
    int64_t now_us, ttl_us; /* last used more than ttl_us (not negative) ago */
    uint32_t steps;         /* how many to look at, from where the last call stopped */
    bool (*spoken_for)(void *arg,
                       uint64_t number); /* has a session now, so it lives; may be NULL */
    void *arg;
};

/* Looks at clients, round and round, and forgets those that were silent for so long, have no
 * session and nothing open. In a transaction. Adds how many went to *forgotten (may be NULL). */
enum journal_result clients_expire(struct journal *journal, const struct clients_expiry *expiry,
                                   uint64_t *forgotten, struct leat_error *err);

#endif
