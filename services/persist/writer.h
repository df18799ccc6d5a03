/* A writer is a thread with a session of its own at the store. It is given one load at a time and
 * says when it is done, so that the next load is collected, and perhaps written by another writer,
 * meanwhile. The two sides share nothing but messages; a load belongs to whoever has it. */
#ifndef LEAT_PERSIST_WRITER_H
#define LEAT_PERSIST_WRITER_H

#include "services/persist/triage.h"

struct writer;

/* What became of a load. */
struct writer_result {
    struct load *load;           /* given back; NULL: it was only to look */
    bool done;                   /* all of it is settled or set aside */
    struct leat_error err;       /* else: why the store is away */
    int64_t us;                  /* that it took */
    struct store_counts store;   /* since the writer was opened */
    struct triage_counts triage; /* the same */
};

/* `zmq`: a context for inproc. `name`: its endpoint's, unique in the context. `load` tells the
 * tables (see store_open). Connects, unless `lazy`; *permanent as for a store's check. NULL when
 * the URL is wrong, or when that check failed and trying again cannot help. When the store is only
 * away, `away` is set and a writer is returned. */
struct writer *writer_open(void *zmq, const char *name, const struct store_options *options,
                           const struct load *load, bool lazy, bool *away, struct leat_error *err);

/* Ends the thread, when it has finished what it has (the options' `stopping` shortens that). What
 * it still has is given up; the caller owns the load. */
void writer_close(struct writer **self);

/* Gives it a load to write, or NULL: only to see whether the store answers. Not while it has one.
 */
void writer_give(struct writer *self, struct load *load);

/* Takes the result, if there is one. */
bool writer_take(struct writer *self, struct writer_result *out);

/* The socket that is readable when there is a result. */
void *writer_socket(const struct writer *self);

#endif
