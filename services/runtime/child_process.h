/* Starting and ending a child process. Private to the runtime. */
#ifndef LEAT_CHILD_PROCESS_H
#define LEAT_CHILD_PROCESS_H

#include "proto/error.h"

#include <stdint.h>
#include <sys/types.h>

/* Starts this program again as `PROGRAM --child STAGE`. *pipe is our end of its socket pair,
 * `metrics_fd` becomes its descriptor 4; it inherits nothing else but stdin, stdout and stderr. */
bool child_process_start(const char *program, const char *stage, int metrics_fd, pid_t *pid,
                         int *pipe, struct leat_error *err);

/* Waits up to `wait_ms` for its end, kills it when that was too long, and says how it ended, e.g.
 * "killed by signal 11 (Segmentation fault)" or "exit status 1". Never fails. */
void child_process_end(pid_t pid, int64_t wait_ms, char *how, size_t size);

#endif
