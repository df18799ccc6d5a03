/* Rows in the format of PostgreSQL's COPY … (FORMAT binary), straight from a table's description.
 *
 * The format: an 11-byte signature, flags and the length of a header extension (both 0); for each
 * row the number of its fields (16 bits) and for each field its length (32 bits, -1 for NULL) and
 * bytes; at the end -1 as a number of fields. All numbers are big-endian. Fields are what the
 * types' receive functions take: text, bytea  the bytes                bigint  8 bytes boolean  1
 * byte uuid         16 bytes                 float8  IEEE 754         jsonb    version byte 1 and
 * the text timestamptz  µs since 2000-01-01 UTC, 8 bytes
 */
#ifndef LEAT_PERSIST_COPY_H
#define LEAT_PERSIST_COPY_H

#include "services/flows/table.h"

/* A growing buffer that is used again and again. Begins as all zeros. */
struct copy {
    uint8_t *data;
    size_t size, room;
};

void copy_destroy(struct copy *self);

/* Each appends. A begin, any number of rows, an end: one COPY. */
void copy_begin(struct copy *self);
void copy_row(struct copy *self, const struct leat_table *table, const struct leat_value *values);
void copy_end(struct copy *self);

#endif
