/* One service of a process, in a thread of its own. Private to the runtime.
 *
 * All calls are the main thread's; `ended` is the only word that the service's thread says, and
 * `status` may be read after it. */
#ifndef LEAT_UNIT_H
#define LEAT_UNIT_H

#include "services/runtime/host.h"

#include <pthread.h>

/* What all units of a process stand on. */
struct unit_ground {
    const struct leat_program *program;
    void *zmq;
    const struct leat_security *security;
    const struct leat_settings *settings; /* copied for each */
    struct leat_metrics *metrics;
    int wake; /* eventfd: written when a service ends */
};

struct unit {
    const struct leat_service *service;
    struct leat_host host;
    struct host_reasons reasons;
    void *orders; /* our end of host.control */
    pthread_t thread;
    int wake;
    bool running; /* started and not joined yet */
    bool told;    /* to drain */
    enum leat_exit status;
    _Atomic bool ended;
};

bool unit_open(struct unit *self, const struct leat_service *service,
               const struct unit_ground *ground, struct leat_error *err);
bool unit_start(struct unit *self, struct leat_error *err);

/* Sends an order; never waits. */
void unit_order(struct unit *self, enum leat_order order, const char *text);

/* Takes an ended thread in. True when it was running until now. */
bool unit_join(struct unit *self);

/* Only after the thread was joined, or never started. */
void unit_close(struct unit *self);

#endif
