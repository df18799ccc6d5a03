#include "services/classify/encoder/tokenizer_private.h"

#include <stdlib.h>
#include <utf8proc.h>

void tokenizer_close(struct tokenizer **self)
{
    struct tokenizer *tokenizer = *self;
    *self = NULL;
    if (!tokenizer)
        return;
    added_tokens_close(&tokenizer->added);
    normalizer_close(&tokenizer->normalizer);
    pretokenizer_close(&tokenizer->pretokenizer);
    bpe_close(&tokenizer->bpe);
    unigram_close(&tokenizer->unigram);
    trie_close(&tokenizer->tokens);
    characters_close(&tokenizer->characters);
    free(tokenizer);
}

struct tokenizer_scratch *tokenizer_scratch_open(const struct tokenizer *tokenizer,
                                                 struct leat_error *err)
{
    struct tokenizer_scratch *self = calloc(1, sizeof *self);
    if (self && tokenizer->kind == MODEL_BPE && !bpe_scratch_open(&self->bpe)) {
        free(self);
        self = NULL;
    }
    if (!self)
        leat_fail(err, "out of memory for a tokenizer's scratch");
    return self;
}

void tokenizer_scratch_close(struct tokenizer_scratch **self)
{
    struct tokenizer_scratch *scratch = *self;
    *self = NULL;
    if (!scratch)
        return;
    free(scratch->repaired.bytes);
    free(scratch->ids.items);
    normalizer_scratch_close(&scratch->normalizer);
    pretokenizer_scratch_close(&scratch->pretokenizer);
    bpe_scratch_close(&scratch->bpe);
    unigram_scratch_close(&scratch->unigram);
    free(scratch);
}

int32_t tokenizer_ids(const struct tokenizer *self)
{
    return self->ids;
}

size_t tokenizer_specials(const struct tokenizer *self)
{
    return self->postprocessor.n_before + self->postprocessor.n_behind;
}

int32_t tokenizer_pad(const struct tokenizer *self)
{
    return self->pad;
}

int32_t tokenizer_find(const struct tokenizer *self, const char *token)
{
    int32_t id = added_tokens_find(&self->added, token, strlen(token));
    return id >= 0 ? id : trie_find(&self->tokens, token, strlen(token));
}

size_t tokenizer_max_length(const struct tokenizer *self)
{
    return self->max_length;
}

/* --- encoding -------------------------------------------------------------------------------- */

/* A text on its way. */
struct job {
    const struct tokenizer *self;
    struct tokenizer_scratch *scratch;
    struct ids *ids;
};

static bool piece_encode(const struct job *job, const char *piece, size_t size)
{
    switch (job->self->kind) {
    case MODEL_WORDPIECE:
        return wordpiece_encode(&job->self->wordpiece, piece, size, job->ids);
    case MODEL_BPE:
        return bpe_encode(&job->self->bpe, &job->scratch->bpe, piece, size, job->ids);
    case MODEL_UNIGRAM:
        break;
    }
    return unigram_encode(&job->self->unigram, &job->scratch->unigram, piece, size, job->ids);
}

/* Normalized text without added tokens. */
static bool words_encode(const struct job *job, struct strand text)
{
    const struct spans *spans;
    if (text.size == 0)
        return true;
    if (!pretokenizer_apply(&job->self->pretokenizer, &job->scratch->pretokenizer, &text, &spans)) {
        job->ids->failed = true;
        return false;
    }
    for (size_t i = 0; i < spans->count; i++)
        if (!piece_encode(job, text.bytes + spans->items[i].start, spans->items[i].size))
            return false;
    return true;
}

/* A part of a text between added tokens. */
static struct strand part(struct strand text, size_t start, size_t end)
{
    size_t head = text.head > start ? text.head - start : 0;
    return (struct strand){.bytes = text.bytes + start,
                           .size = end - start,
                           .head = head < end - start ? head : end - start,
                           .first = text.first && start == 0};
}

/* The text's tokens of one set, and what is between them by `between`. */
static bool parts_encode(const struct job *job, const struct added_set *set, struct strand text,
                         bool (*between)(const struct job *job, struct strand text))
{
    size_t done = 0, from = 0;
    struct added_match match;
    while (added_set_next(&job->self->added, set, text.bytes, text.size, done, &from, &match)) {
        if ((done < match.start && !between(job, part(text, done, match.start))) ||
            (match.start < match.end && !ids_add(job->ids, match.id)))
            return false;
        done = match.end;
    }
    return done >= text.size || between(job, part(text, done, text.size));
}

static bool raw_encode(const struct job *job, struct strand text)
{
    if (!normalizer_apply(&job->self->normalizer, &job->scratch->normalizer, &text)) {
        job->ids->failed = true;
        return false;
    }
    return parts_encode(job, &job->self->added.normalized, text, words_encode);
}

/* Valid UTF-8, the text itself if it is that. False without memory. */
static bool repair(struct tokenizer_scratch *scratch, const char **text, size_t *size)
{
    struct strand_buffer *out = &scratch->repaired;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)*text;
    size_t good = 0;
    bool broken = false;
    out->size = 0;
    for (size_t at = 0; at < *size;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t step = 1;
        if (bytes[at] >= 0x80)
            step = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(*size - at), &c);
        if (step > 0) {
            at += (size_t)step;
            continue;
        }
        broken = true;
        if (!strand_put(out, *text + good, at - good) || !strand_put_point(out, 0xfffd))
            return false;
        good = ++at;
    }
    if (!broken)
        return true;
    if (!strand_put(out, *text + good, *size - good))
        return false;
    *text = out->bytes;
    *size = out->size;
    return true;
}

/* Copies as many as there is room for; returns how many. */
static size_t ids_copy(int32_t *to, size_t room, const int32_t *ids, size_t count)
{
    count = count < room ? count : room;
    if (count)
        memcpy(to, ids, count * sizeof *to);
    return count;
}

size_t tokenizer_encode(const struct tokenizer *self, struct tokenizer_scratch *scratch,
                        const char *text, size_t size, size_t max_tokens, int32_t *ids,
                        bool *truncated)
{
    const struct postprocessor *around = &self->postprocessor;
    size_t specials = tokenizer_specials(self);
    size_t most = max_tokens > specials ? max_tokens - specials : 0;
    struct job job = {self, scratch, &scratch->ids};
    job.ids->count = 0;
    job.ids->most = self->cut_left ? SIZE_MAX : most;
    job.ids->over = job.ids->failed = false;
    if (!repair(scratch, &text, &size))
        return 0;
    if (size > 0)
        parts_encode(&job, &self->added.raw,
                     (struct strand){text, size, utf8_size(*text), .first = true}, raw_encode);
    if (job.ids->failed)
        return 0;
    size_t left_out = job.ids->count > most ? job.ids->count - most : 0;
    if (truncated)
        *truncated = job.ids->over || left_out > 0;
    size_t n = ids_copy(ids, max_tokens, around->before, around->n_before);
    n += ids_copy(ids + n, max_tokens - n, job.ids->items + left_out, job.ids->count - left_out);
    return n + ids_copy(ids + n, max_tokens - n, around->behind, around->n_behind);
}
