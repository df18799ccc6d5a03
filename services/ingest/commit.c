#include "services/ingest/commit.h"

#include "services/runtime/clock.h"

#include <string.h>

enum {
    RETRY_US = 500 * 1000,
    TRY_US = 1000 * 1000, /* how often it is tried whether trouble is over */
};

static const char no_disk[] = "no space left on the disk of journal.dir";
static const char broken[] = "the journal cannot be written";

void commit_open(struct commit *self, struct journal *journal, struct meters *meters)
{
    memset(self, 0, sizeof *self);
    self->journal = journal;
    self->meters = meters;
}

/* Logged when it begins and when it ends, not at every attempt in between. */
static void set_trouble(struct commit *self, const char *trouble, const struct leat_error *why)
{
    if (trouble && self->trouble != trouble)
        leat_log(LEAT_ERR, "ingest", "journal_unwritable", LEAT_S("reason", trouble),
                 LEAT_S("error", why ? why->text : ""));
    if (!trouble && self->trouble)
        leat_log(LEAT_INFO, "ingest", "journal_writable_again");
    self->trouble = trouble;
}

static void failed(struct commit *self, const char *trouble, const struct leat_error *why)
{
    leat_metric_inc(self->meters->commit_failures, 1);
    self->retry_at = leat_monotonic_us() + RETRY_US;
    set_trouble(self, trouble, why);
}

bool commit_enter(struct commit *self, int64_t now)
{
    if (self->open)
        return !self->spoilt;
    if (now < self->retry_at)
        return false;
    struct leat_error err;
    if (!journal_begin(self->journal, &err)) {
        failed(self, broken, &err);
        return false;
    }
    self->open = true;
    self->parts = 0;
    memset(self->tallies, 0, sizeof self->tallies);
    return true;
}

void commit_add(struct commit *self, size_t bytes)
{
    self->parts++;
    self->bytes += bytes;
}

void commit_count(struct commit *self, const struct leat_flow *flow, uint32_t accepted,
                  uint32_t rejected, bool batch)
{
    size_t i = 0;
    while (i < self->meters->flows && leat_flows[i] != flow)
        i++;
    self->tallies[i].accepted += accepted;
    self->tallies[i].rejected += rejected;
    self->tallies[i].batches += batch;
    self->tallies[i].sends++;
}

static void count_all(struct commit *self)
{
    for (size_t i = 0; i <= self->meters->flows; i++) {
        const struct commit_tally *tally = &self->tallies[i];
        if (tally->accepted > 0)
            leat_metric_inc(self->meters->kinds[i].accepted, (int64_t)tally->accepted);
        if (tally->rejected > 0)
            leat_metric_inc(self->meters->kinds[i].rejected, (int64_t)tally->rejected);
        leat_metric_inc(self->meters->sends, (int64_t)tally->sends);
        if (tally->batches > 0)
            self->grew |= 1u << i;
    }
}

void commit_spoil(struct commit *self, const struct leat_error *why)
{
    self->spoilt = self->open;
    failed(self, broken, why);
}

void commit_note(struct commit *self, enum journal_result result, const struct leat_error *why)
{
    if (result == JOURNAL_BROKEN)
        commit_spoil(self, why);
    if (result == JOURNAL_NO_DISK)
        set_trouble(self, no_disk, why);
    uint64_t swallowed;
    if (result == JOURNAL_REFUSED && leat_log_allow(&self->refused, &swallowed))
        leat_log(LEAT_ERR, "ingest", "journal_refused", LEAT_S("reason", why->text),
                 LEAT_I("swallowed", swallowed));
}

int64_t commit_due(const struct commit *self, int64_t now)
{
    if (!self->open)
        return -1;
    if (self->spoilt || self->parts_before <= 1 || self->bytes >= self->bytes_most)
        return 0;
    int64_t at = self->ended_at + self->wait_us;
    return at > now ? at - now : 0;
}

void commit_try(struct commit *self, int64_t now)
{
    struct leat_error err;
    if (!self->trouble || now - self->tried_at < TRY_US || !commit_enter(self, now))
        return;
    self->tried_at = now;
    commit_note(self, journal_touch(self->journal, &err), &err);
}

/* After a commit. One that wrote nothing proves nothing. And deleting works on a full disk too:
 * only an append proves that there is room, or the disk itself. */
static void trouble_end(struct commit *self, bool changed, bool appended)
{
    if (!self->trouble || !changed)
        return;
    if (self->trouble != no_disk || appended || journal_has_disk(self->journal, NULL))
        set_trouble(self, NULL, NULL);
}

static void succeeded(struct commit *self, bool changed, bool appended, int64_t us)
{
    count_all(self);
    leat_metric_inc(self->meters->commits, 1);
    leat_metric_inc(self->meters->commit_seconds, us);
    trouble_end(self, changed, appended);
    /* After a meta page that could not be written only reading the file again tells what is there:
     * perhaps a batch whose sender was answered busy, and which nobody sends again once it is held.
     */
    if (self->unsure)
        self->grew = UINT32_MAX;
    self->unsure = false;
}

/* What was spoilt has been told already. */
static void undone(struct commit *self, enum journal_result result, const struct leat_error *why)
{
    self->unsure = true;
    if (self->spoilt)
        return;
    if (result == JOURNAL_FULL) {
        /* The map was full: acks go on at once, by themselves. No trouble of the disk's. */
        leat_metric_inc(self->meters->commit_failures, 1);
        leat_log(LEAT_WARN, "ingest", "journal_map_full", LEAT_S("error", why->text));
    } else {
        failed(self, result == JOURNAL_NO_DISK ? no_disk : broken, why);
    }
}

bool commit_end(struct commit *self)
{
    struct leat_error err = {.text = ""};
    bool appended = journal_pending_bytes(self->journal) > 0;
    bool changed = journal_changed(self->journal);
    int64_t began = leat_monotonic_us();
    enum journal_result result = JOURNAL_BROKEN;
    if (self->spoilt)
        journal_abort(self->journal);
    else
        result = journal_commit(self->journal, &err);
    self->ended_at = leat_monotonic_us();
    self->parts_before = self->parts;
    self->grew = 0;
    if (result == JOURNAL_OK)
        succeeded(self, changed, appended, self->ended_at - began);
    else
        undone(self, result, &err);
    self->open = self->spoilt = false;
    self->bytes = 0; /* there is room again: who reads looks at this before it begins the next */
    return result == JOURNAL_OK;
}
