#include "services/leat/series_words.h"

#include "proto/cutter.h"
#include "services/leat/cell.h"

#include <string.h>

static bool refuse_option(const struct options *o, const char *name, const char *why,
                          struct leat_error *err)
{
    return !options_has(o, name) || leat_fail(err, "%s %s", name, why);
}

static bool add_field(struct series_words *self, const char *name, const char *from,
                      struct leat_error *err)
{
    if (self->fields.count == CUTTER_COLUMNS_MAX + 1)
        return leat_fail(err, "more than %d domains", CUTTER_COLUMNS_MAX);
    size_t at = self->fields.count++;
    self->rows[at] = (struct field){name, FIELD_STRING};
    self->fields.from[at] = from;
    self->fields.mapped[at] = true;
    return true;
}

/* "bqx" or "bqx=COLUMN". */
static bool add_domain(struct series_words *self, const char *word, struct leat_error *err)
{
    size_t size = strcspn(word, "=");
    char *name = self->names[self->fields.count];
    if (size == 0 || size >= sizeof self->names[0] || (word[size] && !word[size + 1]))
        return leat_fail(err, "--domain is '%s'; expected NAME or NAME=COLUMN", word);
    snprintf(name, sizeof self->names[0], "%.*s", (int)size, word);
    for (size_t i = 1; i < self->fields.count; i++)
        if (strcmp(self->rows[i].name, name) == 0)
            return leat_fail(err, "domain %s is there twice", name);
    return add_field(self, name, word[size] ? word + size + 1 : name, err);
}

static bool read_fields(struct series_words *self, const struct options *o, struct leat_error *err)
{
    const char *time = options_value(o, "--time"), *value = options_value(o, "--value"), *word;
    self->kind = (struct fields_kind){"series", self->rows, "ts"};
    self->fields = (struct fields){.kind = &self->kind};
    self->options.columns = options_has(o, "--domain");
    if (self->options.columns && value)
        return leat_fail(err, "--value names closes, --domain what is derived from them already: "
                              "give one of them");
    if (!add_field(self, "ts", time ? time : "ts", err))
        return false;
    if (!self->options.columns)
        return add_field(self, "close", value ? value : "close", err);
    for (size_t i = 0; (word = options_nth(o, "--domain", i)); i++)
        if (!add_domain(self, word, err))
            return false;
    return true;
}

static bool read_cutting(struct series_words *self, const struct options *o, struct leat_error *err)
{
    struct draft_why why;
    enum cell_unit unit = CELL_UNIT_UNKNOWN;
    const char *word = options_value(o, "--base");
    if (word && !cell_real(render_span(word), "base", "--base", &self->options.base, &why))
        return leat_fail(err, "%s", why.reason);
    if (word && self->options.base == 0)
        return leat_fail(err, "--base is 0; idx would be infinite");
    if (word && self->options.columns)
        return leat_fail(err, "--base is for closes, not for --domain");
    word = options_value(o, "--reset");
    self->options.monthly = word && strcmp(word, "month") == 0;
    if (word && !self->options.monthly && strcmp(word, "none") != 0)
        return leat_fail(err, "--reset is '%s'; expected none or month", word);
    word = options_value(o, "--after");
    self->options.has_after = word;
    if (word && !cell_time(render_span(word), &unit, &self->options.after, &why))
        return leat_fail(err, "--after: %s", why.reason);
    self->options.start = options_has(o, "--start");
    return !self->options.start || word ||
           leat_fail(err, "--start goes with --after: without it every file begins its series");
}

static bool read_query(struct series_words *self, const struct options *o, struct leat_error *err)
{
    static const char *const of_files[] = {"--series",    "--time",   "--value", "--columns",
                                           "--no-header", "--format", NULL};
    self->options.conninfo = options_value(o, "--from-postgres");
    self->options.query = options_value(o, "--query");
    if (!self->options.conninfo)
        return refuse_option(o, "--query", "goes with --from-postgres", err);
    if (!self->options.query)
        return leat_fail(err, "--from-postgres needs --query 'SELECT series, ts, close ...'");
    for (size_t i = 0; of_files[i]; i++)
        if (!refuse_option(o, of_files[i],
                           "is for files: a query gives series, time and values by their places",
                           err))
            return false;
    self->input = "query";
    return o->n_operands == 0 ||
           leat_fail(err, "rows come from a query or from files: leave '%s' out", o->operands[0]);
}

static bool read_files(struct series_words *self, const struct options *o, struct leat_error *err)
{
    self->options.series = options_value(o, "--series");
    if (self->options.series && !*self->options.series)
        return leat_fail(err, "--series needs a name");
    for (size_t i = 0; i < o->n_operands && !self->options.series; i++)
        if (strcmp(o->operands[i], "-") == 0)
            return leat_fail(err, "standard input has no name for a series: give --series");
    return true;
}

bool series_words_read(struct series_words *self, const struct options *o, struct leat_error *err)
{
    *self = (struct series_words){0};
    return refuse_option(o, "--field", "is for texts; a series has --time and --value", err) &&
           read_fields(self, o, err) && read_cutting(self, o, err) && read_query(self, o, err) &&
           read_files(self, o, err);
}

bool series_words_absent(const struct options *o, const char *kind, struct leat_error *err)
{
    static const char *const names[] = {"--series", "--time",          "--value", "--base",
                                        "--reset",  "--after",         "--start", "--domain",
                                        "--query",  "--from-postgres", NULL};
    for (size_t i = 0; names[i]; i++)
        if (options_has(o, names[i]))
            return leat_fail(err, "%s goes with --kind series, not %s", names[i], kind);
    return true;
}
