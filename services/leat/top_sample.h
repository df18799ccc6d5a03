/* What every stage of every process counts at one moment, from the processes' /metrics. */
#ifndef LEAT_CLI_TOP_SAMPLE_H
#define LEAT_CLI_TOP_SAMPLE_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

enum { TOP_WHERE = 80, TOP_STAGE = 24, TOP_STAGES_MAX = 512 };

enum top_figure {
    /* counters */
    TOP_RECORDS_IN,
    TOP_RECORDS_OUT,
    TOP_BATCHES_IN,
    TOP_BATCHES_OUT,
    TOP_ERRORS,
    TOP_WORK, /* seconds */
    TOP_WAIT_INPUT,
    TOP_WAIT_OUTPUT,
    /* as it is now */
    TOP_OPEN,   /* batches: in flight (ingest), in hand (stages) */
    TOP_OLDEST, /* seconds */
    TOP_READY,  /* 1 or 0 */
    TOP_JOURNAL,
    TOP_JOURNAL_MAX,
    TOP_FIGURES,
};

/* One stage of one process. */
struct top_stage {
    char where[TOP_WHERE]; /* HOST:PORT */
    char name[TOP_STAGE];
    int64_t at_us; /* monotonic */
    double figures[TOP_FIGURES];
};

struct top_sample {
    struct top_stage stages[TOP_STAGES_MAX];
    size_t n;
};

/* Takes in the text of /metrics of the process at `where`; what is not known is passed by. */
void top_sample_read(struct top_sample *self, const char *where, int64_t at_us, const char *text);

/* Asks every process behind HOST:PORT (a name may have several addresses). False: none of them
 * answered as Leat does; the reason is of the last one. */
bool top_sample_ask(struct top_sample *self, const char *address, int64_t until_us,
                    struct leat_error *err);

const struct top_stage *top_sample_find(const struct top_sample *self, const char *where,
                                        const char *name);

#endif
