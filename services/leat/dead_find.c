#include "services/leat/dead_find.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A place for one more value; its number in the text. */
static size_t add_param(struct dead_find *self, const char *value)
{
    self->params[self->n_params++] = value;
    return self->n_params;
}

static void add_filter(struct dead_find *self, FILE *where, const char *column, const char *value)
{
    if (value) {
        fprintf(where, " AND %s = $%zu", column, add_param(self, value));
        self->restricted = true;
    }
}

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 19 && !text[digits];
}

/* Origins are written in small letters. */
static bool lower_origin(char *text)
{
    size_t length = strlen(text);
    for (char *at = text; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return length > 0 && length <= 36 && strspn(text, "0123456789abcdef-") == length;
}

/* One key, whose text is cut up. */
static bool add_key(struct dead_find *self, FILE *where, char *key, bool first,
                    struct leat_error *err)
{
    char whole[80];
    snprintf(whole, sizeof whole, "%s", key);
    char *record = strrchr(key, ':');
    if (record)
        *record++ = '\0';
    char *seq = record ? strrchr(key, ':') : NULL;
    char *origin = seq ? key : NULL;
    if (seq)
        *seq++ = '\0';
    else
        seq = key;
    if (!record || !is_number(record) || !is_number(seq) || (origin && !lower_origin(origin)))
        return leat_fail(err,
                         "'%s' is no key of a dead letter: write SEQ:RECORD or "
                         "ORIGIN:SEQ:RECORD, as 'leat dead list' shows them",
                         whole);
    fprintf(where, "%s(seq = CAST($%zu AS bigint) AND record = CAST($%zu AS bigint)",
            first ? "" : " OR ", add_param(self, seq), add_param(self, record));
    if (origin)
        fprintf(where, " AND CAST(origin AS text) LIKE $%zu || '%%'", add_param(self, origin));
    fputc(')', where);
    return true;
}

static bool add_keys(struct dead_find *self, FILE *where, const struct options *options,
                     struct leat_error *err)
{
    size_t room = 1;
    if (options->n_operands < 2)
        return true;
    if (options->n_operands - 1 > DEAD_KEYS_MAX)
        return leat_fail(err, "at most %d keys at once", DEAD_KEYS_MAX);
    for (size_t i = 1; i < options->n_operands; i++)
        room += strlen(options->operands[i]) + 1;
    char *at = self->parts = malloc(room);
    if (!at)
        return leat_fail(err, "out of memory");
    self->restricted = true;
    fputs(" AND (", where);
    for (size_t i = 1; i < options->n_operands; i++) {
        size_t size = strlen(options->operands[i]) + 1;
        memcpy(at, options->operands[i], size);
        if (!add_key(self, where, at, i == 1, err))
            return false;
        at += size;
    }
    fputc(')', where);
    return true;
}

bool dead_find_init(struct dead_find *self, const struct options *options, struct leat_error *err)
{
    size_t size;
    *self = (struct dead_find){.where = NULL};
    FILE *where = open_memstream(&self->where, &size);
    if (!where)
        return leat_fail(err, "out of memory");
    fputs("1 = 1", where);
    add_filter(self, where, "code", options_value(options, "--code"));
    add_filter(self, where, "stage", options_value(options, "--stage"));
    add_filter(self, where, "kind", options_value(options, "--kind"));
    add_filter(self, where, "id", options_value(options, "--id"));
    bool ok = add_keys(self, where, options, err);
    fclose(where);
    if (!ok)
        dead_find_end(self);
    return ok;
}

void dead_find_end(struct dead_find *self)
{
    free(self->where);
    free(self->parts);
    self->where = self->parts = NULL;
}

static bool run(const struct dead_find *self, struct query *query, const char *head,
                const char *tail, query_row_fn *each, void *arg, struct leat_error *err)
{
    char *text;
    if (asprintf(&text, "%s FROM dead_letters WHERE %s %s", head, self->where, tail) < 0)
        return leat_fail(err, "out of memory");
    struct query_sql sql = {.postgresql = text};
    bool ok = query_run(query, &sql, self->params, self->n_params, each, arg, err);
    free(text);
    return ok;
}

bool dead_find_rows(const struct dead_find *self, struct query *query, uint64_t limit,
                    query_row_fn *each, void *arg, struct leat_error *err)
{
    char tail[96] = "ORDER BY first_seen, origin, seq, record";
    size_t used = strlen(tail);
    if (limit > 0)
        snprintf(tail + used, sizeof tail - used, " LIMIT %llu", (unsigned long long)limit);
    return run(self, query,
               "SELECT origin, seq, record, kind, id, stage, code, message, version, first_seen, "
               "last_seen, payload",
               tail, each, arg, err);
}

bool dead_find_counts(const struct dead_find *self, struct query *query, query_row_fn *each,
                      void *arg, struct leat_error *err)
{
    return run(self, query, "SELECT stage, code, count(*)",
               "GROUP BY stage, code ORDER BY 3 DESC, 1, 2", each, arg, err);
}

const char *dead_find_key(const struct query_row *row, char to[64])
{
    snprintf(to, 64, "%.8s:%s:%s", stored_text(row, DEAD_ORIGIN), stored_text(row, DEAD_SEQ),
             stored_text(row, DEAD_RECORD));
    return to;
}
