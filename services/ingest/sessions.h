/* The connections that have said hello, and which of them speaks for a client now. Bounded: a
 * session that is forgotten here is only asked to say hello again, as all that matters is in the
 * journal. */
#ifndef LEAT_INGEST_SESSIONS_H
#define LEAT_INGEST_SESSIONS_H

#include "proto/wire.h"

enum { SESSIONS_PEER_MAX = 255 }; /* bytes of a ZeroMQ routing id */

/* What a client was last told of its sends. */
struct session_done {
    uint64_t through, committed, dead;
};

struct session {
    uint8_t peer[SESSIONS_PEER_MAX]; /* routing id of the connection */
    uint8_t peer_size;               /* 0: this place is free */
    bool fenced;                     /* a newer hello of its client ended it */
    bool pushing;                    /* `done` may have changed since it was told */
    uint64_t client;                 /* number in the journal; 0: its hello is not yet on disk */
    uint64_t session;

    bool gone;          /* its connection is; it is forgotten when no answers wait */
    uint32_t waiting;   /* answers kept for the end of the transaction */
    uint32_t sends;     /* of it, in the open transaction */
    size_t credit_used; /* bytes of these */
    int64_t busy_until; /* its sends in the pipe behind one answered busy are so too */

    struct session_done told;
    int64_t told_at, heard_at, probed_at;

    uint32_t by_peer, by_client;   /* next of the hash bucket */
    uint32_t used_prev, used_next; /* by when it was heard last */
};

struct sessions;

struct sessions *sessions_new(uint32_t most);
void sessions_destroy(struct sessions **self);

/* The connection's session, now the most recently heard one; NULL: it said no hello. */
struct session *sessions_find(struct sessions *self, struct leat_span peer, int64_t now);

/* The session that speaks for a client, or NULL. */
struct session *sessions_of(struct sessions *self, uint64_t client);

/* A place for a new connection; for it, the one heard of longest ago is forgotten when all are
 * taken. NULL when that one has answers waiting. */
struct session *sessions_add(struct sessions *self, struct leat_span peer, int64_t now);

/* From now on it speaks for that client; the one that did is fenced. */
void sessions_bind(struct sessions *self, struct session *it, uint64_t client, uint64_t session);

/* It speaks for nobody any more: what it sends next is answered hello. */
void sessions_unbind(struct sessions *self, struct session *it);

void sessions_drop(struct sessions *self, struct session *it);

/* How many there are; and all of them, one after another and round again: the next after the last
 * one given, NULL when there is none. */
uint32_t sessions_count(const struct sessions *self);
struct session *sessions_next(struct sessions *self);

#endif
