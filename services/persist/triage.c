#include "services/persist/triage.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    AGAIN_MOST = 8,     /* deadlocks in a row; then the store counts as away for a pause */
    ASIDE_SINGLY = 4,   /* batches found by halving; then all of a range that is held go at once */
    TOLD_MOST = 8,      /* bad rows that the store names; with more of them halving is faster */
    AGAIN_PAUSE_MS = 2, /* times the number of the try */
};

struct triage {
    struct store *store;
    struct load *load;
    int64_t now;
    struct triage_counts *counts;
    struct leat_error *err;
    unsigned held; /* times that keys of this load were held, or batches set aside */
    unsigned told; /* records that the store named as bad */
};

static bool settle(struct triage *self, struct load_range range);

static bool away(struct triage *self, const struct store_failure *failure)
{
    *self->err = failure->error;
    if (failure->code[0])
        leat_fail_in(self->err, "%s", failure->code);
    return false;
}

/* Writes a range, over and over while it only lost a race. */
static enum store_outcome attempt(struct triage *self, struct load_range range,
                                  struct store_failure *failure)
{
    enum store_outcome outcome = STORE_AGAIN;
    for (int i = 0; i < AGAIN_MOST && outcome == STORE_AGAIN; i++) {
        if (i > 0) {
            const struct timespec pause = {.tv_nsec = i * AGAIN_PAUSE_MS * 1000000L};
            nanosleep(&pause, NULL);
            self->counts->retries++;
        }
        outcome = self->store->type->write(self->store, self->load, range, self->held > 0, failure);
    }
    return outcome == STORE_AGAIN ? STORE_AWAY : outcome;
}

static size_t batch_of(const struct triage *self, uint32_t record)
{
    return load_record(self->load, record)->batch;
}

static void set_aside(struct triage *self, size_t batch)
{
    const struct leat_batch_head *head = &load_batch(self->load, batch)->batch->head;
    uint64_t suppressed;
    if (!load_set_aside(self->load, batch))
        return;
    self->counts->set_aside++;
    self->held++;
    if (leat_log_allow(&self->counts->aside_site, &suppressed))
        leat_log(LEAT_WARN, "persist", "batch_set_aside", LEAT_S("kind", head->kind),
                 LEAT_I("seq", head->seq), LEAT_I("attempt", head->attempt),
                 LEAT_S("reason", "another session holds its keys; it comes again"),
                 LEAT_I("suppressed", suppressed));
}

static bool halves(struct triage *self, struct load_range range, uint32_t middle)
{
    return settle(self, (struct load_range){range.from, middle}) &&
           settle(self, (struct load_range){middle, range.to});
}

/* Another session holds a key of the range: of one batch, but which? */
static bool act_held(struct triage *self, struct load_range range, uint32_t first,
                     const struct store_failure *failure)
{
    size_t low = batch_of(self, first), high = batch_of(self, range.to - 1);
    self->counts->lock_timeouts++;
    if (failure->record != UINT32_MAX) {
        set_aside(self, batch_of(self, failure->record));
        return true;
    }
    if (low == high || self->held >= ASIDE_SINGLY) {
        for (size_t batch = low; batch <= high; batch++)
            set_aside(self, batch);
        return true;
    }
    self->held++; /* from here on waits are short: only whose keys they are is not known yet */
    size_t middle = low + (high - low + 1) / 2;
    return halves(self, range, load_batch(self->load, middle)->records.from);
}

static void bury(struct triage *self, uint32_t record, const struct store_failure *failure)
{
    const struct load_record *it = load_record(self->load, record);
    const struct leat_batch_head *head = &load_batch(self->load, it->batch)->batch->head;
    uint64_t suppressed;
    load_kill(self->load, record, failure->code, failure->error.text, self->now);
    self->counts->buried++;
    if (leat_log_allow(&self->counts->refused_site, &suppressed))
        leat_log(LEAT_WARN, "persist", "row_refused", LEAT_S("kind", head->kind),
                 LEAT_I("seq", head->seq), LEAT_I("record", it->index),
                 LEAT_S("code", failure->code), LEAT_S("reason", failure->error.text),
                 LEAT_I("suppressed", suppressed));
}

/* What follows from an outcome for a range. true: done for now, what still waits is to be written;
 * false: the store is away. */
static bool act(struct triage *self, enum store_outcome outcome, struct load_range range,
                const struct store_failure *failure);

/* One record alone was refused: is it to blame? Then its row is a dead letter's from now on. */
static bool act_alone(struct triage *self, uint32_t record, const struct store_failure *first)
{
    const struct load_range alone = {record, record + 1};
    struct store_failure second;
    if (load_record(self->load, record)->dead)
        return away(self, first); /* its dead letter is refused: nothing a record could do */
    if (!self->store->type->probe(self->store, self->load, record, self->err))
        return leat_fail_in(self->err, "the store refuses good rows, too");
    enum store_outcome outcome = attempt(self, alone, &second);
    if (outcome != STORE_ROW)
        return act(self, outcome, alone, &second);
    bury(self, record, &second);
    return true;
}

/* A row of the range may be at fault. */
static bool act_refused(struct triage *self, struct load_range range,
                        const struct store_failure *failure)
{
    uint32_t record = failure->record, first;
    if (load_waiting(self->load, range, &first) == 1)
        return act_alone(self, first, failure);
    if (record != UINT32_MAX && self->told++ < TOLD_MOST)
        return settle(self, (struct load_range){record, record + 1});
    return halves(self, range, first + (range.to - first) / 2);
}

static bool act(struct triage *self, enum store_outcome outcome, struct load_range range,
                const struct store_failure *failure)
{
    uint32_t first;
    switch (outcome) {
    case STORE_COMMITTED:
        load_settle(self->load, range);
        return true;
    case STORE_HELD:
        load_waiting(self->load, range, &first);
        return act_held(self, range, first, failure);
    case STORE_ROW:
        return act_refused(self, range, failure);
    case STORE_AGAIN:
    case STORE_AWAY:
        break;
    }
    return away(self, failure);
}

/* Keeps invariants M2 and M4 (tests/model).
 *
 * Ensures: true leaves no record of the range waiting. It ends: every turn on the same range has
 * fewer records that wait, or one more that is dead; every step down has a smaller range. */
static bool settle(struct triage *self, struct load_range range)
{
    struct store_failure failure;
    uint32_t first;
    while (load_waiting(self->load, range, &first) > 0)
        if (!act(self, attempt(self, range, &failure), range, &failure))
            return false;
    return true;
}

bool triage_write(struct store *store, struct load *load, int64_t now, struct triage_counts *counts,
                  struct leat_error *err)
{
    struct triage self = {.store = store, .load = load, .now = now, .counts = counts, .err = err};
    return settle(&self, load_all(load));
}
