/* The file that the journal lives in: its folder, its lock, its LMDB environment, and the room that
 * is reserved in it. Knows nothing of what is stored. */
#ifndef LEAT_INGEST_JOURNAL_FILE_H
#define LEAT_INGEST_JOURNAL_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <lmdb.h>

#include "proto/error.h"

struct journal_file {
    char dir[PATH_MAX]; /* what realpath may write */
    int lock;           /* holds the flock; -1: not locked */
    MDB_env *env;       /* NULL: not open */
    uint64_t page;      /* bytes of a page */
    uint64_t size;      /* bytes of journal.mdb that have their disk, used or reserved */
    uint64_t reserve;   /* bytes kept free behind what is used */
    uint64_t map;       /* bytes that may be mapped while appending is allowed */
    bool wide;          /* it is mapped for deleting only, with the reserve */
};

/* Makes the folder if its parent is there, and locks it; `self` is filled from scratch. On failure
 * nothing is held. */
bool journal_file_lock(struct journal_file *self, const char *dir, struct leat_error *err);

/* Whether the folder has a journal.mdb, of whatever sort. False with err filled if that cannot be
 * told. */
bool journal_file_exists(const struct journal_file *self, bool *exists, struct leat_error *err);

/* Makes journal.mdb under another name, calls `fill` in a transaction to put the first things in,
 * and gives it its name when all of it is on disk: a journal.mdb is always a whole one. */
bool journal_file_create(struct journal_file *self,
                         bool (*fill)(void *context, MDB_txn *txn, struct leat_error *err),
                         void *context, struct leat_error *err);

/* Checks journal.mdb from outside (is it LMDB's, is it as long as its last transaction says) and
 * only then opens and maps it. Needs `map` and `reserve` set. */
bool journal_file_open(struct journal_file *self, struct leat_error *err);

/* Makes sure that `bytes` and the reserve are on disk behind the last used page, so that a commit
 * does not find the disk full. False: the disk (or quota) is full, the reason in err. */
bool journal_file_reserve(struct journal_file *self, uint64_t bytes, struct leat_error *err);

/* Whether pages that are free inside the file would do for `bytes` in values of up to `single`
 * bytes, with half the reserve left for deleting: what a journal on a full disk lives on. Walks the
 * lists of free pages until it has seen enough. `snapshot` is of the last transaction. */
bool journal_file_has_free(const struct journal_file *self, MDB_txn *snapshot, uint64_t bytes,
                           uint64_t single);

/* Gives the map its wide size, which always has the reserve above what is used, or its usual one.
 * No transaction may be active. False: the file may have no map now, and must be closed. */
bool journal_file_widen(struct journal_file *self, bool wide, struct leat_error *err);

/* Closes the environment, keeps the lock. */
void journal_file_close(struct journal_file *self);

/* Gives up the lock. */
void journal_file_unlock(struct journal_file *self);

#endif
