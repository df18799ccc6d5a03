/* What the front door's own files share: door.c (what clients say), door_answers.c (what they are
 * told when the transaction has ended), door_done.c (what they are told unasked), door_refusals.c
 * (who is not let in). */
#ifndef LEAT_INGEST_DOOR_PRIVATE_H
#define LEAT_INGEST_DOOR_PRIVATE_H

#include "services/ingest/clients.h"
#include "services/ingest/door.h"
#include "services/ingest/sessions.h"

enum {
    BUSY_FULL_MS = 200,     /* a full journal empties at the pace of the store */
    BUSY_TROUBLE_MS = 1000, /* a disk that fails, a drain */
    BUSY_CREDIT_MS = 20,
};

enum answer_type {
    ANSWER_ACK,
    ANSWER_BUSY,
    ANSWER_GAP,
    ANSWER_FENCED,     /* a send of an older session */
    ANSWER_SUPERSEDED, /* a hello of a client whose successor is here: `fenced` as well */
    ANSWER_HELLO,
    ANSWER_WELCOME,
    ANSWER_DONE,
    ANSWER_ERROR,
};

/* An answer that waits for the end of the transaction. */
struct answer {
    enum answer_type type;
    struct session *to;
    uint64_t seq;     /* of the send it answers; 0: it was none */
    uint64_t number;  /* WELCOME: the client's; SUPERSEDED: its instance; GAP: held; BUSY: ms */
    uint64_t session; /* WELCOME: the new one; FENCED, SUPERSEDED: that of the frame */
    size_t at, size;  /* ACK, ERROR: its bytes in `bytes` */
};

struct door {
    struct door_parts parts;
    void *socket;
    void *monitor; /* what libzmq tells of connections */
    struct sessions *sessions;
    size_t credit;
    struct leat_limits limits;
    int64_t swept_at;
    const char *kinds[METERS_KINDS + 1];
    bool draining;

    struct answer *answers;
    size_t n_answers, room;
    msgpack_sbuffer bytes;

    struct session **pushing; /* sessions with `pushing` set, or once had it */
    size_t n_pushing, pushing_room;

    msgpack_zone zone;
    msgpack_sbuffer scratch;
    struct leat_log_site malformed, hellos, refusals;
};

/* An answer for the end of the transaction; the caller fills in what its type needs. Valid until
 * the next one. */
struct answer *door_answer(struct door *self, struct session *to, enum answer_type type,
                           uint64_t seq);
void door_answer_busy(struct door *self, struct session *to, uint64_t seq, int64_t now,
                      uint64_t retry_ms);
void door_answer_error(struct door *self, struct session *to, uint64_t seq, const char *code,
                       const char *reason);

/* The buffer for a frame that goes out now, empty; and sending what is in it. false: that
 * connection is gone. One that does not read misses the answer and will ask again. */
msgpack_sbuffer *door_scratch(struct door *self);
bool door_send_scratch(struct door *self, struct leat_span peer);

/* What is on disk of a session's client; only while no transaction is open. false: nothing. */
bool door_synced_client(struct door *self, const struct session *it, struct client *out);

/* A message done into the scratch buffer, remembered as told. */
void door_write_done(struct door *self, struct session *it, const struct client *client,
                     int64_t now);

static inline struct leat_span door_peer(const struct session *it)
{
    return (struct leat_span){it->peer, it->peer_size};
}

/* Memory that must be had. */
void *door_or_end(void *memory);

/* Refused connections are counted, and logged at most once a second. */
bool door_refusals_open(struct door *self, void *zmq, struct leat_error *err);
void door_refusals_read(struct door *self);
void door_refusals_close(struct door *self);

#endif
