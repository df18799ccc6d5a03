/* An HTTP endpoint that JSON is posted to, by libcurl: one request at a time, bounded in time and
 * in size, and somebody is asked all the while whether to go on. Redirects are not followed: a key
 * goes to nobody but whom it is for. */
#ifndef LEAT_PROVIDER_ENDPOINT_H
#define LEAT_PROVIDER_ENDPOINT_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

/* Asked several times a second while a request or a pause lasts; false: stop. */
struct endpoint_watch {
    void *owner;
    bool (*goes_on)(void *owner);
};

enum endpoint_outcome {
    ENDPOINT_ANSWERED,  /* whatever the status */
    ENDPOINT_SILENT,    /* no connection, no answer in time, or half of one; the reason is in err */
    ENDPOINT_TALKATIVE, /* the answer was larger than it may be */
    ENDPOINT_STOPPED,   /* by the watch */
};

struct endpoint_answer {
    long status;      /* of HTTP */
    const char *body; /* of a status from 400 on: its beginning; valid until the next post */
    size_t size;
    int64_t retry_after; /* ms that it asks to be left alone; 0: it did not say */
};

struct endpoint;

/* `url`: http or https. `key`: sent as a bearer token; "": none. `watch` must stay. NULL with the
 * reason, in which the key never is. */
struct endpoint *endpoint_open(const char *url, const char *key, const struct endpoint_watch *watch,
                               struct leat_error *err);
void endpoint_close(struct endpoint **self);

/* Scheme, host and path of the URL, for people: without a password or a query. */
const char *endpoint_name(const struct endpoint *self);

/* `most`: bytes that a good answer may have; `timeout`: ms from the beginning to its last byte. */
enum endpoint_outcome endpoint_post(struct endpoint *self, const char *body, size_t size,
                                    size_t most, int64_t timeout, struct endpoint_answer *out,
                                    struct leat_error *err);

/* Waits `ms`; false: told to stop. */
bool endpoint_pause(struct endpoint *self, int64_t ms);

#endif
