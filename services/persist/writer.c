#include "services/persist/writer.h"

#include "services/runtime/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

struct writer {
    struct store *store; /* the thread's, while it runs */
    void *ours, *theirs; /* the two ends of a PAIR */
    pthread_t thread;
    bool running;
};

/* What the thread is told. */
struct task {
    bool end;
    struct load *load;
};

static void work(struct store *store, struct load *load, struct writer_result *result)
{
    int64_t before = leat_monotonic_us();
    bool permanent;
    result->load = load;
    result->err.text[0] = 0;
    result->done = load ? triage_write(store, load, leat_now_us(), &result->triage, &result->err)
                        : store->type->check(store, &permanent, &result->err);
    result->us = leat_monotonic_us() - before;
    result->store = store->counts;
}

static void *run(void *arg)
{
    struct writer *self = arg;
    struct writer_result result = {0}; /* keeps triage's counts */
    struct task task;
    while (zmq_recv(self->theirs, &task, sizeof task, 0) == (int)sizeof task && !task.end) {
        work(self->store, task.load, &result);
        zmq_send(self->theirs, &result, sizeof result, 0);
    }
    return NULL;
}

static void *open_pair(void *zmq, const char *endpoint, int (*attach)(void *, const char *))
{
    void *socket = zmq_socket(zmq, ZMQ_PAIR);
    int none = 0;
    if (socket && zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) == 0 &&
        attach(socket, endpoint) == 0)
        return socket;
    if (socket)
        zmq_close(socket);
    return NULL;
}

/* The thread handles no signals: those are for the main thread. */
static bool start(struct writer *self, void *zmq, const char *name, struct leat_error *err)
{
    char endpoint[64];
    sigset_t all, before;
    snprintf(endpoint, sizeof endpoint, "inproc://%s", name);
    self->ours = open_pair(zmq, endpoint, zmq_bind);
    self->theirs = self->ours ? open_pair(zmq, endpoint, zmq_connect) : NULL;
    if (!self->theirs)
        return leat_fail(err, "%s: %s", endpoint, zmq_strerror(zmq_errno()));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    self->running = pthread_create(&self->thread, NULL, run, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return self->running || leat_fail(err, "no thread can be started");
}

struct writer *writer_open(void *zmq, const char *name, const struct store_options *options,
                           const struct load *load, bool lazy, bool *away, struct leat_error *err)
{
    bool permanent = false;
    struct writer *self = calloc(1, sizeof *self);
    *away = false;
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->store = store_open(options, load, err);
    if (self->store && !lazy)
        *away = !self->store->type->check(self->store, &permanent, err);
    struct leat_error no_thread;
    if (!self->store || permanent) {
        writer_close(&self);
    } else if (!start(self, zmq, name, &no_thread)) {
        *err = no_thread;
        writer_close(&self);
    }
    return self;
}

void writer_close(struct writer **self)
{
    struct writer *writer = *self;
    if (!writer)
        return;
    if (writer->running) {
        const struct task end = {.end = true};
        zmq_send(writer->ours, &end, sizeof end, 0);
        pthread_join(writer->thread, NULL);
    }
    if (writer->ours)
        zmq_close(writer->ours);
    if (writer->theirs)
        zmq_close(writer->theirs);
    store_close(&writer->store);
    free(writer);
    *self = NULL;
}

void writer_give(struct writer *self, struct load *load)
{
    const struct task task = {.load = load};
    zmq_send(self->ours, &task, sizeof task, 0);
}

bool writer_take(struct writer *self, struct writer_result *out)
{
    return zmq_recv(self->ours, out, sizeof *out, ZMQ_DONTWAIT) == (int)sizeof *out;
}

void *writer_socket(const struct writer *self)
{
    return self->ours;
}
