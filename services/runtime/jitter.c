#include "services/runtime/jitter.h"

#include <sys/random.h>

void leat_jitter_init(struct leat_jitter *self)
{
    if (getrandom(&self->state, sizeof self->state, 0) != sizeof self->state || self->state == 0)
        self->state = 1;
}

/* xorshift64 (Marsaglia 2003): cheap and spread, nothing more. */
int64_t leat_jitter(struct leat_jitter *self, int64_t least, int64_t most)
{
    self->state ^= self->state << 13;
    self->state ^= self->state >> 7;
    self->state ^= self->state << 17;
    return least + (int64_t)(self->state % (uint64_t)(most - least + 1));
}
