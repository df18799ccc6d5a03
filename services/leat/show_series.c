#include "services/leat/show_series.h"

#include "services/leat/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABEL = 16, /* columns of a metric's name */
    CELL = 10,  /* of a figure, with the space before it */
    WINDOWS_MAX = 64,
};

/* The lines of a domain's table: groups, an empty line between them. */
struct line {
    enum series_metric metric;
    const char *label;
    bool begins; /* a group */
};

static const struct line lines[] = {
    {SERIES_PREDICTION, "prediction", true},
    {SERIES_PRED_INTERVAL_LOWER, "interval from", false},
    {SERIES_PRED_INTERVAL_UPPER, "interval to", false},
    {SERIES_EXTRAPOLATION_ERROR, "error", false},
    {SERIES_R2, "r2", true},
    {SERIES_FIT_QUALITY, "fit quality", false},
    {SERIES_RMSE, "rmse", false},
    {SERIES_RESIDUAL_STD, "residual std", false},
    {SERIES_RESIDUAL_MEAN, "residual mean", false},
    {SERIES_A2, "a2", true},
    {SERIES_A1, "a1", false},
    {SERIES_B, "b", false},
    {SERIES_CURVATURE, "curvature", false},
    {SERIES_VERTEX_X, "vertex x", false},
    {SERIES_VERTEX_Y, "vertex y", false},
};

/* "1.25e-05" as "1.25e-5": exponents are as short as they can be. */
static void shorten_exponent(char *text)
{
    char *e = strchr(text, 'e');
    if (!e)
        return;
    char *digits = e + 1 + (e[1] == '-' || e[1] == '+'), *first = digits;
    while (*first == '0' && first[1])
        first++;
    if (e[1] == '+')
        digits--;
    memmove(digits, first, strlen(first) + 1);
}

/* As many digits as fit into a cell, six at most. */
static void write_cell(const char *value, char to[32])
{
    double number = value ? strtod(value, NULL) : (double)NAN;
    if (!value) {
        strcpy(to, "-");
        return;
    }
    for (int digits = 6; digits > 0; digits--) {
        snprintf(to, 32, "%.*g", digits, number);
        shorten_exponent(to);
        if (strlen(to) < CELL)
            return;
    }
}

struct layout {
    const struct render *to;
    const struct features_row *row;
    const char *windows[WINDOWS_MAX];
    size_t n_windows;
};

static void find_windows(struct layout *self)
{
    for (size_t i = 0; i < self->row->n; i++) {
        enum series_metric metric;
        const char *window;
        if (features_split(self->row->names[i], &metric, &window) && metric == SERIES_A2 &&
            self->n_windows < WINDOWS_MAX)
            self->windows[self->n_windows++] = window;
    }
}

static void print_line(const struct layout *self, const struct line *line, size_t from, size_t end)
{
    FILE *out = self->to->out;
    bool strong = line->metric == SERIES_PREDICTION;
    fputs(line->begins ? "\n  " : "  ", out);
    render_print(self->to, RENDER_DIM, "%-*s", LABEL, line->label);
    render_style(self->to, strong ? RENDER_BOLD : RENDER_PLAIN);
    for (size_t w = from; w < end; w++) {
        char name[128], cell[32];
        snprintf(name, sizeof name, "%s_%.64s", series_metric_names[line->metric],
                 self->windows[w]);
        write_cell(features_value(self->row, name), cell);
        fprintf(out, "%*s", CELL, cell);
    }
    render_style(self->to, RENDER_PLAIN);
    fputc('\n', out);
}

/* All windows beside each other, as many at a time as fit the width. */
static void print_windows(struct layout *self)
{
    FILE *out = self->to->out;
    size_t fit =
        (size_t)(self->to->width > LABEL + 2 + CELL ? self->to->width - LABEL - 2 : CELL) / CELL;
    find_windows(self);
    for (size_t from = 0; from < self->n_windows; from += fit) {
        size_t end = from + fit < self->n_windows ? from + fit : self->n_windows;
        fprintf(out, "%s  %-*s", from ? "\n" : "", LABEL, "");
        render_style(self->to, RENDER_CYAN);
        for (size_t w = from; w < end; w++)
            fprintf(out, "%*.*s", CELL, CELL - 1, self->windows[w]);
        render_style(self->to, RENDER_PLAIN);
        fputc('\n', out);
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
            print_line(self, &lines[i], from, end);
    }
}

static void print_head(const struct render *to, const char *series, const struct features_row *row,
                       const char *at)
{
    char time[32];
    const char *ts = features_value(row, "ts"), *close = features_value(row, "close");
    fputs("\n  ", to->out);
    render_style(to, RENDER_BOLD);
    render_line(to, render_span(series), 128, false);
    render_style(to, RENDER_PLAIN);
    fprintf(to->out, "  %s UTC", stored_time(ts, time));
    if (close)
        fprintf(to->out, "  close %s", close);
    if (ts && strcmp(ts, at) != 0)
        render_print(to, RENDER_DIM, "  (the last row at or before %s)", stored_time(at, time));
    fputc('\n', to->out);
}

static void print_domain(const struct render *to, const char *domain,
                         const struct features_row *row)
{
    const char *value = features_value(row, "value");
    struct layout layout = {.to = to, .row = row};
    fputs("\n  ", to->out);
    render_print(to, RENDER_BOLD, "%s", domain);
    fprintf(to->out, " %s\n", value ? value : "undefined");
    print_windows(&layout);
}

/* Numbers are written as the store gave them: they are what JSON takes, to the last bit. */
static void print_json_row(FILE *out, const char *domain, const struct features_row *row)
{
    fprintf(out, ",\"features_%s\":{", domain);
    for (size_t i = 0, printed = 0; i < row->n; i++) {
        enum series_metric metric;
        const char *window, *name = row->names[i];
        bool real = strcmp(name, "value") == 0 || strcmp(name, "close") == 0 ||
                    features_split(name, &metric, &window);
        bool number = real || strcmp(name, "version") == 0;
        if (strcmp(name, "series") == 0 || strcmp(name, "ts") == 0)
            continue;
        const char *quote = number || !row->values[i] ? "" : "\"";
        fprintf(out, "%s\"%s\":%s%s%s", printed++ ? "," : "", name, quote,
                row->values[i] ? row->values[i] : "null", quote);
    }
    fputc('}', out);
}

static void print_json_head(FILE *out, const char *series, const struct features_row *row)
{
    json_t *name = json_string(series);
    char *text = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    fprintf(out, "{\"series\":%s,\"ts\":\"%s\"", text ? text : "null", features_value(row, "ts"));
    free(text);
    json_decref(name);
}

bool show_series(struct query *query, const struct render *to, bool json, const char *series,
                 const char *at, bool *found, struct leat_error *err)
{
    struct features_domains domains;
    struct features_row *row = calloc(1, sizeof *row);
    *found = false;
    bool good = (row || leat_fail(err, "out of memory")) && features_domains(query, &domains, err);
    for (size_t i = 0; good && i < domains.n; i++) {
        good = features_at(query, domains.names[i], series, at, row, err);
        if (!good || row->n == 0)
            continue;
        if (!*found)
            json ? print_json_head(to->out, series, row) : print_head(to, series, row, at);
        *found = true;
        json ? print_json_row(to->out, domains.names[i], row)
             : print_domain(to, domains.names[i], row);
        features_row_free(row);
    }
    if (*found)
        fputs(json ? "}\n" : "\n", to->out);
    free(row);
    return good;
}
