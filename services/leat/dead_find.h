/* Which dead letters a command line means, and how they are read from the store. */
#ifndef LEAT_CLI_DEAD_FIND_H
#define LEAT_CLI_DEAD_FIND_H

#include "services/leat/stored.h"

enum {
    DEAD_KEYS_MAX = 256, /* on one command line */
    DEAD_PARAMS_MAX = 3 * DEAD_KEYS_MAX + 8,
};

/* The columns of dead_find_rows, in this order. */
enum dead_column {
    DEAD_ORIGIN,
    DEAD_SEQ,
    DEAD_RECORD,
    DEAD_KIND,
    DEAD_ID,
    DEAD_STAGE,
    DEAD_CODE,
    DEAD_MESSAGE,
    DEAD_VERSION,
    DEAD_FIRST_SEEN,
    DEAD_LAST_SEEN,
    DEAD_PAYLOAD,
    DEAD_COLUMNS,
};

/* A condition in SQL. */
struct dead_find {
    char *where;
    char *parts; /* the keys' pieces, cut out of a copy */
    const char *params[DEAD_PARAMS_MAX];
    size_t n_params;
    bool restricted; /* it asks for less than all */
};

/* From --code, --stage, --kind, --id and the operands behind the first: keys, [ORIGIN:]SEQ:RECORD,
 * where ORIGIN may be cut short. */
bool dead_find_init(struct dead_find *self, const struct options *options, struct leat_error *err);
void dead_find_end(struct dead_find *self);

/* What matches, oldest first; `limit` 0: all. */
bool dead_find_rows(const struct dead_find *self, struct query *query, uint64_t limit,
                    query_row_fn *each, void *arg, struct leat_error *err);

/* Rows of (stage, code, count) of what matches, most first. */
bool dead_find_counts(const struct dead_find *self, struct query *query, query_row_fn *each,
                      void *arg, struct leat_error *err);

/* "3f2a91bc:12:0", as one gives it back on a command line. */
const char *dead_find_key(const struct query_row *row, char to[64]);

#endif
