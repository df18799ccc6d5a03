#include "services/classify/encoder/bpe.h"

#include <stdlib.h>
#include <xxhash.h>

bool bpe_scratch_open(struct bpe_scratch *scratch)
{
    *scratch = (struct bpe_scratch){0};
    scratch->cache = calloc(BPE_CACHE_WORDS, sizeof *scratch->cache);
    return scratch->cache != NULL;
}

void bpe_scratch_close(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    free(scratch->key.bytes);
    free(scratch->cache);
    *scratch = (struct bpe_scratch){0};
}

/* --- the heap of merges: lowest rank first, then leftmost ------------------------------------- */

static bool earlier(const struct bpe_chance *a, const struct bpe_chance *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->place < b->place;
}

static bool heap_put(struct bpe_scratch *self, struct bpe_chance chance)
{
    if (self->heap_count == self->heap_room) {
        void *moved =
            strand_grow(self->heap, &self->heap_room, self->heap_count, 1, sizeof *self->heap);
        if (!moved)
            return false;
        self->heap = moved;
    }
    size_t at = self->heap_count++;
    for (size_t up; at > 0; at = up) {
        up = (at - 1) / 2;
        if (!earlier(&chance, &self->heap[up]))
            break;
        self->heap[at] = self->heap[up];
    }
    self->heap[at] = chance;
    return true;
}

static struct bpe_chance heap_take(struct bpe_scratch *self)
{
    struct bpe_chance first = self->heap[0], moved = self->heap[--self->heap_count];
    size_t at = 0;
    for (size_t down; (down = 2 * at + 1) < self->heap_count; at = down) {
        if (down + 1 < self->heap_count && earlier(&self->heap[down + 1], &self->heap[down]))
            down++;
        if (!earlier(&self->heap[down], &moved))
            break;
        self->heap[at] = self->heap[down];
    }
    self->heap[at] = moved;
    return first;
}

/* --- merging --------------------------------------------------------------------------------- */

static const struct bpe_merge *merge_find(const struct bpe *self, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t at = (size_t)(pair * 0x9e3779b97f4a7c15u >> 32) & self->mask;
    for (; self->merges[at].pair != UINT64_MAX; at = (at + 1) & self->mask)
        if (self->merges[at].pair == pair)
            return &self->merges[at];
    return NULL;
}

/* Puts the merge of a symbol with the next one on the heap, if there is one. */
static bool chance_put(const struct bpe *self, struct bpe_scratch *scratch, int32_t place)
{
    const struct bpe_symbol *symbol = &scratch->symbols[place];
    if (symbol->after < 0)
        return true;
    const struct bpe_merge *merge =
        merge_find(self, symbol->id, scratch->symbols[symbol->after].id);
    return !merge ||
           heap_put(scratch, (struct bpe_chance){merge->rank, (uint32_t)place, merge->id});
}

/* True when the symbols are still those that the chance was seen for. */
static bool chance_holds(const struct bpe *self, const struct bpe_scratch *scratch,
                         struct bpe_chance chance)
{
    const struct bpe_symbol *symbol = &scratch->symbols[chance.place];
    if (symbol->gone || symbol->after < 0)
        return false;
    const struct bpe_merge *merge =
        merge_find(self, symbol->id, scratch->symbols[symbol->after].id);
    return merge && merge->id == chance.id;
}

static bool merge_all(const struct bpe *self, struct bpe_scratch *scratch)
{
    struct bpe_symbol *symbols = scratch->symbols;
    scratch->heap_count = 0;
    for (size_t i = 0; i + 1 < scratch->count; i++)
        if (!chance_put(self, scratch, (int32_t)i))
            return false;
    while (scratch->heap_count > 0) {
        struct bpe_chance chance = heap_take(scratch);
        if (!chance_holds(self, scratch, chance))
            continue;
        struct bpe_symbol *left = &symbols[chance.place], *right = &symbols[left->after];
        left->id = chance.id;
        left->after = right->after;
        right->gone = true;
        if (left->after >= 0)
            symbols[left->after].before = (int32_t)chance.place;
        if ((left->before >= 0 && !chance_put(self, scratch, left->before)) ||
            !chance_put(self, scratch, (int32_t)chance.place))
            return false;
    }
    return true;
}

/* --- a word's characters --------------------------------------------------------------------- */

static bool symbol_add(struct bpe_scratch *self, int32_t id)
{
    if (self->count == self->room) {
        void *moved =
            strand_grow(self->symbols, &self->room, self->count, 1, sizeof *self->symbols);
        if (!moved)
            return false;
        self->symbols = moved;
    }
    int32_t at = (int32_t)self->count++;
    self->symbols[at] = (struct bpe_symbol){.id = id, .before = at - 1, .after = -1};
    if (at > 0)
        self->symbols[at - 1].after = at;
    return true;
}

/* One character of the word as the vocabulary spells it. */
struct letter {
    const char *bytes;
    size_t size;
    int32_t id; /* -1: unknown */
};

/* False without memory. */
static bool letter_read(const struct bpe *self, struct bpe_scratch *scratch, const char *word,
                        size_t size, size_t at, struct letter *out)
{
    uint32_t c;
    size_t step = utf8_read(word + at, &c);
    bool prefixed = at > 0 && *self->prefix, suffixed = at + step == size && *self->suffix;
    *out = (struct letter){.bytes = word + at, .size = step};
    if (!prefixed && !suffixed) {
        out->id = c < BPE_DIRECT ? self->direct[c] : trie_find(self->tokens, word + at, step);
        return true;
    }
    scratch->key.size = 0;
    if ((prefixed && !strand_put(&scratch->key, self->prefix, strlen(self->prefix))) ||
        !strand_put(&scratch->key, word + at, step) ||
        (suffixed && !strand_put(&scratch->key, self->suffix, strlen(self->suffix))))
        return false;
    out->bytes = scratch->key.bytes;
    out->size = scratch->key.size;
    out->id = trie_find(self->tokens, out->bytes, out->size);
    return true;
}

/* Spells an unknown character in byte tokens. False: not all of them are there. */
static bool bytes_spell(const struct bpe *self, struct bpe_scratch *scratch,
                        const struct letter *letter, bool *failed)
{
    if (!self->byte_fallback)
        return false;
    for (size_t i = 0; i < letter->size; i++)
        if (self->bytes[(unsigned char)letter->bytes[i]] < 0)
            return false;
    for (size_t i = 0; i < letter->size; i++)
        if (!symbol_add(scratch, self->bytes[(unsigned char)letter->bytes[i]]))
            *failed = true;
    return true;
}

/* The word's characters as symbols. As in the reference, an unknown one is put only when the next
 * known or unknown one comes, so characters spelled in bytes overtake it. */
static bool symbols_read(const struct bpe *self, struct bpe_scratch *scratch, const char *word,
                         size_t size)
{
    bool waiting = false, failed = false;
    scratch->count = 0;
    for (size_t at = 0; at < size && !failed; at += utf8_size(word[at])) {
        struct letter letter;
        if (!letter_read(self, scratch, word, size, at, &letter))
            return false;
        if (letter.id >= 0) {
            failed =
                (waiting && !symbol_add(scratch, self->unknown)) || !symbol_add(scratch, letter.id);
            waiting = false;
        } else if (!bytes_spell(self, scratch, &letter, &failed) && self->unknown >= 0) {
            if (waiting && !self->fuse_unknown)
                failed = !symbol_add(scratch, self->unknown);
            waiting = true;
        }
    }
    return !failed && (!waiting || symbol_add(scratch, self->unknown));
}

/* --- words ----------------------------------------------------------------------------------- */

static bool word_encode(const struct bpe *self, struct bpe_scratch *scratch, const char *word,
                        size_t size, struct ids *ids)
{
    if (!symbols_read(self, scratch, word, size) || !merge_all(self, scratch)) {
        ids->failed = true;
        return false;
    }
    for (int32_t at = scratch->count > 0 ? 0 : -1; at >= 0; at = scratch->symbols[at].after)
        if (!ids_add(ids, scratch->symbols[at].id))
            return false;
    return true;
}

bool bpe_encode(const struct bpe *self, struct bpe_scratch *scratch, const char *word, size_t size,
                struct ids *ids)
{
    if (self->ignore_merges) {
        int32_t id = trie_find(self->tokens, word, size);
        if (id >= 0)
            return ids_add(ids, id);
    }
    if (size > BPE_CACHE_BYTES)
        return word_encode(self, scratch, word, size, ids);
    struct bpe_cached *cached = &scratch->cache[XXH3_64bits(word, size) & (BPE_CACHE_WORDS - 1)];
    if (cached->size == size && memcmp(cached->word, word, size) == 0) {
        for (unsigned i = 0; i < cached->count; i++)
            if (!ids_add(ids, cached->ids[i]))
                return false;
        return true;
    }
    size_t before = ids->count;
    if (!word_encode(self, scratch, word, size, ids))
        return false;
    size_t count = ids->count - before;
    if (count > 0 && count <= BPE_CACHE_IDS) {
        cached->size = (uint8_t)size;
        cached->count = (uint8_t)count;
        memcpy(cached->word, word, size);
        memcpy(cached->ids, ids->items + before, count * sizeof *cached->ids);
    }
    return true;
}
