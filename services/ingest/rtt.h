/* How long a batch takes from dispatch to acknowledgement, as TCP estimates it (RFC 6298). Times in
 * microseconds. */
#ifndef LEAT_INGEST_RTT_H
#define LEAT_INGEST_RTT_H

#include <stdbool.h>
#include <stdint.h>

struct rtt {
    bool sampled;
    int64_t smoothed;  /* SRTT */
    int64_t variation; /* RTTVAR */
};

enum {
    RTT_FIRST_US = 10 * 1000 * 1000, /* timeout before the first sample */
    RTT_LEAST_US = 1000 * 1000,      /* and never less than this, as RFC 6298 2.4 has it */
    RTT_DOUBT = 8,
    RTT_SPREAD_US = 8 * 1000 * 1000, /* doubling stops so far above the estimate */
};

void rtt_sample(struct rtt *self, int64_t us);

/* A round trip of which an unknown part was a standstill, not the stage's own: counts for RTT_DOUBT
 * timeouts at most. The first sample of all counts for twice RTT_FIRST_US at most, and against that
 * as the timeout before it: it does not become the estimate as it is. */
void rtt_sample_in_doubt(struct rtt *self, int64_t us);

/* SRTT + 4 RTTVAR, within the bounds above. */
int64_t rtt_timeout(const struct rtt *self);

/* The timeout for a batch's n-th sending (from 1): doubled at each, up to RTT_SPREAD_US more. */
int64_t rtt_timeout_of(const struct rtt *self, uint32_t attempt);

#endif
