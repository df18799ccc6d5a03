/* Names of domains: idx and bqx, which are derived from closes, and those that a block may bring
 * ready-made. Each has a table of its own. */
#ifndef LEAT_SERIES_NAMES_H
#define LEAT_SERIES_NAMES_H

#include "proto/wire.h"

enum {
    SERIES_NAMES_MOST = 16,
    SERIES_DOMAIN_NAME_MAX = 32, /* bytes */
    SERIES_IDX = 0,              /* places of the two that there always are */
    SERIES_BQX = 1,
};

struct series_names {
    char items[SERIES_NAMES_MOST][SERIES_DOMAIN_NAME_MAX + 1];
    size_t n;
    bool taken[SERIES_NAMES_MOST]; /* may come ready-made, in a block's columns */
};

/* Reads the setting series.columns, "idx,bqx,spread": names of [a-z0-9_], each once; may be empty.
 * idx and bqx are always among the items, in their places. */
bool series_names_parse(const char *text, struct series_names *out, struct leat_error *err);

/* Its place; SERIES_NAMES_MOST when there is none. */
size_t series_names_find(const struct series_names *self, struct leat_span name);

#endif
