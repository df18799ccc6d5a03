/* Puts many texts through an encoder at once, on all threads of a team.
 *
 * Texts are ordered by length, longest first, and cut into packs of at most a budget of tokens; a
 * text that is longer than the budget is a pack of its own. Threads take packs until none is left.
 * When there is little to do packs are made smaller than the budget, so that all threads have some.
 * What a text gets does not depend on what it is packed with, but for rounding in the last bits. */
#ifndef LEAT_ENCODER_BATCHER_H
#define LEAT_ENCODER_BATCHER_H

#include "services/classify/encoder/forward.h"

/* What was done, since the batcher was opened. */
struct batcher_stats {
    uint64_t texts, tokens;
    uint64_t packs;
    uint64_t rows; /* computed: tokens, and what blocks were filled up with */
    uint64_t room; /* tokens that the packs could have held: packs x budget */
};

struct batcher;

/* `model` must stay; at least one thread; `budget` is in tokens. */
struct batcher *batcher_open(const struct forward_model *model, unsigned threads, size_t budget,
                             struct leat_error *err);
void batcher_close(struct batcher **self);

/* Fills in logits (and embeddings) of all texts. False when memory is out. */
bool batcher_run(struct batcher *self, const struct forward_text *texts, size_t n,
                 struct leat_error *err);

const struct batcher_stats *batcher_stats(const struct batcher *self);

/* The threads, for other work between runs. */
struct team *batcher_team(struct batcher *self);

#endif
