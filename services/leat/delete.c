/* leat delete: rows of a series out of the store. */
#include "services/leat/commands.h"
#include "services/leat/http_get.h"
#include "services/leat/mask.h"
#include "services/leat/stored.h"
#include "services/persist/feature_tables.h"
#include "services/persist/removal.h"
#include "services/runtime/clock.h"
#include "services/runtime/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    METRICS_MAX = 1 << 20,
    ASK_US = 2000000,
    MEASURED_US = 700000, /* ingest measures more often than that */
    STALE_US = 3000000,
};

static const struct manual_option delete_options[] = {
    {"--series", "NAME", "The series. It has to be named."},
    {"--from", "TIME", "Only rows at TIME and later."},
    {"--to", "TIME", "Only rows before TIME."},
    {"--yes", NULL, "Do not ask."},
    {"--json", NULL, "Print one JSON object: series, from, to, deleted (rows of all tables)."},
    OPTIONS_STORE,
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section delete_sections[] = {
    {"In flight", "A block that is on its way when its rows are deleted brings them again. So "
                  "'leat delete' asks "
                  "the ingest it knows (settings run.http and ingest.http), and refuses while that "
                  "has blocks of "
                  "series in its journal, and asks once more when it was confirmed; where none "
                  "answers, it says so and leaves it to you."},
    {"What is gone with it",
     "Rows behind the deleted ones keep what was computed from them. To have them computed anew, "
     "send them again: they replace what is there."},
    {"Exit status", "  0  done, also when there were no such rows\n"
                    "  1  not: blocks are in flight, it was not confirmed, the store refused\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat delete --series EURUSD\n"
                 "  leat delete --series EURUSD --from 2026-01-01 --to 2026-02-01 --yes"},
    {NULL, NULL},
};

const struct manual delete_manual = {
    .name = "delete",
    .summary = "delete rows of a series from the store",
    .synopsis = "--series NAME [--from TIME] [--to TIME] [--yes] [--json] [--data DIR | --store "
                "URL] [--config FILE] [--set NAME=VALUE]...",
    .description =
        "Deletes the rows of a series, all of them or those from one time up to another, from all "
        "tables of features. Asks before it does. Times are as in 'leat send'.",
    .options = delete_options,
    .sections = delete_sections,
};

struct delete
{
    const struct options *options;
    struct removal removal;
    char from[ISO_TIME_MAX], to[ISO_TIME_MAX];
    char url[4096];
};

/* How long the oldest block of series waits in an ingest, by its metrics; -1: it has no such
 * metric.
 */
static double waiting(const char *metrics)
{
    static const char name[] = "leat_ingest_oldest_unacknowledged_seconds{kind=\"series\"} ";
    const char *at = strstr(metrics, name);
    return at ? strtod(at + strlen(name), NULL) : -1;
}

/* As waiting; also -1 when nothing answers there. */
static double ask_once(const char *address, char *answer)
{
    const char *body;
    int status = http_get(address, "/metrics", leat_monotonic_us() + ASK_US, answer, METRICS_MAX,
                          &body, NULL);
    return status == 200 ? waiting(body) : -1;
}

/* False: there is something in flight. Metrics are a moment old: what came just now may not be told
 * yet, so the first answer does not count; and what has just been stored may still be told, so it
 * is asked again for a while. */
static bool ask_ingest(const char *address, bool *answered, struct leat_error *err)
{
    double age = -1;
    char *answer = *address ? malloc(METRICS_MAX) : NULL;
    int64_t until = leat_monotonic_us() + STALE_US;
    if (answer && ask_once(address, answer) >= 0)
        do {
            usleep(MEASURED_US);
            age = ask_once(address, answer);
        } while (age > 0 && leat_monotonic_us() < until);
    free(answer);
    *answered = *answered || age >= 0;
    return age <= 0 || leat_fail(err,
                                 "the ingest at %s has blocks of series in flight, the oldest for "
                                 "%.0f s: wait until they are stored",
                                 address, age);
}

/* False: there is. */
static bool nothing_in_flight(const struct leat_settings *settings, bool *answered,
                              struct leat_error *err)
{
    *answered = false;
    return ask_ingest(leat_settings_str(settings, "run.http"), answered, err) &&
           ask_ingest(leat_settings_str(settings, "ingest.http"), answered, err);
}

static const struct query_sql select_tables = {
    .postgresql = "SELECT relname" FEATURE_TABLES_POSTGRESQL,
    .sqlite = "SELECT name" FEATURE_TABLES_SQLITE,
};

/* One question that counts in all tables, as they come. */
struct counting {
    FILE *sql;
    const char *cast;
    bool some;
};

static bool add_table(void *arg, const struct query_row *row)
{
    struct counting *self = arg;
    const char *cast = self->cast;
    fprintf(self->sql, "%sSELECT count(*) " REMOVAL_ROWS, self->some ? " UNION ALL " : "",
            stored_text(row, 0), cast, cast, cast, cast);
    self->some = true;
    return true;
}

static bool add_count(void *arg, const struct query_row *row)
{
    *(uint64_t *)arg += stored_count(row, 0);
    return true;
}

/* What would be deleted now. */
static bool count_rows(struct query *query, const struct removal *removal, uint64_t *rows,
                       struct leat_error *err)
{
    const char *params[] = {removal->series, removal->from, removal->to};
    char *text = NULL;
    size_t size;
    struct counting self = {.sql = open_memstream(&text, &size)};
    if (!self.sql)
        return leat_fail(err, "out of memory");
    self.cast = strcmp(query_engine(query), "SQLite") == 0 ? "" : "::timestamptz";
    bool good = query_run(query, &select_tables, NULL, 0, add_table, &self, err);
    fclose(self.sql);
    const struct query_sql sql = {.postgresql = text};
    *rows = 0;
    if (good && self.some)
        good = query_run(query, &sql, params, 3, add_count, rows, err);
    free(text);
    return good;
}

static bool confirm(const struct delete *self, struct leat_error *err)
{
    uint64_t rows = 0;
    char count[32], word[16] = "", place[4096];
    struct query *query = query_open(self->url, err);
    bool good = query && count_rows(query, &self->removal, &rows, err);
    query_close(&query);
    if (!good || options_has(self->options, "--yes"))
        return good;
    if (!isatty(STDIN_FILENO))
        return leat_fail(err, "this asks before it deletes; say --yes where nobody can answer");
    fprintf(stderr, "delete %s rows (of all tables) of %s%s%s%s%s from %s? [y/N] ",
            render_count(rows, count), self->removal.series, self->removal.from ? " from " : "",
            self->removal.from ? self->removal.from : "", self->removal.to ? " up to " : "",
            self->removal.to ? self->removal.to : "", mask_address(self->url, place, sizeof place));
    return (fgets(word, sizeof word, stdin) && (word[0] == 'y' || word[0] == 'Y')) ||
           leat_fail(err, "nothing was deleted");
}

/* A person takes time to answer; what came meanwhile is in flight as well. */
static bool may_go_on(const struct delete *self, const struct leat_settings *settings,
                      struct leat_error *err)
{
    bool answered;
    if (!nothing_in_flight(settings, &answered, err))
        return false;
    if (!answered)
        render_complain("leat delete",
                        "no ingest answers at %s or %s, so it is not known whether blocks are in "
                        "flight",
                        leat_settings_str(settings, "run.http"),
                        leat_settings_str(settings, "ingest.http"));
    return confirm(self, err) &&
           (options_has(self->options, "--yes") || nothing_in_flight(settings, &answered, err));
}

static void say(const struct delete *self, uint64_t rows)
{
    char count[32];
    if (options_has(self->options, "--json")) {
        json_t *out =
            json_pack("{s:s, s:s?, s:s?, s:I}", "series", self->removal.series, "from",
                      self->removal.from, "to", self->removal.to, "deleted", (json_int_t)rows);
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(out);
    } else {
        printf("%s rows deleted from the tables of features\n", render_count(rows, count));
    }
}

/* False with *usage: the command line or a setting is wrong. */
static bool run(struct delete *self, bool *usage, struct leat_error *err)
{
    uint64_t rows;
    const struct options *o = self->options;
    struct leat_settings *settings = NULL;
    self->removal.series = options_value(o, "--series");
    *usage = !self->removal.series || o->n_operands > 0;
    if (*usage)
        return leat_fail(err, "say which: --series NAME");
    *usage = !stored_moment(o, "--from", self->from, &self->removal.from, err) ||
             !stored_moment(o, "--to", self->to, &self->removal.to, err) ||
             !(settings = options_settings(o, err)) || !options_store(o, settings, err);
    bool good = !*usage;
    if (good) {
        snprintf(self->url, sizeof self->url, "%s", leat_settings_str(settings, "store.url"));
        good = stored_is_there(self->url, err) && may_go_on(self, settings, err) &&
               removal_run(self->url, &self->removal, &rows, err);
    }
    leat_settings_destroy(&settings);
    if (good)
        say(self, rows);
    return good;
}

int command_delete(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &delete_manual, argc, argv, &err)) {
        render_complain("leat delete", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    struct delete self = {.options = &options};
    bool usage;
    int status = LEAT_EXIT_OK;
    if (!run(&self, &usage, &err)) {
        render_complain("leat delete", "%s", err.text);
        status = usage ? LEAT_EXIT_USAGE : LEAT_EXIT_FAILED;
    }
    options_end(&options);
    return status;
}
