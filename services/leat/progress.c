#include "services/leat/progress.h"

#include "services/leat/cut.h"
#include "services/runtime/clock.h"

#include <stdlib.h>

enum {
    DRAW_US = 100 * 1000,
    BAR_MAX = 40,
    TEXT = 62, /* columns that all but the bar may take */
};

void progress_init(struct progress *self, bool quiet)
{
    *self = (struct progress){.begun_us = leat_monotonic_us()};
    render_init(&self->to, stderr);
    self->wanted = self->to.terminal && !quiet;
}

double progress_seconds(const struct progress *self)
{
    return (double)(leat_monotonic_us() - self->begun_us) / 1e6;
}

static void draw_share(const struct progress *self, const struct progress_state *state,
                       double seconds)
{
    FILE *out = self->to.out;
    int bar = self->to.width - TEXT < BAR_MAX ? self->to.width - TEXT : BAR_MAX;
    char left[32];
    fputs("  ", out);
    if (bar >= 6) {
        render_style(&self->to, RENDER_GREEN);
        render_bar(&self->to, state->share, bar);
        render_style(&self->to, RENDER_PLAIN);
    }
    fprintf(out, " %3.0f %%", state->share * 100);
    if (state->share > 0.005 && state->share < 1)
        fprintf(out, "  %s left",
                render_duration(seconds * (1 - state->share) / state->share, left));
}

static void draw(const struct progress *self, const struct progress_state *state)
{
    double seconds = progress_seconds(self);
    char records[32], rate[32], rejected[32];
    fprintf(self->to.out, "%s %s  %s/s", state->what, render_count(state->records, records),
            render_count((uint64_t)((double)state->records / (seconds > 0 ? seconds : 1)), rate));
    if (state->share >= 0)
        draw_share(self, state, seconds);
    if (state->rejected > 0)
        render_print(&self->to, RENDER_YELLOW, "  %s rejected",
                     render_count(state->rejected, rejected));
}

void progress_show(struct progress *self, const struct progress_state *state)
{
    int64_t now = leat_monotonic_us();
    if (!self->wanted || now - self->drawn_us < DRAW_US)
        return;
    self->drawn_us = now;
    self->drawn = true;
    char *line = NULL;
    size_t size;
    FILE *out = self->to.out, *drawn = open_memstream(&line, &size);
    if (!drawn)
        return;
    render_init(&self->to, out); /* it may be another width by now */
    self->to.out = drawn;
    draw(self, state);
    self->to.out = out;
    fclose(drawn);
    /* A line that wraps is not overwritten by the next. */
    fputs("\r\x1b[K", out);
    cut_line(out, line, size, self->to.width - 1);
    fflush(out);
    free(line);
}

void progress_clear(struct progress *self)
{
    if (!self->drawn)
        return;
    fputs("\r\x1b[K", self->to.out);
    fflush(self->to.out);
    self->drawn = false;
}
