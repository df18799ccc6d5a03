/* The client's protocol (proto/README.md): one msgpack map a frame, each way. Both ends use this
 * codec: the client library and ingest's front door. */
#ifndef LEAT_MESSAGE_H
#define LEAT_MESSAGE_H

#include "proto/wire.h"

enum leat_message_type {
    LEAT_HELLO,   /* client → ingest: client, instance, session, again; ingest → client: say it
                     first */
    LEAT_WELCOME, /* session, held, through, committed, dead, credit, limits, kinds */
    LEAT_SEND,    /* session, seq, kind, records */
    LEAT_ACK,     /* seq, accepted, rejected; or forgotten */
    LEAT_BUSY,    /* seq, retry_ms: not taken, no seq consumed; send it again later */
    LEAT_GAP,     /* held: what was sent is not held + 1; go on from there */
    LEAT_FENCED,  /* session: a newer hello of the same client ended it; instance: of the hello */
    LEAT_DONE,    /* client → ingest: session; ingest → client: through, committed, dead */
    LEAT_ERROR,   /* code, reason: the frame was not understood; nothing was taken */
};

/* What ingest allows; told in welcome. */
struct leat_limits {
    uint64_t send_bytes;   /* one send frame */
    uint64_t send_records; /* records in one send */
    uint64_t unanswered;   /* sends without an answer yet; so many answers are kept */

    /* Of blocks of kind series; 0: that kind is not taken. */
    uint64_t series_rows;    /* rows with output in one block */
    uint64_t series_longest; /* rows of the longest window */
};

/* A decoded message; only the fields of its type mean anything. Spans and objects point into the
 * frame and the zone it was read with. */
struct leat_message {
    enum leat_message_type type;
    uint64_t session, seq, held, through, committed, dead, credit, accepted, retry_ms;
    uint32_t instance; /* hello: the client's own number; 0: it tells none. fenced: of the hello
                          that it answers; 0: it answers something else */
    bool again;        /* hello: without a session and said before */
    struct leat_limits limits;
    bool forgotten; /* ack: taken once, but how it was answered is no longer known */
    struct leat_span client, kind, code, reason;
    struct leat_span packed;        /* send: the values of `records` as bytes, one after another;
                                       leat_wire_scan finds where each ends */
    const msgpack_object *records;  /* send: an array of anything */
    const msgpack_object *rejected; /* ack: an array of {index, code, reason} */
    const msgpack_object *kinds;    /* welcome: an array of str */
};

/* One reason in an ack. */
struct leat_rejection {
    uint32_t index; /* into the send's records */
    const char *code;
    char reason[200]; /* valid UTF-8 */
};

/* Reads a frame from either side. false with a reason fit for an `error` answer; `code` is then one
 * of "malformed", "version", "type". Any bytes may be given; every field of a message that is read
 * is there and of its type. A client's name is checked (1 to LEAT_MAX_CLIENT_ID bytes of UTF-8
 * without NUL; size 0: ingest's "say hello"); a kind may be any string, known or not; rejected and
 * kinds are arrays of anything. The tree takes up to 48 times the frame's size from `zone`. */
bool leat_message_read(struct leat_span frame, msgpack_zone *zone, struct leat_message *out,
                       const char **code, struct leat_error *err);

/* Each appends one frame to `to`. */
void leat_message_hello(msgpack_sbuffer *to, const char *client,
                        uint32_t instance, /* 0: not told */
                        uint64_t session,  /* 0: was in none yet */
                        bool again);       /* and has said so before, as this instance */
void leat_message_say_hello(msgpack_sbuffer *to);
void leat_message_welcome(msgpack_sbuffer *to, const struct leat_message *welcome,
                          const char *const *kinds);
/* `records`: the packed records, one after another. */
void leat_message_send(msgpack_sbuffer *to, uint64_t session, uint64_t seq, const char *kind,
                       uint32_t count, struct leat_span records);

/* Reasons take LEAT_REASONS_BYTES of an ack at most; behind these rejections have their codes. */
enum { LEAT_REASONS_BYTES = 16 * 1024 };
void leat_message_ack(msgpack_sbuffer *to, uint64_t seq, uint64_t accepted,
                      const struct leat_rejection *rejected, size_t n);
/* The answer to a repeated send whose kept answer is gone: accepted 0, rejected empty, forgotten.
 */
void leat_message_forgotten(msgpack_sbuffer *to, uint64_t seq);
void leat_message_busy(msgpack_sbuffer *to, uint64_t seq, uint64_t retry_ms);
void leat_message_gap(msgpack_sbuffer *to, uint64_t held);
void leat_message_fenced(msgpack_sbuffer *to, uint64_t session, /* 0: a first hello */
                         uint32_t instance); /* of the hello; 0: it answers none */
void leat_message_done_request(msgpack_sbuffer *to, uint64_t session);
void leat_message_done(msgpack_sbuffer *to, uint64_t through, uint64_t committed, uint64_t dead);
void leat_message_error(msgpack_sbuffer *to, const char *code, const char *reason);

/* A frame for the one-way port: {v, kind, records}. Read with leat_message_read (type LEAT_SEND,
 * session 0 and seq 0, which no acked send has: both count from 1). */
void leat_message_oneway(msgpack_sbuffer *to, const char *kind, uint32_t count,
                         struct leat_span records);

#endif
