/* What the command line of `leat send --kind series` says: columns, base, cutting. */
#ifndef LEAT_CLI_SERIES_WORDS_H
#define LEAT_CLI_SERIES_WORDS_H

#include "services/leat/options.h"
#include "services/leat/sending.h"

/* Where the options point to; must not move while they are used. */
struct series_words {
    struct field rows[FIELDS_MAX + 1];
    struct fields_kind kind;
    struct fields fields;
    char names[FIELDS_MAX][64]; /* of domains */
    struct sending_series_options options;
    const char *input; /* the one input of a query */
};

/* Reads them. False: they make no sense. */
bool series_words_read(struct series_words *self, const struct options *o, struct leat_error *err);

/* For another kind: false when an option of series is there. */
bool series_words_absent(const struct options *o, const char *kind, struct leat_error *err);

#endif
