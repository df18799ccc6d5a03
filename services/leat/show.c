/* leat show: one text, or one row of a series, with all that was found in it. */
#include "services/flows/text/table.h"
#include "services/leat/commands.h"
#include "services/leat/show_series.h"
#include "services/leat/stored.h"
#include "services/runtime/service.h"

#include <math.h>
#include <string.h>

static const struct manual_option show_options[] = {
    {"--json", NULL,
     "Print one JSON object for each ID, a line each: the row of the table texts, and under "
     "dead_letters what could not be stored under that id. With --at: for each SERIES its ts, and "
     "under features_idx, features_bqx and so on the rows of these tables."},
    {"--at", "TIME",
     "The names are series: show their last row at or before TIME, which is written as in 'leat "
     "send'."},
    OPTIONS_STORE,
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section show_sections[] = {
    {"What is shown",
     "The text; its sentiment (from -1 to 1, with the label that follows from it); the emotion, "
     "with the distribution over eight emotions; the model's own labels that passed their "
     "thresholds, with probabilities; topics with their confidence; the first numbers of "
     "its embedding, if that is stored; the weights; what the client "
     "said of its source; when it was published and ingested; model and version.\n"
     "\n"
     "Of a row of a series: for each domain (idx, bqx) its value, and for each window the figures "
     "of the parabola that was fitted to it; - is undefined.\n"
     "\n"
     "Colours are used on a terminal, unless NO_COLOR is set."},
    {"Exit status", "  0  every ID is in the store\n"
                    "  1  one is not (it may be a dead letter: then that is shown), or the store\n"
                    "     cannot be read\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat show t-1024\n"
                 "  leat show --json t-1024 | jq .topics\n"
                 "  leat show --store postgresql://leat@db/leat t-1024\n"
                 "  leat show --at '2026-01-30 22:00' EURUSD"},
    {NULL, NULL},
};

const struct manual show_manual = {
    .name = "show",
    .summary = "show a text, or a row of a series, with what was found in it",
    .synopsis = "[--json] [--data DIR | --store URL] [--config FILE] [--set NAME=VALUE]... ID...\n"
                "--at TIME [--json] [--data DIR | --store URL] [--config FILE] [--set "
                "NAME=VALUE]... SERIES...",
    .description = "Prints the texts with these ids from the store; or rows of series.",
    .options = show_options,
    .sections = show_sections,
};

/* The columns of the table texts, in its order: as a question, and how each is written. */
struct asked {
    char sql[1024];
    enum stored_type types[64];
};

static void ask_for_all(struct asked *self)
{
    const struct leat_table *table = &text_table;
    size_t size = (size_t)snprintf(self->sql, sizeof self->sql, "SELECT ");
    for (size_t i = 0; i < table->n_columns && i < sizeof self->types / sizeof *self->types; i++) {
        self->types[i] = stored_type_of(table->columns[i].type);
        size += (size_t)snprintf(self->sql + size, sizeof self->sql - size, "%s\"%s\"",
                                 i ? ", " : "", table->columns[i].name);
    }
    snprintf(self->sql + size, sizeof self->sql - size, " FROM \"%s\" WHERE id = $1", table->name);
}

static const struct query_sql select_dead = {
    .postgresql = "SELECT origin, seq, record, stage, code, message, first_seen, last_seen "
                  "FROM dead_letters WHERE id = $1 ORDER BY last_seen, origin, seq, record"};

static const enum stored_type dead_types[] = {
    STORED_TEXT, STORED_INTEGER, STORED_INTEGER, STORED_TEXT,
    STORED_TEXT, STORED_TEXT,    STORED_TEXT,    STORED_TEXT,
};

enum {
    INDENT = 14,
    NAME = 16, /* columns of a label */
    BAR = 24,
    EMBEDDING_SHOWN = 4, /* of its numbers */
};

struct show {
    struct query *query;
    struct asked asked;
    struct render to;
    bool json;
    json_t *row, *dead; /* of the id in hand */
    const char *at;     /* the names are series; NULL: they are ids */
};

static bool keep_row(void *arg, const struct query_row *row)
{
    struct show *self = arg;
    self->row = stored_json(row, self->asked.types);
    return true;
}

static bool keep_dead(void *arg, const struct query_row *row)
{
    struct show *self = arg;
    json_array_append_new(self->dead, stored_json(row, dead_types));
    return true;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* The name of a part, in front of its lines. */
static void title(const struct show *self, const char *name)
{
    fputs("  ", self->to.out);
    render_print(&self->to, RENDER_DIM, "%-*s", INDENT - 2, name);
}

static enum render_style style_of(const char *label)
{
    static const char *const good[] = {"positive", "joy", "trust", NULL};
    static const char *const bad[] = {"negative", "anger", "disgust", "fear", "sadness", NULL};
    for (size_t i = 0; good[i]; i++)
        if (strcmp(label, good[i]) == 0)
            return RENDER_GREEN;
    for (size_t i = 0; bad[i]; i++)
        if (strcmp(label, bad[i]) == 0)
            return RENDER_RED;
    return RENDER_YELLOW;
}

static void label(const struct show *self, const char *name, bool strong)
{
    render_style(&self->to, style_of(name));
    if (strong)
        render_style(&self->to, RENDER_BOLD);
    render_line(&self->to, render_span(name), NAME, true);
    render_style(&self->to, RENDER_PLAIN);
}

static void bar(const struct show *self, const char *name, double share)
{
    render_style(&self->to, style_of(name));
    render_bar(&self->to, share, BAR);
    render_style(&self->to, RENDER_PLAIN);
}

/* From -1 to 1 around a middle. */
static void show_sentiment(const struct show *self)
{
    const char *name = text_of(self->row, "sentiment_label");
    double score = real_of(self->row, "sentiment_score");
    int half = BAR / 2, filled = (int)lround(fabs(score) * half);
    title(self, "sentiment");
    label(self, name, true);
    fprintf(self->to.out, "%+7.4f  ", score);
    render_style(&self->to, style_of(name));
    for (int i = -half; i <= half; i++) {
        bool on = score < 0 ? i >= -filled && i < 0 : i > 0 && i <= filled;
        if (i == 0)
            fputs(self->to.utf8 ? "\xe2\x94\x82" : "|", self->to.out);
        else
            fputs(!on             ? (self->to.utf8 ? "\xc2\xb7" : ".")
                  : self->to.utf8 ? "\xe2\x96\x88"
                                  : "#",
                  self->to.out);
    }
    render_style(&self->to, RENDER_PLAIN);
    fputc('\n', self->to.out);
}

/* The eight, largest first. */
static void show_emotion(const struct show *self)
{
    const json_t *all = json_object_get(self->row, "emotion_distribution");
    const char *names[16];
    double shares[16];
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)all, key, value)
    {
        size_t at = n < 16 ? n++ : 15;
        for (; at > 0 && shares[at - 1] < json_number_value(value); at--) {
            shares[at] = shares[at - 1];
            names[at] = names[at - 1];
        }
        shares[at] = json_number_value(value);
        names[at] = key;
    }
    for (size_t i = 0; i < n; i++) {
        title(self, i == 0 ? "emotion" : "");
        label(self, names[i], strcmp(names[i], text_of(self->row, "emotion_label")) == 0);
        fprintf(self->to.out, "%6.1f %%  ", shares[i] * 100);
        bar(self, names[i], shares[i]);
        fputc('\n', self->to.out);
    }
}

static void show_labels(const struct show *self)
{
    const json_t *all = json_object_get(self->row, "emotions");
    size_t i;
    json_t *one;
    json_array_foreach(all, i, one)
    {
        title(self, i == 0 ? "labels" : "");
        render_line(&self->to, render_span(text_of(one, "label")), NAME, true);
        fprintf(self->to.out, "%6.1f %%\n", real_of(one, "probability") * 100);
    }
    if (json_array_size(all) == 0) {
        title(self, "labels");
        render_print(&self->to, RENDER_DIM, "none above its threshold\n");
    }
}

static void show_topics(const struct show *self)
{
    const json_t *all = json_object_get(self->row, "topics");
    size_t i;
    json_t *one;
    json_array_foreach(all, i, one)
    {
        const json_t *embedding = json_object_get(one, "embedding_score");
        title(self, i == 0 ? "topics" : "");
        render_style(&self->to, i == 0 ? RENDER_BOLD : RENDER_PLAIN);
        render_line(&self->to, render_span(text_of(one, "topic")), NAME + 8, true);
        render_style(&self->to, RENDER_PLAIN);
        fprintf(self->to.out, " %5.3f  ", real_of(one, "confidence"));
        render_style(&self->to, RENDER_CYAN);
        render_bar(&self->to, real_of(one, "confidence"), BAR / 2);
        render_style(&self->to, RENDER_DIM);
        fprintf(self->to.out, "  keywords %.3f", real_of(one, "keyword_score"));
        if (json_is_number(embedding))
            fprintf(self->to.out, ", embedding %.3f", json_number_value(embedding));
        render_style(&self->to, RENDER_PLAIN);
        fputc('\n', self->to.out);
    }
    if (json_array_size(all) == 0) {
        title(self, "topics");
        render_print(&self->to, RENDER_DIM, "none\n");
    }
}

/* Its length and the first of its numbers; --json has them all. */
static void show_embedding(const struct show *self)
{
    const json_t *all = json_object_get(self->row, "embedding");
    size_t n = json_array_size(all);
    if (n == 0)
        return;
    title(self, "embedding");
    fprintf(self->to.out, "%zu numbers", n);
    for (size_t i = 0; i < n && i < EMBEDDING_SHOWN; i++)
        fprintf(self->to.out, "%s %.4f", i ? "," : ":", json_number_value(json_array_get(all, i)));
    fputs(n > EMBEDDING_SHOWN ? ", ...\n" : "\n", self->to.out);
}

static void line(const struct show *self, const char *name, const char *text)
{
    if (!*text)
        return;
    title(self, name);
    render_wrap(&self->to, render_span(text), INDENT);
}

static void show_source(const struct show *self)
{
    char text[1024], number[32];
    const char *type = text_of(self->row, "source_type"),
               *platform = text_of(self->row, "platform");
    const char *author = text_of(self->row, "author");
    double reach = real_of(self->row, "reach");
    snprintf(
        text, sizeof text, "%s%s%s%s%s%s%s%s%s", *type ? type : "",
        *type && *platform ? " on " : "", platform, (*type || *platform) && *author ? ", " : "",
        author, json_is_true(json_object_get(self->row, "verified")) ? " (verified)" : "",
        reach > 0 ? ", reach " : "", reach > 0 ? render_count((uint64_t)reach, number) : "", "");
    line(self, "source", *text == ',' ? text + 2 : *text == ' ' ? text + 1 : text);
    line(self, "url", text_of(self->row, "url"));
    line(self, "language", text_of(self->row, "lang"));
}

static void show_origin(const struct show *self)
{
    char text[256], time[32];
    const char *published = text_of(self->row, "published_at");
    if (*published) {
        snprintf(text, sizeof text, "%s UTC", stored_time(published, time));
        line(self, "published", text);
    }
    snprintf(text, sizeof text, "%s UTC", stored_time(text_of(self->row, "ingested_at"), time));
    line(self, "ingested", text);
    snprintf(text, sizeof text, "%s%s", text_of(self->row, "model"),
             json_is_true(json_object_get(self->row, "truncated"))
                 ? ", which did not read all of the text"
                 : "");
    line(self, "model", text);
    snprintf(text, sizeof text, "version %lld, batch %lld of %s",
             (long long)json_integer_value(json_object_get(self->row, "version")),
             (long long)json_integer_value(json_object_get(self->row, "seq")),
             text_of(self->row, "origin"));
    line(self, "record", text);
}

static void show_text(const struct show *self)
{
    fputc('\n', self->to.out);
    title(self, "id");
    render_style(&self->to, RENDER_BOLD);
    render_wrap(&self->to, render_span(text_of(self->row, "id")), INDENT);
    render_style(&self->to, RENDER_PLAIN);
    title(self, "text");
    render_wrap(&self->to, render_span(text_of(self->row, "text")), INDENT);
    fputc('\n', self->to.out);
    show_sentiment(self);
    fputc('\n', self->to.out);
    show_emotion(self);
    show_labels(self);
    fputc('\n', self->to.out);
    show_topics(self);
    show_embedding(self);
    title(self, "weights");
    fprintf(self->to.out, "influence %.2f of 5, confidence %.3f\n\n",
            real_of(self->row, "influence_weight"), real_of(self->row, "confidence_weight"));
    show_source(self);
    show_origin(self);
    fputc('\n', self->to.out);
}

static void show_dead(const struct show *self, const char *id)
{
    size_t i;
    json_t *one;
    json_array_foreach(self->dead, i, one)
    {
        char time[32];
        fputs("  ", self->to.out);
        render_print(&self->to, RENDER_RED, "dead letter");
        fprintf(self->to.out, " %.8s:%lld:%lld, last seen %s: ", text_of(one, "origin"),
                (long long)json_integer_value(json_object_get(one, "seq")),
                (long long)json_integer_value(json_object_get(one, "record")),
                stored_time(text_of(one, "last_seen"), time));
        render_line(&self->to, render_span(text_of(one, "message")), 400, false);
        fprintf(self->to.out, " (%s, %s)\n", text_of(one, "stage"), text_of(one, "code"));
    }
    if (i > 0) {
        fputs("  see all of it: leat dead show --id ", self->to.out);
        render_line(&self->to, render_span(id), 300, false);
        fputc('\n', self->to.out);
    }
}

static void print_json(struct show *self, const char *id)
{
    json_t *out = self->row ? json_incref(self->row) : json_pack("{s:s, s:n}", "id", id, "text");
    json_object_set(out, "dead_letters", self->dead);
    json_dumpf(out, self->to.out, JSON_COMPACT | JSON_REAL_PRECISION(15));
    fputc('\n', self->to.out);
    json_decref(out);
}

/* *found: it is in the store. */
static bool show_one(struct show *self, const char *id, bool *found, struct leat_error *err)
{
    self->row = NULL;
    self->dead = json_array();
    const struct query_sql all = {.postgresql = self->asked.sql};
    bool read = query_run(self->query, &all, &id, 1, keep_row, self, err) &&
                query_run(self->query, &select_dead, &id, 1, keep_dead, self, err);
    *found = read && self->row;
    if (read && self->json) {
        print_json(self, id);
    } else if (read) {
        if (self->row)
            show_text(self);
        show_dead(self, id);
        fflush(self->to.out);
        if (!self->row && json_array_size(self->dead) == 0)
            render_complain("leat show", "there is no text with the id '%s'", id);
    }
    json_decref(self->row);
    json_decref(self->dead);
    return read;
}

static bool show_row(struct show *self, const char *series, bool *found, struct leat_error *err)
{
    char time[32];
    bool read = show_series(self->query, &self->to, self->json, series, self->at, found, err);
    fflush(self->to.out);
    if (read && !*found)
        render_complain("leat show", "there is no row of a series '%s' at or before %s", series,
                        stored_time(self->at, time));
    return read;
}

static int show_all(const struct options *options, struct show *self)
{
    struct leat_error err;
    int status = LEAT_EXIT_OK;
    for (size_t i = 0; i < options->n_operands; i++) {
        bool found;
        const char *name = options->operands[i];
        if (!(self->at ? show_row : show_one)(self, name, &found, &err)) {
            render_complain("leat show", "%s", err.text);
            return LEAT_EXIT_FAILED;
        }
        if (!found)
            status = LEAT_EXIT_FAILED;
    }
    return status;
}

int command_show(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &show_manual, argc, argv, &err)) {
        render_complain("leat show", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    int status = LEAT_EXIT_USAGE;
    bool usage = true;
    struct show self = {.json = options_has(&options, "--json")};
    char at[ISO_TIME_MAX];
    render_init(&self.to, stdout);
    ask_for_all(&self.asked);
    if (!stored_moment(&options, "--at", at, &self.at, &err)) {
        render_complain("leat show", "%s", err.text);
    } else if (options.n_operands == 0) {
        render_complain("leat show", "which text? Give its id");
    } else if ((self.query = stored_open(&options, &usage, &err))) {
        status = show_all(&options, &self);
    } else {
        render_complain("leat show", "%s", err.text);
        status = usage ? LEAT_EXIT_USAGE : LEAT_EXIT_FAILED;
    }
    query_close(&self.query);
    options_end(&options);
    return status;
}
