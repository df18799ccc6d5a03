/* The reading side of the store: one small interface over PostgreSQL and SQLite, for whoever shows
 * what is in it. A question is an SQL text (or one for each engine) with text parameters; the
 * answer comes row by row, so any number of rows takes little memory. Nothing can be written
 * through it. */
#ifndef LEAT_PERSIST_QUERY_H
#define LEAT_PERSIST_QUERY_H

#include "proto/error.h"

#include <stddef.h>

struct query;

/* Opens the store behind a URL as in the setting store.url: "sqlite:PATH", or "postgresql://…", or
 * any libpq conninfo ("host=/run/postgresql dbname=leat"). Nothing is created. NULL with the
 * reason: no such file, no answer, access refused, or no leat tables in it. */
struct query *query_open(const char *url, struct leat_error *err);

void query_close(struct query **self);

/* "PostgreSQL" or "SQLite". */
const char *query_engine(const struct query *self);

/* A question. Parameters are $1, $2, … in both texts (each may be used several times). `sqlite` may
 * be NULL when the first text does for both. Parameters are text; what they stand for follows from
 * where they are used (PostgreSQL infers it, or write $1::bigint there; for SQLite, CAST). */
struct query_sql {
    const char *postgresql;
    const char *sqlite;
};

/* One row. Valid until the callback returns. Every value is text with a NUL behind it, except
 * bytea/BLOB and real[], which are raw bytes. Written alike for both stores:
 *   booleans   "1" or "0"
 *   times      2026-01-31T12:00:00.123456Z
 *   UUIDs      8-4-4-4-12 in small letters
 *   JSON       JSON text (white space may differ)
 *   real[]     float32, little-endian, one after the other
 *   numbers    float8 in as few digits as give the same number again
 *   NULL       value NULL, size 0 */
struct query_row {
    size_t n;
    const char *const *names;
    const char *const *values;
    const size_t *sizes;
};

/* false ends the query early (which is no error). */
typedef bool query_row_fn(void *arg, const struct query_row *row);

/* Runs one statement. `params` are C strings (NULL: SQL's NULL). false with the reason. `each` may
 * be NULL. A query that reads while persist writes sees one consistent state. */
bool query_run(struct query *self, const struct query_sql *sql, const char *const *params,
               size_t n_params, query_row_fn *each, void *arg, struct leat_error *err);

#endif
