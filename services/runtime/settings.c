#include "services/runtime/settings.h"

#include "services/runtime/settings_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

struct value {
    const struct leat_setting *row;
    char *text;
    char *where;
    enum leat_setting_source source;
    struct settings_number number;
};

struct leat_settings {
    struct value *values; /* sorted by name */
    size_t n;
};

/* For defects of the program: a wrong table, a name that nobody declared. */
static _Noreturn void die(const char *what, const char *name)
{
    fprintf(stderr, "leat: setting %s: %s\n", name, what);
    abort();
}

static char *copy(const char *text)
{
    char *out = strdup(text);
    if (!out)
        die("out of memory", text);
    return out;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct value *)a)->row->name, ((const struct value *)b)->row->name);
}

struct leat_settings *leat_settings_new(const struct leat_setting *const *tables)
{
    struct leat_settings *self = calloc(1, sizeof *self);
    size_t total = 0;
    for (const struct leat_setting *const *table = tables; *table; table++)
        for (const struct leat_setting *row = *table; row->name; row++)
            total++;
    if (!self || !(self->values = calloc(total + 1, sizeof *self->values)))
        die("out of memory", "tables");
    for (const struct leat_setting *const *table = tables; *table; table++)
        for (const struct leat_setting *row = *table; row->name; row++) {
            struct value *value = &self->values[self->n++];
            struct leat_error err;
            value->row = row;
            value->text = copy(row->value);
            value->where = copy("default");
            if (!settings_value_parse(row, row->value, &value->number, &err))
                die(err.text, row->name);
        }
    qsort(self->values, self->n, sizeof *self->values, by_name);
    for (size_t i = 1; i < self->n; i++)
        if (strcmp(self->values[i - 1].row->name, self->values[i].row->name) == 0)
            die("is in two tables", self->values[i].row->name);
    return self;
}

void leat_settings_destroy(struct leat_settings **self)
{
    if (!*self)
        return;
    for (size_t i = 0; i < (*self)->n; i++) {
        free((*self)->values[i].text);
        free((*self)->values[i].where);
    }
    free((*self)->values);
    free(*self);
    *self = NULL;
}

struct leat_settings *leat_settings_copy(const struct leat_settings *self)
{
    struct leat_settings *out = calloc(1, sizeof *out);
    if (!out || !(out->values = calloc(self->n + 1, sizeof *out->values)))
        die("out of memory", "copy");
    out->n = self->n;
    for (size_t i = 0; i < self->n; i++) {
        out->values[i] = self->values[i];
        out->values[i].text = copy(self->values[i].text);
        out->values[i].where = copy(self->values[i].where);
    }
    return out;
}

static struct value *settings_find(const struct leat_settings *self, const char *name)
{
    struct leat_setting row = {.name = name};
    struct value key = {.row = &row};
    return bsearch(&key, self->values, self->n, sizeof *self->values, by_name);
}

/* The known name that looks most like this one: a typing error away, or the same after the group.
 */
static const char *settings_suggest(const struct leat_settings *self, const char *name)
{
    const char *best = NULL;
    size_t nearest = strlen(name) / 4 + 2;
    const char *dot = strchr(name, '.');
    for (size_t i = 0; i < self->n; i++) {
        const char *known = self->values[i].row->name;
        size_t distance = settings_distance(name, known);
        const char *tail = strchr(known, '.');
        if (tail && strcmp(tail + 1, dot ? dot + 1 : name) == 0 && distance > 2)
            distance = 2;
        if (distance < nearest) {
            nearest = distance;
            best = known;
        }
    }
    return best;
}

static bool settings_unknown(const struct leat_settings *self, const char *name, const char *where,
                             struct leat_error *err)
{
    const char *like = settings_suggest(self, name);
    if (like)
        return leat_fail(err, "%s: unknown setting \"%.80s\"; did you mean %s?", where, name, like);
    return leat_fail(err, "%s: unknown setting \"%.80s\" (`leat config` lists all)", where, name);
}

bool leat_settings_set(struct leat_settings *self, const char *name, const char *text,
                       enum leat_setting_source source, const char *where, struct leat_error *err)
{
    struct value *value = settings_find(self, name);
    struct settings_number number;
    if (!value)
        return settings_unknown(self, name, where, err);
    if (!settings_value_parse(value->row, text, &number, err)) {
        if (value->row->secret && err) /* the reason quotes what was given */
            leat_fail(err, "not a valid value (it is a secret and not shown)");
        return leat_fail_in(err, "%s: %s", where, name);
    }
    free(value->text);
    free(value->where);
    value->text = copy(text);
    value->where = copy(where);
    value->source = source;
    value->number = number;
    return true;
}

bool leat_settings_assign(struct leat_settings *self, const char *assignment,
                          enum leat_setting_source source, struct leat_error *err)
{
    const char *where = source == LEAT_FROM_COMMAND_LINE ? "--set" : "program";
    const char *equals = strchr(assignment, '=');
    char name[80];
    if (!equals)
        return leat_fail(err, "%s: expected NAME=VALUE, got \"%.80s\"", where, assignment);
    size_t size = (size_t)(equals - assignment);
    if (size >= sizeof name)
        return leat_fail(err, "%s: unknown setting \"%.80s\"", where, assignment);
    memcpy(name, assignment, size);
    name[size] = '\0';
    return leat_settings_set(self, name, equals + 1, source, where, err);
}

/* classify.batch_tokens is LEAT_CLASSIFY_BATCH_TOKENS. */
static void variable_of(const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, "LEAT_%s", name);
    for (int i = 5; i < n && (size_t)i < size; i++)
        if (out[i] == '.' || out[i] == '-')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
}

/* Container schedulers put the addresses of services into the environment of every container:
 * LEAT_INGEST_SERVICE_HOST, LEAT_INGEST_PORT_5550_TCP_ADDR, … for a service named leat-ingest. */
static bool is_schedulers(const char *variable, const char *value)
{
    const char *port = strstr(variable, "_PORT");
    return strstr(variable, "_SERVICE_HOST") || strstr(variable, "_SERVICE_PORT") ||
           (port && port[5] == '_' && port[6] >= '0' && port[6] <= '9') ||
           (port && port[5] == '\0' && strstr(value, "://"));
}

static bool settings_variable(struct leat_settings *self, const char *variable, const char *value,
                              struct leat_error *err)
{
    char known[96];
    for (size_t i = 0; i < self->n; i++) {
        variable_of(self->values[i].row->name, known, sizeof known);
        if (strcmp(known, variable) == 0)
            return leat_settings_set(self, self->values[i].row->name, value, LEAT_FROM_ENVIRONMENT,
                                     variable, err);
    }
    if (is_schedulers(variable, value))
        return true;
    size_t nearest = strlen(variable) / 4 + 2;
    char like[96] = "";
    for (size_t i = 0; i < self->n; i++) {
        variable_of(self->values[i].row->name, known, sizeof known);
        size_t distance = settings_distance(variable, known);
        if (distance < nearest) {
            nearest = distance;
            memcpy(like, known, sizeof like);
        }
    }
    return leat_fail(err, "environment variable %.80s is no setting%s%s%s", variable,
                     like[0] ? "; did you mean " : "", like, like[0] ? "?" : "");
}

bool leat_settings_environment(struct leat_settings *self, struct leat_error *err)
{
    for (char **entry = environ; entry && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        char variable[128];
        if (strncmp(*entry, "LEAT_", 5) != 0 || !equals)
            continue;
        size_t size = (size_t)(equals - *entry);
        if (size >= sizeof variable)
            return leat_fail(err, "environment variable %.80s... is no setting", *entry);
        memcpy(variable, *entry, size);
        variable[size] = '\0';
        if (strcmp(variable, "LEAT_CONFIG") != 0 &&
            !settings_variable(self, variable, equals + 1, err))
            return false;
    }
    return true;
}

static const struct value *settings_get(const struct leat_settings *self, const char *name)
{
    const struct value *value = settings_find(self, name);
    if (!value)
        die("is in no table", name);
    return value;
}

bool leat_settings_bool(const struct leat_settings *self, const char *name)
{
    const struct value *value = settings_get(self, name);
    if (value->row->type != LEAT_SET_BOOL)
        die("is not yes or no", name);
    return value->number.integer != 0;
}

int64_t leat_settings_int(const struct leat_settings *self, const char *name)
{
    const struct value *value = settings_get(self, name);
    enum leat_setting_type type = value->row->type;
    if (type != LEAT_SET_INT && type != LEAT_SET_BYTES && type != LEAT_SET_DURATION)
        die("is not a whole number", name);
    return value->number.integer;
}

double leat_settings_real(const struct leat_settings *self, const char *name)
{
    const struct value *value = settings_get(self, name);
    if (value->row->type != LEAT_SET_REAL)
        die("is not a number", name);
    return value->number.real;
}

const char *leat_settings_str(const struct leat_settings *self, const char *name)
{
    return settings_get(self, name)->text;
}

bool leat_settings_has(const struct leat_settings *self, const char *name)
{
    return settings_find(self, name) != NULL;
}

enum leat_setting_source leat_settings_source(const struct leat_settings *self, const char *name)
{
    return settings_get(self, name)->source;
}

void leat_settings_each(const struct leat_settings *self, leat_settings_each_fn *each, void *arg)
{
    for (size_t i = 0; i < self->n; i++)
        each(arg, self->values[i].row, self->values[i].text, self->values[i].where);
}

void leat_settings_reload(struct leat_settings *self, const struct leat_settings *fresh,
                          void (*ignored)(void *arg, const char *name), void *arg)
{
    for (size_t i = 0; i < self->n; i++) {
        struct value *mine = &self->values[i];
        const struct value *theirs = settings_find(fresh, mine->row->name);
        if (!theirs || strcmp(mine->text, theirs->text) == 0)
            continue;
        if (!mine->row->reloadable) {
            if (ignored)
                ignored(arg, mine->row->name);
            continue;
        }
        leat_settings_set(self, mine->row->name, theirs->text, theirs->source, theirs->where, NULL);
    }
}

char *leat_settings_dump(const struct leat_settings *self)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        die("out of memory", "dump");
    for (size_t i = 0; i < self->n; i++)
        fprintf(to, "%s=%s\n", self->values[i].row->name, self->values[i].text);
    fclose(to);
    return text;
}
