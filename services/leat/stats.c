/* leat stats: what is in the store. */
#include "services/leat/commands.h"
#include "services/leat/stored.h"
#include "services/runtime/service.h"

#include <inttypes.h>
#include <string.h>

static const struct manual_option stats_options[] = {
    {"--top", "N", "Show the N most frequent topics, labels and sources. Default: 10."},
    {"--json", NULL, "Print one JSON object."},
    OPTIONS_STORE,
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section stats_sections[] = {
    {"JSON",
     "With --json: store (the engine), texts, truncated, mean_sentiment, first_ingested, "
     "last_ingested; sentiment, emotions, labels, topics and sources, each an array of {name, "
     "texts, share}, most frequent first, topics also with primary (texts whose first topic it "
     "is) and mean_confidence; dead_letters, an array of {stage, code, count, last_seen}."},
    {"Exit status", "  0  done\n"
                    "  1  the store cannot be read\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat stats\n"
                 "  leat stats --data /var/lib/leat --top 25\n"
                 "  leat stats --json | jq '.topics[:3]'"},
    {NULL, NULL},
};

const struct manual stats_manual = {
    .name = "stats",
    .summary = "show what is in the store: counts, shares, top topics",
    .synopsis = "[--top N] [--json] [--data DIR | --store URL] [--config FILE] "
                "[--set NAME=VALUE]...",
    .description =
        "Counts the texts in the store: by sentiment, emotion, label, topic and source, with their "
        "shares; and the dead letters by stage and code. It reads every row, so on a large store "
        "it takes its time.",
    .options = stats_options,
    .sections = stats_sections,
};

/* One table of counts. */
struct breakdown {
    const char *key;   /* in JSON */
    const char *title; /* for people */
    struct query_sql
        sql; /* name, count, and for topics primary count and mean confidence; $1: top */
    enum render_style style;
};

static const struct breakdown breakdowns[] = {
    {"sentiment",
     "Sentiment",
     {"SELECT sentiment_label, count(*) FROM texts GROUP BY 1 ORDER BY 2 DESC, 1", NULL},
     RENDER_PLAIN},
    {"emotions",
     "Emotion",
     {"SELECT emotion_label, count(*) FROM texts GROUP BY 1 ORDER BY 2 DESC, 1", NULL},
     RENDER_PLAIN},
    {"labels",
     "Labels",
     {"SELECT emotion, count(*) FROM text_emotions GROUP BY 1 ORDER BY 2 DESC, 1 "
      "LIMIT CAST($1 AS bigint)",
      NULL},
     RENDER_CYAN},
    {"topics",
     "Topics",
     {"SELECT topic, count(*), sum(CASE WHEN rank = 1 THEN 1 ELSE 0 END), avg(confidence) "
      "FROM text_topics GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT CAST($1 AS bigint)",
      NULL},
     RENDER_CYAN},
    {"sources",
     "Source",
     {"SELECT coalesce(source_type, platform, ''), count(*) FROM texts GROUP BY 1 "
      "ORDER BY 2 DESC, 1 LIMIT CAST($1 AS bigint)",
      NULL},
     RENDER_CYAN},
};

static const struct query_sql select_totals = {
    .postgresql = "SELECT count(*), coalesce(sum(CASE WHEN truncated THEN 1 ELSE 0 END), 0), "
                  "avg(sentiment_score), min(ingested_at), max(ingested_at) FROM texts"};

static const struct query_sql select_dead = {
    .postgresql = "SELECT stage, code, count(*), max(last_seen) FROM dead_letters "
                  "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"};

enum { BREAKDOWNS = sizeof breakdowns / sizeof *breakdowns, BAR = 24, NAME = 26 };

struct stats {
    struct query *query;
    struct render to;
    uint64_t texts;
    json_t *out;   /* everything, as --json prints it */
    json_t *table; /* of the breakdown in hand */
};

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text && *text ? json_string(text) : json_null());
}

static bool keep_totals(void *arg, const struct query_row *row)
{
    struct stats *self = arg;
    self->texts = stored_count(row, 0);
    json_object_set_new(self->out, "texts", json_integer((json_int_t)self->texts));
    json_object_set_new(self->out, "truncated", json_integer((json_int_t)stored_count(row, 1)));
    json_object_set_new(self->out, "mean_sentiment",
                        row->values[2] ? json_real(stored_real(row, 2)) : json_null());
    set_text(self->out, "first_ingested", row->values[3]);
    set_text(self->out, "last_ingested", row->values[4]);
    return true;
}

static bool keep_count(void *arg, const struct query_row *row)
{
    struct stats *self = arg;
    json_t *one = json_object();
    set_text(one, "name", row->values[0]);
    json_object_set_new(one, "texts", json_integer((json_int_t)stored_count(row, 1)));
    json_object_set_new(
        one, "share",
        json_real(self->texts ? (double)stored_count(row, 1) / (double)self->texts : 0));
    if (row->n > 2) {
        json_object_set_new(one, "primary", json_integer((json_int_t)stored_count(row, 2)));
        json_object_set_new(one, "mean_confidence", json_real(stored_real(row, 3)));
    }
    json_array_append_new(self->table, one);
    return true;
}

static bool keep_dead(void *arg, const struct query_row *row)
{
    struct stats *self = arg;
    json_t *one = json_object();
    set_text(one, "stage", row->values[0]);
    set_text(one, "code", row->values[1]);
    json_object_set_new(one, "count", json_integer((json_int_t)stored_count(row, 2)));
    set_text(one, "last_seen", row->values[3]);
    json_array_append_new(self->table, one);
    return true;
}

static bool read_all(struct stats *self, const char *top, struct leat_error *err)
{
    json_object_set_new(self->out, "store", json_string(query_engine(self->query)));
    if (!query_run(self->query, &select_totals, NULL, 0, keep_totals, self, err))
        return false;
    for (size_t i = 0; i < BREAKDOWNS; i++) {
        bool limited = strstr(breakdowns[i].sql.postgresql, "$1") != NULL;
        self->table = json_array();
        json_object_set_new(self->out, breakdowns[i].key, self->table);
        if (!query_run(self->query, &breakdowns[i].sql, &top, limited ? 1 : 0, keep_count, self,
                       err))
            return false;
    }
    self->table = json_array();
    json_object_set_new(self->out, "dead_letters", self->table);
    return query_run(self->query, &select_dead, NULL, 0, keep_dead, self, err);
}

/* --- for people --- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static uint64_t count_of(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static enum render_style style_of(const struct breakdown *breakdown, const char *name)
{
    if (breakdown->style != RENDER_PLAIN)
        return breakdown->style;
    static const char *const good[] = {"positive", "joy", "trust", NULL};
    for (size_t i = 0; good[i]; i++)
        if (strcmp(name, good[i]) == 0)
            return RENDER_GREEN;
    bool even = strcmp(name, "neutral") == 0 || strcmp(name, "surprise") == 0;
    return even ? RENDER_YELLOW : RENDER_RED;
}

static void print_line(const struct stats *self, const struct breakdown *breakdown,
                       const json_t *one)
{
    const char *name = text_of(one, "name");
    double share = json_real_value(json_object_get(one, "share"));
    char count[32];
    fputs("  ", self->to.out);
    render_line(&self->to, render_span(*name ? name : "(not said)"), NAME, true);
    fprintf(self->to.out, " %11s %6.1f %%  ", render_count(count_of(one, "texts"), count),
            share * 100);
    render_style(&self->to, style_of(breakdown, name));
    render_bar(&self->to, share, BAR);
    render_style(&self->to, RENDER_PLAIN);
    const json_t *confidence = json_object_get(one, "mean_confidence");
    if (confidence)
        render_print(&self->to, RENDER_DIM, " %.3f", json_number_value(confidence));
    fputc('\n', self->to.out);
}

static void print_breakdown(const struct stats *self, const struct breakdown *breakdown)
{
    const json_t *table = json_object_get(self->out, breakdown->key);
    size_t i;
    json_t *one;
    if (json_array_size(table) == 0)
        return;
    fputc('\n', self->to.out);
    render_print(&self->to, RENDER_BOLD, "%s", breakdown->title);
    if (json_object_get(json_array_get(table, 0), "mean_confidence"))
        render_print(&self->to, RENDER_DIM, "  share of texts, mean confidence");
    fputc('\n', self->to.out);
    json_array_foreach(table, i, one)
    {
        print_line(self, breakdown, one);
    }
}

static void print_dead(const struct stats *self)
{
    const json_t *table = json_object_get(self->out, "dead_letters");
    size_t i;
    json_t *one;
    char count[32], time[32];
    fputc('\n', self->to.out);
    if (json_array_size(table) == 0) {
        fputs("No dead letters.\n", self->to.out);
        return;
    }
    render_print(&self->to, RENDER_BOLD, "Dead letters\n");
    json_array_foreach(table, i, one)
    {
        char name[128];
        snprintf(name, sizeof name, "%s: %s", text_of(one, "stage"), text_of(one, "code"));
        fputs("  ", self->to.out);
        render_style(&self->to, RENDER_RED);
        render_line(&self->to, render_span(name), NAME, true);
        render_style(&self->to, RENDER_PLAIN);
        fprintf(self->to.out, " %11s  last %s UTC\n", render_count(count_of(one, "count"), count),
                stored_time(text_of(one, "last_seen"), time));
    }
    fputs("  'leat dead list' shows them\n", self->to.out);
}

static void print_totals(const struct stats *self)
{
    char count[32], first[32], last[32];
    render_print(&self->to, RENDER_BOLD, "%s texts", render_count(self->texts, count));
    fprintf(self->to.out, " in %s", text_of(self->out, "store"));
    if (self->texts > 0) {
        fprintf(self->to.out, ", ingested %s to %s UTC\n",
                stored_time(text_of(self->out, "first_ingested"), first),
                stored_time(text_of(self->out, "last_ingested"), last));
        fprintf(self->to.out, "mean sentiment %+.3f",
                json_number_value(json_object_get(self->out, "mean_sentiment")));
        uint64_t truncated = count_of(self->out, "truncated");
        if (truncated > 0)
            fprintf(self->to.out, ", %s longer than the model reads",
                    render_count(truncated, count));
    }
    fputc('\n', self->to.out);
}

static int show(struct stats *self, const struct options *options, const char *top)
{
    struct leat_error err;
    self->out = json_object();
    bool read = read_all(self, top, &err);
    if (!read) {
        render_complain("leat stats", "%s", err.text);
    } else if (options_has(options, "--json")) {
        json_dumpf(self->out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        print_totals(self);
        for (size_t i = 0; i < BREAKDOWNS; i++)
            print_breakdown(self, &breakdowns[i]);
        print_dead(self);
    }
    json_decref(self->out);
    return read ? LEAT_EXIT_OK : LEAT_EXIT_FAILED;
}

int command_stats(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &stats_manual, argc, argv, &err)) {
        render_complain("leat stats", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    uint64_t top = 10;
    bool usage = true;
    struct stats self = {0};
    render_init(&self.to, stdout);
    int status = LEAT_EXIT_USAGE;
    if (!options_count(&options, "--top", 1, 1000000, &top, &err)) {
        render_complain("leat stats", "%s", err.text);
    } else if (options.n_operands > 0) {
        render_complain("leat stats", "takes no '%s'; see leat help stats", options.operands[0]);
    } else if ((self.query = stored_open(&options, &usage, &err))) {
        char limit[32];
        snprintf(limit, sizeof limit, "%" PRIu64, top);
        status = show(&self, &options, limit);
    } else {
        render_complain("leat stats", "%s", err.text);
        status = usage ? LEAT_EXIT_USAGE : LEAT_EXIT_FAILED;
    }
    query_close(&self.query);
    options_end(&options);
    return status;
}
