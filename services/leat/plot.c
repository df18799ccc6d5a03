/* leat plot: a picture of a series and one of its features. */
#include "services/flows/text/record.h"
#include "services/leat/commands.h"
#include "services/leat/features.h"
#include "services/leat/picture.h"
#include "services/leat/plottable.h"
#include "services/runtime/service.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct manual_option plot_options[] = {
    {"--metric", "METRIC_WINDOW",
     "The feature: a column of the tables of features, such as prediction_w60, r2_agg, "
     "residual_std_w15. Default: prediction_w60."},
    {"--domain", "NAME", "The domain that the feature is of: idx, bqx, … Default: idx."},
    {"--from", "TIME", "Only rows at TIME and later."},
    {"--to", "TIME", "Only rows before TIME."},
    {"--output", "FILE",
     "Where to draw: FILE.svg or FILE.png. Default: SERIES-METRIC_WINDOW.svg in this folder."},
    {"--width", "PIXELS", "Default: 1200."},
    {"--height", "PIXELS", "Default: 600."},
    OPTIONS_STORE,
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section plot_sections[] = {
    {"The picture",
     "The close has the left axis, the feature the right one. Fits of idx (prediction, its "
     "interval, b) are closes on another scale, so their axes are laid over each other and the "
     "lines can be compared; with those of another domain, the domain's own value is drawn as "
     "well. Lines break where rows are missing for more than four times the usual step. Of very "
     "many rows only the highest and lowest of every few are drawn, which looks the same.\n"
     "\n"
     "It is drawn by gnuplot (Debian: gnuplot-nox)."},
    {"Exit status", "  0  drawn\n"
                    "  1  not: no such rows or columns, the store cannot be read, no gnuplot\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat plot EURUSD --metric r2_w60 --from 2026-01-01 --to 2026-02-01\n"
                 "  leat plot EURUSD --domain bqx --metric r2_agg --output quality.png"},
    {NULL, NULL},
};

const struct manual plot_manual = {
    .name = "plot",
    .summary = "draw a series and one of its features",
    .synopsis = "[--metric METRIC_WINDOW] [--domain NAME] [--from TIME] [--to TIME] [--output "
                "FILE] [--width PIXELS] [--height PIXELS] [--data DIR | --store URL] [--config "
                "FILE] [--set NAME=VALUE]... SERIES",
    .description = "Draws the close and a feature of a series over time, as SVG or PNG. Times are "
                   "as in 'leat send'.",
    .options = plot_options,
    .sections = plot_sections,
};

struct plot {
    struct picture picture;
    size_t room;
    char output[512];
    char from[ISO_TIME_MAX], to[ISO_TIME_MAX];
    const char *params[3];
};

static bool is_name(const char *text)
{
    return *text && strlen(text) <= 64 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

/* Of the domain's own scale? */
static bool is_level(enum series_metric metric)
{
    return metric == SERIES_PREDICTION || metric == SERIES_B ||
           metric == SERIES_PRED_INTERVAL_LOWER || metric == SERIES_PRED_INTERVAL_UPPER;
}

static double real_or_nan(const struct query_row *row, size_t column)
{
    return row->values[column] ? stored_real(row, column) : (double)NAN;
}

static bool keep_point(void *arg, const struct query_row *row)
{
    struct plot *self = arg;
    struct picture *picture = &self->picture;
    if (picture->n == self->room) {
        self->room = self->room ? self->room * 2 : 4096;
        picture->points = realloc(picture->points, self->room * sizeof *picture->points);
        if (!picture->points)
            abort();
    }
    struct picture_point *point = &picture->points[picture->n];
    struct leat_span ts = {(const uint8_t *)stored_text(row, 0), row->sizes[0]};
    if (text_time_parse(ts, &point->ts)) {
        point->close = real_or_nan(row, 1);
        point->value = real_or_nan(row, 2);
        point->feature = real_or_nan(row, 3);
        picture->n++;
    }
    return true;
}

static bool read_points(struct plot *self, struct query *query, struct leat_error *err)
{
    static const char format[] =
        "SELECT d.ts, c.close, d.value, d.%s FROM features_%s AS d LEFT JOIN features_idx AS c "
        "ON c.series = d.series AND c.ts = d.ts WHERE d.series = $1 AND ($2%s IS NULL OR d.ts >= "
        "$2%s) AND ($3%s IS NULL OR d.ts < $3%s) ORDER BY d.ts";
    static const char cast[] = "::timestamptz";
    char postgres[640], sqlite[640];
    const struct picture *picture = &self->picture;
    const struct query_sql sql = {postgres, sqlite};
    snprintf(postgres, sizeof postgres, format, picture->metric, picture->domain, cast, cast, cast,
             cast);
    snprintf(sqlite, sizeof sqlite, format, picture->metric, picture->domain, "", "", "", "");
    return query_run(query, &sql, self->params, 3, keep_point, self, err) &&
           (picture->n > 0 ||
            leat_fail(err, "there are no rows of a series '%.100s' in that time", picture->series));
}

static bool read_output(struct plot *self, const struct options *o, struct leat_error *err)
{
    const char *given = options_value(o, "--output");
    int size = given ? snprintf(self->output, sizeof self->output, "%s", given)
                     : snprintf(self->output, sizeof self->output, "%s-%s.svg",
                                self->picture.series, self->picture.metric);
    for (char *c = self->output; !given && *c; c++)
        if (*c == '/')
            *c = '_';
    const char *ending = strrchr(self->output, '.');
    self->picture.output = self->output;
    if (size >= (int)sizeof self->output)
        return leat_fail(err, "the name of the output is too long");
    return (ending && (strcmp(ending, ".svg") == 0 || strcmp(ending, ".png") == 0)) ||
           leat_fail(err, "--output is '%s'; expected FILE.svg or FILE.png", self->output);
}

static bool read_words(struct plot *self, const struct options *o, struct leat_error *err)
{
    struct picture *picture = &self->picture;
    enum series_metric metric;
    const char *window, *given = options_value(o, "--metric"), *domain;
    uint64_t width = 1200, height = 600;
    if (o->n_operands != 1)
        return leat_fail(err, "name one series");
    domain = options_value(o, "--domain");
    picture->series = self->params[0] = o->operands[0];
    picture->domain = domain ? domain : "idx";
    picture->metric = given ? given : "prediction_w60";
    if (!is_name(picture->metric) || !features_split(picture->metric, &metric, &window))
        return leat_fail(err,
                         "--metric is '%s'; expected a metric and a window, as in prediction_w60: "
                         "'leat show --at' has them all",
                         picture->metric);
    if (!is_name(picture->domain))
        return leat_fail(err, "--domain is '%s'; expected a name such as idx", picture->domain);
    picture->level = is_level(metric);
    if (!options_count(o, "--width", 200, 10000, &width, err) ||
        !options_count(o, "--height", 150, 10000, &height, err))
        return false;
    picture->width = (int)width;
    picture->height = (int)height;
    return stored_moment(o, "--from", self->from, &self->params[1], err) &&
           stored_moment(o, "--to", self->to, &self->params[2], err) && read_output(self, o, err);
}

static bool plot(struct plot *self, const struct options *o, bool *usage, struct leat_error *err)
{
    *usage = true;
    if (!read_words(self, o, err))
        return false;
    struct query *query = stored_open(o, usage, err);
    bool good = query && plottable(query, self->picture.domain, self->picture.metric, err) &&
                read_points(self, query, err) && picture_draw(&self->picture, err);
    query_close(&query);
    if (good)
        printf("%s\n", self->output);
    return good;
}

int command_plot(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &plot_manual, argc, argv, &err)) {
        render_complain("leat plot", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    struct plot self = {0};
    bool usage;
    int status = LEAT_EXIT_OK;
    if (!plot(&self, &options, &usage, &err)) {
        render_complain("leat plot", "%s", err.text);
        status = usage ? LEAT_EXIT_USAGE : LEAT_EXIT_FAILED;
    }
    free(self.picture.points);
    options_end(&options);
    return status;
}
