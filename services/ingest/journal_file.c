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

#include "services/ingest/lmdb_check.h"

enum {
    PATH_BYTES = 4096 + 32,
    DATABASES = 32,   /* six of the journal's and its kinds */
    FIRST = 64 << 10, /* more than an empty journal takes */
    GROWTH = 4 << 20, /* the file grows by this and what is asked for */
};

static const char ADVICE[] = "put back a copy of it, or move the folder away to begin with an "
                             "empty journal (what is only in this one is then not delivered)";

static void path_of(const struct journal_file *self, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", self->dir, name);
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
    char path[PATH_BYTES], holder[32] = "";
    bool made = mkdir(dir, 0750) == 0;
    if (!made && errno != EEXIST)
        return leat_fail(err, "cannot make the journal's folder %s: %s", dir, strerror(errno));
    if (!realpath(dir, self->dir))
        return leat_fail(err, "cannot find the journal's folder %s: %s", dir, strerror(errno));
    path_of(self, "..", path);
    if (made && !folder_sync(path, err))
        return false;

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
    char path[PATH_BYTES];
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
    MDB_stat facts;
    int fd = -1;
    if (code == 0 && (code = mdb_env_get_fd(self->env, &fd)) == 0 &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) /* LMDB leaves this one to be inherited */
        code = errno;
    if (code == 0)
        code = mdb_env_stat(self->env, &facts);
    if (code == 0) {
        self->page = facts.ms_psize;
        self->wide = false;
        return true;
    }
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
    char path[PATH_BYTES], draft[PATH_BYTES], draft_lock[PATH_BYTES];
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
    self->size = 0;
    int code = mdb_txn_begin(self->env, NULL, 0, &txn);
    if (code != 0)
        leat_fail(err, "cannot write %s: %s", draft, mdb_strerror(code));
    else if (!journal_file_reserve(self, FIRST, err) || !fill(context, txn, err))
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

/* Says what lmdb_check found in terms of the journal, with what to do about it. */
static bool verdict_tell(const char *path, enum lmdb_verdict verdict,
                         const struct leat_error *found, struct leat_error *err)
{
    switch (verdict) {
    case LMDB_FOREIGN:
        return leat_fail(
            err, "%s is not a Leat journal (%s): name another folder, or, if it was one, %s", path,
            found->text, ADVICE);
    case LMDB_OTHER:
        return leat_fail(
            err, "%s has %s: open it with the program that wrote it, or name another folder", path,
            found->text);
    case LMDB_CUT_OFF:
        return leat_fail(err, "%s is cut off (%s): %s", path, found->text, ADVICE);
    case LMDB_DAMAGED:
        return leat_fail(err, "%s is damaged (%s): %s", path, found->text, ADVICE);
    case LMDB_UNREAD:
    case LMDB_GOOD:
        break;
    }
    return leat_fail(err, "%s: %s", path, found->text);
}

static bool file_check(int fd, const char *path, uint64_t *used, struct leat_error *err)
{
    struct stat facts;
    struct lmdb_meta meta;
    struct leat_error found;
    if (fstat(fd, &facts) != 0)
        return leat_fail(err, "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return leat_fail(err, "%s is not a file: name another folder for the journal", path);
    enum lmdb_verdict verdict = lmdb_check_meta(fd, (uint64_t)facts.st_size, &meta, &found);
    if (verdict == LMDB_GOOD)
        verdict = lmdb_check_trees(fd, &meta, &found);
    if (verdict != LMDB_GOOD)
        return verdict_tell(path, verdict, &found, err);
    *used = (meta.last_page + 1) * meta.free.pad;
    return true;
}

bool journal_file_open(struct journal_file *self, struct leat_error *err)
{
    char path[PATH_BYTES];
    path_of(self, "journal.mdb", path);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return leat_fail(err, "cannot open %s: %s", path, strerror(errno));
    /* What lies behind the last used page may be a hole (in a file that was copied): it counts as
     * not reserved. */
    bool fits = file_check(fd, path, &self->size, err);
    close(fd);
    if (!fits || !environment_open(self, path, err))
        return false;

    int dead; /* snapshots of tools that were killed would keep pages for ever */
    int code = mdb_reader_check(self->env, &dead);
    if (code != 0) {
        journal_file_close(self);
        return leat_fail(err, "cannot open %s: %s", path, mdb_strerror(code));
    }
    return true;
}

static uint64_t bytes_used(const struct journal_file *self)
{
    MDB_envinfo facts;
    mdb_env_info(self->env, &facts);
    return (facts.me_last_pgno + 1) * self->page;
}

/* Takes disk for the file up to `size`. Where a file system cannot, the length alone must do: then
 * it is the commit that finds the disk full, and is undone. */
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
    const uint64_t used = bytes_used(self), least = used + bytes + self->reserve;
    if (self->size >= least)
        return true;
    int fd = -1;
    uint64_t size = least + GROWTH; /* a little more, not to come here for every batch */
    mdb_env_get_fd(self->env, &fd);
    int code = file_extend(fd, self->size, size);
    if (code != 0)
        code = file_extend(fd, self->size, size = least);
    if (code == 0) {
        self->size = size;
        return true;
    }
    return leat_fail(err, "no room to grow %s/journal.mdb to %" PRIu64 " bytes: %s", self->dir,
                     least, strerror(code));
}

/* Adds up a list of free pages (a count, then that many numbers, falling): all of them, and those
 * in runs of at least `run`, in whole ones. */
static void free_list_count(const MDB_val *list, uint64_t run, uint64_t *all, uint64_t *in_runs)
{
    const uint8_t *numbers = list->mv_data;
    uint64_t count, before = 0, length = 0, number;
    memcpy(&count, numbers, sizeof count);
    for (uint64_t i = 1; i <= count && (i + 1) * sizeof number <= list->mv_size; i++) {
        memcpy(&number, numbers + i * sizeof number, sizeof number);
        length = number + 1 == before ? length + 1 : 1;
        before = number;
        *all += 1;
        *in_runs += length % run == 0 ? run : 0;
    }
}

bool journal_file_has_free(const struct journal_file *self, MDB_txn *snapshot, uint64_t bytes,
                           uint64_t single)
{
    const uint64_t used = bytes_used(self), behind = self->size > used ? self->size - used : 0;
    const uint64_t run = (single + 2 * self->page - 1) / self->page; /* with the head of a page */
    uint64_t all = 0, in_runs = 0, freed_by;
    MDB_cursor *cursor = NULL;
    MDB_val key, list;
    bool enough = false;
    if (mdb_cursor_open(snapshot, 0, &cursor) != 0) /* LMDB's tree of free pages */
        return false;
    while (!enough && mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0) {
        memcpy(&freed_by, key.mv_data, sizeof freed_by);
        if (freed_by >= mdb_txn_id(snapshot)) /* the next transaction may not use these yet */
            break;
        free_list_count(&list, run, &all, &in_runs);
        enough =
            in_runs * self->page >= bytes && all * self->page + behind >= bytes + self->reserve / 2;
    }
    mdb_cursor_close(cursor);
    return enough;
}

bool journal_file_widen(struct journal_file *self, bool wide, struct leat_error *err)
{
    if (self->wide == wide)
        return true;
    const uint64_t used = bytes_used(self), map = self->map > used ? self->map : used;
    int dead;
    mdb_reader_check(self->env, &dead); /* perhaps it was only a dead tool's snapshot */
    int code = mdb_env_set_mapsize(self->env, wide ? map + self->reserve : map);
    if (code != 0)
        return leat_fail(err, "cannot map %s/journal.mdb: %s", self->dir, mdb_strerror(code));
    self->wide = wide;
    return true;
}
