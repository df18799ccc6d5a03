#include "services/leat/options.h"

#include "services/tables.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char options_default_data[] = "./leat-data";

static bool is_repeatable(const struct manual_option *option)
{
    size_t length = option->argument ? strlen(option->argument) : 0;
    return length > 3 && strcmp(option->argument + length - 3, "...") == 0;
}

static bool unknown(const struct options *self, const char *word, struct leat_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *like = manual_option_like(self->manual, name);
    return leat_fail(err, "there is no option %s%s%s%s", name, like ? "; did you mean " : "",
                     like ? like : "", like ? "?" : "");
}

/* Takes the option at argv[*at], and its value. */
static bool take(struct options *self, int argc, char **argv, int *at, struct leat_error *err)
{
    const char *word = argv[*at];
    size_t length = strcspn(word, "=");
    const struct manual_option *option = manual_option_find(self->manual, word, length);
    if (!option)
        return unknown(self, word, err);
    const char *value = word[length] ? word + length + 1 : NULL;
    if (!option->argument && value)
        return leat_fail(err, "option %s takes no value", option->name);
    if (option->argument && !value) {
        if (*at + 1 >= argc)
            return leat_fail(err, "option %s needs a value: %s", option->name, option->argument);
        value = argv[++*at];
    }
    if (!is_repeatable(option) && options_has(self, option->name))
        return leat_fail(err, "option %s was given twice", option->name);
    self->given[self->n_given++] = (struct options_given){option->name, value};
    return true;
}

bool options_parse(struct options *self, const struct manual *manual, int argc, char **argv,
                   struct leat_error *err)
{
    size_t room = (size_t)argc + 1;
    *self = (struct options){.manual = manual};
    self->given = calloc(room, sizeof *self->given);
    self->operands = calloc(room, sizeof *self->operands);
    if (!self->given || !self->operands) {
        options_end(self);
        return leat_fail(err, "out of memory");
    }
    bool only_operands = false;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (only_operands || word[0] != '-' || !word[1]) {
            self->operands[self->n_operands++] = word;
        } else if (!take(self, argc, argv, &at, err)) {
            options_end(self);
            return false;
        }
    }
    return true;
}

void options_end(struct options *self)
{
    free(self->given);
    free(self->operands);
    *self = (struct options){0};
}

const char *options_nth(const struct options *self, const char *name, size_t i)
{
    for (size_t at = 0; at < self->n_given; at++)
        if (strcmp(self->given[at].name, name) == 0 && i-- == 0)
            return self->given[at].value;
    return NULL;
}

bool options_has(const struct options *self, const char *name)
{
    for (size_t at = 0; at < self->n_given; at++)
        if (strcmp(self->given[at].name, name) == 0)
            return true;
    return false;
}

const char *options_value(const struct options *self, const char *name)
{
    return options_nth(self, name, 0);
}

bool options_number(const struct options *self, const char *name, double min, double max,
                    double *out, struct leat_error *err)
{
    const char *text = options_value(self, name);
    if (!text)
        return true;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno || !(value >= min && value <= max))
        return leat_fail(err, "%s is '%s'; expected a number from %.15g to %.15g", name, text, min,
                         max);
    *out = value;
    return true;
}

bool options_count(const struct options *self, const char *name, uint64_t min, uint64_t max,
                   uint64_t *out, struct leat_error *err)
{
    double value;
    if (!options_has(self, name))
        return true;
    if (!options_number(self, name, (double)min, (double)max, &value, err))
        return false;
    if (value != floor(value))
        return leat_fail(err, "%s is '%s'; expected a whole number", name,
                         options_value(self, name));
    *out = (uint64_t)value;
    return true;
}

const char *options_config(const struct options *self)
{
    const char *path = options_value(self, "--config");
    if (path)
        return path;
    path = getenv("LEAT_CONFIG");
    return path && *path ? path : NULL;
}

static bool load(const struct options *self, struct leat_settings *settings, struct leat_error *err)
{
    const char *path = options_config(self);
    if (path && !leat_settings_file(settings, path, err))
        return false;
    if (!leat_settings_environment(settings, err))
        return false;
    const char *assignment;
    for (size_t i = 0; (assignment = options_nth(self, "--set", i)); i++)
        if (!leat_settings_assign(settings, assignment, LEAT_FROM_COMMAND_LINE, err))
            return false;
    return true;
}

struct leat_settings *options_settings(const struct options *self, struct leat_error *err)
{
    struct leat_settings *settings = leat_settings_new(leat_tables);
    if (!load(self, settings, err))
        leat_settings_destroy(&settings);
    return settings;
}

bool options_store(const struct options *self, struct leat_settings *settings,
                   struct leat_error *err)
{
    const char *url = options_value(self, "--store"), *data = options_value(self, "--data");
    if (url && data)
        return leat_fail(err, "--store and --data both say where the store is: give one of them");
    if (url)
        return leat_settings_set(settings, "store.url", url, LEAT_FROM_COMMAND_LINE, "--store",
                                 err);
    if (!data && leat_settings_source(settings, "store.url") != LEAT_FROM_DEFAULT)
        return true;
    char place[4096];
    snprintf(place, sizeof place, "sqlite:%s/leat.db", data ? data : options_default_data);
    return leat_settings_set(settings, "store.url", place,
                             data ? LEAT_FROM_COMMAND_LINE : LEAT_FROM_PROGRAM,
                             data ? "--data" : "program", err);
}
