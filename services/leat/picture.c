#include "services/leat/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BUCKETS = 2000, /* more rows than four times as many are thinned out: no screen shows more */
    GAP_STEPS = 4,  /* a line breaks where rows are missing for longer than so many usual steps */
};

/* --- what is drawn --- */

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The time from a row to the next that is the most usual: the median. */
static int64_t usual_step(const struct picture *self)
{
    size_t n = self->n - 1;
    int64_t *steps = n ? malloc(n * sizeof *steps) : NULL;
    if (!steps)
        return 0;
    for (size_t i = 0; i < n; i++)
        steps[i] = self->points[i + 1].ts - self->points[i].ts;
    qsort(steps, n, sizeof *steps, by_size);
    int64_t step = steps[n / 2];
    free(steps);
    return step;
}

/* Of each bucket the rows stay that are lowest and highest, in either line: the picture is the
 * same. */
static void thin_out(struct picture *self)
{
    size_t size = (self->n + BUCKETS - 1) / BUCKETS, kept = 0;
    if (size <= 4)
        return;
    for (size_t from = 0; from < self->n; from += size) {
        size_t end = from + size < self->n ? from + size : self->n;
        size_t picks[4] = {from, from, from, from};
        const struct picture_point *p = self->points;
        for (size_t i = from; i < end; i++) {
            picks[0] = p[i].close < p[picks[0]].close ? i : picks[0];
            picks[1] = p[i].close > p[picks[1]].close ? i : picks[1];
            picks[2] = p[i].feature < p[picks[2]].feature ? i : picks[2];
            picks[3] = p[i].feature > p[picks[3]].feature ? i : picks[3];
        }
        for (size_t i = from; i < end; i++)
            if (i == picks[0] || i == picks[1] || i == picks[2] || i == picks[3])
                self->points[kept++] = self->points[i];
    }
    self->n = kept;
}

struct range {
    double low, high;
};

static void widen(struct range *range, double value)
{
    if (!isfinite(value))
        return;
    if (value < range->low)
        range->low = value;
    if (value > range->high)
        range->high = value;
}

/* A little air above and below; a line that is flat has room too. */
static struct range with_margin(struct range range)
{
    if (range.low > range.high)
        return (struct range){0, 1};
    double margin = (range.high - range.low) * 0.05;
    if (margin == 0)
        margin = fabs(range.high) * 0.01 + 1e-12;
    return (struct range){range.low - margin, range.high + margin};
}

/* --- the script --- */

static const char style[] =
    "set encoding utf8\n"
    "set style line 1 lc rgb '#3b4252' lw 1.2\n" /* close */
    "set style line 2 lc rgb '#d1495b' lw 1.8\n" /* the feature */
    "set style line 3 lc rgb '#9db4c0' lw 1.0\n" /* the domain's own value */
    "set style line 9 lc rgb '#e5e9ef' lw 1.0\n"
    "set border 11 lc rgb '#8a94a3' lw 1\n"
    "set grid xtics ytics ls 9\n"
    "set tics nomirror out scale 0.6 textcolor rgb '#4c566a'\n"
    "set key above right horizontal samplen 2 spacing 1.1 textcolor rgb '#3b4252' noenhanced\n"
    "set lmargin 12\nset rmargin 12\nset tmargin 4.4\nset bmargin 4\n"
    "set xdata time\nset timefmt '%s'\n";

/* Inside of gnuplot's single quotes only the quote itself means something. */
static void write_text(FILE *out, const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= ' ')
            fprintf(out, *text == '\'' ? "''" : "%c", *text);
}

static void write_time(FILE *out, int64_t ts, const char *format)
{
    time_t seconds = (time_t)(ts >= 0 ? ts / 1000000 : -((999999 - ts) / 1000000));
    char text[64];
    struct tm at;
    strftime(text, sizeof text, format, gmtime_r(&seconds, &at));
    fputs(text, out);
}

/* What the times are labelled with depends on how long all of it is. */
static const char *time_labels(int64_t span)
{
    static const int64_t day = 86400000000;
    if (span > 3 * 365 * day)
        return "%Y";
    if (span > 90 * day)
        return "%b %Y";
    return span > 4 * day ? "%d %b" : "%d %b\\n%H:%M";
}

static void write_titles(FILE *out, const struct picture *self, size_t rows)
{
    int64_t first = self->points[0].ts, last = self->points[self->n - 1].ts;
    fprintf(out, "set label 1 '");
    write_text(out, self->series);
    fprintf(out, "' at screen 0.02, screen 0.955 left noenhanced font ',17' tc rgb '#2e3440'\n");
    fprintf(out, "set label 2 '%s of %s   %zu rows, ", self->metric, self->domain, rows);
    write_time(out, first, "%Y-%m-%d %H:%M");
    fprintf(out, " to ");
    write_time(out, last, "%Y-%m-%d %H:%M");
    fprintf(out,
            " UTC' at screen 0.02, screen 0.905 left noenhanced font ',11' tc rgb '#6b7686'\n");
    fprintf(out, "set xrange ['%lld':'%lld']\nset format x \"%s\"\n", (long long)(first / 1000000),
            (long long)(last / 1000000 + (first / 1000000 == last / 1000000)),
            time_labels(last - first));
}

/* The rows; an empty line breaks the lines where rows are missing. */
static void write_points(FILE *out, const struct picture *self, int64_t gap)
{
    fputs("$rows << EOD\n", out);
    for (size_t i = 0; i < self->n; i++) {
        const struct picture_point *p = &self->points[i];
        if (i > 0 && gap > 0 && p->ts - p[-1].ts > gap)
            fputc('\n', out);
        fprintf(out, "%.6f %.17g %.17g %.17g\n", (double)p->ts / 1e6, p->close, p->value,
                p->feature);
    }
    fputs("EOD\n", out);
}

/* How many units of the domain one unit of the close is; 0: they are not in proportion. */
static double scale_of(const struct picture *self)
{
    const struct picture_point *p = self->points;
    bool proportional = strcmp(self->domain, "idx") == 0 && isfinite(p->close) &&
                        isfinite(p->value) && p->close != 0 && p->value / p->close > 0;
    return proportional ? p->value / p->close : 0;
}

/* Fits of idx are closes on another scale: both lines share one picture of it, and each axis has
 * its own numbers. */
static void write_shared(FILE *out, const struct picture *self, double scale)
{
    struct range range = {HUGE_VAL, -HUGE_VAL};
    for (size_t i = 0; i < self->n; i++) {
        widen(&range, self->points[i].close);
        widen(&range, self->points[i].feature / scale);
    }
    range = with_margin(range);
    fprintf(out,
            "set yrange [%.17g:%.17g]\nset y2range [%.17g:%.17g]\nset y2tics\n"
            "plot $rows using 1:2 with lines ls 1 title 'close', "
            "'' using 1:4 axes x1y2 with lines ls 2 title '%s'\n",
            range.low, range.high, range.low * scale, range.high * scale, self->metric);
}

/* Lines of different scales have an axis each. */
static void write_apart(FILE *out, const struct picture *self)
{
    struct range left = {HUGE_VAL, -HUGE_VAL}, right = left;
    bool domain = self->level && strcmp(self->domain, "idx") != 0;
    for (size_t i = 0; i < self->n; i++) {
        widen(&left, self->points[i].close);
        widen(&right, self->points[i].feature);
        if (domain)
            widen(&right, self->points[i].value);
    }
    left = with_margin(left);
    right = with_margin(right);
    fprintf(out, "set yrange [%.17g:%.17g]\nset y2range [%.17g:%.17g]\nset y2tics\n", left.low,
            left.high, right.low, right.high);
    if (right.low < 0 && right.high > 0)
        fprintf(out, "set arrow 1 from graph 0, second 0 to graph 1, second 0 nohead dt 3 "
                     "lc rgb '#b8c0cc' back\n");
    fprintf(out, "plot ");
    if (domain)
        fprintf(out, "$rows using 1:3 axes x1y2 with lines ls 3 title '%s', ", self->domain);
    fprintf(out,
            "$rows using 1:2 with lines ls 1 title 'close', "
            "$rows using 1:4 axes x1y2 with lines ls 2 title '%s'\n",
            self->metric);
}

static void write_script(FILE *out, struct picture *self)
{
    size_t rows = self->n;
    int64_t step = usual_step(self);
    thin_out(self);
    int64_t gap = self->n < rows ? step * GAP_STEPS * (int64_t)(rows / BUCKETS) : step * GAP_STEPS;
    double scale = self->level ? scale_of(self) : 0;
    const char *ending = strrchr(self->output, '.');
    bool png = ending && strcmp(ending, ".png") == 0;
    fprintf(out, "set terminal %s size %d,%d %s\nset output '", png ? "pngcairo" : "svg",
            self->width, self->height,
            png ? "font 'Sans,12' background '#ffffff'"
                : "font 'Helvetica,Arial,sans-serif,14' background '#ffffff'");
    write_text(out, self->output);
    fputs("'\n", out);
    fputs(style, out);
    fprintf(out,
            "set ylabel 'close' tc rgb '#3b4252'\nset y2label '%s' noenhanced tc rgb "
            "'#d1495b'\nset y2tics textcolor rgb '#d1495b'\n",
            self->metric);
    write_titles(out, self, rows);
    write_points(out, self, gap);
    if (scale > 0)
        write_shared(out, self, scale);
    else
        write_apart(out, self);
}

/* --- gnuplot --- */

static bool is_installed(const char *program)
{
    const char *path = getenv("PATH");
    for (path = path ? path : "/usr/bin:/bin"; *path;) {
        char file[4096];
        size_t size = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", (int)size, path, program);
        if (access(file, X_OK) == 0)
            return true;
        path += size + (path[size] == ':');
    }
    return false;
}

/* gnuplot draws on standard output what it cannot write to a file, so that is found out before.
 * *made: the file was not there. */
static bool can_write(const char *path, bool *made, struct leat_error *err)
{
    *made = access(path, F_OK) != 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return leat_fail(err, "cannot write %s: %s", path, strerror(errno));
    close(fd);
    return true;
}

bool picture_draw(struct picture *self, struct leat_error *err)
{
    bool made;
    if (!is_installed("gnuplot"))
        return leat_fail(err, "this needs gnuplot, which is not installed: on Debian, apt-get "
                              "install gnuplot-nox");
    if (!can_write(self->output, &made, err))
        return false;
    fflush(NULL);
    FILE *out = popen("exec gnuplot", "we");
    if (!out)
        return leat_fail(err, "cannot start gnuplot: %s", strerror(errno));
    write_script(out, self);
    int status = pclose(out);
    if (status == 0)
        return true;
    if (made)
        unlink(self->output);
    return leat_fail(err, "gnuplot could not draw %s", self->output);
}
