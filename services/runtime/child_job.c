#include "services/runtime/child_job.h"

#include "services/runtime/log.h"

#include <stdlib.h>
#include <string.h>

/* What stands in a part for a record that is not to be worked on: {record: nil, error: {}}. */
static const uint8_t placeholder[] = "\x82\xa6record\xc0\xa5"
                                     "error\x80";

static bool is_live(const struct job *self, uint32_t i)
{
    return self->batch->items[i].error.size == 0;
}

static uint32_t count_live(const struct job *self, struct job_range range)
{
    uint32_t n = 0;
    for (uint32_t i = range.from; i < range.to; i++)
        n += is_live(self, i);
    return n;
}

static void job_in_parts(struct job *self)
{
    self->in_parts = true;
    self->ranges[0] = (struct job_range){0, self->batch->head.count};
    self->n_ranges = 1;
}

void job_start(struct job *self, struct leat_batch *batch, struct leat_span frame)
{
    *self = (struct job){.batch = batch, .frame = frame};
    self->done.verdict = LEAT_FORWARD;
    if (count_live(self, (struct job_range){0, batch->head.count}) < batch->head.count)
        job_in_parts(self);
}

static void job_done(struct job *self)
{
    self->done.batch = self->batch;
    self->batch = NULL;
    self->state = JOB_DONE;
}

static void write_part(const struct job *self, struct job_range range, msgpack_sbuffer *to)
{
    leat_batch_write_head(&self->batch->head, to);
    for (uint32_t i = 0; i < self->batch->head.count; i++)
        if (i >= range.from && i < range.to && is_live(self, i))
            leat_batch_write_item(&self->batch->items[i], to);
        else
            leat_pack_raw(to, (struct leat_span){placeholder, sizeof placeholder - 1});
}

bool job_request(struct job *self, struct leat_span *bytes, void **owned)
{
    while (self->in_parts && self->n_ranges > 0 &&
           count_live(self, self->ranges[self->n_ranges - 1]) == 0)
        self->n_ranges--;
    if (self->in_parts && self->n_ranges == 0) {
        job_done(self);
        return false;
    }
    self->state = JOB_SENT;
    *owned = NULL;
    *bytes = self->frame;
    if (self->in_parts) {
        msgpack_sbuffer buffer;
        msgpack_sbuffer_init(&buffer);
        write_part(self, self->ranges[self->n_ranges - 1], &buffer);
        *owned = buffer.data;
        *bytes = (struct leat_span){(const uint8_t *)buffer.data, buffer.size};
    }
    return true;
}

static struct leat_span keep(struct leat_batch *batch, struct leat_span bytes)
{
    return bytes.size ? leat_batch_keep(batch, bytes.data, bytes.size) : bytes;
}

/* Takes the findings of a part into the batch. False when the answer is no batch of this size. */
static bool merge(struct job *self, struct leat_span items, struct job_range range)
{
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&self->batch->head, &frame);
    leat_pack_raw(&frame, items);
    struct leat_batch *part = leat_batch_read(
        (struct leat_span){(const uint8_t *)frame.data, frame.size}, frame.data, free, NULL);
    for (uint32_t i = range.from; part && i < range.to; i++)
        if (is_live(self, i)) {
            struct leat_item *mine = &self->batch->items[i];
            mine->result = keep(self->batch, part->items[i].result);
            mine->derived = keep(self->batch, part->items[i].derived);
            mine->error = keep(self->batch, part->items[i].error);
        }
    bool ok = part != NULL;
    leat_batch_destroy(&part);
    return ok;
}

void job_answer(struct job *self, enum leat_verdict verdict, struct leat_span items,
                uint8_t *memory)
{
    if (verdict != LEAT_FORWARD)
        self->done.verdict = LEAT_DROP;
    if (!self->in_parts && verdict == LEAT_FORWARD) {
        self->done.items = memory + (items.data - memory);
        self->done.size = items.size;
        self->done.memory = memory;
        job_done(self);
        return;
    }
    if (self->in_parts && verdict == LEAT_FORWARD) {
        if (!merge(self, items, self->ranges[self->n_ranges - 1]))
            self->done.verdict = LEAT_DROP;
        self->n_ranges--;
    }
    free(memory);
    self->state = JOB_WAITING;
    /* A batch that is dropped in one part comes again as a whole. */
    if (self->done.verdict == LEAT_DROP)
        job_done(self);
}

/* Splits the range so that each half has about half of the live records. */
static void halve(struct job *self, uint32_t live)
{
    struct job_range *range = &self->ranges[self->n_ranges - 1];
    uint32_t middle = range->from;
    for (uint32_t seen = 0; seen < live / 2; middle++)
        seen += is_live(self, middle);
    self->ranges[self->n_ranges++] = (struct job_range){range->from, middle};
    range->from = middle;
}

int64_t job_death(struct job *self, const char *stage, bool timeout, const char *how)
{
    self->state = JOB_WAITING;
    self->deaths++;
    self->timeouts += timeout;
    if (!self->in_parts)
        job_in_parts(self);
    struct job_range range = self->ranges[self->n_ranges - 1];
    uint32_t live = count_live(self, range);
    if (live > 1) {
        halve(self, live);
        return -1;
    }
    /* Alone, but never before in a set that killed: once may have come from outside. */
    if (self->deaths == 1)
        return -1;
    uint32_t blamed = range.from;
    while (!is_live(self, blamed))
        blamed++;
    self->n_ranges--;
    if (timeout)
        leat_batch_fail(self->batch, blamed, stage, "timeout",
                        "this record kept the process that worked on it busy for too long");
    else
        leat_batch_fail(self->batch, blamed, stage, "crashed",
                        "this record ended the process that worked on it: %s", how);
    return blamed;
}

void job_again(struct job *self)
{
    self->state = JOB_WAITING;
    if (!self->in_parts)
        job_in_parts(self);
}

void job_forget(struct job *self)
{
    leat_batch_destroy(&self->batch);
    leat_batch_destroy(&self->done.batch);
    free(self->done.memory);
    *self = (struct job){0};
}
