#include "services/runtime/publisher.h"

#include "services/runtime/clock.h"
#include "services/runtime/sockets.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    KEPT = 1024, /* acks that are repeated at most: some 60 KB a publication */
    KEEP_US = 2000000,
    REPEAT_US = 200000,
    RICH_US = 20000, /* between publications with repetitions: thousands of tiny batches a second
                        would otherwise repeat each other a thousand times */
};

struct kept {
    uint8_t run[LEAT_ID_SIZE];
    struct leat_ack ack;
    int64_t at_us;
};

/* A ring: the oldest of `n` acks is at `first`; the last `fresh` were never published. */
struct publisher {
    void *socket;
    struct kept ring[KEPT];
    size_t first, n, fresh;
    int64_t repeated_us;
    struct leat_ack frame[KEPT];
    msgpack_sbuffer buffer;
};

struct publisher *publisher_open(void *zmq, const struct leat_security *security,
                                 const char *address, const char *setting, struct leat_error *err)
{
    struct publisher *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    msgpack_sbuffer_init(&self->buffer);
    self->socket = leat_socket_publisher(zmq, security, address, setting, err);
    if (!self->socket)
        publisher_close(&self, 0);
    return self;
}

static struct kept *publisher_at(struct publisher *self, size_t i)
{
    return &self->ring[(self->first + i) % KEPT];
}

/* Those of one run, from the `from`th on. */
static void publish_run(struct publisher *self, const uint8_t run[LEAT_ID_SIZE], size_t from)
{
    size_t n = 0;
    for (size_t i = from; i < self->n; i++) {
        const struct kept *kept = publisher_at(self, i);
        if (memcmp(kept->run, run, LEAT_ID_SIZE) == 0)
            self->frame[n++] = kept->ack;
    }
    msgpack_sbuffer_clear(&self->buffer);
    leat_acks_write(&self->buffer, run, self->frame, n);
    zmq_send(self->socket, self->buffer.data, self->buffer.size, ZMQ_DONTWAIT);
}

/* One frame for each run among the acks; there is rarely more than one. */
static void publish(struct publisher *self, size_t from)
{
    for (size_t i = from; i < self->n; i++) {
        const uint8_t *run = publisher_at(self, i)->run;
        bool earlier = false;
        for (size_t j = from; j < i && !earlier; j++)
            earlier = memcmp(publisher_at(self, j)->run, run, LEAT_ID_SIZE) == 0;
        if (!earlier)
            publish_run(self, run, from);
    }
    self->fresh = 0;
}

void publisher_add(struct publisher *self, const struct leat_batch_head *head, uint32_t committed,
                   uint32_t dead)
{
    if (self->n == KEPT) {
        if (self->fresh == KEPT) /* the one that makes room must have been heard once */
            publish(self, 0);
        self->first = (self->first + 1) % KEPT;
        self->n--;
    }
    struct kept *kept = publisher_at(self, self->n++);
    *kept = (struct kept){
        .at_us = leat_monotonic_us(),
        .ack = {.seq = head->seq, .attempt = head->attempt, .committed = committed, .dead = dead}};
    memcpy(kept->run, head->run, LEAT_ID_SIZE);
    memcpy(kept->ack.kind, head->kind, sizeof kept->ack.kind);
    self->fresh++;
}

int64_t publisher_turn(struct publisher *self)
{
    int64_t now = leat_monotonic_us();
    while (self->n > self->fresh && now - publisher_at(self, 0)->at_us > KEEP_US) {
        self->first = (self->first + 1) % KEPT;
        self->n--;
    }
    if (self->n == 0)
        return -1;
    int64_t since = now - self->repeated_us;
    if (since >= REPEAT_US || (self->fresh > 0 && since >= RICH_US)) {
        publish(self, 0);
        self->repeated_us = now;
    } else if (self->fresh > 0) {
        publish(self, self->n - self->fresh);
    }
    return (self->repeated_us + REPEAT_US - now) / 1000 + 1;
}

void publisher_close(struct publisher **self, int linger_ms)
{
    if (!*self)
        return;
    if ((*self)->n > 0)
        publish(*self, 0);
    leat_socket_close(&(*self)->socket, linger_ms);
    msgpack_sbuffer_destroy(&(*self)->buffer);
    free(*self);
    *self = NULL;
}
