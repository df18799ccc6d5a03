/* Where records came from, by the number that leat_send gave them: what a reason that ingest tells
 * later is about. Neighbouring lines take one entry together, so a file without gaps takes one. */
#ifndef LEAT_CLI_POSITIONS_H
#define LEAT_CLI_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POSITIONS_MAX = 65536 }; /* entries: 2 MB */

struct positions {
    struct position *runs;
    size_t count;
    uint64_t next; /* number of the next record */
};

struct position {
    uint64_t record, line; /* of the first record of the run */
    uint64_t rows;         /* of the input in each of its records */
    uint32_t file;
};

/* False: out of memory. */
bool positions_init(struct positions *self);
void positions_end(struct positions *self);

/* Notes the next record, which began at that line and holds so many rows of the input. When
 * positions_full, everything must be answered and forgotten before. */
void positions_add(struct positions *self, uint32_t file, uint64_t line, uint64_t rows);
bool positions_full(const struct positions *self);

/* Nothing that was added so far will be asked for. */
void positions_forget(struct positions *self);

/* Where a record began, in a run of this one record. False: the record was forgotten. */
bool positions_find(const struct positions *self, uint64_t record, struct position *out);

#endif
