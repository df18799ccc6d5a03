#include "services/runtime/outputs.h"

#include <stdio.h>
#include <string.h>

static bool output_open(struct outputs *self, const char *stage, const char *next,
                        struct leat_host *host, struct leat_error *err)
{
    char setting[LEAT_MAX_STAGE + 16];
    if (self->n == OUTPUTS_MAX)
        return leat_fail(err, "more than %d stages follow %s", OUTPUTS_MAX, stage);
    snprintf(setting, sizeof setting, "%s.address", next);
    if (!leat_settings_has(host->settings, setting))
        return leat_fail(err, "stage %s follows %s, but there is no setting %s", next, stage,
                         setting);
    const struct leat_peers_options options = {
        .zmq = host->zmq,
        .security = host->security,
        .metrics = host->metrics,
        .service = stage,
        .peer = next,
        .addresses = leat_settings_str(host->settings, setting),
        .setting = setting,
        .refresh_ms = leat_settings_int(host->settings, "peers.refresh"),
    };
    struct output *output = &self->all[self->n];
    *output = (struct output){.stage = next, .peers = leat_peers_open(&options, err)};
    if (!output->peers)
        return false;
    self->n++;
    return true;
}

bool outputs_open(struct outputs *self, const char *stage, struct leat_host *host,
                  struct leat_error *err)
{
    const struct leat_routes *routes = host->program->routes;
    const char *kind, *next;
    for (size_t i = 0; (kind = routes->kind(i)); i++)
        if (routes->next(kind, stage, &next) && next && !outputs_find(self, next) &&
            !output_open(self, stage, next, host, err))
            return false;
    return true;
}

struct output *outputs_find(struct outputs *self, const char *stage)
{
    for (int i = 0; i < self->n; i++)
        if (strcmp(self->all[i].stage, stage) == 0)
            return &self->all[i];
    return NULL;
}

bool outputs_empty(const struct outputs *self)
{
    for (int i = 0; i < self->n; i++)
        if (self->all[i].full)
            return false;
    return true;
}

static void output_send(struct output *self)
{
    if (self->full &&
        zmq_msg_send(&self->waiting, leat_peers_socket(self->peers), ZMQ_DONTWAIT) >= 0)
        self->full = false;
}

void output_put(struct output *self, zmq_msg_t *message)
{
    zmq_msg_init(&self->waiting);
    zmq_msg_move(&self->waiting, message);
    zmq_msg_close(message);
    self->full = true;
    output_send(self);
}

int64_t outputs_turn(struct outputs *self)
{
    int64_t due = INT64_MAX;
    for (int i = 0; i < self->n; i++) {
        int64_t wish = leat_peers_turn(self->all[i].peers);
        due = wish < due ? wish : due;
        output_send(&self->all[i]);
    }
    return due;
}

int outputs_items(const struct outputs *self, zmq_pollitem_t *items)
{
    int n = 0;
    for (int i = 0; i < self->n; i++) {
        n += leat_peers_items(self->all[i].peers, items + n);
        if (self->all[i].full)
            items[n++] = (zmq_pollitem_t){.socket = leat_peers_socket(self->all[i].peers),
                                          .events = ZMQ_POLLOUT};
    }
    return n;
}

void outputs_close(struct outputs *self, int linger_ms)
{
    for (int i = 0; i < self->n; i++) {
        if (self->all[i].full)
            zmq_msg_close(&self->all[i].waiting);
        leat_peers_close(&self->all[i].peers, linger_ms);
    }
    self->n = 0;
}
