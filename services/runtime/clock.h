/* The two clocks. */
#ifndef LEAT_CLOCK_H
#define LEAT_CLOCK_H

#include <stdint.h>

int64_t leat_now_us(void);       /* microseconds since 1970 UTC; may step */
int64_t leat_monotonic_us(void); /* never steps; only differences mean anything */

#endif
