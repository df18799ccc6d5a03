#include "services/runtime/clock.h"

#include <time.h>

static int64_t clock_us(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t leat_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t leat_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}
