#include "services/ingest/door_private.h"

#include <stdlib.h>

enum {
    PUSH_EVERY_US = 50 * 1000,
    IDLE_US = 30 * 1000 * 1000, /* silent for so long: is it still there? */
    SWEEP_US = 100 * 1000,
    SWEEP = 64, /* sessions looked at for that, every SWEEP_US */
};

void door_done_changed(struct door *self, uint64_t client)
{
    struct session *it = client ? sessions_of(self->sessions, client) : NULL;
    if (!it || it->pushing)
        return;
    if (self->n_pushing == self->pushing_room) {
        self->pushing_room = self->pushing_room ? self->pushing_room * 2 : 64;
        self->pushing =
            door_or_end(realloc(self->pushing, self->pushing_room * sizeof self->pushing[0]));
    }
    it->pushing = true;
    self->pushing[self->n_pushing++] = it;
}

/* Tells a client if it is time or if nothing of it is open any more; false: later. */
static bool push_one(struct door *self, struct session *it, int64_t now)
{
    struct client client;
    if (!it->pushing || it->fenced)
        return true;
    if (!door_synced_client(self, it, &client)) {
        it->pushing = false;
        return true;
    }
    if (now - it->told_at < PUSH_EVERY_US && client.done < client.held)
        return false;
    it->pushing = false;
    if (it->told.through == client.done && it->told.committed == client.committed &&
        it->told.dead == client.dead)
        return true;
    door_write_done(self, it, &client, now);
    if (!door_send_scratch(self, door_peer(it)))
        sessions_drop(self->sessions, it);
    return true;
}

/* ROUTER does not tell when a connection ends, so one that has been silent is sent what harms
 * nobody: its done, or that it is fenced. */
static bool still_there(struct door *self, struct session *it, int64_t now)
{
    struct client client;
    it->probed_at = now;
    msgpack_sbuffer_clear(&self->scratch);
    if (it->fenced)
        leat_message_fenced(&self->scratch, it->session, 0);
    else if (door_synced_client(self, it, &client))
        door_write_done(self, it, &client, now);
    else
        return false;
    return door_send_scratch(self, door_peer(it));
}

static void sweep(struct door *self, int64_t now)
{
    if (now - self->swept_at < SWEEP_US)
        return;
    self->swept_at = now;
    for (int i = 0; i < SWEEP; i++) {
        struct session *it = sessions_next(self->sessions);
        if (!it)
            break;
        if (now - it->heard_at > IDLE_US && now - it->probed_at > IDLE_US &&
            !still_there(self, it, now))
            sessions_drop(self->sessions, it);
    }
    leat_metric_set(self->parts.meters->sessions, sessions_count(self->sessions));
}

int64_t door_push(struct door *self, int64_t now)
{
    size_t left = 0;
    for (size_t i = 0; i < self->n_pushing; i++) {
        msgpack_sbuffer_clear(&self->scratch);
        if (!push_one(self, self->pushing[i], now))
            self->pushing[left++] = self->pushing[i];
    }
    self->n_pushing = left;
    sweep(self, now);
    return left > 0 ? PUSH_EVERY_US / 5 : -1;
}
