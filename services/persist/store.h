/* The store: where records end. One small interface, two implementations: PostgreSQL (postgres.c)
 * and SQLite (sqlite.c). A store writes a load, or a part of it, in one transaction, and says what
 * went wrong in terms of what can be done about it; triage.c acts on that. */
#ifndef LEAT_PERSIST_STORE_H
#define LEAT_PERSIST_STORE_H

#include "services/persist/load.h"

enum store_outcome {
    STORE_COMMITTED, /* on disk */
    STORE_AGAIN,     /* a deadlock or the like: the same at once */
    STORE_HELD,      /* another session holds one of the keys */
    STORE_ROW,       /* an error that a row may have caused: nothing was written */
    STORE_AWAY,      /* not the rows' fault: keep everything, try again later. It may even be
                        committed (the connection was lost at COMMIT): writing again is safe */
};

enum { STORE_CODE_MAX = 32 };

struct store_failure {
    uint32_t record;           /* the record that is to blame, or UINT32_MAX: not known */
    char code[STORE_CODE_MAX]; /* the SQLSTATE, or SQLite's name of the error */
    char constraint[64];       /* that was broken, or "" */
    struct leat_error error;
};

/* What a store has done since it was opened. */
struct store_counts {
    uint64_t direct, staged; /* transactions by path (SQLite: all are direct) */
    uint64_t conflicts;      /* times that the direct path met a key that was there */
    uint64_t unchanged;      /* rows that were there already, as new or newer */
    uint64_t connects;       /* sessions that were opened */
    uint64_t ended;          /* blocking sessions that were ended */
};

struct store_options {
    const char *url;             /* "sqlite:PATH", or a libpq URL or conninfo */
    int64_t lock_timeout_ms;     /* wait for another session's keys */
    int64_t blocker_age_ms;      /* a leat session that blocks us for longer is ended */
    int64_t timeout_ms;          /* a transaction without any progress is given up */
    int64_t staged;              /* transactions on the staged path after a conflict, at first */
    bool (*stopping)(void *arg); /* long waits end when it says true; may be NULL */
    void *arg;
};

struct store;

struct store_type {
    const char *name; /* "postgresql" */

    /* Opens a session if there is none (applying migrations and checking the tables), and sees that
     * it answers. `permanent` is set true when trying again cannot help: refused, wrong tables. */
    bool (*check)(struct store *self, bool *permanent, struct leat_error *err);

    /* Writes a range of a load in one transaction. `hasty`: wait for locks a tenth of the usual
     * time. On STORE_HELD and STORE_ROW nothing of the range was written. */
    enum store_outcome (*write)(struct store *self, struct load *load, struct load_range range,
                                bool hasty, struct store_failure *failure);

    /* After STORE_ROW for a record alone: does the store take good rows where that record's go
     * right now, on the same connection? Nothing stays. false: then it was not the record's fault.
     */
    bool (*probe)(struct store *self, struct load *load, uint32_t record, struct leat_error *err);

    void (*close)(struct store *self);
};

/* What both implementations begin with. */
struct store {
    const struct store_type *type;
    struct store_counts counts;
};

/* A store that is not connected yet: the first check or write does that. `load` tells the tables.
 * The options' URL and arg must outlive the store. NULL: the URL is wrong. */
struct store *store_open(const struct store_options *options, const struct load *load,
                         struct leat_error *err);

void store_close(struct store **self);

/* The part of a URL behind "sqlite:", or NULL when it is PostgreSQL's. */
const char *store_sqlite_path(const char *url);

/* For store_open alone. */
struct store *postgres_open(const struct store_options *options, const struct load *load,
                            struct leat_error *err);
struct store *sqlite_open(const struct store_options *options, const struct load *load,
                          struct leat_error *err);

#endif
