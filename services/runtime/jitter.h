/* Random spreads of pauses and lifetimes, so that those who failed together do not come again
 * together. Not for anything secret. */
#ifndef LEAT_JITTER_H
#define LEAT_JITTER_H

#include <stdint.h>

struct leat_jitter {
    uint64_t state; /* never 0 */
};

/* Each starts anywhere. */
void leat_jitter_init(struct leat_jitter *self);

/* From `least` to `most`, both included; 0 <= least <= most. */
int64_t leat_jitter(struct leat_jitter *self, int64_t least, int64_t most);

#endif
