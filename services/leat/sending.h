/* The work of `leat send`: inputs in, records out, and what became of them. */
#ifndef LEAT_CLI_SENDING_H
#define LEAT_CLI_SENDING_H

#include "services/leat/reader.h"
#include "services/leat/sender.h"

/* What the command line said. */
struct sending_options {
    const char *const *inputs; /* paths; "-" is standard input */
    uint32_t n_inputs;
    const char *kind;
    struct reader_options reading;
    struct sender_options how; /* to, client, until, timeout */
    size_t shown;              /* reasons to print */
    const char *rejects_path;  /* or NULL */
    bool quiet, json;
};

/* Sends all of it and tells how it went; the exit status. */
int sending_run(const struct sending_options *options);

#endif
