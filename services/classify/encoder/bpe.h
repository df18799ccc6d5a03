/* Byte pair encoding: a word's characters, then, again and again, the pair of neighbours merged
 * that comes first in the list of merges, the leftmost of equal ones. */
#ifndef LEAT_ENCODER_BPE_H
#define LEAT_ENCODER_BPE_H

#include "services/classify/encoder/spec.h"
#include "services/classify/encoder/strand.h"
#include "services/classify/encoder/trie.h"

#include <stdbool.h>

enum {
    BPE_DIRECT = 0x800,     /* characters below this are looked up in a table */
    BPE_CACHE_WORDS = 4096, /* a power of two */
    BPE_CACHE_BYTES = 24,   /* longer words, or those of more ids, are worked out each time */
    BPE_CACHE_IDS = 8,
};

struct bpe_merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX: free */
    uint32_t rank;
    int32_t id;
};

struct bpe {
    const struct trie *tokens; /* borrowed */
    struct bpe_merge *merges;  /* a hash table, a power of two of places */
    size_t mask;
    char *prefix, *suffix; /* continuing_subword_prefix, end_of_word_suffix; owned, maybe empty */
    int32_t unknown;       /* -1: what is unknown is left out */
    bool fuse_unknown, byte_fallback, ignore_merges;
    int32_t bytes[256];         /* the tokens <0x..>, -1: not there */
    int32_t direct[BPE_DIRECT]; /* tokens of one character */
};

/* A part of the word being merged. */
struct bpe_symbol {
    int32_t id, before, after; /* neighbours, -1: none */
    bool gone;                 /* merged into the one before */
};

/* A merge that may be done. */
struct bpe_chance {
    uint32_t rank, place;
    int32_t id; /* what would come out */
};

struct bpe_cached {
    uint8_t size, count;
    char word[BPE_CACHE_BYTES];
    int32_t ids[BPE_CACHE_IDS];
};

struct bpe_scratch {
    struct bpe_symbol *symbols;
    size_t count, room;
    struct bpe_chance *heap;
    size_t heap_count, heap_room;
    struct strand_buffer key;
    struct bpe_cached *cache; /* what these words came to; made with the scratch */
};

bool bpe_open(struct bpe *self, const struct trie *tokens, const struct spec *spec,
              const struct spec_node *model);
void bpe_close(struct bpe *self);

/* Adds the tokens of a word. False: no more ids are wanted, or no memory. */
bool bpe_encode(const struct bpe *self, struct bpe_scratch *scratch, const char *word, size_t size,
                struct ids *ids);
bool bpe_scratch_open(struct bpe_scratch *scratch);
void bpe_scratch_close(struct bpe_scratch *scratch);

#endif
