#include "services/runtime/worker.h"

#include "services/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void child_ready(void *owner, bool ready, const char *reason)
{
    leat_stage_ready(((struct worker *)owner)->ctx, ready, reason);
}

static void child_side(void *owner, struct leat_span bytes)
{
    leat_stage_side(((struct worker *)owner)->ctx, bytes);
}

bool worker_open(struct worker *self, const struct leat_stage *stage, struct leat_host *host,
                 struct leat_stage_context *ctx, struct stage_counts *counts,
                 struct leat_error *err)
{
    *self = (struct worker){.stage = stage, .ctx = ctx, .counts = counts};
    if (!stage->isolated || !leat_settings_bool(host->settings, "child.enabled"))
        return stage->open(&self->self, ctx, err);
    const struct leat_child_events events = {
        .owner = self, .ready = child_ready, .side = child_side};
    self->child = leat_child_open(stage, host, &events, err);
    return self->child != NULL;
}

bool worker_is_opening(const struct worker *self)
{
    return self->child && leat_child_is_opening(self->child);
}

bool worker_opened(const struct worker *self, struct leat_error *err)
{
    return !self->child || leat_child_opened(self->child, err);
}

bool worker_wants(const struct worker *self)
{
    return self->child ? leat_child_wants(self->child) : !self->has_done;
}

static uint32_t errors_in(const struct leat_batch *batch)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < batch->head.count; i++)
        n += batch->items[i].error.size > 0;
    return n;
}

void worker_give(struct worker *self, struct leat_batch *batch, struct leat_span frame)
{
    if (self->child) {
        leat_child_give(self->child, batch, frame);
        return;
    }
    uint32_t before = errors_in(batch);
    enum leat_verdict verdict = self->stage->batch(self->self, batch);
    if (verdict == LEAT_TAKEN)
        return;
    leat_metric_inc(self->counts->errors, errors_in(batch) - before);
    self->done = (struct leat_done){.verdict = verdict, .batch = batch};
    self->has_done = true;
}

bool worker_take(struct worker *self, struct leat_done *out)
{
    if (self->child)
        return leat_child_take(self->child, out);
    if (!self->has_done)
        return false;
    *out = self->done;
    self->has_done = false;
    return true;
}

int worker_in_hand(const struct worker *self)
{
    return self->child ? leat_child_in_hand(self->child) : self->has_done;
}

int worker_items(const struct worker *self, zmq_pollitem_t items[1])
{
    return self->child ? leat_child_items(self->child, items) : 0;
}

int64_t worker_turn(struct worker *self, bool idle)
{
    if (self->child)
        return leat_child_turn(self->child);
    return self->stage->tick ? self->stage->tick(self->self, idle) : -1;
}

void worker_side(struct worker *self, struct leat_span frame)
{
    if (self->self)
        self->stage->side(self->self, frame);
}

void worker_reload(struct worker *self, const struct leat_settings *fresh)
{
    if (self->child)
        leat_child_reload(self->child, fresh);
    else if (self->stage->reload)
        self->stage->reload(self->self, fresh);
}

bool worker_drain(struct worker *self)
{
    return self->child || !self->stage->drain || self->stage->drain(self->self);
}

void worker_close(struct worker *self)
{
    enum { CHILD_WAIT_MS = 2000 };
    struct leat_done done;
    while (worker_take(self, &done))
        worker_forget(&done);
    if (self->child)
        leat_child_close(&self->child, CHILD_WAIT_MS);
    else if (self->self)
        self->stage->close(&self->self);
}

static void free_memory(void *data, void *hint)
{
    free(hint ? hint : data);
}

static void frame_of(zmq_msg_t *out, void *data, size_t size, void *memory)
{
    if (zmq_msg_init_data(out, data, size, free_memory, memory) != 0) {
        fprintf(stderr, "leat: out of memory for a frame\n");
        abort();
    }
}

void worker_frame(struct leat_done *done, const char *next, zmq_msg_t *out)
{
    struct leat_batch *batch = done->batch;
    msgpack_sbuffer buffer;
    snprintf(batch->head.stage, sizeof batch->head.stage, "%s", next);
    msgpack_sbuffer_init(&buffer);
    if (done->items) {
        /* The head goes right before the items, in the room that was left for it. */
        leat_batch_write_head(&batch->head, &buffer);
        uint8_t *start = done->items - buffer.size;
        memcpy(start, buffer.data, buffer.size);
        frame_of(out, start, buffer.size + done->size, done->memory);
        msgpack_sbuffer_destroy(&buffer);
    } else {
        leat_batch_write(batch, &buffer);
        frame_of(out, buffer.data, buffer.size, NULL);
    }
    leat_batch_destroy(&done->batch);
}

void worker_forget(struct leat_done *done)
{
    leat_batch_destroy(&done->batch);
    free(done->memory);
    done->memory = NULL;
}
