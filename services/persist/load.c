#include "services/persist/load.h"

#include "services/flows/month.h"
#include "services/persist/room.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* A row in the order of its table's key. `prefix` is eight bytes of the key that are different more
 * often than not, so that sorting rarely has to look at the values. */
struct row {
    uint64_t prefix;
    const struct leat_value *values;
    uint32_t record;
};

struct rows_of {
    const struct leat_table *table;
    enum load_role role;
    size_t keys_end;     /* the column behind the last one of the key */
    int version, origin; /* columns; -1: it has none */
    struct row *rows;
    size_t n, room;
    bool sorted;
    const struct leat_value **picked;
    uint32_t *picked_records;
    size_t picked_room, picked_records_room;
};

struct load {
    const struct catalog *catalog;
    struct catalog *own; /* when none was given */
    struct rows_of *tables;
    size_t n_tables;
    struct load_batch *batches;
    size_t n_batches, batches_room;
    struct load_record *records;
    size_t n_records, records_room;
    size_t n_rows;
    size_t bytes;
};

static int column_named(const struct leat_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

static size_t keys_end(const struct leat_table *table)
{
    size_t end = 0;
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].is_key)
            end = i + 1;
    return end;
}

struct load *load_new(const struct catalog *catalog)
{
    struct load *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    if (!catalog)
        catalog = self->own = catalog_open(NULL, NULL);
    self->catalog = catalog;
    self->n_tables = catalog_count(catalog);
    self->tables = calloc(self->n_tables, sizeof *self->tables);
    if (!self->tables)
        abort();
    for (size_t i = 0; i < self->n_tables; i++) {
        enum load_role role;
        const struct leat_table *table = catalog_table(catalog, i, &role);
        self->tables[i] = (struct rows_of){.table = table,
                                           .role = role,
                                           .keys_end = keys_end(table),
                                           .version = column_named(table, "version"),
                                           .origin = column_named(table, "origin")};
    }
    return self;
}

void load_destroy(struct load **self)
{
    struct load *load = *self;
    if (!load)
        return;
    load_clear(load);
    for (size_t i = 0; i < load->n_tables; i++) {
        free(load->tables[i].rows);
        free(load->tables[i].picked);
        free(load->tables[i].picked_records);
    }
    free(load->tables);
    free(load->batches);
    free(load->records);
    catalog_close(&load->own);
    free(load);
    *self = NULL;
}

size_t load_table_count(const struct load *self)
{
    return self->n_tables;
}

const struct leat_table *load_table(const struct load *self, size_t table, enum load_role *role)
{
    *role = self->tables[table].role;
    return self->tables[table].table;
}

const char *load_table_kind(const struct load *self, size_t table)
{
    return catalog_kind(self->catalog, table);
}

static struct rows_of *rows_of(struct load *self, const struct leat_table *table)
{
    struct rows_of *rows = self->tables;
    while (rows->table != table)
        rows++;
    return rows;
}

static void add_row(struct rows_of *to, const struct leat_value *values, uint32_t record)
{
    to->rows = room_for(to->rows, &to->room, to->n + 1, sizeof *to->rows);
    to->rows[to->n++] = (struct row){.values = values, .record = record};
    to->sorted = false;
}

static struct leat_span span_of(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

/* The record as an object; nil when its bytes are none, which the rest takes as "not a map". */
static void unpack_record(struct leat_batch *batch, uint32_t index, msgpack_object *out)
{
    if (!leat_wire_unpack(batch->items[index].record, batch->zone, out, NULL))
        out->type = MSGPACK_OBJECT_NIL;
}

static void bury(struct load *self, uint32_t record, const msgpack_object *object,
                 const struct letters_reason *why, int64_t now)
{
    struct load_record *it = &self->records[record];
    struct leat_batch *batch = self->batches[it->batch].batch;
    it->dead = letters_row(batch, it->index, object, why, now);
    add_row(rows_of(self, &letters_table), it->dead, record);
    self->n_rows++;
}

/* The rows of a record for one table; false: it cannot be stored, and why. */
static bool add_rows(struct load *self, const struct leat_table *table,
                     const struct leat_row_context *ctx, const msgpack_object *object,
                     struct leat_batch *batch, uint32_t record, char code[32], char message[200])
{
    struct leat_row_context of_table = *ctx;
    of_table.table = table;
    size_t width = leat_table_width(table);
    uint32_t n = table->rows(&of_table, object);
    struct leat_value *values = leat_batch_alloc(batch, n * width * sizeof *values);
    if (!table->fill(&of_table, object, values, batch, code, message))
        return false;
    struct rows_of *to = rows_of(self, table);
    for (uint32_t i = 0; i < n; i++)
        add_row(to, values + i * width, record);
    self->n_rows += n;
    return true;
}

static void add_record(struct load *self, const struct leat_table *const *tables,
                       struct leat_batch *batch, uint32_t index, int64_t now)
{
    uint32_t record = (uint32_t)self->n_records;
    self->records =
        room_for(self->records, &self->records_room, self->n_records + 1, sizeof *self->records);
    self->records[self->n_records++] =
        (struct load_record){.batch = (uint32_t)self->n_batches - 1, .index = index};

    msgpack_object object;
    unpack_record(batch, index, &object);
    struct letters_reason why;
    const struct leat_item *item = &batch->items[index];
    if (item->error.size > 0) {
        if (!leat_item_error(item, batch->zone, &why.stage, &why.code, &why.message))
            why = (struct letters_reason){span_of("unknown"), span_of("unknown"),
                                          span_of("its error came malformed")};
        bury(self, record, &object, &why, now);
        return;
    }
    const struct leat_row_context ctx = {.batch = batch,
                                         .index = index,
                                         .version = leat_batch_version(batch, index, &object),
                                         .ingested_at = batch->head.stamp};
    for (const struct leat_table *const *table = tables; *table; table++) {
        char code[32], message[200];
        if (!add_rows(self, *table, &ctx, &object, batch, record, code, message)) {
            load_kill(self, record, code, message, now);
            return;
        }
    }
    self->records[record].replay_of = letters_replay(batch, &object);
}

bool load_add(struct load *self, struct leat_batch *batch, int64_t now)
{
    const struct leat_table *const *tables = catalog_of_kind(self->catalog, batch->head.kind);
    if (!tables)
        return false;
    uint32_t from = (uint32_t)self->n_records, count = batch->head.count;
    self->batches =
        room_for(self->batches, &self->batches_room, self->n_batches + 1, sizeof *self->batches);
    self->batches[self->n_batches++] =
        (struct load_batch){.batch = batch, .records = {from, from + count}};
    for (uint32_t i = 0; i < count; i++)
        add_record(self, tables, batch, i, now);
    self->bytes += batch->bytes;
    return true;
}

size_t load_batches(const struct load *self)
{
    return self->n_batches;
}

uint32_t load_records(const struct load *self)
{
    return (uint32_t)self->n_records;
}

size_t load_bytes(const struct load *self)
{
    return self->bytes;
}

size_t load_row_count(const struct load *self)
{
    return self->n_rows;
}

const struct load_batch *load_batch(const struct load *self, size_t batch)
{
    return &self->batches[batch];
}

const struct load_record *load_record(const struct load *self, uint32_t record)
{
    return &self->records[record];
}

struct load_range load_all(const struct load *self)
{
    return (struct load_range){0, (uint32_t)self->n_records};
}

uint32_t load_waiting(const struct load *self, struct load_range range, uint32_t *first)
{
    uint32_t n = 0;
    *first = range.to;
    for (uint32_t i = range.from; i < range.to; i++)
        if (self->records[i].state == LOAD_WAITING && n++ == 0)
            *first = i;
    return n;
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_bytes(struct leat_span a, struct leat_span b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : compare_u64(a.size, b.size);
}

static bool is_number(enum leat_column_type type)
{
    return type == LEAT_COL_BIGINT || type == LEAT_COL_BOOL || type == LEAT_COL_TIMESTAMPTZ;
}

/* Any order does that all writers share. */
static int compare_keys(const struct rows_of *of, const struct leat_value *a,
                        const struct leat_value *b)
{
    const struct leat_column *columns = of->table->columns;
    int order = 0;
    for (size_t i = 0; i < of->keys_end && order == 0; i++) {
        if (!columns[i].is_key)
            continue;
        if (is_number(columns[i].type))
            order = (a[i].integer > b[i].integer) - (a[i].integer < b[i].integer);
        else
            order = compare_bytes(a[i].bytes, b[i].bytes);
    }
    return order;
}

/* By key, the newest version of each first. */
static int compare_rows(const void *left, const void *right, void *arg)
{
    const struct rows_of *of = arg;
    const struct row *a = left, *b = right;
    int order = compare_u64(a->prefix, b->prefix);
    if (order == 0)
        order = compare_keys(of, a->values, b->values);
    if (order == 0 && of->version >= 0)
        order = (b->values[of->version].integer > a->values[of->version].integer) -
                (b->values[of->version].integer < a->values[of->version].integer);
    if (order == 0 && of->origin >= 0)
        order = compare_bytes(b->values[of->origin].bytes, a->values[of->origin].bytes);
    return order;
}

/* The first bytes that all keys share tell nothing ("goemotions-000…"): the prefix begins behind
 * them. */
static size_t shared_bytes(const struct rows_of *of, size_t column)
{
    struct leat_span first = of->rows[0].values[column].bytes;
    size_t shared = first.size;
    for (size_t i = 1; i < of->n; i++) {
        struct leat_span key = of->rows[i].values[column].bytes;
        size_t n = 0, most = shared < key.size ? shared : key.size;
        while (n < most && key.data[n] == first.data[n])
            n++;
        shared = n;
    }
    return shared;
}

static bool all_equal(const struct rows_of *of, size_t column)
{
    struct leat_span first = of->rows[0].values[column].bytes;
    for (size_t i = 1; i < of->n; i++)
        if (compare_bytes(of->rows[i].values[column].bytes, first) != 0)
            return false;
    return true;
}

static uint64_t bytes_prefix(struct leat_span key, size_t skip)
{
    uint64_t prefix = 0;
    size_t left = key.size - skip;
    memcpy(&prefix, key.data + skip, left < sizeof prefix ? left : sizeof prefix);
    return be64toh(prefix);
}

/* The first column of the key that is not the same in all rows; the last one when all are. (A key's
 * columns lie side by side.) */
static size_t telling_column(const struct rows_of *of)
{
    size_t column = 0;
    while (!of->table->columns[column].is_key)
        column++;
    while (!is_number(of->table->columns[column].type) && column + 1 < of->keys_end &&
           all_equal(of, column))
        column++;
    return column;
}

static void make_prefixes(struct rows_of *of)
{
    size_t column = telling_column(of);
    if (is_number(of->table->columns[column].type)) {
        for (size_t i = 0; i < of->n; i++)
            of->rows[i].prefix = (uint64_t)of->rows[i].values[column].integer ^ (1ULL << 63);
        return;
    }
    size_t skip = shared_bytes(of, column);
    for (size_t i = 0; i < of->n; i++)
        of->rows[i].prefix = bytes_prefix(of->rows[i].values[column].bytes, skip);
}

static void sort_rows(struct rows_of *of)
{
    if (of->sorted || of->n == 0)
        return;
    make_prefixes(of);
    size_t ordered = 1;
    while (ordered < of->n && compare_rows(&of->rows[ordered - 1], &of->rows[ordered], of) <= 0)
        ordered++;
    if (ordered < of->n)
        qsort_r(of->rows, of->n, sizeof *of->rows, compare_rows, of);
    of->sorted = true;
}

static bool same_key(const struct rows_of *of, const struct row *a, const struct row *b)
{
    return a->prefix == b->prefix && compare_keys(of, a->values, b->values) == 0;
}

size_t load_next_month(const struct load_rows *rows, size_t column, size_t i)
{
    if (i == 0 || i >= rows->n)
        return i;
    int32_t month = leat_month(rows->values[i - 1][column].integer);
    int64_t begin = leat_month_begin(month), end = leat_month_begin(month + 1);
    while (i < rows->n && rows->values[i][column].integer >= begin &&
           rows->values[i][column].integer < end)
        i++;
    return i;
}

/* Keeps invariant M3 (tests/model). */
struct load_rows load_pick(struct load *self, size_t table, struct load_range range)
{
    struct rows_of *of = &self->tables[table];
    sort_rows(of);
    of->picked = room_for(of->picked, &of->picked_room, of->n, sizeof *of->picked);
    of->picked_records =
        room_for(of->picked_records, &of->picked_records_room, of->n, sizeof *of->picked_records);
    const struct row *last = NULL;
    size_t n = 0;
    for (size_t i = 0; i < of->n; i++) {
        const struct row *row = &of->rows[i];
        const struct load_record *record = &self->records[row->record];
        if (row->record < range.from || row->record >= range.to || record->state != LOAD_WAITING ||
            (record->dead != NULL) != (of->role == LOAD_LETTERS) ||
            (last && same_key(of, last, row)))
            continue;
        last = row;
        of->picked[n] = row->values;
        of->picked_records[n++] = row->record;
    }
    return (struct load_rows){of->picked, of->picked_records, n};
}

void load_kill(struct load *self, uint32_t record, const char *code, const char *message,
               int64_t now)
{
    const struct load_record *it = &self->records[record];
    struct leat_batch *batch = self->batches[it->batch].batch;
    msgpack_object object;
    unpack_record(batch, it->index, &object);
    /* The reason is the caller's; the row outlives it. */
    const struct letters_reason why = {span_of("persist"),
                                       leat_batch_keep(batch, code, strlen(code)),
                                       leat_batch_keep(batch, message, strlen(message))};
    bury(self, record, &object, &why, now);
}

void load_settle(struct load *self, struct load_range range)
{
    for (uint32_t i = range.from; i < range.to; i++)
        if (self->records[i].state == LOAD_WAITING)
            self->records[i].state = LOAD_SETTLED;
}

bool load_set_aside(struct load *self, size_t batch)
{
    struct load_batch *it = &self->batches[batch];
    bool any = false;
    for (uint32_t i = it->records.from; i < it->records.to; i++)
        if (self->records[i].state == LOAD_WAITING) {
            self->records[i].state = LOAD_ASIDE;
            any = true;
        }
    it->aside |= any;
    return any;
}

void load_count(const struct load *self, size_t batch, uint32_t *committed, uint32_t *dead)
{
    struct load_range range = self->batches[batch].records;
    *dead = 0;
    for (uint32_t i = range.from; i < range.to; i++)
        *dead += self->records[i].dead != NULL;
    *committed = range.to - range.from - *dead;
}

void load_clear(struct load *self)
{
    for (size_t i = 0; i < self->n_batches; i++)
        leat_batch_destroy(&self->batches[i].batch);
    for (size_t i = 0; i < self->n_tables; i++)
        self->tables[i].n = 0;
    self->n_batches = self->n_records = self->n_rows = self->bytes = 0;
}
