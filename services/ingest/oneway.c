#include "services/ingest/oneway.h"

#include "services/runtime/clock.h"
#include "services/runtime/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    FRAMES_MOST = 256, /* in one transaction */
    ZONE_CHUNK = 64 * 1024,
};

struct oneway {
    struct oneway_parts parts;
    void *socket;
    size_t send_records;
    bool draining;

    zmq_msg_t frames[FRAMES_MOST]; /* read, not on disk yet, in their order */
    size_t n_frames;
    size_t taken; /* of these: in the open transaction */
    int64_t retry_at;

    msgpack_zone zone;
    struct leat_log_site undecodable;
};

struct oneway *oneway_open(struct leat_host *host, const struct oneway_parts *parts,
                           struct leat_error *err)
{
    struct oneway *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory for the one-way port");
        return NULL;
    }
    self->parts = *parts;
    self->send_records = (size_t)leat_settings_int(host->settings, "ingest.send_records");
    msgpack_zone_init(&self->zone, ZONE_CHUNK);
    const char *address = leat_settings_str(host->settings, "ingest.oneway");
    size_t most = (size_t)leat_settings_int(host->settings, "ingest.send_bytes");
    if (address[0] && !(self->socket = leat_socket_inbox(host->zmq, host->security, address,
                                                         "ingest.oneway", most, err)))
        oneway_close(&self);
    return self;
}

void oneway_close(struct oneway **self_p)
{
    struct oneway *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->n_frames; i++)
        zmq_msg_close(&self->frames[i]);
    leat_socket_close(&self->socket, 0);
    msgpack_zone_destroy(&self->zone);
    free(self);
    *self_p = NULL;
}

/* --- one frame -------------------------------------------------------------------------------- */

static void drop_frame(struct oneway *self, const char *reason)
{
    uint64_t swallowed;
    leat_metric_inc(self->parts.meters->oneway_undecodable, 1);
    if (leat_log_allow(&self->undecodable, &swallowed))
        leat_log(LEAT_WARN, "ingest", "oneway_frame_dropped", LEAT_S("reason", reason),
                 LEAT_I("swallowed", swallowed));
}

/* What is in it, or why nothing can be made of it. */
static const char *read_frame(struct oneway *self, struct leat_span frame, struct leat_message *m,
                              const struct leat_flow **flow, struct leat_error *err)
{
    const char *code;
    if (!leat_message_read(frame, &self->zone, m, &code, err))
        return err->text;
    if (m->type != LEAT_SEND)
        return "only records are taken here, and nothing is answered";
    *flow = leat_flow_find((const char *)m->kind.data, m->kind.size);
    if (!*flow)
        return "no flow takes records of that kind";
    if (m->records->via.array.size > self->send_records)
        return "more records than ingest.send_records";
    return m->records->via.array.size == 0 ? "no records in it" : NULL;
}

static enum journal_result journal_frame(struct oneway *self, const struct leat_message *m,
                                         const struct leat_flow *flow, size_t size)
{
    struct records *records = self->parts.records;
    int64_t clock = leat_now_us();
    int64_t last = journal_totals(self->parts.journal).last_version;
    records_take(records, m, flow, self->parts.limits, last > clock ? last : clock,
                 RECORDS_CARRY_ERROR);

    struct journal_batch batch = {.kind = flow->kind,
                                  .count = records->count,
                                  .items = records->items.data,
                                  .size = records->items.size};
    struct journal_given given;
    struct leat_error err;
    enum journal_result result = journal_append(self->parts.journal, &batch, clock, &given, &err);
    commit_note(self->parts.commit, result, &err);
    if (result == JOURNAL_OK) {
        commit_add(self->parts.commit, size);
        commit_count(self->parts.commit, flow, records->accepted, records->n_rejected, true);
    } else if (result == JOURNAL_REFUSED) {
        drop_frame(self, err.text);
    }
    return result;
}

/* false: the journal does not take it now. */
static bool take_frame(struct oneway *self, zmq_msg_t *msg, int64_t now)
{
    struct leat_span frame = {zmq_msg_data(msg), zmq_msg_size(msg)};
    const struct leat_flow *flow = NULL;
    struct leat_message m;
    struct leat_error err;
    enum journal_result result = JOURNAL_REFUSED;
    const char *why = read_frame(self, frame, &m, &flow, &err);
    if (why)
        drop_frame(self, why);
    else if (!commit_enter(self->parts.commit, now))
        result = JOURNAL_BROKEN;
    else
        result = journal_frame(self, &m, flow, frame.size);
    msgpack_zone_clear(&self->zone);
    return result == JOURNAL_OK || result == JOURNAL_REFUSED;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Tries the frames that were read; false: the journal takes no more for now. */
static bool take_frames(struct oneway *self, int64_t now)
{
    while (self->taken < self->n_frames) {
        if (!take_frame(self, &self->frames[self->taken], now)) {
            self->retry_at = now + ONEWAY_RETRY_US;
            return false;
        }
        self->taken++;
    }
    return true;
}

void *oneway_socket(const struct oneway *self)
{
    return self->draining || self->taken < self->n_frames ? NULL : self->socket;
}

bool oneway_read(struct oneway *self, int64_t now)
{
    const struct commit *commit = self->parts.commit;
    if (!self->socket || now < self->retry_at || !take_frames(self, now))
        return false;
    if (self->draining)
        return false;
    while (self->n_frames < FRAMES_MOST && commit->bytes < commit->bytes_most) {
        zmq_msg_t *msg = &self->frames[self->n_frames];
        zmq_msg_init(msg);
        if (zmq_msg_recv(msg, self->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(msg);
            return false;
        }
        /* Each part of a message of several is a frame like any other. */
        self->n_frames++;
        leat_metric_inc(self->parts.meters->oneway_frames, 1);
        if (!take_frames(self, now))
            return false;
    }
    return true;
}

void oneway_settle(struct oneway *self, bool committed, int64_t now)
{
    if (!committed && self->n_frames > 0)
        self->retry_at = now + ONEWAY_RETRY_US;
    if (!committed)
        self->taken = 0;
    if (self->taken == 0)
        return;
    for (size_t i = 0; i < self->n_frames; i++) {
        if (i >= self->taken) {
            zmq_msg_init(&self->frames[i - self->taken]);
            zmq_msg_move(&self->frames[i - self->taken], &self->frames[i]);
        }
        zmq_msg_close(&self->frames[i]);
    }
    self->n_frames -= self->taken;
    self->taken = 0;
}

void oneway_drain(struct oneway *self)
{
    self->draining = true;
}

size_t oneway_waiting(const struct oneway *self)
{
    return self->n_frames;
}
