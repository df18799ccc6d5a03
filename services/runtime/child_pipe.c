#include "services/runtime/child_pipe.h"

#include "proto/batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct child_outgoing {
    struct child_outgoing *next;
    uint8_t head[CHILD_HEAD];
    struct leat_span payload;
    void *owned;
    size_t sent; /* of head and payload */
};

static void *or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory for a frame to or from a child\n");
        abort();
    }
    return memory;
}

void child_head_write(uint8_t head[CHILD_HEAD], enum child_frame type, size_t size)
{
    uint32_t bytes = (uint32_t)size;
    memcpy(head, &bytes, sizeof bytes);
    head[4] = (uint8_t)type;
}

enum child_frame child_head_read(const uint8_t head[CHILD_HEAD], size_t *size)
{
    uint32_t bytes;
    memcpy(&bytes, head, sizeof bytes);
    *size = bytes;
    return (enum child_frame)head[4];
}

/* --- the parent's end ----------------------------------------------------------------------- */

void child_pipe_open(struct child_pipe *self, int fd)
{
    *self = (struct child_pipe){.fd = fd, .last = &self->first};
}

static void outgoing_pop(struct child_pipe *self)
{
    struct child_outgoing *head = self->first;
    self->first = head->next;
    if (!self->first)
        self->last = &self->first;
    free(head->owned);
    free(head);
}

void child_pipe_close(struct child_pipe *self)
{
    while (self->first)
        outgoing_pop(self);
    free(self->memory);
    self->memory = NULL;
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
}

void child_pipe_put(struct child_pipe *self, enum child_frame type, struct leat_span payload,
                    void *owned)
{
    struct child_outgoing *frame = or_end(calloc(1, sizeof *frame));
    child_head_write(frame->head, type, payload.size);
    frame->payload = payload;
    frame->owned = owned;
    *self->last = frame;
    self->last = &frame->next;
}

bool child_pipe_writes(const struct child_pipe *self)
{
    return self->first != NULL;
}

static ssize_t outgoing_send(const struct child_outgoing *frame, int fd)
{
    struct iovec parts[2];
    size_t skip = frame->sent;
    size_t n = 0;
    if (skip < CHILD_HEAD)
        parts[n++] = (struct iovec){(void *)(frame->head + skip), CHILD_HEAD - skip};
    skip = skip < CHILD_HEAD ? 0 : skip - CHILD_HEAD;
    if (skip < frame->payload.size)
        parts[n++] =
            (struct iovec){(void *)(frame->payload.data + skip), frame->payload.size - skip};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool child_pipe_flush(struct child_pipe *self)
{
    while (self->first) {
        ssize_t n = outgoing_send(self->first, self->fd);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        self->first->sent += (size_t)n;
        if (self->first->sent == CHILD_HEAD + self->first->payload.size)
            outgoing_pop(self);
    }
    return true;
}

/* Where the next bytes belong, and how many are missing there. */
static uint8_t *pipe_room(struct child_pipe *self, size_t *missing)
{
    if (self->got < CHILD_HEAD) {
        *missing = CHILD_HEAD - self->got;
        return self->head + self->got;
    }
    *missing = self->size - (self->got - CHILD_HEAD);
    return self->memory + LEAT_BATCH_HEAD_MAX + (self->got - CHILD_HEAD);
}

enum child_read child_pipe_read(struct child_pipe *self, enum child_frame *type,
                                struct leat_span *payload, uint8_t **memory)
{
    for (;;) {
        if (self->got >= CHILD_HEAD && !self->memory) {
            *type = child_head_read(self->head, &self->size);
            if (self->size > CHILD_FRAME_MAX)
                return CHILD_READ_END;
            self->memory = or_end(malloc(LEAT_BATCH_HEAD_MAX + self->size));
        }
        size_t missing;
        uint8_t *room = pipe_room(self, &missing);
        if (missing == 0)
            break;
        ssize_t n = recv(self->fd, room, missing, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return CHILD_READ_NONE;
        if (n <= 0)
            return CHILD_READ_END;
        self->got += (size_t)n;
    }
    *type = child_head_read(self->head, &self->size);
    *payload = (struct leat_span){self->memory + LEAT_BATCH_HEAD_MAX, self->size};
    *memory = self->memory;
    self->memory = NULL;
    self->got = 0;
    return CHILD_READ_FRAME;
}

/* --- the child's end ------------------------------------------------------------------------ */

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

bool child_write(int fd, enum child_frame type, struct leat_span payload)
{
    uint8_t head[CHILD_HEAD];
    child_head_write(head, type, payload.size);
    return write_all(fd, head, sizeof head) && write_all(fd, payload.data, payload.size);
}

static bool read_all(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(fd, data, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

uint8_t *child_read(int fd, enum child_frame *type, size_t *size)
{
    uint8_t head[CHILD_HEAD];
    if (!read_all(fd, head, sizeof head))
        return NULL;
    *type = child_head_read(head, size);
    uint8_t *payload = or_end(malloc(*size + 1));
    if (!read_all(fd, payload, *size)) {
        free(payload);
        return NULL;
    }
    payload[*size] = '\0';
    return payload;
}
