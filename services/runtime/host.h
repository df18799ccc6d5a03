/* What a service tells of itself. Private to the runtime. */
#ifndef LEAT_HOST_H
#define LEAT_HOST_H

#include "services/runtime/service.h"

/* Texts that readers in other threads may hold as long as the process runs. */
struct host_reasons {
    const char *texts[64];
    int n;
};

/* The one copy of a text. When there are too many different ones: "see the log". */
const char *host_reason(struct host_reasons *self, const char *text);
void host_reasons_free(struct host_reasons *self);

#endif
