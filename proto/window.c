#include "proto/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory for records that wait to be sent\n");
        abort();
    }
    return memory;
}

void window_init(struct window *self)
{
    *self = (struct window){.size = 64, .seq = 1};
    self->ring = or_end(calloc(self->size, sizeof self->ring[0]));
}

static void destroy_send(struct send *send)
{
    if (!send)
        return;
    msgpack_sbuffer_destroy(&send->records);
    free(send->numbers);
    free(send);
}

void window_destroy(struct window *self)
{
    for (size_t i = 0; i < self->count; i++)
        destroy_send(window_at(self, i));
    destroy_send(self->spare);
    free(self->ring);
    *self = (struct window){0};
}

struct send *window_new_send(struct window *self)
{
    struct send *send = self->spare;
    self->spare = NULL;
    if (!send) {
        send = or_end(calloc(1, sizeof *send));
        msgpack_sbuffer_init(&send->records);
    }
    return send;
}

void window_free_send(struct window *self, struct send *send)
{
    if (self->spare) {
        destroy_send(send);
        return;
    }
    msgpack_sbuffer records = send->records;
    msgpack_sbuffer_clear(&records);
    *send = (struct send){.records = records, .numbers = send->numbers, .room = send->room};
    self->spare = send;
}

void send_add(struct send *self, const void *record, size_t size, uint64_t number)
{
    if (self->count == self->room) {
        self->room = self->room ? self->room * 2 : 256;
        self->numbers = or_end(realloc(self->numbers, self->room * sizeof self->numbers[0]));
    }
    leat_pack_raw(&self->records, (struct leat_span){record, size});
    self->numbers[self->count++] = number;
}

struct send *window_at(const struct window *self, size_t i)
{
    return self->ring[(self->first + i) & (self->size - 1)];
}

static void grow(struct window *self)
{
    struct send **ring = or_end(calloc(self->size * 2, sizeof ring[0]));
    for (size_t i = 0; i < self->count; i++)
        ring[i] = window_at(self, i);
    free(self->ring);
    self->ring = ring;
    self->size *= 2;
    self->first = 0;
}

void window_push(struct window *self, struct send *send)
{
    if (self->count == self->size)
        grow(self);
    self->ring[(self->first + self->count++) & (self->size - 1)] = send;
    self->bytes += send->records.size;
}

void window_put_out(struct window *self, size_t wire)
{
    struct send *send = window_at(self, self->next++);
    send->out = true;
    send->wire = wire;
    send->times++;
    self->out++;
    self->out_bytes += wire;
}

static void take_in(struct window *self, struct send *send)
{
    if (!send->out)
        return;
    send->out = false;
    self->out--;
    self->out_bytes -= send->wire;
}

bool window_answer(struct window *self, size_t i)
{
    struct send *send = window_at(self, i);
    if (send->answered)
        return false;
    take_in(self, send);
    send->answered = true;
    return true;
}

void window_drop(struct window *self)
{
    while (self->count > 0 && window_at(self, 0)->answered) {
        struct send *send = window_at(self, 0);
        self->bytes -= send->records.size;
        self->first = (self->first + 1) & (self->size - 1);
        self->count--;
        self->seq++;
        if (self->next > 0)
            self->next--;
        window_free_send(self, send);
    }
}

size_t window_rewind(struct window *self, size_t i)
{
    size_t after = 0;
    for (size_t k = i; k < self->next; k++) {
        struct send *send = window_at(self, k);
        after += send->out && k > i;
        take_in(self, send);
    }
    if (i < self->next)
        self->next = i;
    return after;
}
