/* The inside of a channel, shared by channel.c (collecting, sending, keeping time) and
 * channel_answers.c (what ingest says). */
#ifndef LEAT_PROTO_CHANNEL_PRIVATE_H
#define LEAT_PROTO_CHANNEL_PRIVATE_H

#include "proto/channel.h"
#include "proto/message.h"
#include "proto/tally.h"
#include "proto/terms.h"
#include "proto/window.h"

/* No answer for so long: say hello again. Doubled each time until something is acknowledged. */
enum { CHANNEL_SILENT_MS = 3000 };

struct channel {
    struct link *link;
    struct channel_common *common;
    msgpack_zone zone; /* of the message at hand */
    msgpack_sbuffer frame;
    struct window window;
    struct send *open; /* collected, not complete; NULL: none */
    int64_t opened_ms;

    /* the session */
    bool met;          /* there was a welcome once */
    bool in;           /* the session stands: sends may go out */
    bool hello_due;    /* to be said as soon as the link takes it */
    bool blocked;      /* something is due that the link did not take */
    bool said;         /* a first hello, without a session, of this instance is on the wire */
    uint32_t instance; /* whose hello it is: random at first, never 0 */
    uint64_t session;
    uint64_t highest; /* seq that was on the wire */
    struct terms terms;

    /* going back */
    int64_t pause_until; /* `busy` */
    bool probing;        /* after it: one send at a time until one is taken */
    size_t stale;        /* answers that may still come to copies before the last going back … */
    uint64_t back_to;    /* … which was to this seq */
    unsigned gaps;       /* in a row */

    /* silence */
    int64_t quiet_since;
    int64_t silent_ms;

    /* done */
    bool follow;
    int64_t asked_ms;  /* when it was asked for, or heard of, last */
    uint64_t accepted; /* records */
    struct tally tally;
};

/* Reads all answers that have come. false: the channel can do nothing any more. */
bool channel_read(struct channel *self, struct leat_error *err);

/* Says hello and sends again what is not answered. Keeps invariant M8 (tests/model). */
void channel_begin_again(struct channel *self);

/* Tells the program what happens. */
void channel_tell(const struct channel *self, const char *event);

#endif
