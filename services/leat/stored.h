/* What is in the store, for the commands that show it. */
#ifndef LEAT_CLI_STORED_H
#define LEAT_CLI_STORED_H

#include "services/flows/table.h"
#include "services/leat/options.h"
#include "services/persist/iso.h"
#include "services/persist/query.h"

#include <jansson.h>

/* Opens the store that the command line means. NULL: the reason is in err, and *usage tells whether
 * it is the command line or the settings that are wrong. */
struct query *stored_open(const struct options *options, bool *usage, struct leat_error *err);

/* False: it is a file that is not there, and the reason says what to do. */
bool stored_is_there(const char *url, struct leat_error *err);

/* The value of a column by its place; "" for NULL. */
const char *stored_text(const struct query_row *row, size_t column);
double stored_real(const struct query_row *row, size_t column);
uint64_t stored_count(const struct query_row *row, size_t column);

/* How a column is written as JSON. */
enum stored_type {
    STORED_TEXT,
    STORED_INTEGER,
    STORED_REAL,
    STORED_BOOL,
    STORED_JSON,
    STORED_REALS, /* an array of numbers */
    STORED_NONE,  /* null: the caller writes it */
};

/* How a column of a table is written. */
enum stored_type stored_type_of(enum leat_column_type type);

/* The row as a JSON object, types by column; the caller's. */
json_t *stored_json(const struct query_row *row, const enum stored_type *types);

/* The moment that an option names, as the stores write times; *out NULL when it was not given.
 * False: it is no moment. */
bool stored_moment(const struct options *options, const char *name, char to[ISO_TIME_MAX],
                   const char **out, struct leat_error *err);

/* "2026-01-31T12:00:00.123456Z" as "2026-01-31 12:00:00"; "-" for none. */
const char *stored_time(const char *time, char to[32]);

#endif
