/* Sends dead letters again. */
#ifndef LEAT_CLI_DEAD_REPLAY_H
#define LEAT_CLI_DEAD_REPLAY_H

#include "services/leat/dead_find.h"

/* Sends what matches to --to, waits until it is stored or dead again, says what became of it. The
 * exit status. */
int dead_replay(const struct dead_find *find, struct query *query, const struct options *options);

#endif
