/* The table of `leat top`: what has happened between two samples. */
#ifndef LEAT_CLI_TOP_SCREEN_H
#define LEAT_CLI_TOP_SCREEN_H

#include "services/leat/render.h"
#include "services/leat/top_sample.h"

struct top_screen {
    struct render to;
    bool each; /* a row for every instance instead of one for every stage */
};

/* Draws rows in the order of the flow. A stage that was not in `before`, or was started again
 * since, has no rates yet. */
void top_screen_draw(const struct top_screen *self, const struct top_sample *before,
                     const struct top_sample *now);

#endif
