/* A service is what a process or a thread of `leat run` runs: a stage behind an inbox, or ingest.
 *
 * leat_main is the whole main of a single service's program:
 *
 *     int main(int argc, char **argv)
 *     {
 *         return leat_main(argc, argv, &program);
 *     }
 */
#ifndef LEAT_SERVICE_H
#define LEAT_SERVICE_H

#include "services/runtime/security.h"
#include "services/runtime/stage.h"

#include <stdatomic.h>

/* Exit statuses of every program. */
enum leat_exit {
    LEAT_EXIT_OK = 0,       /* drained: nothing left in flight */
    LEAT_EXIT_FAILED = 1,   /* something is not safe, or could not be done */
    LEAT_EXIT_USAGE = 2,    /* wrong words on the command line or in settings */
    LEAT_EXIT_DEADLINE = 3, /* the drain's deadline passed; the rest is safe in the journal */
};

/* What a service is told while it runs: the first byte of a message on its control socket (PAIR).
 */
enum leat_order {
    LEAT_ORDER_DRAIN = 'd', /* stop taking, finish, return; the ms that are left for it follow as
                               decimal digits */
    LEAT_ORDER_STOP = 's',  /* return now */
    LEAT_ORDER_RELOAD =
        'r', /* the new settings follow in the same message, as leat_settings_dump */
};

enum leat_state { LEAT_STARTING, LEAT_READY, LEAT_NOT_READY, LEAT_DRAINING, LEAT_ENDED };

/* A running service's surroundings. Made by the process, one for each service; fields are set
 * before the service's thread starts and not changed by others, but for the atomics. */
struct leat_host {
    const char *name;                     /* of the service */
    void *zmq;                            /* the process' context */
    const struct leat_security *security; /* for every socket of this context; NULL: none */
    void *control;                        /* PAIR: orders come in, nothing goes out */
    struct leat_settings *settings;       /* this service's own copy */
    struct leat_metrics *metrics;
    _Atomic int state;            /* enum leat_state */
    _Atomic bool stopping;        /* LEAT_ORDER_STOP was given */
    _Atomic(const char *) reason; /* why not ready: a constant string, or NULL */
    int64_t drain_ms;             /* how long a drain may take at most */
    const struct leat_program *program;
    struct host_reasons *reasons; /* the runtime's own */
};

struct leat_service {
    const char *name;
    const char *help;
    const struct leat_setting *settings;
    const struct leat_stage
        *stage;         /* a stage behind an inbox: run by the stage loop; or NULL and */
    const char *admits; /* the folder of keys that may connect (security.h); NULL: "services" */

    /* runs until an order ends it; the exit status. Logs its own errors. Sets host->state. */
    enum leat_exit (*run)(struct leat_host *host);
};

/* What the runtime must know of flows. The program tells it, so that nothing here depends on them.
 */
struct leat_routes {
    /* Name of the i-th kind; NULL after the last. */
    const char *(*kind)(size_t i);

    /* false: no such kind, or the stage has no part in it. *next: the stage that comes after
     * `stage`, NULL after the last one. */
    bool (*next)(const char *kind, const char *stage, const char **next);

    /* The largest frame that a kind's batches may have between stages. */
    size_t (*max_frame)(const char *kind, const struct leat_settings *settings);
};

/* A program: which services it runs, and what it knows. */
struct leat_program {
    const char *name; /* "leat-persist" */
    const char *version;
    const struct leat_service *const *services; /* run in this order, drained in this order; also
                                                   what --child NAME may name; ended by NULL */
    const struct leat_routes *routes;           /* services/routes.h */
    const struct leat_setting *const *tables;   /* every table there is (services/tables.h): all
                                                   programs read the same file and environment */

    /* Called once, in the process' main thread, when all services have become ready; may be NULL.
     */
    void (*ready)(const struct leat_settings *settings);
};

/* Parses --config FILE, --set NAME=VALUE, --help, --version, --child; loads settings; runs. */
int leat_main(int argc, char **argv, const struct leat_program *program);

/* The same with settings that are complete already (`leat run`). Blocks until a signal has drained
 * it. Takes over the settings. */
int leat_process_run(const struct leat_program *program, struct leat_settings *settings,
                     const char *config_path);

/* The runtime's own rows: log, http, drain, child, peers, sockets. */
extern const struct leat_setting leat_runtime_settings[];

#endif
