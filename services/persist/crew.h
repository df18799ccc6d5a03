/* The writers of one persist, and the loads that they have: each is free, works, or holds a load
 * that it could not write, to be tried again. */
#ifndef LEAT_PERSIST_CREW_H
#define LEAT_PERSIST_CREW_H

#include "services/persist/writer.h"

enum { CREW_MOST = 8 }; /* writers; start more persists for more */

struct crew;

/* `n` writers with a session each (one, whatever `n` is, for SQLite). The first connects now; NULL
 * when trying that again cannot help. `away`: it is only not there yet, and why. */
struct crew *crew_open(const struct store_options *options, const struct catalog *catalog, size_t n,
                       bool *away, struct leat_error *err);

/* Ends the writers and destroys the loads that they have. */
void crew_close(struct crew **self);

/* Hands a load to a free writer and gives an empty one for it; NULL when none is free. `beside`: it
 * is worth a transaction of its own while another writer works; else one waits for the other. */
struct load *crew_give(struct crew *self, struct load *load, bool beside);

/* A result, waiting for it up to `wait_ms`; false: none. Its load, if it was written, is the
 * writer's to be used again: whoever takes the result empties it before the next call. `number`: of
 * the load, counted from 0 as they were handed over. */
bool crew_take(struct crew *self, int wait_ms, struct writer_result *out, uint64_t *number);

/* The number of the earliest load that is not written yet; that of the next one when all are. */
uint64_t crew_earliest(const struct crew *self);

/* Tries all that could not be written again, with another writer where one is free; if there is
 * nothing of that, looks whether the store answers. Only while nobody works. */
void crew_retry(struct crew *self);

/* How many writers work, and how many hold a load that they could not write. */
size_t crew_working(const struct crew *self);
size_t crew_failed(const struct crew *self);

/* Rows and bytes that writers have and that are not committed. */
void crew_weight(const struct crew *self, size_t *rows, size_t *bytes);

/* The sums of what all writers have done. */
void crew_counts(const struct crew *self, struct store_counts *store, struct triage_counts *triage);

#endif
