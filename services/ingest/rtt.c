#include "services/ingest/rtt.h"

void rtt_sample(struct rtt *self, int64_t us)
{
    if (us < 0)
        us = 0;
    if (!self->sampled) {
        *self = (struct rtt){.sampled = true, .smoothed = us, .variation = us / 2};
        return;
    }
    int64_t error = us - self->smoothed;
    self->variation += ((error < 0 ? -error : error) - self->variation) / 4;
    self->smoothed += error / 8;
}

void rtt_sample_in_doubt(struct rtt *self, int64_t us)
{
    int64_t most = (self->sampled ? RTT_DOUBT : 2) * rtt_timeout(self);
    if (!self->sampled)
        rtt_sample(self, RTT_FIRST_US / 3); /* whose timeout is RTT_FIRST_US */
    rtt_sample(self, us < most ? us : most);
}

int64_t rtt_timeout(const struct rtt *self)
{
    if (!self->sampled)
        return RTT_FIRST_US;
    int64_t timeout = self->smoothed + 4 * self->variation;
    return timeout < RTT_LEAST_US ? RTT_LEAST_US : timeout;
}

int64_t rtt_timeout_of(const struct rtt *self, uint32_t attempt)
{
    int64_t timeout = rtt_timeout(self), most = timeout + RTT_SPREAD_US;
    while (attempt-- > 1 && timeout < most)
        timeout *= 2;
    return timeout < most ? timeout : most;
}
