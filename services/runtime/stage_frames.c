#include "services/runtime/stage_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

void stage_frames_open(struct stage_frames *self, const char *stage,
                       const struct leat_routes *routes, struct stage_counts *counts)
{
    *self = (struct stage_frames){.stage = stage, .routes = routes, .counts = counts};
}

void stage_frames_drop(struct stage_frames *self, enum stage_drop why,
                       const struct leat_batch_head *head, const char *reason)
{
    uint64_t suppressed = 0;
    leat_metric_inc(self->counts->dropped[why], 1);
    if (!leat_log_allow(&self->sites[why], &suppressed))
        return;
    if (head)
        leat_log(LEAT_WARN, self->stage, "frame_dropped", LEAT_S("reason", reason),
                 LEAT_S("for", head->stage), LEAT_S("kind", head->kind), LEAT_I("seq", head->seq),
                 LEAT_I("suppressed", suppressed));
    else
        leat_log(LEAT_WARN, self->stage, "frame_dropped", LEAT_S("reason", reason),
                 LEAT_I("suppressed", suppressed));
}

static void message_free(void *message)
{
    zmq_msg_close(message);
    free(message);
}

/* A batch is one frame: of a message in parts, none is one. True when it was such a message. */
static bool frames_skip_parts(void *inbox, zmq_msg_t *message)
{
    bool parts = false;
    while (zmq_msg_more(message)) {
        parts = true;
        if (zmq_msg_recv(message, inbox, ZMQ_DONTWAIT) < 0)
            break;
    }
    return parts;
}

/* The batch, if it is one for this stage. Takes the message over. */
static struct leat_batch *frames_judge(struct stage_frames *self, zmq_msg_t *message,
                                       struct leat_span frame)
{
    struct leat_error err;
    const char *next;
    struct leat_batch *batch = leat_batch_read(frame, message, message_free, &err);
    if (!batch) {
        stage_frames_drop(self, DROP_UNDECODABLE, NULL, err.text);
        return NULL;
    }
    if (strcmp(batch->head.stage, self->stage) != 0)
        stage_frames_drop(self, DROP_STAGE, &batch->head, "it is for another stage");
    else if (!self->routes->next(batch->head.kind, self->stage, &next))
        stage_frames_drop(self, DROP_KIND, &batch->head, "its kind does not pass this stage");
    else
        return batch;
    leat_batch_destroy(&batch);
    return NULL;
}

bool stage_frames_read(struct stage_frames *self, void *inbox, struct leat_batch **batch,
                       struct leat_span *frame)
{
    zmq_msg_t *message = malloc(sizeof *message);
    if (!message) {
        fprintf(stderr, "leat: out of memory for a frame\n");
        abort();
    }
    zmq_msg_init(message);
    if (zmq_msg_recv(message, inbox, ZMQ_DONTWAIT) < 0) {
        message_free(message);
        return false;
    }
    *batch = NULL;
    if (frames_skip_parts(inbox, message)) {
        stage_frames_drop(self, DROP_UNDECODABLE, NULL, "a message in several parts");
        message_free(message);
        return true;
    }
    *frame = (struct leat_span){zmq_msg_data(message), zmq_msg_size(message)};
    *batch = frames_judge(self, message, *frame);
    return true;
}
