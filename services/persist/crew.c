#include "services/persist/crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum { REST_LOADS = 20 };

enum state { FREE, WORKING, FAILED };

/* Every lane has a load: empty while it is free. `rows` and `bytes` are of the load that it was
 * given, which is its thread's while that works. */
struct lane {
    struct writer *writer;
    struct load *load;
    enum state state;
    uint64_t number; /* of that load */
    size_t rows, bytes;
    uint64_t rests_until; /* the number of the first load that it is given again */
    struct store_counts store;
    struct triage_counts triage;
};

struct crew {
    void *zmq;
    struct lane lanes[CREW_MOST];
    size_t n;
    uint64_t next_number;
};

static bool open_lane(struct crew *self, const struct store_options *options,
                      const struct catalog *catalog, bool *away, struct leat_error *err)
{
    char name[32];
    bool is_first = self->n == 0, not_there;
    struct lane *lane = &self->lanes[self->n];
    snprintf(name, sizeof name, "writer%zu", self->n);
    lane->load = load_new(catalog);
    lane->writer = writer_open(self->zmq, name, options, lane->load, !is_first, &not_there, err);
    if (is_first)
        *away = not_there;
    self->n++;
    return lane->writer != NULL;
}

struct crew *crew_open(const struct store_options *options, const struct catalog *catalog, size_t n,
                       bool *away, struct leat_error *err)
{
    struct crew *self = calloc(1, sizeof *self);
    if (!self || !(self->zmq = zmq_ctx_new())) {
        free(self);
        leat_fail(err, "out of memory");
        return NULL;
    }
    zmq_ctx_set(self->zmq, ZMQ_IO_THREADS, 0); /* inproc needs none */
    if (store_sqlite_path(options->url))
        n = 1;
    while (self->n < n)
        if (!open_lane(self, options, catalog, away, err)) {
            crew_close(&self);
            return NULL;
        }
    return self;
}

void crew_close(struct crew **self)
{
    struct crew *crew = *self;
    if (!crew)
        return;
    for (size_t i = 0; i < crew->n; i++) {
        writer_close(&crew->lanes[i].writer);
        load_destroy(&crew->lanes[i].load);
    }
    zmq_ctx_term(crew->zmq);
    free(crew);
    *self = NULL;
}

static size_t count(const struct crew *self, enum state state)
{
    size_t n = 0;
    for (size_t i = 0; i < self->n; i++)
        n += self->lanes[i].state == state;
    return n;
}

size_t crew_working(const struct crew *self)
{
    return count(self, WORKING);
}

size_t crew_failed(const struct crew *self)
{
    return count(self, FAILED);
}

struct load *crew_give(struct crew *self, struct load *load, bool beside)
{
    if (!beside && crew_working(self) > 0)
        return NULL;
    for (size_t i = 0; i < self->n; i++) {
        struct lane *lane = &self->lanes[i];
        if (lane->state != FREE || self->next_number < lane->rests_until)
            continue;
        struct load *empty = lane->load;
        lane->load = load;
        lane->number = self->next_number++;
        lane->rows = load_row_count(load);
        lane->bytes = load_bytes(load);
        lane->state = WORKING;
        writer_give(lane->writer, load);
        return empty;
    }
    return NULL;
}

static void accept_result(struct lane *lane, const struct writer_result *result)
{
    lane->store = result->store;
    lane->triage = result->triage;
    lane->state = result->load && !result->done ? FAILED : FREE;
    if (lane->state == FREE)
        lane->rows = lane->bytes = 0;
}

bool crew_take(struct crew *self, int wait_ms, struct writer_result *out, uint64_t *number)
{
    zmq_pollitem_t items[CREW_MOST];
    for (size_t i = 0; i < self->n; i++)
        items[i] =
            (zmq_pollitem_t){.socket = writer_socket(self->lanes[i].writer), .events = ZMQ_POLLIN};
    if (crew_working(self) == 0 || zmq_poll(items, (int)self->n, wait_ms) <= 0)
        return false;
    for (size_t i = 0; i < self->n; i++)
        if (writer_take(self->lanes[i].writer, out)) {
            accept_result(&self->lanes[i], out);
            *number = self->lanes[i].number;
            return true;
        }
    return false;
}

uint64_t crew_earliest(const struct crew *self)
{
    uint64_t earliest = self->next_number;
    for (size_t i = 0; i < self->n; i++)
        if (self->lanes[i].state != FREE && self->lanes[i].number < earliest)
            earliest = self->lanes[i].number;
    return earliest;
}

static struct lane *find_free(struct crew *self)
{
    for (size_t i = 0; i < self->n; i++)
        if (self->lanes[i].state == FREE)
            return &self->lanes[i];
    return NULL;
}

/* A load that could not be written goes to a lane that is free: that one may have a session where
 * no other is to be had, as the last of a role's or a server's connections. Its own lane rests for
 * some loads. */
static struct lane *move_load(struct lane *from, struct lane *to, uint64_t rests_until)
{
    struct load *empty = to->load;
    to->load = from->load;
    to->number = from->number;
    to->rows = from->rows;
    to->bytes = from->bytes;
    to->rests_until = 0;
    from->load = empty;
    from->rows = from->bytes = 0;
    from->state = FREE;
    from->rests_until = rests_until;
    return to;
}

void crew_retry(struct crew *self)
{
    bool any = false;
    for (size_t i = 0; i < self->n; i++) {
        struct lane *lane = &self->lanes[i];
        if (lane->state != FAILED)
            continue;
        struct lane *other = find_free(self);
        if (other)
            lane = move_load(lane, other, self->next_number + REST_LOADS);
        any = true;
        lane->state = WORKING;
        writer_give(lane->writer, lane->load);
    }
    if (!any) {
        self->lanes[0].state = WORKING;
        writer_give(self->lanes[0].writer, NULL);
    }
}

void crew_weight(const struct crew *self, size_t *rows, size_t *bytes)
{
    *rows = *bytes = 0;
    for (size_t i = 0; i < self->n; i++) {
        *rows += self->lanes[i].rows;
        *bytes += self->lanes[i].bytes;
    }
}

void crew_counts(const struct crew *self, struct store_counts *store, struct triage_counts *triage)
{
    *store = (struct store_counts){0};
    *triage = (struct triage_counts){0};
    for (size_t i = 0; i < self->n; i++) {
        const struct lane *lane = &self->lanes[i];
        store->direct += lane->store.direct;
        store->staged += lane->store.staged;
        store->conflicts += lane->store.conflicts;
        store->unchanged += lane->store.unchanged;
        store->connects += lane->store.connects;
        store->ended += lane->store.ended;
        triage->retries += lane->triage.retries;
        triage->lock_timeouts += lane->triage.lock_timeouts;
        triage->set_aside += lane->triage.set_aside;
        triage->buried += lane->triage.buried;
    }
}
