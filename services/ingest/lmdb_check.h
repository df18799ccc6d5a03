/* Whether a file is LMDB's and whole, found out by reading it: LMDB itself believes what is in a
 * file, and a wrong number in it ends the process (SIGBUS, SIGSEGV, abort). */
#ifndef LEAT_INGEST_LMDB_CHECK_H
#define LEAT_INGEST_LMDB_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/error.h"
#include "services/ingest/lmdb_layout.h"

enum lmdb_verdict {
    LMDB_GOOD,
    LMDB_FOREIGN, /* not LMDB's */
    LMDB_OTHER,   /* LMDB's, of another format */
    LMDB_CUT_OFF, /* shorter than its last transaction says; valid as long as the file was made long
                   * before its pages were used, which LMDB alone does not do */
    LMDB_DAMAGED,
    LMDB_UNREAD, /* reading failed */
};

/* Reads the two meta pages of a file of `size` bytes; the newer one into *meta. The reason for
 * anything but LMDB_GOOD in err. */
enum lmdb_verdict lmdb_check_meta(int fd, uint64_t size, struct lmdb_meta *meta,
                                  struct leat_error *err);

/* Reads every page of every tree (not what lies in overflow pages but their heads): every page is
 * where it says and used once, every offset inside its page, every key behind the one before, every
 * leaf at its tree's depth. Memory: a bit a page of the file. */
enum lmdb_verdict lmdb_check_trees(int fd, const struct lmdb_meta *meta, struct leat_error *err);

#endif
