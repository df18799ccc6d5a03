#include "services/persist/copy.h"

#include "services/persist/room.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* A length and at most 16 bytes, but for the types that bring their own size. */
enum {
    FIELD_MAX = 4 + 16,
    ARRAY_HEAD = 5 * 4,
    ARRAY_REAL = 4 + 4,
};

static const int64_t EPOCH_2000 = 946684800000000; /* µs from 1970 to 2000 */

void copy_destroy(struct copy *self)
{
    free(self->data);
    *self = (struct copy){0};
}

static uint8_t *reserve(struct copy *self, size_t more)
{
    self->data = room_for(self->data, &self->room, self->size + more, 1);
    return self->data + self->size;
}

static uint8_t *put16(uint8_t *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static uint8_t *put64(uint8_t *at, uint64_t value)
{
    at = put32(at, 8);
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static uint8_t *put_bytes(uint8_t *at, struct leat_span bytes)
{
    at = put32(at, (uint32_t)bytes.size);
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *put_jsonb(uint8_t *at, struct leat_span json)
{
    at = put32(at, (uint32_t)json.size + 1);
    *at++ = 1;
    memcpy(at, json.data, json.size);
    return at + json.size;
}

/* The two ends of the range mean infinity there; what lies beyond what a timestamptz can hold is
 * for the server to refuse. */
static uint8_t *put_time(uint8_t *at, int64_t us)
{
    int64_t since_2000;
    if (__builtin_sub_overflow(us, EPOCH_2000, &since_2000))
        since_2000 = INT64_MIN + 1;
    return put64(at, (uint64_t)since_2000);
}

static uint8_t *put_double(uint8_t *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put64(at, bits);
}

/* One dimension, no NULLs, the type of its elements (pg_type.dat), how many, the first one's
 * number; then each with its length. */
static uint8_t *put_reals(uint8_t *at, struct leat_span reals)
{
    static const uint32_t float4 = 700;
    size_t n = reals.size / sizeof(float);
    at = put32(at, (uint32_t)(ARRAY_HEAD + n * ARRAY_REAL));
    at = put32(at, 1);
    at = put32(at, 0);
    at = put32(at, float4);
    at = put32(at, (uint32_t)n);
    at = put32(at, 1);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, reals.data + i * sizeof bits, sizeof bits);
        at = put32(put32(at, sizeof bits), le32toh(bits));
    }
    return at;
}

/* Bytes that a value takes besides FIELD_MAX. */
static size_t own_size(enum leat_column_type type, const struct leat_value *value)
{
    switch (type) {
    case LEAT_COL_TEXT:
    case LEAT_COL_JSONB:
    case LEAT_COL_BYTEA:
        return value->bytes.size;
    case LEAT_COL_REALS:
        return ARRAY_HEAD + value->bytes.size / sizeof(float) * ARRAY_REAL;
    default:
        return 0;
    }
}

/* Bytes that a row takes at most. */
static size_t row_bound(const struct leat_table *table, const struct leat_value *values)
{
    size_t bound = 2 + table->n_columns * FIELD_MAX, own = leat_table_singles(table);
    for (size_t i = 0; i < own; i++)
        if (!values[i].null)
            bound += own_size(table->columns[i].type, &values[i]);
    return bound;
}

static uint8_t *put_value(uint8_t *at, enum leat_column_type type, const struct leat_value *value)
{
    switch (type) {
    case LEAT_COL_TEXT:
    case LEAT_COL_BYTEA:
    case LEAT_COL_UUID:
        return put_bytes(at, value->bytes);
    case LEAT_COL_JSONB:
        return put_jsonb(at, value->bytes);
    case LEAT_COL_REALS:
        return put_reals(at, value->bytes);
    case LEAT_COL_BIGINT:
        return put64(at, (uint64_t)value->integer);
    case LEAT_COL_TIMESTAMPTZ:
        return put_time(at, value->integer);
    case LEAT_COL_DOUBLE:
        return put_double(at, value->real);
    case LEAT_COL_BOOL:
        at = put32(at, 1);
        *at++ = value->integer != 0;
        return at;
    }
    return at;
}

/* A run of n columns, straight from where they were computed. */
static uint8_t *put_run(uint8_t *at, const struct leat_value *value, size_t n)
{
    const uint8_t *from = value->run.at;
    for (size_t i = 0; i < n; i++, from += value->run.stride) {
        uint64_t bits;
        memcpy(&bits, from, sizeof bits);
        bits = le64toh(bits);
        bool is_nan = (bits & INT64_MAX) > UINT64_C(0x7ff0000000000000);
        at = is_nan ? put32(at, UINT32_MAX) : put64(at, bits);
    }
    return at;
}

void copy_begin(struct copy *self)
{
    static const uint8_t header[19] = "PGCOPY\n\377\r\n"; /* its NUL belongs to it, then 8 more */
    memcpy(reserve(self, sizeof header), header, sizeof header);
    self->size += sizeof header;
}

void copy_row(struct copy *self, const struct leat_table *table, const struct leat_value *values)
{
    uint8_t *begin = reserve(self, row_bound(table, values));
    uint8_t *at = put16(begin, (uint16_t)table->n_columns);
    size_t own = leat_table_singles(table);
    for (size_t i = 0; i < own; i++) {
        if (values[i].null)
            at = put32(at, UINT32_MAX);
        else
            at = put_value(at, table->columns[i].type, &values[i]);
    }
    if (table->run)
        at = put_run(at, &values[own], table->n_columns - own);
    self->size += (size_t)(at - begin);
}

void copy_end(struct copy *self)
{
    put16(reserve(self, 2), UINT16_MAX);
    self->size += 2;
}
