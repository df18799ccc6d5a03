/* All services in one process: what `leat run` is, and its children. */
#ifndef LEAT_CLI_EMBEDDED_H
#define LEAT_CLI_EMBEDDED_H

#include "services/runtime/service.h"

extern const struct leat_program embedded_program;

/* Sets what makes one process of the services: their addresses inside the process, the journal and
 * the store in the folder `data`, a cache in memory. Store and cache stay as they are when they
 * were set by anyone. */
bool embedded_settings(struct leat_settings *settings, const char *data, struct leat_error *err);

#endif
