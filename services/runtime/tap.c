#include "services/runtime/tap.h"

#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/runtime/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EVERY_US = 100 * 1000,
    SUBSCRIPTION_MAX = 64,
    HWM = 1,
};

/* Left behind by processes that were killed. */
static void sweep(const char *dir, const char *stage)
{
    DIR *folder = opendir(dir);
    size_t size = strlen(stage);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *name = entry->d_name;
        if (strncmp(name, stage, size) != 0 || name[size] != '.')
            continue;
        long pid = strtol(name + size + 1, NULL, 10);
        if (pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
            unlinkat(dirfd(folder), name, 0);
    }
    if (folder)
        closedir(folder);
}

static bool bind_file(struct tap *self, const char *dir, const char *stage)
{
    char address[TAP_PATH + 8];
    int size = snprintf(self->path, TAP_PATH, "%s/%s.%ld", dir, stage, (long)getpid());
    if (size < 0 || size >= TAP_PATH) {
        self->path[0] = '\0';
        errno = ENAMETOOLONG;
        return false;
    }
    snprintf(address, sizeof address, "ipc://%s", self->path);
    if ((mkdir(dir, 0700) != 0 && errno != EEXIST) || zmq_bind(self->socket, address) != 0)
        return false;
    chmod(self->path, 0600);
    return true;
}

void tap_open(struct tap *self, void *zmq, const char *dir, const char *stage)
{
    int hwm = HWM;
    int64_t most = SUBSCRIPTION_MAX;
    *self = (struct tap){.socket = NULL};
    if (!dir[0] || !(self->socket = zmq_socket(zmq, ZMQ_XPUB)))
        return;
    sweep(dir, stage);
    zmq_setsockopt(self->socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(self->socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
    if (bind_file(self, dir, stage))
        return;
    leat_log(LEAT_WARN, stage, "no_tap", LEAT_S("dir", dir), LEAT_S("reason", strerror(errno)));
    tap_close(self);
}

void tap_close(struct tap *self)
{
    if (self->socket && self->path[0])
        unlink(self->path);
    leat_socket_close(&self->socket, 0);
}

/* It is time, and somebody listens. */
static bool wanted(struct tap *self)
{
    uint8_t subscription[SUBSCRIPTION_MAX];
    int64_t now = self->socket ? leat_monotonic_us() : 0;
    if (!self->socket || now < self->next_us)
        return false;
    self->next_us = now + EVERY_US;
    while (zmq_recv(self->socket, subscription, sizeof subscription, ZMQ_DONTWAIT) > 0)
        self->listeners += subscription[0] ? 1 : -1;
    return self->listeners > 0;
}

void tap_frame(struct tap *self, zmq_msg_t *frame)
{
    zmq_msg_t shared;
    if (!wanted(self) || zmq_msg_init(&shared) != 0)
        return;
    if (zmq_msg_copy(&shared, frame) != 0 || zmq_msg_send(&shared, self->socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&shared);
}

void tap_bytes(struct tap *self, struct leat_span bytes)
{
    if (wanted(self))
        zmq_send(self->socket, bytes.data, bytes.size, ZMQ_DONTWAIT);
}
