#include "services/persist/probe.h"

static struct leat_value probe_value(enum leat_column_type type)
{
    static const uint8_t zeros[LEAT_ID_SIZE] = {0}; /* also four reals */
    switch (type) {
    case LEAT_COL_TEXT:
    case LEAT_COL_BYTEA:
        return (struct leat_value){.bytes = {(const uint8_t *)"leat-probe", 10}};
    case LEAT_COL_JSONB:
        return (struct leat_value){.bytes = {(const uint8_t *)"[]", 2}};
    case LEAT_COL_UUID:
    case LEAT_COL_REALS:
        return (struct leat_value){.bytes = {zeros, sizeof zeros}};
    case LEAT_COL_DOUBLE:
        return (struct leat_value){.real = 0};
    case LEAT_COL_BIGINT:
    case LEAT_COL_BOOL:
    case LEAT_COL_TIMESTAMPTZ:
        break;
    }
    return (struct leat_value){.integer = 0};
}

void probe_row(const struct leat_table *table, struct leat_value *values)
{
    static const uint8_t zero[8] = {0};
    size_t own = leat_table_singles(table);
    for (size_t i = 0; i < own; i++)
        values[i] = probe_value(table->columns[i].type);
    if (table->run)
        values[own] = (struct leat_value){.run = {zero, 0}};
}

static void copy_months(struct copy *copy, const struct leat_table *table,
                        const struct load_rows *rows, struct leat_value *values)
{
    size_t column = leat_table_month_column(table);
    for (size_t i = 0; (i = load_next_month(rows, column, i)) < rows->n; i++) {
        values[column].integer = rows->values[i][column].integer;
        copy_row(copy, table, values);
    }
}

void probe_copy(struct copy *copy, const struct leat_table *table, const struct load_rows *rows)
{
    struct leat_value values[table->n_columns];
    probe_row(table, values);
    copy->size = 0;
    copy_begin(copy);
    if (table->monthly)
        copy_months(copy, table, rows, values);
    else
        copy_row(copy, table, values);
    copy_end(copy);
}
