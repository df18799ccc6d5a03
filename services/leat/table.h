/* A table of CSV or TSV whose columns are known: its header is read, its rows follow. */
#ifndef LEAT_CLI_TABLE_H
#define LEAT_CLI_TABLE_H

#include "services/leat/columns.h"
#include "services/leat/reader.h"

struct table;

/* Reads the header, unless the options say that there is none, and finds the columns. `lines` stay
 * the caller's; `name` is the input's. NULL with the reason; a table without a first line is
 * one without rows. */
struct table *table_open(struct lines *lines, enum reader_format format,
                         const struct reader_options *options, const char *name,
                         struct leat_error *err);
void table_close(struct table **self);

/* The next row of data; as rows_next. */
enum rows_result table_next(struct table *self, struct row *row, struct draft_why *why,
                            struct leat_error *err);

/* Where the fields are in a row. */
const struct columns *table_columns(const struct table *self);

/* There was not even a first line. */
bool table_empty(const struct table *self);

#endif
