#include "services/ingest/sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define NONE UINT32_MAX

struct sessions {
    struct session *places;
    uint32_t most, count;
    uint32_t fresh; /* places from here on were never used */
    uint32_t free;  /* those that were: a list by `by_peer` */
    uint32_t *peers, *clients;
    uint32_t mask;                  /* of both tables */
    uint32_t used_first, used_last; /* heard of longest ago, and just now */
    uint32_t walk;
};

static void *or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory for sessions\n");
        abort();
    }
    return memory;
}

struct sessions *sessions_new(uint32_t most)
{
    struct sessions *self = or_end(calloc(1, sizeof *self));
    uint32_t slots = 16;
    while (slots < most)
        slots *= 2;
    self->most = most;
    self->mask = slots - 1;
    self->free = self->used_first = self->used_last = NONE;
    self->places = or_end(calloc(most, sizeof self->places[0]));
    self->peers = or_end(malloc(slots * sizeof self->peers[0]));
    self->clients = or_end(malloc(slots * sizeof self->clients[0]));
    memset(self->peers, 0xff, slots * sizeof self->peers[0]);
    memset(self->clients, 0xff, slots * sizeof self->clients[0]);
    return self;
}

void sessions_destroy(struct sessions **self)
{
    if (!*self)
        return;
    free((*self)->places);
    free((*self)->peers);
    free((*self)->clients);
    free(*self);
    *self = NULL;
}

static uint32_t place_of(const struct sessions *self, const struct session *it)
{
    return (uint32_t)(it - self->places);
}

static uint32_t *peer_slot(const struct sessions *self, struct leat_span peer)
{
    return &self->peers[XXH3_64bits(peer.data, peer.size) & self->mask];
}

static uint32_t *client_slot(const struct sessions *self, uint64_t client)
{
    return &self->clients[XXH3_64bits(&client, sizeof client) & self->mask];
}

static void used_remove(struct sessions *self, struct session *it)
{
    if (it->used_prev != NONE)
        self->places[it->used_prev].used_next = it->used_next;
    else
        self->used_first = it->used_next;
    if (it->used_next != NONE)
        self->places[it->used_next].used_prev = it->used_prev;
    else
        self->used_last = it->used_prev;
}

static void used_append(struct sessions *self, struct session *it)
{
    uint32_t i = place_of(self, it);
    it->used_prev = self->used_last;
    it->used_next = NONE;
    if (self->used_last != NONE)
        self->places[self->used_last].used_next = i;
    else
        self->used_first = i;
    self->used_last = i;
}

struct session *sessions_find(struct sessions *self, struct leat_span peer, int64_t now)
{
    for (uint32_t i = *peer_slot(self, peer); i != NONE; i = self->places[i].by_peer) {
        struct session *it = &self->places[i];
        if (it->peer_size == peer.size && memcmp(it->peer, peer.data, peer.size) == 0) {
            it->heard_at = now;
            used_remove(self, it);
            used_append(self, it);
            return it;
        }
    }
    return NULL;
}

struct session *sessions_of(struct sessions *self, uint64_t client)
{
    uint32_t i = *client_slot(self, client);
    while (i != NONE && self->places[i].client != client)
        i = self->places[i].by_client;
    return i == NONE ? NULL : &self->places[i];
}

struct session *sessions_add(struct sessions *self, struct leat_span peer, int64_t now)
{
    if (self->count == self->most) {
        struct session *idle = &self->places[self->used_first];
        if (idle->waiting > 0)
            return NULL;
        sessions_drop(self, idle);
    }
    uint32_t i = self->free;
    if (i != NONE)
        self->free = self->places[i].by_peer;
    else
        i = self->fresh++;
    struct session *it = &self->places[i];
    *it = (struct session){.peer_size = (uint8_t)peer.size, .heard_at = now};
    memcpy(it->peer, peer.data, peer.size);
    uint32_t *slot = peer_slot(self, peer);
    it->by_peer = *slot;
    *slot = i;
    used_append(self, it);
    self->count++;
    return it;
}

/* Only sessions that speak for their client are in the table of clients. */
void sessions_unbind(struct sessions *self, struct session *it)
{
    if (!it->client || it->fenced)
        return;
    uint32_t i = place_of(self, it), *link = client_slot(self, it->client);
    while (*link != i)
        link = &self->places[*link].by_client;
    *link = it->by_client;
    it->client = 0;
}

/* Keeps invariant M5 (tests/model). */
void sessions_bind(struct sessions *self, struct session *it, uint64_t client, uint64_t session)
{
    struct session *before = sessions_of(self, client);
    if (before && before != it) {
        sessions_unbind(self, before);
        before->client = client;
        before->fenced = true;
    }
    sessions_unbind(self, it);
    it->client = client;
    it->session = session;
    it->fenced = false;
    uint32_t *slot = client_slot(self, client);
    it->by_client = *slot;
    *slot = place_of(self, it);
}

void sessions_drop(struct sessions *self, struct session *it)
{
    uint32_t i = place_of(self, it);
    uint32_t *link = peer_slot(self, (struct leat_span){it->peer, it->peer_size});
    while (*link != i)
        link = &self->places[*link].by_peer;
    *link = it->by_peer;
    sessions_unbind(self, it);
    used_remove(self, it);
    *it = (struct session){.by_peer = self->free};
    self->free = i;
    self->count--;
}

uint32_t sessions_count(const struct sessions *self)
{
    return self->count;
}

struct session *sessions_next(struct sessions *self)
{
    for (uint32_t tried = 0; tried < self->fresh; tried++) {
        self->walk = self->walk + 1 < self->fresh ? self->walk + 1 : 0;
        if (self->places[self->walk].peer_size > 0)
            return &self->places[self->walk];
    }
    return NULL;
}
