/* leat dead: the records that could not be stored. */
#include "services/leat/commands.h"
#include "services/leat/dead_find.h"
#include "services/leat/dead_replay.h"
#include "services/leat/payload.h"
#include "services/runtime/service.h"

#include <stdlib.h>
#include <string.h>

static const struct manual_option dead_options[] = {
    {"--code", "CODE", "Only dead letters with this code, e.g. crashed."},
    {"--stage", "STAGE", "Only those of this stage: ingest, classify, regress, persist."},
    {"--kind", "KIND", "Only those of this kind of record."},
    {"--id", "ID", "Only those of the record with this id."},
    {"--limit", "N", "list: show at most N, oldest first. 0: all. Default: 20."},
    {"--all", NULL, "show and replay: all of them."},
    {"--to", "ENDPOINT[,ENDPOINT]",
     "replay: where to send, as for 'leat send'. Default: tcp://127.0.0.1:5550."},
    {"--keys", "DIR", "replay: the keys to prove who this is, as for 'leat send'."},
    {"--timeout", "SECONDS",
     "replay: give up when nothing was answered or stored for so long. 0: never. Default: 60."},
    {"--json", NULL,
     "list and show: print one JSON object a line, for each dead letter. replay: print one with "
     "matched, sent, stored, dead, rejected and error."},
    OPTIONS_STORE,
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section dead_sections[] = {
    {"Actions",
     "  list     counts by stage and code, then the dead letters\n"
     "  show     one dead letter, or some, with the record as the client sent it\n"
     "  replay   send the records again, after what made them fail was put right\n"
     "\n"
     "A KEY is ORIGIN:SEQ:RECORD, which names a record for ever: the journal it was accepted in, "
     "the batch, and its place in the batch. ORIGIN may be cut short, or left out when it makes no "
     "difference: 'list' shows the first eight letters.\n"
     "\n"
     "A replayed record keeps its version, so it never overwrites what came later. Its dead letter "
     "goes in the same transaction that stores it; when it fails again, the dead letter stays, "
     "with the new reason."},
    {"Exit status", "  0    done; replay: all of them are stored now (or there were none)\n"
                    "  1    no dead letter matches (show), not all were stored (replay), or the\n"
                    "       store cannot be read\n"
                    "  2    the command line is wrong\n"
                    "  130  replay was interrupted; what was not answered stays a dead letter"},
    {"Examples", "  leat dead list --code crashed --limit 5\n"
                 "  leat dead show 3f2a91bc:12:0\n"
                 "  leat dead show --json --stage persist | jq .payload\n"
                 "  leat dead replay --stage classify --to tcp://127.0.0.1:5550"},
    {NULL, NULL},
};

const struct manual dead_manual = {
    .name = "dead",
    .summary = "list, show and replay records that could not be stored",
    .synopsis = "list [--code CODE] [--stage STAGE] [--kind KIND] [--id ID] [--limit N] [--json] "
                "[STORE OPTION]...\n"
                "show KEY... | FILTER... [--json] [STORE OPTION]...\n"
                "replay KEY... | FILTER... | --all [--to ENDPOINT] [--timeout SECONDS] [--json] "
                "[STORE OPTION]...",
    .description =
        "A record that was accepted and then could not be classified or stored becomes a dead "
        "letter: a row of the table dead_letters with the stage, a code, a reason and the record "
        "as it was sent. The rest of its batch is unharmed. This command shows them, and sends "
        "them again.",
    .options = dead_options,
    .sections = dead_sections,
};

struct listing {
    struct render to;
    bool json, whole;
    uint64_t total, shown;
};

static bool add_count(void *arg, const struct query_row *row)
{
    struct listing *self = arg;
    self->total += stored_count(row, 2);
    return true;
}

static bool print_count(void *arg, const struct query_row *row)
{
    struct listing *self = arg;
    char count[32];
    fputs("  ", self->to.out);
    render_line(&self->to, render_span(stored_text(row, 0)), 10, true);
    render_style(&self->to, RENDER_RED);
    render_line(&self->to, render_span(stored_text(row, 1)), 24, true);
    render_style(&self->to, RENDER_PLAIN);
    fprintf(self->to.out, "%10s\n", render_count(stored_count(row, 2), count));
    return true;
}

static void print_json(struct listing *self, const struct query_row *row)
{
    static const enum stored_type types[DEAD_COLUMNS] = {
        [DEAD_SEQ] = STORED_INTEGER,
        [DEAD_RECORD] = STORED_INTEGER,
        [DEAD_VERSION] = STORED_INTEGER,
        [DEAD_PAYLOAD] = STORED_NONE, /* msgpack: decoded below */
    };
    char key[128];
    json_t *one = stored_json(row, types);
    snprintf(key, sizeof key, "%s:%s:%s", stored_text(row, DEAD_ORIGIN), stored_text(row, DEAD_SEQ),
             stored_text(row, DEAD_RECORD));
    json_object_set_new(one, "key", json_string(key));
    struct leat_span payload = {(const uint8_t *)row->values[DEAD_PAYLOAD],
                                row->sizes[DEAD_PAYLOAD]};
    json_object_set_new(one, "payload", payload_json(payload));
    json_dumpf(one, self->to.out, JSON_COMPACT | JSON_REAL_PRECISION(15));
    fputc('\n', self->to.out);
    json_decref(one);
}

static void field(const struct listing *self, const char *name, const char *value)
{
    render_print(&self->to, RENDER_DIM, "  %-12s", name);
    render_wrap(&self->to, render_span(value), 14);
}

/* The payload as JSON, a member a line. */
static void print_payload(const struct listing *self, const struct query_row *row)
{
    struct leat_span payload = {(const uint8_t *)row->values[DEAD_PAYLOAD],
                                row->sizes[DEAD_PAYLOAD]};
    json_t *value = payload_json(payload);
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    render_print(&self->to, RENDER_DIM, "  record\n");
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        size_t size = next ? (size_t)(next - line) : strlen(line);
        next = next ? next + 1 : NULL;
        fputs("    ", self->to.out);
        render_line(&self->to, (struct leat_span){(uint8_t *)line, size}, 100000, false);
        fputc('\n', self->to.out);
    }
    free(text);
    json_decref(value);
}

static void print_whole(const struct listing *self, const struct query_row *row)
{
    char text[128], time[32];
    fputc('\n', self->to.out);
    snprintf(text, sizeof text, "%s:%s:%s", stored_text(row, DEAD_ORIGIN),
             stored_text(row, DEAD_SEQ), stored_text(row, DEAD_RECORD));
    render_style(&self->to, RENDER_BOLD);
    field(self, "key", text);
    if (row->values[DEAD_ID])
        field(self, "id", stored_text(row, DEAD_ID));
    field(self, "kind", stored_text(row, DEAD_KIND));
    field(self, "stage", stored_text(row, DEAD_STAGE));
    field(self, "code", stored_text(row, DEAD_CODE));
    field(self, "reason", stored_text(row, DEAD_MESSAGE));
    snprintf(text, sizeof text, "%s UTC", stored_time(row->values[DEAD_FIRST_SEEN], time));
    field(self, "first seen", text);
    snprintf(text, sizeof text, "%s UTC", stored_time(row->values[DEAD_LAST_SEEN], time));
    field(self, "last seen", text);
    field(self, "version", stored_text(row, DEAD_VERSION));
    print_payload(self, row);
}

static void print_short(const struct listing *self, const struct query_row *row)
{
    char key[64], time[32];
    fputc('\n', self->to.out);
    render_print(&self->to, RENDER_BOLD, "%-18s", dead_find_key(row, key));
    fputs("  ", self->to.out);
    snprintf(key, sizeof key, "%s: %s", stored_text(row, DEAD_STAGE), stored_text(row, DEAD_CODE));
    render_style(&self->to, RENDER_RED);
    render_line(&self->to, render_span(key), 26, true);
    render_style(&self->to, RENDER_PLAIN);
    fprintf(self->to.out, " %s UTC\n    ", stored_time(row->values[DEAD_LAST_SEEN], time));
    if (row->values[DEAD_ID]) {
        render_line(&self->to, render_span(stored_text(row, DEAD_ID)), 40, false);
        fputs(": ", self->to.out);
    }
    render_wrap(&self->to, render_span(stored_text(row, DEAD_MESSAGE)), 4);
}

static bool print_row(void *arg, const struct query_row *row)
{
    struct listing *self = arg;
    self->shown++;
    if (self->json)
        print_json(self, row);
    else if (self->whole)
        print_whole(self, row);
    else
        print_short(self, row);
    return true;
}

static bool print_head(struct listing *self, const struct dead_find *find, struct query *query,
                       struct leat_error *err)
{
    char total[32];
    if (!dead_find_counts(find, query, add_count, self, err))
        return false;
    render_print(&self->to, RENDER_BOLD, "%s dead letter%s\n", render_count(self->total, total),
                 self->total == 1 ? "" : "s");
    return dead_find_counts(find, query, print_count, self, err);
}

static int list(const struct dead_find *find, struct query *query, const struct options *options)
{
    struct leat_error err;
    struct listing self = {.json = options_has(options, "--json")};
    uint64_t limit = 20;
    render_init(&self.to, stdout);
    if (!options_count(options, "--limit", 0, OPTIONS_COUNT_MOST, &limit, &err)) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    if ((!self.json && !print_head(&self, find, query, &err)) ||
        !dead_find_rows(find, query, limit, print_row, &self, &err)) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_FAILED;
    }
    char shown[32];
    if (!self.json && self.shown < self.total)
        printf("\nthe oldest %s are shown; --limit 0 shows all\n", render_count(self.shown, shown));
    return LEAT_EXIT_OK;
}

static int show(const struct dead_find *find, struct query *query, const struct options *options)
{
    struct leat_error err;
    struct listing self = {.json = options_has(options, "--json"), .whole = true};
    render_init(&self.to, stdout);
    if (!dead_find_rows(find, query, 0, print_row, &self, &err)) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_FAILED;
    }
    if (self.shown == 0)
        render_complain("leat dead", "no dead letter matches");
    return self.shown > 0 ? LEAT_EXIT_OK : LEAT_EXIT_FAILED;
}

/* One of the actions. */
struct action {
    const char *name;
    const char *choose; /* what to say when nothing was chosen; NULL: then it means all */
    int (*run)(const struct dead_find *find, struct query *query, const struct options *options);
};

static const struct action actions[] = {
    {"list", NULL, list},
    {"show", "show which? Give keys, --code, --stage, --kind or --id", show},
    {"replay", "replay which? Give keys, --code, --stage, --kind or --id, or --all", dead_replay},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; name && i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static int act(const struct options *options)
{
    struct leat_error err;
    struct dead_find find;
    bool usage = true;
    const struct action *action = find_action(options->n_operands ? options->operands[0] : NULL);
    if (!action && options->n_operands)
        render_complain("leat dead",
                        "there is no action '%s'; there are list, show and replay, see leat help "
                        "dead",
                        options->operands[0]);
    else if (!action)
        render_complain("leat dead", "say what to do: list, show or replay; see leat help dead");
    if (!action)
        return LEAT_EXIT_USAGE;
    if (!dead_find_init(&find, options, &err)) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    if (action->choose && !find.restricted && !options_has(options, "--all")) {
        render_complain("leat dead", "%s", action->choose);
        dead_find_end(&find);
        return LEAT_EXIT_USAGE;
    }
    int status;
    struct query *query = stored_open(options, &usage, &err);
    if (query) {
        status = action->run(&find, query, options);
    } else {
        render_complain("leat dead", "%s", err.text);
        status = usage ? LEAT_EXIT_USAGE : LEAT_EXIT_FAILED;
    }
    query_close(&query);
    dead_find_end(&find);
    return status;
}

int command_dead(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &dead_manual, argc, argv, &err)) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    int status = act(&options);
    options_end(&options);
    return status;
}
