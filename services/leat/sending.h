/* The work of `leat send`: inputs in, records out, and what became of them. */
#ifndef LEAT_CLI_SENDING_H
#define LEAT_CLI_SENDING_H

#include "services/leat/reader.h"
#include "services/leat/sender.h"

/* How time series are read and cut; the reading's fields are the time and the values. */
struct sending_series_options {
    const char *series; /* the name; NULL: the file's name without endings, in capitals */
    double base;        /* 0: the first value */
    bool has_after;     /* only rows later than `after` are sent */
    int64_t after;      /* microseconds since 1970 */
    bool start;         /* with has_after: the series begins with the file all the same */
    bool monthly;
    bool columns;         /* the values are domains ready-made, not closes */
    const char *conninfo; /* NULL: files */
    const char *query;
};

/* What the command line said. */
struct sending_options {
    const char *const *inputs; /* paths; "-" is standard input; or one name for the query */
    uint32_t n_inputs;
    const char *kind;
    struct reader_options reading;
    const struct sending_series_options *series; /* NULL: records are lines */
    struct sender_options how;                   /* to, client, until, timeout */
    size_t shown;                                /* reasons to print */
    const char *rejects_path;                    /* or NULL */
    bool quiet, json;
};

/* Sends all of it and tells how it went; the exit status. */
int sending_run(const struct sending_options *options);

#endif
