#include "services/persist/receipts.h"

#include "services/persist/room.h"

#include <stdlib.h>

struct receipt {
    uint64_t load;
    struct leat_batch_head head;
    uint32_t committed, dead;
};

void receipts_destroy(struct receipts *self)
{
    free(self->items);
    *self = (struct receipts){0};
}

/* Those of one load come together; they stand behind all of earlier loads. */
void receipts_add(struct receipts *self, uint64_t load, const struct leat_batch_head *head,
                  uint32_t committed, uint32_t dead)
{
    self->items = room_for(self->items, &self->room, self->n + 1, sizeof *self->items);
    size_t at = self->n++;
    for (; at > 0 && self->items[at - 1].load > load; at--)
        self->items[at] = self->items[at - 1];
    self->items[at] =
        (struct receipt){.load = load, .head = *head, .committed = committed, .dead = dead};
}

/* Keeps invariant M2 (tests/model). */
void receipts_publish(struct receipts *self, struct leat_stage_context *ctx, uint64_t before)
{
    size_t ready = 0;
    for (; ready < self->n && self->items[ready].load < before; ready++) {
        const struct receipt *it = &self->items[ready];
        leat_stage_ack(ctx, &it->head, it->committed, it->dead);
    }
    for (size_t i = ready; i < self->n; i++)
        self->items[i - ready] = self->items[i];
    self->n -= ready;
}
