/* Other leat sessions that are in the way: a persist that was stopped in the middle of a COPY holds
 * its keys for as long as its session lives. */
#ifndef LEAT_PERSIST_BLOCKERS_H
#define LEAT_PERSIST_BLOCKERS_H

#include "services/persist/connection.h"

/* Ends the sessions that block the server process `pid`, that are of the same role, database and
 * application_name as ours, and whose transaction is older than `age_ms`. Asks over a connection of
 * its own, because the blocked one waits. Returns how many were ended, each logged; problems are
 * logged too. */
int blockers_end(const struct connection_options *options, int pid, int64_t age_ms);

#endif
