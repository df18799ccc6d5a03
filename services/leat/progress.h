/* One line on a terminal that says how far it is: records, rate, share done, time left. */
#ifndef LEAT_CLI_PROGRESS_H
#define LEAT_CLI_PROGRESS_H

#include "services/leat/render.h"

struct progress {
    struct render to;
    bool wanted; /* on a terminal, and not quiet */
    bool drawn;
    int64_t begun_us, drawn_us;
};

/* What to show. A share below 0 is not known. */
struct progress_state {
    const char *what; /* "sending", "committing" */
    uint64_t records; /* done with */
    uint64_t rejected;
    double share; /* 0 to 1, of all that is to be done */
};

void progress_init(struct progress *self, bool quiet);

/* Draws, at most ten times a second. */
void progress_show(struct progress *self, const struct progress_state *state);

/* Takes the line away. */
void progress_clear(struct progress *self);

double progress_seconds(const struct progress *self);

#endif
