/* Which column of a table each field comes from. */
#ifndef LEAT_CLI_COLUMNS_H
#define LEAT_CLI_COLUMNS_H

#include "services/leat/draft.h"
#include "services/leat/rows.h"

struct columns {
    size_t count;          /* columns that every row must have */
    int at[FIELDS_MAX];    /* by field: column from 0, -1: none */
    char names_shown[160]; /* what the table has, for messages */
};

/* From the header's cells, from the names of --columns, or from a number of columns without names
 * (cells NULL). A field's name may also be a column's number, from 1. Fails when the content field
 * or a field that was mapped has no column, or a column that is used stands there twice; `name` is
 * the input's. */
bool columns_find(struct columns *self, const struct fields *fields, const struct leat_span *cells,
                  size_t count, const char *name, struct leat_error *err);

/* Splits "text,labels,id" at its commas into at most ROWS_CELLS_MAX cells; their number. */
size_t columns_split(const char *names, struct leat_span cells[ROWS_CELLS_MAX]);

/* Puts a row's cells into a draft that has been begun. Code: column_count, and those of
 * draft_text. */
bool columns_take(const struct columns *self, struct draft *draft, const struct row *row,
                  struct draft_why *why);

#endif
