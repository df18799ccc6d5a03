#include "services/leat/input.h"

#include "services/runtime/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    CHUNK = 64 * 1024,
    IDLE_MS = 20,
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, gzip's header and trailer */
};

struct input {
    char *name;
    int fd;
    struct input_idle idle;
    int64_t idled_us; /* when it was called last */
    bool stopped;
    bool begun;        /* the first bytes were looked at */
    bool gzip;         /* they are gzip's */
    bool inside;       /* in the middle of a gzip member */
    bool ended;        /* read(2) said so */
    uint64_t taken;    /* bytes from read(2) */
    size_t at, filled; /* of `chunk` */
    z_stream z;
    uint8_t chunk[CHUNK];
};

struct input *input_open(const char *path, const struct input_idle *idle, struct leat_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        const char *quote = standard ? "" : "'";
        leat_fail(err, "cannot open %s%s%s: %s", quote, standard ? "standard input" : path, quote,
                  strerror(errno));
        return NULL;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        leat_fail(err, "%s is a directory, not a file", path);
        return NULL;
    }
    struct input *self = calloc(1, sizeof *self);
    char *name = strdup(standard ? "standard input" : path);
    if (!self || !name) {
        close(fd);
        free(self);
        free(name);
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->fd = fd;
    self->name = name;
    self->idled_us = leat_monotonic_us();
    if (idle)
        self->idle = *idle;
    return self;
}

void input_close(struct input **self)
{
    if (!*self)
        return;
    if ((*self)->gzip)
        inflateEnd(&(*self)->z);
    close((*self)->fd);
    free((*self)->name);
    free(*self);
    *self = NULL;
}

static bool go_on(struct input *self, struct leat_error *err)
{
    self->idled_us = leat_monotonic_us();
    if (!self->idle.call || self->idle.call(self->idle.arg))
        return true;
    self->stopped = true;
    return leat_fail(err, "stopped");
}

/* Waits until read(2) has something to say; files always have. A writer that never lets it wait for
 * long would be all that goes on, so time that has passed counts as waiting. */
static bool wait_readable(struct input *self, struct leat_error *err)
{
    if (leat_monotonic_us() - self->idled_us >= IDLE_MS * 1000 && !go_on(self, err))
        return false;
    for (;;) {
        struct pollfd one = {.fd = self->fd, .events = POLLIN};
        int n = poll(&one, 1, self->idle.call ? IDLE_MS : -1);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true; /* poll's errors are read's as well, and read names them */
        if (!go_on(self, err))
            return false;
    }
}

/* Adds what one read(2) gives to the chunk, which has room. */
static bool fill(struct input *self, struct leat_error *err)
{
    if (self->at == self->filled)
        self->at = self->filled = 0;
    for (;;) {
        if (!wait_readable(self, err))
            return false;
        ssize_t n = read(self->fd, self->chunk + self->filled, CHUNK - self->filled);
        if (n > 0) {
            self->filled += (size_t)n;
            self->taken += (uint64_t)n;
            return true;
        }
        if (n == 0) {
            self->ended = true;
            return true;
        }
        if (errno != EINTR && errno != EAGAIN)
            return leat_fail(err, "cannot read %s: %s", self->name, strerror(errno));
    }
}

/* Two bytes tell gzip; a pipe may bring them one by one. */
static bool is_gzip(struct input *self, bool *yes, struct leat_error *err)
{
    while (self->filled - self->at < 2 && !self->ended) {
        if (self->at == CHUNK - 1) {
            self->chunk[0] = self->chunk[self->at];
            self->at = 0;
            self->filled = 1;
        }
        if (!fill(self, err))
            return false;
    }
    *yes = self->filled - self->at >= 2 && self->chunk[self->at] == 0x1f &&
           self->chunk[self->at + 1] == 0x8b;
    return true;
}

static bool begin(struct input *self, struct leat_error *err)
{
    bool gzip;
    if (!is_gzip(self, &gzip, err))
        return false;
    if (gzip) {
        if (inflateInit2(&self->z, GZIP_WINDOW) != Z_OK)
            return leat_fail(err, "out of memory");
        self->gzip = self->inside = true;
    }
    self->begun = true;
    return true;
}

static ssize_t read_plain(struct input *self, void *to, size_t size, struct leat_error *err)
{
    if (self->at == self->filled && !self->ended && !fill(self, err))
        return -1;
    size_t n = self->filled - self->at;
    if (n > size)
        n = size;
    memcpy(to, self->chunk + self->at, n);
    self->at += n;
    return (ssize_t)n;
}

/* A gzip file may be several, one behind the other. What follows the last one and is not gzip
 * (padding) is passed over, as gzip itself does. */
static bool next_member(struct input *self, struct leat_error *err)
{
    bool more;
    if (!is_gzip(self, &more, err))
        return false;
    if (more) {
        inflateReset(&self->z);
        self->inside = true;
    } else {
        self->at = self->filled = 0;
        self->ended = true;
    }
    return true;
}

static ssize_t read_gzip(struct input *self, void *to, size_t size, struct leat_error *err)
{
    self->z.next_out = to;
    self->z.avail_out = (uInt)(size < CHUNK ? size : CHUNK);
    uInt room = self->z.avail_out;
    while (self->z.avail_out == room) {
        if (!self->inside) {
            if (self->ended && self->at == self->filled)
                return 0;
            if (!next_member(self, err))
                return -1;
            continue;
        }
        if (self->at == self->filled) {
            if (self->ended) {
                leat_fail(err, "%s is cut short: its gzip data ends in the middle", self->name);
                return -1;
            }
            if (!fill(self, err))
                return -1;
            continue;
        }
        self->z.next_in = self->chunk + self->at;
        self->z.avail_in = (uInt)(self->filled - self->at);
        int rc = inflate(&self->z, Z_NO_FLUSH);
        self->at = self->filled - self->z.avail_in;
        if (rc == Z_STREAM_END) {
            self->inside = false;
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            leat_fail(err, "%s is damaged: %s, in its gzip data before byte %llu", self->name,
                      self->z.msg ? self->z.msg : "not gzip",
                      (unsigned long long)(self->taken - (self->filled - self->at)));
            return -1;
        }
    }
    return (ssize_t)(room - self->z.avail_out);
}

ssize_t input_read(struct input *self, void *to, size_t size, struct leat_error *err)
{
    if (!self->begun && !begin(self, err))
        return -1;
    return self->gzip ? read_gzip(self, to, size, err) : read_plain(self, to, size, err);
}

const char *input_name(const struct input *self)
{
    return self->name;
}

uint64_t input_taken(const struct input *self)
{
    return self->taken;
}

bool input_stopped(const struct input *self)
{
    return self->stopped;
}
