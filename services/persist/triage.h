/* Gets a load into the store, whatever is wrong with parts of it.
 *
 * The rule for any error is: not the row's fault; keep everything. Only a record that alone fails
 * twice with an error that a row can cause, while a known good row is taken over the same
 * connection, becomes a dead letter. A batch whose keys another session holds is set aside (it
 * comes again), and the rest is committed. What is committed is settled at once, so a load that
 * could not be finished goes on from where it was. */
#ifndef LEAT_PERSIST_TRIAGE_H
#define LEAT_PERSIST_TRIAGE_H

#include "services/persist/store.h"
#include "services/runtime/log.h"

/* What triage has done since the start. Begins as all zeros. */
struct triage_counts {
    uint64_t retries;       /* transactions that were tried again at once */
    uint64_t lock_timeouts; /* times that another session's keys were waited for in vain */
    uint64_t set_aside;     /* batches */
    uint64_t buried;        /* records that became dead letters here */
    struct leat_log_site refused_site, aside_site; /* so that thousands do not flood the log */
};

/* true: every record of the load is settled or set aside. false: the store is away, and why; what
 * is settled by then stays so. `now`: µs, for dead letters. */
bool triage_write(struct store *store, struct load *load, int64_t now, struct triage_counts *counts,
                  struct leat_error *err);

#endif
