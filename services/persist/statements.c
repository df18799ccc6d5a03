#include "services/persist/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a", "b", … of the columns; only the key's; a = excluded.a of the others; or placeholders. */
enum list { NAMES, KEYS, UPDATES, PLACEHOLDERS };

/* What an upsert leaves as it was: the key, and when a dead letter was first seen. */
static bool is_kept(const struct leat_column *column)
{
    return column->is_key || strcmp(column->name, "first_seen") == 0;
}

static void put_list(FILE *to, const struct leat_table *table, enum list list)
{
    const char *comma = "";
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct leat_column *column = &table->columns[i];
        if ((list == KEYS && !column->is_key) || (list == UPDATES && is_kept(column)))
            continue;
        if (list == PLACEHOLDERS)
            fprintf(to, "%s?", comma);
        else if (list == UPDATES)
            fprintf(to, "%s\"%s\" = excluded.\"%s\"", comma, column->name, column->name);
        else
            fprintf(to, "%s\"%s\"", comma, column->name);
        comma = ", ";
    }
}

static void put_copy(FILE *to, const char *prefix, const struct leat_table *table)
{
    fprintf(to, "COPY %s%s\" (", prefix, table->name);
    put_list(to, table, NAMES);
    fputs(") FROM STDIN (FORMAT binary);", to);
}

/* A row of data changes only when the incoming version is strictly newer; a dead letter is written
 * anew whenever it comes again. Keeps invariant M3 (tests/model). */
static void put_conflict(FILE *to, const struct leat_table *table, enum load_role role)
{
    fputs(" ON CONFLICT (", to);
    put_list(to, table, KEYS);
    fputs(") DO UPDATE SET ", to);
    put_list(to, table, UPDATES);
    if (role == LOAD_DATA)
        fputs(" WHERE (excluded.version, excluded.origin) > (t.version, t.origin)", to);
}

static void put_insert(FILE *to, const struct leat_table *table, enum load_role role)
{
    fprintf(to, "INSERT INTO \"%s\" AS t (", table->name);
    put_list(to, table, NAMES);
    fputs(") SELECT ", to);
    put_list(to, table, NAMES);
    fprintf(to, " FROM pg_temp.\"leat_in_%s\"", table->name);
    put_conflict(to, table, role);
    fputc(';', to);
}

static const char delete_gone[] =
    "DELETE FROM dead_letters d USING pg_temp.leat_in_dead_letters_gone g"
    " WHERE d.origin = g.origin AND d.seq = g.seq AND d.record = g.record;";

static void put_create(FILE *to, const struct leat_table *table, enum load_role role)
{
    fprintf(to, "CREATE TEMPORARY TABLE IF NOT EXISTS \"leat_in_%s\" ", table->name);
    if (role == LOAD_GONE)
        fputs("(origin uuid, seq bigint, record bigint)", to);
    else
        fprintf(to, "(LIKE \"%s\" INCLUDING DEFAULTS)", table->name);
    fputs(" ON COMMIT DELETE ROWS;", to);
}

/* A text that is being written into memory. */
static FILE *text_open(char **text, size_t *size)
{
    FILE *to = open_memstream(text, size);
    if (!to)
        abort();
    return to;
}

void statements_make(struct statements *self, const struct leat_table *table, enum load_role role)
{
    *self = (struct statements){0};
    size_t size;
    FILE *to = text_open(&self->create, &size);
    put_create(to, table, role);
    fclose(to);
    if (role == LOAD_DATA) {
        to = text_open(&self->direct, &size);
        put_copy(to, "\"", table);
        fclose(to);
    }
    to = text_open(&self->staged, &size);
    put_copy(to, "pg_temp.\"leat_in_", table);
    if (role == LOAD_GONE)
        fputs(delete_gone, to);
    else
        put_insert(to, table, role);
    fclose(to);
}

void statements_destroy(struct statements *self)
{
    free(self->create);
    free(self->direct);
    free(self->staged);
    *self = (struct statements){0};
}

char *statements_sqlite(const struct leat_table *table, enum load_role role)
{
    char *text;
    size_t size;
    FILE *to = text_open(&text, &size);
    if (role == LOAD_GONE) {
        fputs("DELETE FROM dead_letters WHERE origin = ? AND seq = ? AND record = ?", to);
    } else {
        fprintf(to, "INSERT INTO \"%s\" AS t (", table->name);
        put_list(to, table, NAMES);
        fputs(") VALUES (", to);
        put_list(to, table, PLACEHOLDERS);
        fputc(')', to);
        put_conflict(to, table, role);
    }
    fclose(to);
    return text;
}
