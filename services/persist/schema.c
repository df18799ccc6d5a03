#include "services/persist/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct schema_column *find(const struct schema_column *found, size_t n,
                                        const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(found[i].name, name) == 0)
            return &found[i];
    return NULL;
}

static bool is_described(const struct leat_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return true;
    return false;
}

static bool compare_column(const struct leat_table *table, const struct leat_column *column,
                           const struct schema_column *is,
                           const char *(*type_of)(enum leat_column_type), struct leat_error *err)
{
    const char *type = type_of(column->type);
    if (!is)
        return leat_fail(err, "table %s has no column %s (%s)", table->name, column->name, type);
    if (strcmp(is->type, type) != 0)
        return leat_fail(err, "table %s: column %s has type %s; it must be %s", table->name,
                         column->name, is->type, type);
    if (is->not_null && column->nullable)
        return leat_fail(err, "table %s: column %s must allow NULL", table->name, column->name);
    if (is->is_key != column->is_key)
        return leat_fail(err, "table %s: column %s %s", table->name, column->name,
                         column->is_key ? "must be in the primary key"
                                        : "must not be in the primary key");
    return true;
}

bool schema_compare(const struct leat_table *table, const struct schema_column *found, size_t n,
                    const char *(*type_of)(enum leat_column_type), struct leat_error *err)
{
    if (n == 0)
        return leat_fail(err, "there is no table %s", table->name);
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct leat_column *column = &table->columns[i];
        if (!column->is_beside &&
            !compare_column(table, column, find(found, n, column->name), type_of, err))
            return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!is_described(table, found[i].name) && found[i].not_null && !found[i].has_default)
            return leat_fail(err,
                             "table %s: column %s is not Leat's; it must allow NULL or have a "
                             "default",
                             table->name, found[i].name);
    return true;
}

static void put_column(FILE *to, const struct leat_column *column,
                       const struct schema_engine *engine)
{
    fprintf(to, "\"%s\" %s", column->name, engine->type_of(column->type));
    if (column->is_key && column->type == LEAT_COL_TEXT)
        fputs(engine->collate, to);
    if (!column->nullable)
        fputs(" NOT NULL", to);
}

static void put_create(FILE *to, const struct leat_table *table, const struct schema_engine *engine)
{
    fprintf(to, "CREATE TABLE IF NOT EXISTS \"%s\" (", table->name);
    for (size_t i = 0; i < table->n_columns; i++) {
        put_column(to, &table->columns[i], engine);
        fputs(", ", to);
    }
    const char *before = "PRIMARY KEY (";
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].is_key) {
            fprintf(to, "%s\"%s\"", before, table->columns[i].name);
            before = ", ";
        }
    fputs("))", to);
    if (engine->partitions && table->monthly)
        fprintf(to, " PARTITION BY RANGE (\"%s\")", table->monthly);
    fprintf(to, "%s;", engine->tail);
}

char *schema_missing(const struct leat_table *table, const struct schema_column *found, size_t n,
                     const struct schema_engine *engine)
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        abort();
    if (n == 0)
        put_create(to, table, engine);
    for (size_t i = 0; n > 0 && i < table->n_columns; i++) {
        if (find(found, n, table->columns[i].name))
            continue;
        fprintf(to, "ALTER TABLE \"%s\" ADD COLUMN%s ", table->name, engine->unless_there);
        put_column(to, &table->columns[i], engine);
        fputc(';', to);
    }
    fclose(to);
    if (size > 0)
        return text;
    free(text);
    return NULL;
}
