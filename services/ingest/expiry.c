#include "services/ingest/expiry.h"

#include "services/runtime/log.h"

static void watch_clock(struct expiry *self, int64_t clock, int64_t now, int64_t ttl_us)
{
    int64_t step = clock - now - self->ahead;
    if (self->begun && step > EXPIRY_STEP_US) {
        self->keep_until = now + ttl_us;
        leat_log(LEAT_WARN, "ingest", "clock_stepped", LEAT_I("seconds", step / 1000000));
    }
    self->ahead = clock - now;
    self->begun = true;
}

bool expiry_due(struct expiry *self, int64_t clock, int64_t now, int64_t ttl_us)
{
    watch_clock(self, clock, now, ttl_us);
    if (now < self->keep_until || (self->looked_at && now - self->looked_at < EXPIRY_EVERY_US))
        return false;
    self->looked_at = now;
    return true;
}
