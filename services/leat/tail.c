/* leat tail: the last rows of a series, to go on from. */
#include "services/flows/series/record.h"
#include "services/flows/series/windows.h"
#include "services/leat/commands.h"
#include "services/leat/stored.h"
#include "services/runtime/service.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct manual_option tail_options[] = {
    {"--rows", "N",
     "The last N rows. Default: 526, as many as the largest window that can be configured looks "
     "back on."},
    {"--time", "NAME", "Call the column of times NAME. Default: ts."},
    {"--value", "NAME", "Call the column of closes NAME. Default: close."},
    {"--no-header", NULL, "Print no header line."},
    {"--json", NULL,
     "Print one JSON object: series, base (the close that counts as 100), start (the series has "
     "no rows before these), and rows: an array of {ts, close}."},
    OPTIONS_STORE,
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section tail_sections[] = {
    {"Going on",
     "Rows printed here, with later ones behind them, are what 'leat send' needs to go on with the "
     "series; what comes of it is the same, bit by bit, as if all had been sent at once:\n"
     "\n"
     "  leat tail EURUSD >EURUSD.csv\n"
     "  cat later.csv >>EURUSD.csv\n"
     "  leat send --kind series --base 1.07 --after 2026-01-30T22:00 EURUSD.csv\n"
     "\n"
     "The base and the last row's time are printed on the terminal. A program with the client "
     "library gives the rows to leat_series_back."},
    {"Exit status", "  0  done\n"
                    "  1  there is no such series, it has no closes (it was sent ready-made), or\n"
                    "     the store cannot be read\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat tail EURUSD\n"
                 "  leat tail --json EURUSD | jq .base\n"
                 "  leat tail --store postgresql://leat@db/leat --time Date --rows 500 EURUSD"},
    {NULL, NULL},
};

const struct manual tail_manual = {
    .name = "tail",
    .summary = "print the last rows of a series, to go on from",
    .synopsis = "[--rows N] [--time NAME] [--value NAME] [--no-header | --json] [--data DIR | "
                "--store URL] [--config FILE] [--set NAME=VALUE]... SERIES",
    .description = "Prints times and closes of a series' last rows as CSV, in the order of time.",
    .options = tail_options,
    .sections = tail_sections,
};

static const struct query_sql select_rows = {
    .postgresql = "SELECT ts, close, value FROM (SELECT ts, close, value FROM features_idx "
                  "WHERE series = $1 ORDER BY ts DESC LIMIT $2::bigint) AS last ORDER BY ts",
    .sqlite = "SELECT ts, close, value FROM (SELECT ts, close, value FROM features_idx "
              "WHERE series = $1 ORDER BY ts DESC LIMIT CAST($2 AS INTEGER)) ORDER BY ts",
};

struct tail_row {
    double close, value;
};

struct tail {
    const struct options *options;
    bool json;
    struct tail_row *rows;
    size_t n, room, wanted;
    char last[ISO_TIME_MAX];
    bool no_close;
};

static void print_row(const struct tail *self, const char *ts, const char *close)
{
    if (self->json)
        printf("%s{\"ts\":\"%s\",\"close\":%s}", self->n ? "," : "", ts, close);
    else
        printf("%s,%s\n", ts, close);
}

static void print_begin(const struct tail *self, const char *series)
{
    const char *time = options_value(self->options, "--time");
    const char *value = options_value(self->options, "--value");
    if (self->json) {
        json_t *name = json_string(series);
        char *text = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
        printf("{\"series\":%s,\"rows\":[", text ? text : "null");
        free(text);
        json_decref(name);
    } else if (!options_has(self->options, "--no-header")) {
        printf("%s,%s\n", time ? time : "ts", value ? value : "close");
    }
}

static bool on_row(void *arg, const struct query_row *row)
{
    struct tail *self = arg;
    self->no_close = !row->values[1];
    if (self->no_close)
        return false;
    if (self->n == 0)
        print_begin(self, self->options->operands[0]);
    if (self->n == self->room) {
        self->room = self->room ? self->room * 2 : 256;
        self->rows = realloc(self->rows, self->room * sizeof *self->rows);
        if (!self->rows)
            abort();
    }
    print_row(self, stored_text(row, 0), stored_text(row, 1));
    self->rows[self->n++] = (struct tail_row){stored_real(row, 1), stored_real(row, 2)};
    snprintf(self->last, sizeof self->last, "%s", stored_text(row, 0));
    return true;
}

static bool is_base(const struct tail *self, double base)
{
    for (size_t i = 0; i < self->n; i++)
        if (100 * self->rows[i].close / base != self->rows[i].value)
            return false;
    return true;
}

static int digits_of(double value)
{
    char text[32];
    int digits = 1;
    for (; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return digits;
}

/* The base is not stored, but its neighbourhood is known from any row; of the numbers there that
 * give every value exactly, it is the one that is written with the fewest digits. 0: there is none.
 */
static double find_base(const struct tail *self)
{
    enum { AROUND = 8 };
    double base = 0, candidate = 100 * self->rows[0].close / self->rows[0].value;
    for (int i = 0; i < AROUND; i++)
        candidate = nextafter(candidate, (double)-INFINITY);
    for (int i = 0; i <= 2 * AROUND; i++) {
        if (is_base(self, candidate) && (base == 0 || digits_of(candidate) < digits_of(base)))
            base = candidate;
        candidate = nextafter(candidate, (double)INFINITY);
    }
    return base;
}

static void print_end(const struct tail *self)
{
    double base = find_base(self);
    char text[32] = "null";
    if (base != 0)
        snprintf(text, sizeof text, "%.*g", digits_of(base), base);
    if (self->json)
        printf("],\"start\":%s,\"base\":%s}\n", self->n < self->wanted ? "true" : "false", text);
    struct render to;
    render_init(&to, stderr);
    if (!self->json && to.terminal && base != 0) {
        fflush(stdout);
        render_print(&to, RENDER_DIM,
                     "go on with: leat send --kind series --base %s --after %s%s\n", text,
                     self->last, self->n < self->wanted ? " --start" : "");
    }
}

/* Which windows the server has is not for this command's settings to say, so all that are possible
 * are thought of: when fewer rows come than were wanted, the series has no others. */
static bool read_wanted(struct tail *self, struct leat_error *err)
{
    uint64_t rows = series_warmup_needed(SERIES_WINDOW_ROWS_MOST, true);
    bool good = options_count(self->options, "--rows", 1, 10000000, &rows, err);
    self->wanted = (size_t)rows;
    return good;
}

static bool print_tail(struct tail *self, struct query *query, struct leat_error *err)
{
    char limit[24];
    const char *series = self->options->operands[0];
    snprintf(limit, sizeof limit, "%zu", self->wanted);
    const char *params[] = {series, limit};
    if (!query_run(query, &select_rows, params, 2, on_row, self, err))
        return false;
    if (self->no_close)
        return leat_fail(err, "the rows of '%.100s' have no closes: it was sent ready-made",
                         series);
    if (self->n == 0)
        return leat_fail(err, "there is no series '%.100s'", series);
    print_end(self);
    return true;
}

static int tail(const struct options *options)
{
    struct leat_error err;
    bool usage = true;
    struct tail self = {.options = options, .json = options_has(options, "--json")};
    struct query *query = NULL;
    int status = LEAT_EXIT_USAGE;
    if (options->n_operands != 1)
        leat_fail(&err, "name one series");
    else if (read_wanted(&self, &err) && (query = stored_open(options, &usage, &err)))
        status = print_tail(&self, query, &err) ? LEAT_EXIT_OK : LEAT_EXIT_FAILED;
    else if (!usage)
        status = LEAT_EXIT_FAILED;
    if (status != LEAT_EXIT_OK)
        render_complain("leat tail", "%s", err.text);
    query_close(&query);
    free(self.rows);
    return status;
}

int command_tail(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &tail_manual, argc, argv, &err)) {
        render_complain("leat tail", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    int status = tail(&options);
    options_end(&options);
    return status;
}
