#include "proto/tally.h"

static void meet(struct tally *self, const struct leat_message *welcome)
{
    self->through = welcome->through;
    self->base = self->told = (struct tally_counts){welcome->committed, welcome->dead};
}

void tally_begin(struct tally *self, const struct leat_message *welcome)
{
    *self = (struct tally){0};
    meet(self, welcome);
}

void tally_read(struct tally *self, const struct leat_message *done)
{
    if (done->through < self->through)
        return; /* an older one, overtaken */
    self->through = done->through;
    self->told = (struct tally_counts){done->committed, done->dead};
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What this journal tells, as far as it can be about records that were not counted yet. */
static struct tally_counts fresh(const struct tally *self, uint64_t accepted)
{
    uint64_t most = accepted - self->past;
    uint64_t dead = least(self->told.dead - self->base.dead, most);
    return (struct tally_counts){least(self->told.committed - self->base.committed, most - dead),
                                 dead};
}

struct tally_counts tally_counts(const struct tally *self, uint64_t accepted)
{
    struct tally_counts counts = fresh(self, accepted);
    counts.committed += self->before.committed;
    counts.dead += self->before.dead;
    return counts;
}

void tally_roll_back(struct tally *self, uint64_t answered, uint64_t accepted,
                     const struct leat_message *welcome)
{
    uint64_t safe = self->through > welcome->held ? self->through : welcome->held;
    struct tally_counts counted = fresh(self, accepted);
    if (answered > safe)
        self->lost += answered - safe;
    self->before.committed += counted.committed;
    self->before.dead += counted.dead;
    /* When all that the older journal holds was done before, what it tells of it is no news. Else
     * some of it is, nobody knows how many records, and only what was counted is left out. */
    self->past =
        self->through >= welcome->held ? accepted : self->past + counted.committed + counted.dead;
    meet(self, welcome);
}
