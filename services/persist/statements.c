#include "services/persist/statements.h"

#include "services/persist/iso.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a", "b", … of the columns as they come, or as they are stored; only the key's; a = excluded.a of
 * the others; or placeholders ?1, ?2, … of those that are stored. */
enum list { COMING, NAMES, KEYS, UPDATES, PLACEHOLDERS };

/* What an upsert leaves as it was: the key, and when a dead letter was first seen. */
static bool is_kept(const struct leat_column *column)
{
    return column->is_key || strcmp(column->name, "first_seen") == 0;
}

static bool is_listed(const struct leat_column *column, enum list list)
{
    return (list == COMING || !column->is_beside) && (list != KEYS || column->is_key) &&
           (list != UPDATES || !is_kept(column));
}

static void put_list(FILE *to, const struct leat_table *table, enum list list)
{
    const char *comma = "";
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct leat_column *column = &table->columns[i];
        if (!is_listed(column, list))
            continue;
        if (list == PLACEHOLDERS)
            fprintf(to, "%s?%zu", comma, i + 1);
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
    put_list(to, table, COMING);
    fputs(") FROM STDIN (FORMAT binary);", to);
}

/* How a statement calls a column of the letter that comes: a parameter, or a column of the
 * temporary table. */
enum engine { POSTGRESQL, SQLITE };

static void put_letter(FILE *to, enum engine engine, const char *name)
{
    size_t i = 0;
    while (strcmp(letters_table.columns[i].name, name) != 0)
        i++;
    if (engine == SQLITE)
        fprintf(to, "?%zu", i + 1);
    else
        fprintf(to, "l.\"%s\"", name);
}

static void put_equal(FILE *to, enum engine engine, const char *column, const char *letters)
{
    fprintf(to, " AND r.\"%s\" = ", column);
    put_letter(to, engine, letters);
}

/* The row of a table that is of the very record that comes as a letter. Of a record that gives
 * several it looks at the last one. */
static void put_not_in(FILE *to, enum engine engine, const struct leat_table *table,
                       const char *kind)
{
    fprintf(to, "NOT EXISTS (SELECT 1 FROM \"%s\" r WHERE ", table->name);
    put_letter(to, engine, "kind");
    fprintf(to, " = '%s'", kind);
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct leat_column *column = &table->columns[i];
        if (!column->is_key)
            continue;
        bool is_time = column->type == LEAT_COL_TIMESTAMPTZ;
        put_equal(to, engine, column->name, is_time ? "leat_row_ts" : "id");
        if (engine == POSTGRESQL && !is_time)
            fputs(" COLLATE \"C\"", to);
    }
    put_equal(to, engine, "version", "version");
    put_equal(to, engine, "origin", "origin");
    fputc(')', to);
}

/* A late copy that failed says nothing about a record that another copy has stored. Keeps invariant
 * M10 (tests/model). */
static void put_unless_stored(FILE *to, enum engine engine, const struct load *load)
{
    const char *before = " WHERE ";
    for (size_t i = 0; i < load_table_count(load); i++) {
        enum load_role role;
        const struct leat_table *table = load_table(load, i, &role);
        if (role != LOAD_DATA)
            continue;
        fputs(before, to);
        put_not_in(to, engine, table, load_table_kind(load, i));
        before = " AND ";
    }
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

static void put_insert(FILE *to, const struct load *load, const struct leat_table *table,
                       enum load_role role)
{
    fprintf(to, "INSERT INTO \"%s\" AS t (", table->name);
    put_list(to, table, NAMES);
    fputs(") SELECT ", to);
    put_list(to, table, NAMES);
    fprintf(to, " FROM pg_temp.\"leat_in_%s\" l", table->name);
    if (role == LOAD_LETTERS)
        put_unless_stored(to, POSTGRESQL, load);
    put_conflict(to, table, role);
    fputc(';', to);
}

static void put_create(FILE *to, const struct leat_table *table)
{
    fprintf(to,
            "CREATE TEMPORARY TABLE IF NOT EXISTS \"leat_in_%s\" (LIKE \"%s\" INCLUDING DEFAULTS",
            table->name, table->name);
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].is_beside)
            fprintf(to, ", \"%s\" timestamptz", table->columns[i].name);
    fputs(") ON COMMIT DELETE ROWS;", to);
}

/* A text that is being written into memory. */
static FILE *text_open(char **text, size_t *size)
{
    FILE *to = open_memstream(text, size);
    if (!to)
        abort();
    return to;
}

void statements_make(struct statements *self, const struct load *load, size_t number)
{
    enum load_role role;
    const struct leat_table *table = load_table(load, number, &role);
    *self = (struct statements){0};
    size_t size;
    FILE *to = text_open(&self->create, &size);
    put_create(to, table);
    fclose(to);
    if (role == LOAD_DATA) {
        to = text_open(&self->direct, &size);
        put_copy(to, "\"", table);
        fclose(to);
    }
    to = text_open(&self->staged, &size);
    put_copy(to, "pg_temp.\"leat_in_", table);
    put_insert(to, load, table, role);
    fclose(to);
}

void statements_destroy(struct statements *self)
{
    free(self->create);
    free(self->direct);
    free(self->staged);
    *self = (struct statements){0};
}

static void put_origins(FILE *to, const struct gone *gone)
{
    char uuid[ISO_UUID_SIZE];
    for (size_t i = 0; i < gone->n; i++) {
        iso_uuid(gone->items[i].origin, uuid);
        fprintf(to, "%s%.*s", i ? "," : "'{", ISO_UUID_SIZE, uuid);
    }
    fputs("}'::uuid[]", to);
}

static void put_numbers(FILE *to, const struct gone *gone, enum gone_number number)
{
    for (size_t i = 0; i < gone->n; i++)
        fprintf(to, "%s%lld", i ? "," : ", '{", (long long)gone->items[i].numbers[number]);
    fputs("}'::bigint[]", to);
}

/* Arrays, because many thousand constants are read faster so than as a list of values. */
char *statements_gone(const struct gone *gone)
{
    char *text;
    size_t size;
    if (gone->n == 0)
        return NULL;
    FILE *to = text_open(&text, &size);
    fputs("DELETE FROM dead_letters d USING unnest(", to);
    put_origins(to, gone);
    for (enum gone_number number = 0; number < GONE_NUMBERS; number++)
        put_numbers(to, gone, number);
    fputs(") AS g (origin, seq, first, last) WHERE d.origin = g.origin AND d.seq = g.seq"
          " AND d.record BETWEEN g.first AND g.last;",
          to);
    fclose(to);
    return text;
}

char *statements_sqlite(const struct load *load, size_t number)
{
    enum load_role role;
    const struct leat_table *table = load_table(load, number, &role);
    char *text;
    size_t size;
    FILE *to = text_open(&text, &size);
    fprintf(to, "INSERT INTO \"%s\" AS t (", table->name);
    put_list(to, table, NAMES);
    fputs(role == LOAD_LETTERS ? ") SELECT " : ") VALUES (", to);
    put_list(to, table, PLACEHOLDERS);
    if (role == LOAD_LETTERS)
        put_unless_stored(to, SQLITE, load);
    else
        fputc(')', to);
    put_conflict(to, table, role);
    fclose(to);
    return text;
}

const char statements_sqlite_gone[] =
    "DELETE FROM dead_letters WHERE origin = ? AND seq = ? AND record BETWEEN ? AND ?";
