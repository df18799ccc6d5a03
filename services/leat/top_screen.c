#include "services/leat/top_screen.h"

#include <stdlib.h>
#include <string.h>

/* One line: a stage, or one instance of it. */
struct line {
    const char *name, *where; /* where: NULL unless it is one instance */
    int instances, ready, measured;
    double delta[TOP_FIGURES], now[TOP_FIGURES];
    double seconds; /* measured, of all instances */
    double in_rate, out_rate;
};

static const char *const order[] = {"ingest", "cache", "classify", "regress", "persist"};

static int rank(const char *name)
{
    int i = 0;
    while (i < (int)(sizeof order / sizeof *order) && strcmp(order[i], name) != 0)
        i++;
    return i;
}

static int compare(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    if (rank(left->name) != rank(right->name))
        return rank(left->name) - rank(right->name);
    int names = strcmp(left->name, right->name);
    return names || !left->where ? names : strcmp(left->where, right->where);
}

/* Ingest's batches out are all that is known: its records leave in the stages. */
static enum top_figure out_figure(const char *name)
{
    return strcmp(name, "ingest") == 0 ? TOP_BATCHES_OUT : TOP_RECORDS_OUT;
}

static void add(struct line *line, const struct top_stage *before, const struct top_stage *now)
{
    line->instances++;
    line->ready += now->figures[TOP_READY] > 0;
    for (int i = 0; i < TOP_FIGURES; i++)
        if (i != TOP_OLDEST)
            line->now[i] += now->figures[i];
        else if (now->figures[i] > line->now[i])
            line->now[i] = now->figures[i];
    double seconds = before ? (double)(now->at_us - before->at_us) / 1e6 : 0;
    if (seconds <= 0)
        return;
    for (int i = 0; i < TOP_OPEN; i++)
        if (now->figures[i] < before->figures[i])
            return; /* it was started again */
    for (int i = 0; i < TOP_OPEN; i++)
        line->delta[i] += now->figures[i] - before->figures[i];
    line->measured++;
    line->seconds += seconds;
    enum top_figure out = out_figure(now->name);
    line->in_rate += (now->figures[TOP_RECORDS_IN] - before->figures[TOP_RECORDS_IN]) / seconds;
    line->out_rate += (now->figures[out] - before->figures[out]) / seconds;
}

static size_t collect(const struct top_screen *self, const struct top_sample *before,
                      const struct top_sample *now, struct line *lines)
{
    size_t n = 0;
    for (size_t i = 0; i < now->n; i++) {
        const struct top_stage *stage = &now->stages[i];
        size_t at = 0;
        while (at < n && (self->each || strcmp(lines[at].name, stage->name) != 0))
            at++;
        if (at == n)
            lines[n++] =
                (struct line){.name = stage->name, .where = self->each ? stage->where : NULL};
        add(&lines[at], before ? top_sample_find(before, stage->where, stage->name) : NULL, stage);
    }
    qsort(lines, n, sizeof *lines, compare);
    return n;
}

/* At most six characters: 999999, 1.23M. */
static const char *number(double value, bool known, char to[32])
{
    if (!known)
        snprintf(to, 32, "-");
    else if (value < 10 && value != (double)(int)value)
        snprintf(to, 32, "%.1f", value);
    else if (value < 999999.5)
        snprintf(to, 32, "%.0f", value);
    else if (value < 999.5e6)
        snprintf(to, 32, "%.2fM", value / 1e6);
    else
        snprintf(to, 32, "%.2fG", value / 1e9);
    return to;
}

static const char *age(double seconds, char to[32])
{
    if (seconds < 100)
        snprintf(to, 32, "%.1fs", seconds);
    else if (seconds < 6000)
        snprintf(to, 32, "%.0fm", seconds / 60);
    else
        snprintf(to, 32, "%.0fh", seconds / 3600);
    return to;
}

static const char *share(double part, double whole, char to[32])
{
    if (whole > 0)
        snprintf(to, 32, "%.0f%%", 100 * part / whole);
    else
        snprintf(to, 32, "-");
    return to;
}

static void draw_line(const struct top_screen *self, const struct line *line)
{
    char a[32], b[32], c[32], d[32], e[32], f[32], g[32], h[32], i[32];
    bool ingest = strcmp(line->name, "ingest") == 0, known = line->measured > 0;
    double batches = line->delta[TOP_BATCHES_IN];
    double spent =
        line->delta[TOP_WORK] + line->delta[TOP_WAIT_INPUT] + line->delta[TOP_WAIT_OUTPUT];
    bool ready = line->ready == line->instances;
    render_print(&self->to, ready ? RENDER_BOLD : RENDER_RED, "%-9.9s", line->name);
    snprintf(i, sizeof i, ready ? "%d" : "%d/%d", ready ? line->instances : line->ready,
             line->instances);
    number(line->out_rate, known, b);
    fprintf(self->to.out, "%5s %9s %8s%s %6s %6s %7s  %4s %4s %4s", i,
            number(line->in_rate, known, a), b, ingest && known ? "b" : " ",
            number(batches > 0 ? line->delta[TOP_RECORDS_IN] / batches : 0, batches > 0, c),
            number(line->now[TOP_OPEN], true, d), ingest ? age(line->now[TOP_OLDEST], e) : "-",
            share(line->delta[TOP_WORK], spent, f), share(line->delta[TOP_WAIT_INPUT], spent, g),
            share(line->delta[TOP_WAIT_OUTPUT], spent, h));
    bool growing = line->delta[TOP_ERRORS] > 0;
    render_print(&self->to, growing ? RENDER_RED : RENDER_PLAIN, " %6s%s",
                 number(line->now[TOP_ERRORS], true, a), growing ? "+" : "");
    fputc('\n', self->to.out);
    if (line->where) {
        render_print(&self->to, RENDER_DIM, "  %.70s", line->where);
        fputc('\n', self->to.out);
    }
}

static void draw_journal(const struct top_screen *self, const struct line *lines, size_t n)
{
    char a[32], b[32];
    double used = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        used += lines[i].now[TOP_JOURNAL];
        most += lines[i].now[TOP_JOURNAL_MAX];
    }
    if (most <= 0)
        return;
    fputc('\n', self->to.out);
    fprintf(self->to.out, "journal  ");
    render_bar(&self->to, used / most, 30);
    fprintf(self->to.out, "  %s of %s\n", render_bytes((uint64_t)used, a),
            render_bytes((uint64_t)most, b));
}

void top_screen_draw(const struct top_screen *self, const struct top_sample *before,
                     const struct top_sample *now)
{
    struct line *lines = calloc(now->n + 1, sizeof *lines);
    if (!lines)
        return;
    size_t n = collect(self, before, now, lines);
    render_print(&self->to, RENDER_DIM, "%-9s%5s %9s %8s  %6s %6s %7s  %4s %4s %4s %6s", "stage",
                 "ready", "in/s", "out/s", "batch", "open", "oldest", "work", "wait", "full",
                 "errors");
    fputc('\n', self->to.out);
    for (size_t i = 0; i < n; i++)
        draw_line(self, &lines[i]);
    draw_journal(self, lines, n);
    free(lines);
}
