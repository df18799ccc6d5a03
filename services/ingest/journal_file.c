#include "services/ingest/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first two pages of a file of LMDB's data format 1 (all of LMDB 0.9), on a 64-bit machine.
 * LMDB gives no way to ask for them before it maps the file, and a mapped file that was cut off
 * ends in SIGBUS at the first page that is missing. */
struct lmdb_tree {
    uint32_t pad; /* in the first tree of a meta page: bytes of a page */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct lmdb_meta {
    uint64_t number; /* of this page: 0 or 1 */
    uint16_t pad, flags;
    uint32_t bounds;
    uint32_t magic, version;
    uint64_t address, mapsize;
    struct lmdb_tree free, main;
    uint64_t last_page, txnid;
};

_Static_assert(sizeof(struct lmdb_meta) == 152 && sizeof(size_t) == 8, "LMDB's layout, 64 bit");

enum {
    LMDB_META_FLAG = 0x08,
    LMDB_DEPTH_MAX = 32, /* LMDB's cursors have no more levels */
    DATABASES = 32,      /* six of the journal's and its kinds */
    GROWTH = 4 << 20,
};

static const uint32_t LMDB_MAGIC = 0xBEEFC0DE;
static const uint64_t LMDB_NO_PAGE = UINT64_MAX;
static const char ADVICE[] = "put back a copy of it, or move the folder away to begin with an "
                             "empty journal (what is only in this one is then not delivered)";

static void path_of(const struct journal_file *self, const char *name, char path[4096])
{
    snprintf(path, 4096, "%s/%s", self->dir, name);
}

/* Names move and folders appear on disk only when the folder above is synced. */
static bool folder_sync(const char *path, struct leat_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (!synced)
        leat_fail(err, "cannot sync folder %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return synced;
}

bool journal_file_lock(struct journal_file *self, const char *dir, struct leat_error *err)
{
    memset(self, 0, sizeof *self);
    self->lock = -1;
    if (*dir == '\0' || strlen(dir) >= sizeof self->dir)
        return leat_fail(err, "the journal's folder needs a name of 1 to %zu bytes",
                         sizeof self->dir - 1);
    strcpy(self->dir, dir);
    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return leat_fail(err, "cannot make the journal's folder %s: %s", dir, strerror(errno));

    char path[4096], holder[32] = "";
    path_of(self, "lock", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return leat_fail(err, "cannot open the journal's lock %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = errno;
        ssize_t got = code == EWOULDBLOCK ? pread(fd, holder, sizeof holder - 1, 0) : 0;
        holder[got > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        close(fd);
        if (code != EWOULDBLOCK)
            return leat_fail(err, "cannot lock %s: %s", path, strerror(code));
        return leat_fail(err, "the journal in %s is in use by another ingest%s%s", dir,
                         *holder ? ", process " : "", holder);
    }
    /* For the message above only: the lock is what counts, so a failure here is none. */
    int length = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, holder, (size_t)length, 0) < 0)
        holder[0] = '\0';
    self->lock = fd;
    return true;
}

void journal_file_unlock(struct journal_file *self)
{
    if (self->lock >= 0)
        close(self->lock);
    self->lock = -1;
}

bool journal_file_exists(const struct journal_file *self, bool *exists, struct leat_error *err)
{
    char path[4096];
    struct stat facts;
    path_of(self, "journal.mdb", path);
    *exists = lstat(path, &facts) == 0;
    if (!*exists && errno != ENOENT)
        return leat_fail(err, "cannot look at %s: %s", path, strerror(errno));
    return true;
}

static bool environment_open(struct journal_file *self, const char *path, struct leat_error *err)
{
    int code = mdb_env_create(&self->env);
    if (code != 0) {
        self->env = NULL;
        return leat_fail(err, "cannot make an LMDB environment: %s", mdb_strerror(code));
    }
    /* NOTLS: the snapshot that dispatch reads and the transaction live in one thread.
     * Not WRITEMAP: dirty pages stay private until commit, and a stray write cannot reach the file.
     */
    if ((code = mdb_env_set_maxdbs(self->env, DATABASES)) == 0 &&
        (code = mdb_env_set_mapsize(self->env, self->map)) == 0)
        code = mdb_env_open(self->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0640);
    int fd = -1;
    if (code == 0 && (code = mdb_env_get_fd(self->env, &fd)) == 0 &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) /* LMDB leaves this one to be inherited */
        code = errno;
    if (code == 0)
        return true;
    journal_file_close(self);
    return leat_fail(err, "cannot open %s: %s", path, mdb_strerror(code));
}

void journal_file_close(struct journal_file *self)
{
    if (self->env)
        mdb_env_close(self->env);
    self->env = NULL;
}

/* Never over something that is there, where the file system can promise that. */
static bool name_give(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ||
           (errno == EINVAL && rename(from, to) == 0);
}

bool journal_file_create(struct journal_file *self,
                         bool (*fill)(void *context, MDB_txn *txn, struct leat_error *err),
                         void *context, struct leat_error *err)
{
    char path[4096], draft[4096], draft_lock[4096];
    path_of(self, "journal.mdb", path);
    path_of(self, "journal.new", draft);
    path_of(self, "journal.new-lock", draft_lock);
    /* A draft that is there was left by a process that died making it: we hold the lock. */
    if (unlink(draft) != 0 && errno != ENOENT)
        return leat_fail(err, "cannot remove %s: %s", draft, strerror(errno));
    if (!environment_open(self, draft, err))
        return false;

    MDB_txn *txn = NULL;
    bool done = false;
    int code = mdb_txn_begin(self->env, NULL, 0, &txn);
    if (code != 0)
        leat_fail(err, "cannot write %s: %s", draft, mdb_strerror(code));
    else if (!fill(context, txn, err))
        mdb_txn_abort(txn);
    else if ((code = mdb_txn_commit(txn)) != 0)
        leat_fail(err, "cannot write %s: %s", draft, mdb_strerror(code));
    else
        done = true;
    journal_file_close(self);
    unlink(draft_lock);
    if (done && !name_give(draft, path))
        done = leat_fail(err, "cannot make %s: %s", path, strerror(errno));
    if (!done)
        unlink(draft);
    return done && folder_sync(self->dir, err);
}

/* Reads one meta page; LMDB's own test of it, and what a page of 8 KB or less cannot hide. */
static bool meta_read(int fd, off_t at, struct lmdb_meta *meta)
{
    return pread(fd, meta, sizeof *meta, at) == (ssize_t)sizeof *meta &&
           (meta->flags & LMDB_META_FLAG) && meta->magic == LMDB_MAGIC;
}

static bool tree_fits(const struct lmdb_tree *tree, const struct lmdb_meta *meta)
{
    if (tree->root == LMDB_NO_PAGE)
        return tree->depth == 0;
    return tree->root >= 2 && tree->root <= meta->last_page && tree->depth >= 1 &&
           tree->depth <= LMDB_DEPTH_MAX;
}

/* What LMDB writes: transaction n is in meta page n % 2, n - 1 is in the other. */
static bool metas_agree(const struct lmdb_meta metas[2])
{
    uint64_t newer = metas[0].txnid, older = metas[1].txnid;
    if (newer == 0 && older == 0)
        return true;
    if (newer < older) {
        newer = metas[1].txnid;
        older = metas[0].txnid;
    }
    return newer - older == 1 && metas[newer % 2].txnid == newer;
}

static bool file_check(int fd, const char *path, uint64_t *used, struct leat_error *err)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        return leat_fail(err, "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return leat_fail(err, "%s is not a file: name another folder for the journal", path);

    struct lmdb_meta metas[2];
    uint64_t size = (uint64_t)facts.st_size;
    if (!meta_read(fd, 0, &metas[0]))
        return leat_fail(err,
                         "%s (%" PRIu64
                         " bytes) is not a Leat journal: name another folder for the "
                         "journal, or, if it was one, %s",
                         path, size, ADVICE);
    if (metas[0].version != 1)
        return leat_fail(
            err,
            "%s has LMDB format %u, this program reads format 1: open it with the program "
            "that wrote it, or name another folder for the journal",
            path, metas[0].version);
    uint64_t page = metas[0].free.pad;
    if (page < 512 || page > 65536 || (page & (page - 1)) != 0 ||
        !meta_read(fd, (off_t)page, &metas[1]) || metas[1].version != 1 ||
        metas[1].free.pad != page || !metas_agree(metas))
        return leat_fail(err, "%s is damaged at its very start: %s", path, ADVICE);

    const struct lmdb_meta *meta = &metas[metas[1].txnid > metas[0].txnid];
    if (meta->last_page >= UINT64_MAX / 65536 - 1 || !tree_fits(&meta->free, meta) ||
        !tree_fits(&meta->main, meta))
        return leat_fail(err, "%s is damaged at its very start: %s", path, ADVICE);
    /* LMDB itself may leave the last pages of a file unwritten; here they are there, because they
     * were reserved before they were used. */
    if (size < (meta->last_page + 1) * page)
        return leat_fail(err,
                         "%s is cut off: it has %" PRIu64
                         " bytes, its last transaction needs %" PRIu64 ": %s",
                         path, size, (meta->last_page + 1) * page, ADVICE);
    *used = (meta->last_page + 1) * page;
    return true;
}

bool journal_file_open(struct journal_file *self, struct leat_error *err)
{
    char path[4096];
    path_of(self, "journal.mdb", path);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return leat_fail(err, "cannot open %s: %s", path, strerror(errno));
    /* What lies behind the last page may be a hole (a file that was copied): not reserved yet. */
    bool fits = file_check(fd, path, &self->size, err);
    close(fd);
    if (!fits || !environment_open(self, path, err))
        return false;

    MDB_stat facts;
    int dead, code = mdb_env_stat(self->env, &facts);
    if (code == 0) /* snapshots of tools that were killed would keep pages for ever */
        code = mdb_reader_check(self->env, &dead);
    if (code != 0) {
        journal_file_close(self);
        return leat_fail(err, "cannot open %s: %s", path, mdb_strerror(code));
    }
    self->page = facts.ms_psize;
    self->wide = false;
    return true;
}

static uint64_t bytes_used(const struct journal_file *self)
{
    MDB_envinfo facts;
    mdb_env_info(self->env, &facts);
    return (facts.me_last_pgno + 1) * self->page;
}

/* Takes disk for the file up to `size`. Where a file system cannot, the size alone must do: then it
 * is the commit that finds the disk full, and is undone. */
static int file_extend(int fd, uint64_t from, uint64_t size)
{
    int code;
    do
        code = fallocate(fd, 0, (off_t)from, (off_t)(size - from)) == 0 ? 0 : errno;
    while (code == EINTR);
    if (code == EOPNOTSUPP)
        code = ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
    return code;
}

bool journal_file_reserve(struct journal_file *self, uint64_t bytes, struct leat_error *err)
{
    uint64_t least = bytes_used(self) + bytes + self->reserve;
    if (self->size >= least)
        return true;
    int fd = -1;
    uint64_t size = least + GROWTH; /* a little more, not to come here for every batch */
    mdb_env_get_fd(self->env, &fd);
    int code = file_extend(fd, self->size, size);
    if (code != 0)
        code = file_extend(fd, self->size, size = least);
    if (code != 0)
        return leat_fail(err, "no room to grow %s/journal.mdb to %" PRIu64 " bytes: %s", self->dir,
                         least, strerror(code));
    self->size = size;
    return true;
}

bool journal_file_widen(struct journal_file *self, bool wide, struct leat_error *err)
{
    if (self->wide == wide)
        return true;
    int dead;
    mdb_reader_check(self->env, &dead); /* perhaps it was only a dead tool's snapshot */
    int code = mdb_env_set_mapsize(self->env, wide ? self->map_wide : self->map);
    if (code != 0)
        return leat_fail(err, "cannot map %s/journal.mdb: %s", self->dir, mdb_strerror(code));
    self->wide = wide;
    return true;
}
