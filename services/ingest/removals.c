#include "services/ingest/removals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void removals_add(struct removals *self, const struct removal *one)
{
    if (self->n == self->room) {
        self->room = self->room ? self->room * 2 : 256;
        self->list = realloc(self->list, self->room * sizeof self->list[0]);
        if (!self->list) {
            fprintf(stderr, "leat: out of memory for acknowledgements\n");
            abort();
        }
    }
    self->list[self->n++] = *one;
}

void removals_free(struct removals *self)
{
    free(self->list);
    memset(self, 0, sizeof *self);
}

static enum journal_result apply_one(struct removal *it, struct journal *journal,
                                     struct leat_error *err)
{
    struct journal_acked acked = {0};
    const char *kind = leat_flows[it->flow]->kind;
    enum journal_result result =
        it->aside ? journal_set_aside(journal, kind, it->seq, &acked, err)
                  : journal_ack(journal, kind, it->seq, it->committed, it->dead, &acked, err);
    it->client = acked.client;
    return result;
}

void removals_apply(struct removals *self, struct journal *journal, struct commit *commit,
                    int64_t now)
{
    struct leat_error err;
    if (self->applied == self->n || !commit_enter(commit, now))
        return;
    while (self->applied < self->n) {
        enum journal_result result = apply_one(&self->list[self->applied], journal, &err);
        commit_note(commit, result, &err);
        /* Refused is what can never be done: nothing is to be tried again. */
        if (result != JOURNAL_OK && result != JOURNAL_REFUSED)
            return;
        self->applied++;
        commit_add(commit, 0);
    }
}

void removals_settle(struct removals *self, bool committed,
                     void (*removed)(void *arg, uint64_t client), void *arg)
{
    if (committed && self->applied > 0) {
        for (size_t i = 0; i < self->applied; i++)
            if (self->list[i].client > 0)
                removed(arg, self->list[i].client);
        self->n -= self->applied;
        memmove(self->list, self->list + self->applied, self->n * sizeof self->list[0]);
    }
    self->applied = 0;
}
