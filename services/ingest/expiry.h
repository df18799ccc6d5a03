/* When clients that were silent for long may be forgotten. How long that was is told by the clock
 * (it goes on while ingest does not run), and clocks are set: what looks like a month of silence
 * may be a second. Pure logic, the two times are the caller's.
 *
 * Ensures: after the clock has gone further than time nobody is forgotten for as long as a client
 * may be silent; whoever lives will have been heard of by then, at the new time. */
#ifndef LEAT_INGEST_EXPIRY_H
#define LEAT_INGEST_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    EXPIRY_EVERY_US = 10 * 1000 * 1000,
    EXPIRY_STEP_US = 10 * 1000 * 1000, /* below it is no step: no client_ttl is so short */
};

struct expiry {
    int64_t ahead; /* the clock, of monotonic time */
    int64_t keep_until, looked_at;
    bool begun;
};

/* Whether clients are to be looked at now; call it at every turn. `clock` is the time of day, `now`
 * monotonic. */
bool expiry_due(struct expiry *self, int64_t clock, int64_t now, int64_t ttl_us);

#endif
