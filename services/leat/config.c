/* leat config: every setting, its value, where it came from. */
#include "services/leat/commands.h"
#include "services/leat/mask.h"
#include "services/leat/options.h"
#include "services/runtime/service.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct manual_option config_options[] = {
    {"--changed", NULL, "Only settings whose value is not the default."},
    {"--json", NULL,
     "Print a JSON array of objects: name, type, value, default, where, reloadable, secret, help, "
     "and choices, min, max where there are any."},
    {"--markdown", NULL, "Print a Markdown table of all settings."},
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section config_sections[] = {
    {"Where values come from",
     "Weakest first: the default; the settings file (lines of 'name = value', # begins a comment); "
     "the environment (classify.batch_tokens is LEAT_CLASSIFY_BATCH_TOKENS); --set; what the "
     "program "
     "itself fixes, as 'leat run' does with the addresses of the services inside it. A name that "
     "does not exist is an error everywhere.\n"
     "\n"
     "Passwords are shown as ******, also those inside an address."},
    {"Exit status", "  0  done\n"
                    "  2  a setting is wrong or unknown: the message names file and line"},
    {"Examples", "  leat config\n"
                 "  leat config store ingest.listen\n"
                 "  leat config --changed --config /etc/leat/leat.conf\n"
                 "  leat config --json | jq -r '.[] | select(.reloadable) | .name'"},
    {NULL, NULL},
};

const struct manual config_manual = {
    .name = "config",
    .summary = "show every setting, its value, and where it came from",
    .synopsis = "[--changed] [--json | --markdown] [--config FILE] [--set NAME=VALUE]... [NAME]...",
    .description =
        "Prints the settings as a program started with the same file, environment and --set would "
        "have them, and checks them: a wrong one is reported with its place. A NAME is a setting "
        "(store.url), a group (store), or the beginning of either.",
    .options = config_options,
    .sections = config_sections,
};

static const char *type_name(const struct leat_setting *row)
{
    static const char *const names[] = {
        [LEAT_SET_BOOL] = "yes or no", [LEAT_SET_INT] = "whole number",
        [LEAT_SET_BYTES] = "bytes",    [LEAT_SET_DURATION] = "duration",
        [LEAT_SET_REAL] = "number",    [LEAT_SET_STRING] = "text",
        [LEAT_SET_CHOICE] = "choice",
    };
    return names[row->type];
}

struct config {
    const struct options *options;
    struct render to;
    bool markdown;
    json_t *json; /* an array, or NULL */
    char group[64];
    size_t shown;
    size_t matched[64]; /* by operand: how many settings */
};

static bool is_asked_for(struct config *self, const struct leat_setting *row, const char *where)
{
    bool asked = self->options->n_operands == 0;
    for (size_t i = 0; i < self->options->n_operands; i++) {
        const char *name = self->options->operands[i];
        if (strncmp(row->name, name, strlen(name)) != 0)
            continue;
        asked = true;
        if (i < 64)
            self->matched[i]++;
    }
    return asked && (!options_has(self->options, "--changed") || strcmp(where, "default") != 0);
}

static void add_json(struct config *self, const struct leat_setting *row, const char *value,
                     const char *where)
{
    json_t *one =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s}", "name", row->name, "type",
                  type_name(row), "value", value, "default", row->value, "where", where,
                  "reloadable", row->reloadable, "secret", row->secret, "help", row->help);
    if (row->choices)
        json_object_set_new(one, "choices", json_string(row->choices));
    if (row->min < row->max) {
        json_object_set_new(one, "min", json_real(row->min));
        json_object_set_new(one, "max", json_real(row->max));
    }
    json_array_append_new(self->json, one);
}

/* A cell of a Markdown table: its bars would end it. */
static void print_cell(const struct config *self, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', self->to.out);
        fputc(*text, self->to.out);
    }
}

static void print_markdown(struct config *self, const struct leat_setting *row)
{
    FILE *out = self->to.out;
    if (self->shown == 0)
        fprintf(out, "| name | type | default | SIGHUP | |\n|---|---|---|---|---|\n");
    fprintf(out, "| `%s` | %s | ", row->name, row->choices ? "one of " : type_name(row));
    if (row->choices)
        print_cell(self, row->choices);
    fprintf(out, "%s", *row->value ? "`" : "");
    print_cell(self, row->value);
    fprintf(out, "%s | %s | ", *row->value ? "`" : "", row->reloadable ? "yes" : "");
    print_cell(self, row->help);
    fprintf(out, " |\n");
}

static void print_help(const struct config *self, const struct leat_setting *row)
{
    char help[2048];
    int size = snprintf(help, sizeof help, "%s", row->help);
    if (row->choices)
        snprintf(help + size, sizeof help - (size_t)size, " One of: %s.", row->choices);
    render_wrap(&self->to, render_span(help), 4);
}

static void print_setting(struct config *self, const struct leat_setting *row, const char *value,
                          const char *where)
{
    FILE *out = self->to.out;
    size_t group = strcspn(row->name, ".");
    if (strlen(self->group) != group || strncmp(self->group, row->name, group) != 0) {
        fputs(self->shown ? "\n" : "", out);
        snprintf(self->group, sizeof self->group, "%.*s", (int)group, row->name);
    }
    bool is_default = strcmp(where, "default") == 0;
    render_print(&self->to, RENDER_BOLD, "%s", row->name);
    fputs(" = ", out);
    render_style(&self->to, is_default ? RENDER_PLAIN : RENDER_GREEN);
    render_line(&self->to, render_span(value), 4096, false);
    render_style(&self->to, RENDER_PLAIN);
    render_print(&self->to, RENDER_DIM, "  (%s%s)", where, row->reloadable ? ", SIGHUP" : "");
    fputs("\n    ", out);
    render_style(&self->to, RENDER_DIM);
    print_help(self, row);
    render_style(&self->to, RENDER_PLAIN);
}

static void on_setting(void *arg, const struct leat_setting *row, const char *value,
                       const char *where)
{
    struct config *self = arg;
    char shown[8192];
    if (!is_asked_for(self, row, where))
        return;
    mask_value(row, value, shown, sizeof shown);
    if (self->json)
        add_json(self, row, shown, where);
    else if (self->markdown)
        print_markdown(self, row);
    else
        print_setting(self, row, shown, where);
    self->shown++;
}

/* A name that matched nothing is a mistake. */
static int judge(const struct config *self)
{
    int status = LEAT_EXIT_OK;
    for (size_t i = 0; i < self->options->n_operands && i < 64; i++)
        if (self->matched[i] == 0) {
            render_complain("leat config", "no setting begins with '%s'",
                            self->options->operands[i]);
            status = LEAT_EXIT_USAGE;
        }
    if (status == LEAT_EXIT_OK && self->shown == 0 && !self->json)
        fputs("every setting has its default\n", self->to.out);
    return status;
}

static int show(const struct options *options)
{
    struct leat_error err;
    struct leat_settings *settings = options_settings(options, &err);
    if (!settings) {
        render_complain("leat config", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    struct config self = {.options = options, .markdown = options_has(options, "--markdown")};
    render_init(&self.to, stdout);
    if (options_has(options, "--json"))
        self.json = json_array();
    leat_settings_each(settings, on_setting, &self);
    if (self.json) {
        json_dumpf(self.json, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(self.json);
    }
    leat_settings_destroy(&settings);
    return judge(&self);
}

int command_config(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &config_manual, argc, argv, &err)) {
        render_complain("leat config", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    int status = show(&options);
    options_end(&options);
    return status;
}
