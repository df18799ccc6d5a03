/* A table of the store, described once: the check of the schema, the COPY encoder and the SQLite
 * statements follow from it. */
#ifndef LEAT_TABLE_H
#define LEAT_TABLE_H

#include "proto/batch.h"

#include <string.h>

enum leat_column_type {
    LEAT_COL_TEXT,        /* text          SQLite TEXT */
    LEAT_COL_BIGINT,      /* bigint        INTEGER */
    LEAT_COL_BOOL,        /* boolean       INTEGER 0 or 1 */
    LEAT_COL_DOUBLE,      /* double precision  REAL */
    LEAT_COL_TIMESTAMPTZ, /* µs since 1970 timestamptz     TEXT, ISO 8601 UTC with microseconds */
    LEAT_COL_UUID,        /* 16 bytes      TEXT, 8-4-4-4-12 */
    LEAT_COL_JSONB,       /* JSON text     TEXT */
    LEAT_COL_BYTEA,       /* bytea         BLOB */
    LEAT_COL_REALS,       /* real[]        BLOB: float32, little-endian, one after the other */
};

/* One value of a row. Text and bytes belong to the batch the row was made of. The last value of a
 * row may stand for a whole run of columns (see leat_table.run): the i-th of them is the
 * little-endian float64 at run.at + i * run.stride, NaN for NULL. So what was computed in columns
 * is stored from there, without a leat_value for each. */
struct leat_value {
    bool null;
    union {
        struct leat_span bytes; /* TEXT, UUID (16 bytes), JSONB, BYTEA, REALS (as in SQLite) */
        int64_t integer;        /* BIGINT, BOOL, TIMESTAMPTZ */
        double real;            /* DOUBLE */
        struct {
            const uint8_t *at;
            size_t stride; /* bytes */
        } run;
    };
};

struct leat_column {
    const char *name;
    enum leat_column_type type;
    bool nullable;
    bool is_key;    /* part of the primary key */
    bool is_beside; /* a TIMESTAMPTZ that comes with the row and is not stored: conditions of the
                       row's statement look at it */
};

/* Facts about a row that do not come from its record. */
struct leat_row_context {
    const struct leat_batch *batch;
    uint32_t index;
    int64_t version;
    int64_t ingested_at; /* µs: the batch's stamp */
    const struct leat_table *table;
};

struct leat_table {
    const char *name;
    const struct leat_column *columns; /* ended by a NULL name; one is "version", one is "origin" */
    size_t n_columns;

    /* The columns from this one on are DOUBLE and nullable, and share one value; 0: each column has
     * its own. */
    size_t run;

    /* Column whose months (UTC) PostgreSQL partitions the table by, a TIMESTAMPTZ of the key; NULL:
     * not partitioned. */
    const char *monthly;

    /* The columns follow from settings: Leat makes the table, and adds columns to it, when it is
     * opened, instead of by a numbered migration. */
    bool configured;

    /* Rows that an item gives in this table (a text: 1). */
    uint32_t (*rows)(const struct leat_row_context *ctx, const msgpack_object *record);

    /* Fills `values` (rows × leat_table_width, row-major) for an item without an error. Memory from
     * the batch's arena. false: the item cannot be stored, and why (it becomes a dead letter). */
    bool (*fill)(const struct leat_row_context *ctx, const msgpack_object *record,
                 struct leat_value *values, struct leat_batch *arena, char code[32],
                 char message[200]);
};

/* Columns that have a value each, and values that a row has: these, and one for the run. */
static inline size_t leat_table_singles(const struct leat_table *table)
{
    return table->run ? table->run : table->n_columns;
}

/* The place of the column that a table with `monthly` is partitioned by. */
static inline size_t leat_table_month_column(const struct leat_table *table)
{
    size_t column = 0;
    while (strcmp(table->columns[column].name, table->monthly) != 0)
        column++;
    return column;
}

static inline size_t leat_table_width(const struct leat_table *table)
{
    return leat_table_singles(table) + (table->run > 0);
}

#endif
