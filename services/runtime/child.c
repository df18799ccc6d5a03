#include "services/runtime/child.h"

#include "services/runtime/child_job.h"
#include "services/runtime/child_pipe.h"
#include "services/runtime/child_process.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    JOBS = CHILD_GATHERED, /* Ensures 4 */
    JOBS_LEAST = 2,        /* of any size */
    OPEN_US = 60000000,    /* a stage's open may take so long, or child.timeout if that is more */
    PAUSE_MIN_US = 250000, /* before another child, when the last could not open its stage */
    PAUSE_MAX_US = 30000000,
    END_WAIT_MS = 1000, /* for a child whose end we have heard of */
    TURN_US = 1000000,  /* while a child is at work we look at least so often; … */
    STOOD_US = 2000000, /* … after so long we stood still, and perhaps the child did, too */
    SHORTEST = 3,       /* timeouts are halved so often at most */
};

enum child_state {
    CHILD_DOWN,    /* the next is started at retry_us */
    CHILD_OPENING, /* started; its stage is not open yet */
    CHILD_UP,
};

struct leat_child {
    const struct leat_stage *stage;
    struct leat_host *host;
    struct leat_child_events events;
    enum child_state state;
    struct child_pipe pipe;
    pid_t pid;
    int64_t retry_us, pause_us;
    int64_t busy_us; /* since when it is opening, or working on the oldest job */
    int64_t turned_us;
    int64_t timeout_us;
    bool opened_once;
    bool says_ready;  /* what the stage in this child last said */
    char reason[512]; /* why the last one could not open its stage */
    struct job jobs[JOBS];
    int first, n;
    struct leat_metric *restarts, *crashed, *timed_out;
};

static struct job *child_job(struct leat_child *self, int i)
{
    return &self->jobs[(self->first + i) % JOBS];
}

/* The job that the child works on: the oldest that was sent; NULL when it has nothing. */
static struct job *child_front(struct leat_child *self)
{
    for (int i = 0; i < self->n; i++)
        if (child_job(self, i)->state == JOB_SENT)
            return child_job(self, i);
    return NULL;
}

/* --- starting and ending -------------------------------------------------------------------- */

static bool child_start(struct leat_child *self, struct leat_error *err)
{
    int fd;
    if (!child_process_start(self->host->program->name, self->stage->name,
                             leat_metrics_fd(self->host->metrics), &self->pid, &fd, err))
        return false;
    child_pipe_open(&self->pipe, fd);
    char *dump = leat_settings_dump(self->host->settings);
    child_pipe_put(&self->pipe, CHILD_SETTINGS,
                   (struct leat_span){(const uint8_t *)dump, strlen(dump)}, dump);
    self->state = CHILD_OPENING;
    self->says_ready = true;
    self->busy_us = leat_monotonic_us();
    return true;
}

/* No child can be had for now: the stage is not ready, and the next try comes after a pause. */
static void child_unavailable(struct leat_child *self, const char *reason)
{
    self->state = CHILD_DOWN;
    self->pause_us = self->pause_us ? self->pause_us * 2 : PAUSE_MIN_US;
    if (self->pause_us > PAUSE_MAX_US)
        self->pause_us = PAUSE_MAX_US;
    self->retry_us = leat_monotonic_us() + self->pause_us;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    if (self->opened_once)
        self->events.ready(self->events.owner, false, self->reason);
}

static void child_blame(struct leat_child *self, struct job *job, bool timeout, const char *how)
{
    const struct leat_batch_head head = job->batch->head;
    int64_t index = job_death(job, self->stage->name, timeout, how);
    leat_log(LEAT_WARN, self->stage->name, index < 0 ? "child_ended" : "record_ends_child",
             LEAT_S("how", timeout ? "took too long over a batch" : how), LEAT_I("seq", head.seq),
             LEAT_I("records", head.count), LEAT_I("index", index));
    if (index >= 0)
        leat_metric_inc(timeout ? self->timed_out : self->crashed, 1);
}

/* Whether it may have been at more than one batch. */
static bool child_had_several(struct leat_child *self)
{
    int sent = 0;
    for (int i = 0; i < self->n; i++)
        sent += child_job(self, i)->state == JOB_SENT;
    return self->stage->gathers && sent > 1;
}

/* The child is gone, or has to go. What it was at is tried in smaller parts (Ensures 2), what else
 * it had is given again (Ensures 4). */
static void child_ended(struct leat_child *self, bool timeout)
{
    char how[128], reason[256];
    struct job *front = self->state == CHILD_UP ? child_front(self) : NULL;
    bool opening = self->state == CHILD_OPENING;
    child_process_end(self->pid, timeout ? 0 : END_WAIT_MS, how, sizeof how);
    child_pipe_close(&self->pipe);
    self->state = CHILD_DOWN;
    self->retry_us = front ? 0 : leat_monotonic_us() + PAUSE_MIN_US;
    leat_metric_inc(self->restarts, 1);
    if (front && !child_had_several(self))
        child_blame(self, front, timeout, how);
    else
        leat_log(LEAT_WARN, self->stage->name, "child_ended",
                 LEAT_S("how", front && timeout ? "took too long over its batches" : how));
    for (int i = 0; i < self->n; i++)
        if (child_job(self, i)->state == JOB_SENT)
            job_again(child_job(self, i));
    if (opening) {
        snprintf(reason, sizeof reason, "the child process ended before it was ready: %s",
                 timeout ? "it took too long" : how);
        child_unavailable(self, reason);
    }
}

/* --- what comes from the child -------------------------------------------------------------- */

static void child_opened(struct leat_child *self)
{
    self->state = CHILD_UP;
    self->pause_us = 0;
    self->opened_once = true;
    if (self->says_ready)
        self->events.ready(self->events.owner, true, NULL);
}

/* It says itself why it ends; its end is then no news. */
static void child_failed(struct leat_child *self, struct leat_span why)
{
    char reason[512], how[128];
    snprintf(reason, sizeof reason, "%.*s", (int)(why.size < 500 ? why.size : 500),
             (const char *)why.data);
    child_process_end(self->pid, END_WAIT_MS, how, sizeof how);
    child_pipe_close(&self->pipe);
    child_unavailable(self, reason);
}

static void child_answered(struct leat_child *self, struct leat_span payload, uint8_t *memory)
{
    struct job *front = child_front(self);
    if (!front || payload.size < 1) {
        free(memory);
        return;
    }
    enum leat_verdict verdict = payload.data[0] == LEAT_FORWARD ? LEAT_FORWARD : LEAT_DROP;
    struct leat_span items = {payload.data + 1, payload.size - 1};
    job_answer(front, verdict, items, memory);
    self->busy_us = leat_monotonic_us();
}

static void child_told_ready(struct leat_child *self, struct leat_span payload)
{
    char reason[512];
    if (payload.size < 1)
        return;
    size_t size = payload.size - 1 < sizeof reason ? payload.size - 1 : sizeof reason - 1;
    memcpy(reason, payload.data + 1, size);
    reason[size] = '\0';
    self->says_ready = payload.data[0] != 0;
    self->events.ready(self->events.owner, self->says_ready, reason);
}

/* False when no more can be read from this child: it has been closed. */
static bool child_take_frame(struct leat_child *self, enum child_frame type,
                             struct leat_span payload, uint8_t *memory)
{
    switch (type) {
    case CHILD_OPENED:
        child_opened(self);
        break;
    case CHILD_FAILED:
        child_failed(self, payload);
        free(memory);
        return false;
    case CHILD_ANSWER:
        child_answered(self, payload, memory);
        return true;
    case CHILD_SIDE:
        self->events.side(self->events.owner, payload);
        break;
    case CHILD_READY:
        child_told_ready(self, payload);
        break;
    case CHILD_WAITS:
        self->busy_us = leat_monotonic_us();
        break;
    default:
        break;
    }
    free(memory);
    return true;
}

/* Reads all there is. An end is believed only after everything before it was read: the child may
 * have answered and then died. */
static void child_read_all(struct leat_child *self)
{
    for (;;) {
        enum child_frame type;
        struct leat_span payload;
        uint8_t *memory;
        switch (child_pipe_read(&self->pipe, &type, &payload, &memory)) {
        case CHILD_READ_FRAME:
            if (!child_take_frame(self, type, payload, memory))
                return;
            break;
        case CHILD_READ_NONE:
            return;
        case CHILD_READ_END:
            child_ended(self, false);
            return;
        }
    }
}

/* --- what goes to the child ----------------------------------------------------------------- */

/* A job in parts has the child to itself: its parts are answered before the next job is sent. */
static void child_send(struct leat_child *self)
{
    for (int i = 0; i < self->n; i++) {
        struct job *job = child_job(self, i);
        struct leat_span bytes;
        void *owned;
        if (job->state == JOB_WAITING && job_request(job, &bytes, &owned)) {
            if (!child_front(self) || child_front(self) == job)
                self->busy_us = leat_monotonic_us();
            child_pipe_put(&self->pipe, CHILD_BATCH, bytes, owned);
        }
        if (job->state == JOB_SENT && job->in_parts)
            return;
    }
}

/* How long the child may go on with what it is at; -1: for ever. A batch that has timed out is
 * tried in parts, which get less time, so that finding one record does not take an hour. */
static int64_t child_time_left(struct leat_child *self)
{
    int64_t allowed = self->timeout_us;
    const struct job *front = child_front(self);
    if (self->state == CHILD_OPENING)
        allowed = allowed > OPEN_US ? allowed : OPEN_US;
    else if (!front)
        return -1;
    else
        allowed >>= front->timeouts < SHORTEST ? front->timeouts : SHORTEST;
    int64_t left = self->busy_us + allowed - leat_monotonic_us();
    return left > 0 ? left : 0;
}

static void child_turn_down(struct leat_child *self)
{
    struct leat_error err;
    if (leat_monotonic_us() >= self->retry_us && !child_start(self, &err))
        child_unavailable(self, err.text);
}

/* Whoever froze this process (a container that was paused, a SIGSTOP) has frozen the child as well:
 * that time is not its work's. */
static void child_allow_for_stop(struct leat_child *self)
{
    int64_t now = leat_monotonic_us();
    if (self->turned_us && now - self->turned_us > STOOD_US)
        self->busy_us += now - self->turned_us;
    self->turned_us = now;
}

int64_t leat_child_turn(struct leat_child *self)
{
    child_allow_for_stop(self);
    if (self->state != CHILD_DOWN)
        child_read_all(self);
    if (self->state != CHILD_DOWN && child_time_left(self) == 0)
        child_ended(self, true);
    if (self->state == CHILD_DOWN)
        child_turn_down(self);
    if (self->state == CHILD_DOWN) {
        int64_t left = (self->retry_us - leat_monotonic_us()) / 1000 + 1;
        return left > 0 ? left : 0;
    }
    if (self->state == CHILD_UP)
        child_send(self);
    /* When the other end is gone, reading will tell. */
    child_pipe_flush(&self->pipe);
    int64_t left = child_time_left(self);
    return left < 0 ? -1 : (left < TURN_US ? left : TURN_US) / 1000 + 1;
}

/* --- the owner's side ----------------------------------------------------------------------- */

static void child_metrics(struct leat_child *self, struct leat_metrics *metrics)
{
    static const char help[] = "Records set aside because the child crashed or hung over them.";
    char labels[100];
    snprintf(labels, sizeof labels, "stage=\"%s\"", self->stage->name);
    self->restarts =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_stage_child_ends_total",
                         labels, "Child processes that ended without being told to.");
    snprintf(labels, sizeof labels, "stage=\"%s\",reason=\"crashed\"", self->stage->name);
    self->crashed = leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT,
                                     "leat_stage_poison_records_total", labels, help);
    snprintf(labels, sizeof labels, "stage=\"%s\",reason=\"timeout\"", self->stage->name);
    self->timed_out = leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT,
                                       "leat_stage_poison_records_total", labels, help);
}

struct leat_child *leat_child_open(const struct leat_stage *stage, struct leat_host *host,
                                   const struct leat_child_events *events, struct leat_error *err)
{
    struct leat_child *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->stage = stage;
    self->host = host;
    self->events = *events;
    self->pipe.fd = -1;
    self->timeout_us = leat_settings_int(host->settings, "child.timeout") * 1000;
    child_metrics(self, host->metrics);
    if (!child_start(self, err))
        leat_child_close(&self, 0);
    return self;
}

bool leat_child_is_opening(const struct leat_child *self)
{
    return self->state == CHILD_OPENING;
}

bool leat_child_opened(const struct leat_child *self, struct leat_error *err)
{
    return self->opened_once || leat_fail(err, "%s", self->reason);
}

bool leat_child_wants(const struct leat_child *self)
{
    size_t bytes = 0;
    for (int i = 0; i < self->n; i++)
        bytes += self->jobs[(self->first + i) % JOBS].frame.size;
    return self->state == CHILD_UP &&
           (self->n < JOBS_LEAST ||
            (self->stage->gathers && self->n < JOBS && bytes < CHILD_GATHERED_BYTES));
}

void leat_child_give(struct leat_child *self, struct leat_batch *batch, struct leat_span frame)
{
    job_start(child_job(self, self->n), batch, frame);
    self->n++;
    leat_child_turn(self);
}

bool leat_child_take(struct leat_child *self, struct leat_done *out)
{
    struct job *oldest = child_job(self, 0);
    if (self->n == 0 || oldest->state != JOB_DONE)
        return false;
    *out = oldest->done;
    *oldest = (struct job){0};
    self->first = (self->first + 1) % JOBS;
    self->n--;
    return true;
}

int leat_child_in_hand(const struct leat_child *self)
{
    return self->n;
}

int leat_child_items(const struct leat_child *self, zmq_pollitem_t items[1])
{
    if (self->state == CHILD_DOWN)
        return 0;
    short events = ZMQ_POLLIN | (child_pipe_writes(&self->pipe) ? ZMQ_POLLOUT : 0);
    items[0] = (zmq_pollitem_t){.fd = self->pipe.fd, .events = events};
    return 1;
}

void leat_child_reload(struct leat_child *self, const struct leat_settings *fresh)
{
    if (self->state == CHILD_DOWN)
        return; /* the next one starts with them */
    char *dump = leat_settings_dump(fresh);
    child_pipe_put(&self->pipe, CHILD_RELOAD,
                   (struct leat_span){(const uint8_t *)dump, strlen(dump)}, dump);
    leat_child_turn(self);
}

void leat_child_close(struct leat_child **self, int wait_ms)
{
    struct leat_child *child = *self;
    char how[128];
    if (!child)
        return;
    if (child->state != CHILD_DOWN) {
        shutdown(child->pipe.fd, SHUT_RDWR); /* it reads the end, and ends */
        bool at_once = child->state == CHILD_OPENING || atomic_load(&child->host->stopping);
        child_process_end(child->pid, at_once ? 0 : wait_ms, how, sizeof how);
        child_pipe_close(&child->pipe);
    }
    for (int i = 0; i < child->n; i++)
        job_forget(child_job(child, i));
    free(child);
    *self = NULL;
}
