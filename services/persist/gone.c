#include "services/persist/gone.h"

#include "services/persist/room.h"

#include <stdlib.h>

static void add(struct gone *self, const uint8_t *origin, int64_t seq, int64_t record)
{
    self->items = room_for(self->items, &self->room, self->n + 1, sizeof *self->items);
    self->items[self->n++] =
        (struct gone_stretch){.origin = origin, .numbers = {seq, record, record}};
}

static bool is_stored(const struct load_record *it)
{
    return it->state == LOAD_WAITING && !it->dead;
}

/* What other copies of the records may have left. */
static void add_copies(struct gone *self, const struct load *load, struct load_range range)
{
    const struct load_record *last = NULL; /* of the last stretch */
    for (uint32_t i = range.from; i < range.to; i++) {
        const struct load_record *it = load_record(load, i);
        const struct leat_batch_head *head = &load_batch(load, it->batch)->batch->head;
        if (!is_stored(it))
            continue;
        if (last && last->batch == it->batch && last->index + 1 == it->index)
            self->items[self->n - 1].numbers[GONE_LAST] = it->index;
        else
            add(self, head->origin, (int64_t)head->seq, it->index);
        last = it;
    }
}

static void add_replays(struct gone *self, const struct load *load, struct load_range range)
{
    for (uint32_t i = range.from; i < range.to; i++) {
        const struct load_record *it = load_record(load, i);
        if (is_stored(it) && it->replay_of)
            add(self, it->replay_of->origin, it->replay_of->seq, it->replay_of->record);
    }
}

/* Keeps invariant M10 (tests/model). */
void gone_collect(struct gone *self, const struct load *load, struct load_range range)
{
    self->n = 0;
    add_copies(self, load, range);
    add_replays(self, load, range);
}

void gone_destroy(struct gone *self)
{
    free(self->items);
    *self = (struct gone){0};
}
