#include "services/classify/encoder/batcher.h"

#include "services/classify/encoder/team.h"

#include <stdatomic.h>
#include <stdlib.h>

struct pack {
    size_t first, count; /* in the order */
};

struct batcher {
    const struct forward_model *model;
    struct team *team;
    struct forward **forwards; /* one for each thread */
    struct leat_error *errors; /* likewise */
    size_t budget;
    const struct forward_text **order; /* longest first */
    struct pack *packs;
    size_t room; /* of order and packs */
    size_t n_packs;
    atomic_size_t next; /* pack to be taken */
    atomic_bool failed;
    struct batcher_stats stats;
};

static void open_forward(void *self_, unsigned worker)
{
    struct batcher *self = self_;
    size_t longest = self->model->config.max_tokens;
    self->forwards[worker] = forward_open(
        self->model, self->budget > longest ? self->budget : longest, &self->errors[worker]);
    if (!self->forwards[worker])
        atomic_store(&self->failed, true);
}

/* The first thread's reason that there is. */
static bool tell(const struct batcher *self, struct leat_error *err)
{
    for (unsigned i = 0; i < team_size(self->team); i++)
        if (self->errors[i].text[0])
            return leat_fail(err, "%s", self->errors[i].text);
    return leat_fail(err, "out of memory");
}

struct batcher *batcher_open(const struct forward_model *model, unsigned threads, size_t budget,
                             struct leat_error *err)
{
    struct batcher *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->model = model;
    self->budget = budget;
    self->team = team_open(threads, err);
    if (!self->team) {
        batcher_close(&self);
        return NULL;
    }
    self->forwards = calloc(threads, sizeof *self->forwards);
    self->errors = calloc(threads, sizeof *self->errors);
    if (self->forwards && self->errors)
        team_run(self->team, open_forward, self);
    else
        leat_fail(err, "out of memory");
    if (!self->forwards || !self->errors || (atomic_load(&self->failed) && !tell(self, err)))
        batcher_close(&self);
    return self;
}

void batcher_close(struct batcher **self_)
{
    struct batcher *self = *self_;
    if (!self)
        return;
    for (unsigned i = 0; self->forwards && i < team_size(self->team); i++)
        forward_close(&self->forwards[i]);
    team_close(&self->team);
    free(self->forwards);
    free(self->errors);
    free(self->order);
    free(self->packs);
    free(self);
    *self_ = NULL;
}

static bool make_room(struct batcher *self, size_t n, struct leat_error *err)
{
    if (n <= self->room)
        return true;
    const struct forward_text **order = realloc(self->order, n * sizeof *order);
    if (order)
        self->order = order;
    struct pack *packs = realloc(self->packs, n * sizeof *packs);
    if (packs)
        self->packs = packs;
    if (!order || !packs)
        return leat_fail(err, "out of memory");
    self->room = n;
    return true;
}

static int by_length(const void *a_, const void *b_)
{
    const struct forward_text *a = *(const struct forward_text *const *)a_;
    const struct forward_text *b = *(const struct forward_text *const *)b_;
    if (a->length != b->length)
        return a->length > b->length ? -1 : 1;
    return a < b ? -1 : a > b; /* so that the same texts are packed the same way */
}

/* Ensures: 1. every text is in one pack; 2. no pack of two or more texts has more tokens than the
 * budget; 3. there are as many packs as threads, or more, when there are as many texts. */
static void plan(struct batcher *self, const struct forward_text *texts, size_t n)
{
    size_t tokens = 0;
    for (size_t i = 0; i < n; i++) {
        self->order[i] = &texts[i];
        tokens += texts[i].length;
    }
    qsort(self->order, n, sizeof *self->order, by_length);
    size_t threads = team_size(self->team);
    size_t packs = (tokens + self->budget - 1) / self->budget;
    packs = (packs + threads - 1) / threads * threads;
    size_t share = (tokens + packs - 1) / packs; /* at least: a pack ends once it has as much */
    self->n_packs = 0;
    size_t held = 0;
    for (size_t i = 0; i < n; i++) {
        struct pack *last = &self->packs[self->n_packs];
        size_t length = self->order[i]->length;
        if (i == 0 || held >= share || held + length > self->budget) {
            last = &self->packs[self->n_packs++];
            *last = (struct pack){.first = i};
            held = 0;
        } else {
            last--;
        }
        last->count++;
        held += length;
    }
    self->stats.texts += n;
    self->stats.tokens += tokens;
    self->stats.packs += self->n_packs;
    self->stats.room += self->n_packs * self->budget;
}

static void take_packs(void *self_, unsigned worker)
{
    struct batcher *self = self_;
    while (!atomic_load(&self->failed)) {
        size_t index = atomic_fetch_add(&self->next, 1);
        if (index >= self->n_packs)
            return;
        const struct pack *pack = &self->packs[index];
        if (!forward_run(self->forwards[worker], self->order + pack->first, pack->count,
                         &self->errors[worker]))
            atomic_store(&self->failed, true);
    }
}

static void count_rows(struct batcher *self)
{
    for (size_t p = 0; p < self->n_packs; p++) {
        size_t rows = 0;
        for (size_t i = 0; i < self->packs[p].count; i++)
            rows += self->order[self->packs[p].first + i]->length;
        self->stats.rows += matmul_rows(rows);
    }
}

bool batcher_run(struct batcher *self, const struct forward_text *texts, size_t n,
                 struct leat_error *err)
{
    if (n == 0)
        return true;
    if (!make_room(self, n, err))
        return false;
    plan(self, texts, n);
    atomic_store(&self->next, 0);
    atomic_store(&self->failed, false);
    team_run(self->team, take_packs, self);
    count_rows(self);
    return !atomic_load(&self->failed) || tell(self, err);
}

const struct batcher_stats *batcher_stats(const struct batcher *self)
{
    return &self->stats;
}

struct team *batcher_team(struct batcher *self)
{
    return self->team;
}
