#include "proto/tally.h"

void tally_begin(struct tally *self, const struct leat_message *welcome)
{
    *self = (struct tally){.committed_base = welcome->committed, .dead_base = welcome->dead};
    tally_read(self, welcome);
}

void tally_read(struct tally *self, const struct leat_message *done)
{
    if (done->through < self->through)
        return; /* an older one, overtaken */
    self->through = done->through;
    self->committed = done->committed;
    self->dead = done->dead;
}

void tally_roll_back(struct tally *self, uint64_t answered, const struct leat_message *welcome)
{
    uint64_t safe = self->through > welcome->held ? self->through : welcome->held;
    if (answered > safe)
        self->lost += answered - safe;
    /* Unsigned wrap is meant: what was counted so far stays counted. */
    self->committed_base = welcome->committed - tally_committed(self);
    self->dead_base = welcome->dead - tally_dead(self);
    self->committed = welcome->committed;
    self->dead = welcome->dead;
    self->through = welcome->through;
}

uint64_t tally_committed(const struct tally *self)
{
    return self->committed - self->committed_base;
}

uint64_t tally_dead(const struct tally *self)
{
    return self->dead - self->dead_base;
}
