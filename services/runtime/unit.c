#include "services/runtime/unit.h"

#include "services/runtime/sockets.h"
#include "services/runtime/stage_loop.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <zmq.h>

bool unit_open(struct unit *self, const struct leat_service *service,
               const struct unit_ground *ground, struct leat_error *err)
{
    void *ends[2];
    if (!leat_socket_pair(ground->zmq, ends, err))
        return false;
    self->service = service;
    self->wake = ground->wake;
    self->orders = ends[0];
    self->host = (struct leat_host){
        .name = service->name,
        .zmq = ground->zmq,
        .security = ground->security,
        .control = ends[1],
        .settings = leat_settings_copy(ground->settings),
        .metrics = ground->metrics,
        .drain_ms = leat_settings_int(ground->settings, "drain.timeout"),
        .program = ground->program,
        .reasons = &self->reasons,
    };
    return true;
}

static void *unit_run(void *arg)
{
    struct unit *self = arg;
    char name[16];
    snprintf(name, sizeof name, "%s", self->host.name);
    pthread_setname_np(pthread_self(), name);
    self->status = self->service->stage ? stage_loop_run(self->service->stage, &self->host)
                                        : self->service->run(&self->host);
    atomic_store(&self->host.reason, NULL);
    atomic_store(&self->host.state, LEAT_ENDED);
    atomic_store(&self->ended, true);
    eventfd_write(self->wake, 1);
    return NULL;
}

bool unit_start(struct unit *self, struct leat_error *err)
{
    int code = pthread_create(&self->thread, NULL, unit_run, self);
    self->running = code == 0;
    return self->running || leat_fail(err, "cannot start a thread: %s", strerror(code));
}

void unit_order(struct unit *self, enum leat_order order, const char *text)
{
    char head = (char)order;
    size_t size = strlen(text) + 1;
    zmq_msg_t message;
    if (!self->orders || zmq_msg_init_size(&message, 1 + size) != 0)
        return;
    memcpy(zmq_msg_data(&message), &head, 1);
    memcpy((char *)zmq_msg_data(&message) + 1, text, size);
    if (zmq_msg_send(&message, self->orders, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&message);
}

bool unit_join(struct unit *self)
{
    if (!self->running || !atomic_load(&self->ended))
        return false;
    pthread_join(self->thread, NULL);
    self->running = false;
    return true;
}

void unit_close(struct unit *self)
{
    leat_socket_close(&self->orders, 0);
    leat_socket_close(&self->host.control, 0);
    leat_settings_destroy(&self->host.settings);
    host_reasons_free(&self->reasons);
}
