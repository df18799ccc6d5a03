#include "services/leat/positions.h"

#include <stdlib.h>

bool positions_init(struct positions *self)
{
    *self = (struct positions){.runs = malloc(POSITIONS_MAX * sizeof *self->runs)};
    return self->runs;
}

void positions_end(struct positions *self)
{
    free(self->runs);
    self->runs = NULL;
}

bool positions_full(const struct positions *self)
{
    return self->count == POSITIONS_MAX;
}

void positions_add(struct positions *self, uint32_t file, uint64_t line, uint64_t rows)
{
    uint64_t record = self->next++;
    if (self->count > 0) {
        const struct position *last = &self->runs[self->count - 1];
        if (rows == 1 && last->rows == 1 && last->file == file &&
            last->line + (record - last->record) == line)
            return;
    }
    if (!positions_full(self))
        self->runs[self->count++] =
            (struct position){.record = record, .line = line, .rows = rows, .file = file};
}

void positions_forget(struct positions *self)
{
    self->count = 0;
}

bool positions_find(const struct positions *self, uint64_t record, struct position *out)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (self->runs[middle].record <= record)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || record >= self->next)
        return false;
    const struct position *run = &self->runs[low - 1];
    *out = *run;
    out->record = record;
    out->line += record - run->record;
    return true;
}
