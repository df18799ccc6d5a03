#include "proto/tally.h"

void tally_begin(struct tally *self, uint64_t held)
{
    *self = (struct tally){.first = held};
}

void tally_read(struct tally *self, const struct leat_message *done)
{
    if (done->through < self->through)
        return; /* an older one, overtaken */
    if (done->through <= self->first) {
        /* Counts may only have grown by what is not ours. */
        self->committed_base += done->committed - self->committed;
        self->dead_base += done->dead - self->dead;
    }
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
    self->first = welcome->held;
}

uint64_t tally_committed(const struct tally *self)
{
    return self->committed - self->committed_base;
}

uint64_t tally_dead(const struct tally *self)
{
    return self->dead - self->dead_base;
}
