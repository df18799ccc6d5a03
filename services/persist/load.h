/* A load is what one transaction takes: many batches, and the rows that their records give.
 *
 * Invariants:
 * 1. A record is in exactly one state; only waiting ones are written. Records of one batch have
 *    consecutive numbers, batches in the order in which they came.
 * 2. A record that is a dead letter (`dead`) gives a row of dead_letters and no other row.
 * 3. What is picked for a table is sorted by its key, so that several writers of the same keys
 * never wait for each other in a circle, and of each key only the newest version, compared as
 * (version, origin): an upsert may not meet a key twice.
 * 4. Memory is kept from load to load; rows' values live in their batch's arena. */
#ifndef LEAT_PERSIST_LOAD_H
#define LEAT_PERSIST_LOAD_H

#include "services/persist/catalog.h"
#include "services/persist/letters.h"

enum load_state {
    LOAD_WAITING,
    LOAD_SETTLED, /* committed, as rows or as a dead letter */
    LOAD_ASIDE,   /* given up with its batch: it comes again */
};

struct load_record {
    uint32_t batch; /* number of its batch in the load */
    uint32_t index; /* in the batch */
    enum load_state state;
    const struct leat_value *dead;       /* its row of dead_letters, or NULL */
    const struct letters_key *replay_of; /* the dead letter that it was, or NULL */
};

/* Some of a load's records: those that wait, from `from` to below `to`. */
struct load_range {
    uint32_t from, to;
};

struct load_batch {
    struct leat_batch *batch;
    struct load_range records;
    bool aside;
};

/* Rows picked for one table, with the record that each belongs to. Valid until the next pick from
 * that table. */
struct load_rows {
    const struct leat_value *const *values;
    const uint32_t *records;
    size_t n;
};

/* The first row from `i` on that is of another month than the row before it (of rows sorted by key
 * there are few); rows->n: there is none. `column` has the time. */
size_t load_next_month(const struct load_rows *rows, size_t column, size_t i);

struct load;

/* For the tables of a catalog, which must outlive it. NULL: it makes one of its own, of the tables
 * that need no settings. */
struct load *load_new(const struct catalog *catalog);
void load_destroy(struct load **self); /* with the batches in it */

/* All tables that a load can have rows for: every flow's, and dead_letters. */
size_t load_table_count(const struct load *self);
const struct leat_table *load_table(const struct load *self, size_t table, enum load_role *role);

/* The kind whose flow a table is of; NULL: it is no flow's. */
const char *load_table_kind(const struct load *self, size_t table);

/* Takes a batch over. false: no flow has its kind; then it is still the caller's. `now`: µs, for
 * dead letters. */
bool load_add(struct load *self, struct leat_batch *batch, int64_t now);

/* Number of batches, of records, bytes of the batches' frames, and rows that all tables get. */
size_t load_batches(const struct load *self);
uint32_t load_records(const struct load *self);
size_t load_bytes(const struct load *self);
size_t load_row_count(const struct load *self);

const struct load_batch *load_batch(const struct load *self, size_t batch);
const struct load_record *load_record(const struct load *self, uint32_t record);

/* The range that holds all. */
struct load_range load_all(const struct load *self);

/* How many records of a range wait, and the first of them (or range.to). */
uint32_t load_waiting(const struct load *self, struct load_range range, uint32_t *first);

/* The rows of a range for a table, by the invariants. */
struct load_rows load_pick(struct load *self, size_t table, struct load_range range);

/* Makes a record a dead letter: from now on it gives that row only. */
void load_kill(struct load *self, uint32_t record, const char *code, const char *message,
               int64_t now);

/* The waiting records of a range are committed. */
void load_settle(struct load *self, struct load_range range);

/* Gives a batch up: its waiting records wait no more, and it is not to be acknowledged. false: none
 * of its records waits, nothing is changed. */
bool load_set_aside(struct load *self, size_t batch);

/* How many of a batch's records are in the flow's tables and how many in dead_letters. */
void load_count(const struct load *self, size_t batch, uint32_t *committed, uint32_t *dead);

/* Empties it, destroying the batches. */
void load_clear(struct load *self);

#endif
