#include "services/classify/features.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* A folded character, with a flag beside the code point when it belongs to words. */
#define IN_WORD 0x80000000u
#define SPACE   0x20u

/* Odd multipliers of high entropy (fractions of the golden ratio and of the square root of two).
 * A state is multiplied after each symbol; rows are its top bits, which depend on all below. */
#define STEP 0x9e3779b97f4a7c15ull
#define JOIN 0x6a09e667f3bcc909ull
#define WORD 0x2545f4914f6cdd1dull

enum {
    GRAM_LONGEST = 5,
    FOLD_MOST = 4, /* code points that one character folds to (3 in Unicode 15) */
    SLOTS_LEAST = 64,
    CUT_BACK = 256 /* how far before the end of reading a space is looked for */
};

/* Counts rows: open addressing over slots that hold 1 + the place in items. Rows are hashes
 * already, so their low bits are the slot. */
struct counter {
    struct features_count *items;
    uint32_t *slots;
    size_t size;
    uint32_t mask;
    unsigned shift; /* of a 64-bit hash down to a row */
};

struct features {
    struct features_shape shape;
    uint32_t
        *symbols; /* the folded text: one space at either end and between what whitespace parts */
    size_t symbol_room;
    struct counter counters[FEATURES_FAMILIES];
    uint32_t ascii[128]; /* folded symbol; SPACE for all that parts */
};

static size_t power_of_two(size_t least)
{
    size_t n = SLOTS_LEAST;
    while (n < least)
        n *= 2;
    return n;
}

/* The most features of a family that `symbols` symbols can give. */
static size_t features_most(enum features_family family, size_t symbols)
{
    return family == FEATURES_WORDS ? symbols : symbols * (GRAM_LONGEST - 1);
}

/* The worst a character does is to fold two bytes to three code points. */
static size_t symbol_room(const struct features_shape *shape)
{
    return 2 * shape->read_bytes + FOLD_MOST + 2;
}

size_t features_room(const struct features_shape *shape)
{
    return features_most(FEATURES_WORDS, symbol_room(shape)) +
           features_most(FEATURES_GRAMS, symbol_room(shape));
}

static bool counter_open(struct counter *counter, unsigned bits, size_t most)
{
    counter->shift = 64 - bits;
    counter->items = malloc(most * sizeof *counter->items);
    counter->slots = malloc(power_of_two(2 * most) * sizeof *counter->slots);
    return counter->items && counter->slots;
}

static void counter_close(struct counter *counter)
{
    free(counter->items);
    free(counter->slots);
}

/* As many slots as this text can need, at most half of them full: a short text clears little. */
static void counter_clear(struct counter *counter, size_t most)
{
    size_t slots = power_of_two(2 * most);
    counter->mask = (uint32_t)(slots - 1);
    counter->size = 0;
    memset(counter->slots, 0, slots * sizeof *counter->slots);
}

static inline void counter_add(struct counter *counter, uint64_t hash)
{
    uint32_t row = (uint32_t)(hash >> counter->shift);
    uint32_t at = row & counter->mask;
    uint32_t slot;
    while ((slot = counter->slots[at]) != 0) {
        struct features_count *item = &counter->items[slot - 1];
        if (item->row == row) {
            item->count++;
            return;
        }
        at = (at + 1) & counter->mask;
    }
    counter->items[counter->size] = (struct features_count){.row = row, .count = 1};
    counter->slots[at] = (uint32_t)++counter->size;
}

static void fill_ascii(uint32_t ascii[128])
{
    for (unsigned c = 0; c < 128; c++) {
        bool upper = c >= 'A' && c <= 'Z';
        bool word = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (c <= ' ' || c == 127)
            ascii[c] = SPACE;
        else
            ascii[c] = (upper ? c + 'a' - 'A' : c) | (word ? IN_WORD : 0);
    }
}

bool features_check(const struct features_shape *shape, struct leat_error *err)
{
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        if (shape->bits[f] < FEATURES_BITS_LEAST || shape->bits[f] > FEATURES_BITS_MOST)
            return leat_fail(err, "a feature table of 2^%u rows: expected 2^%d to 2^%d",
                             shape->bits[f], FEATURES_BITS_LEAST, FEATURES_BITS_MOST);
    if (shape->read_bytes < FEATURES_READ_LEAST || shape->read_bytes > FEATURES_READ_MOST)
        return leat_fail(err, "a model that reads %zu bytes of a text: expected %d to %d",
                         shape->read_bytes, FEATURES_READ_LEAST, FEATURES_READ_MOST);
    return true;
}

struct features *features_open(const struct features_shape *shape, struct leat_error *err)
{
    if (!features_check(shape, err))
        return NULL;
    struct features *self = calloc(1, sizeof *self);
    bool made = self != NULL;
    if (made) {
        self->shape = *shape;
        fill_ascii(self->ascii);
        self->symbol_room = symbol_room(shape);
        self->symbols = malloc(self->symbol_room * sizeof *self->symbols);
        made = self->symbols != NULL;
        for (int f = 0; f < FEATURES_FAMILIES; f++)
            made = counter_open(&self->counters[f], shape->bits[f],
                                features_most(f, self->symbol_room)) &&
                   made;
    }
    if (!made) {
        leat_fail(err, "out of memory for features");
        features_close(&self);
    }
    return self;
}

void features_close(struct features **self)
{
    if (!*self)
        return;
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        counter_close(&(*self)->counters[f]);
    free((*self)->symbols);
    free(*self);
    *self = NULL;
}

/* How much of the text is read; see features_extract. */
static size_t cut(const char *text, size_t size, size_t read_bytes)
{
    if (size <= read_bytes)
        return size;
    size_t least = read_bytes > CUT_BACK ? read_bytes - CUT_BACK : 0;
    for (size_t n = read_bytes; n > least; n--)
        if ((unsigned char)text[n] <= ' ' || (unsigned char)text[n - 1] <= ' ')
            return n;
    size_t n = read_bytes;
    while (n > read_bytes - 3 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* The symbol of a code point above ASCII that is folded already. */
static uint32_t symbol_of(utf8proc_int32_t point)
{
    switch (point) {
    case 0x2018:
    case 0x2019:
        return '\'';
    case 0x201c:
    case 0x201d:
        return '"';
    default:
        break;
    }
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
        return SPACE;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return (uint32_t)point | IN_WORD;
    default:
        return (uint32_t)point;
    }
}

/* Folds the character at `text`, which is not ASCII, to symbols at `out` (at most FOLD_MOST);
 * what Unicode calls ignorable (variation selectors, joiners) gives none. Returns its bytes. */
static size_t fold_wide(const char *text, size_t size, uint32_t *out, size_t *made)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t bytes =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &point);
    if (bytes <= 0) {
        bytes = 1;
        point = 0xfffd;
    }
    utf8proc_int32_t folded[FOLD_MOST];
    int boundclass = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(point, folded, FOLD_MOST,
                                                 UTF8PROC_CASEFOLD | UTF8PROC_IGNORE, &boundclass);
    if (n < 0 || n > FOLD_MOST) {
        folded[0] = point;
        n = 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = folded[i] < 128 ? (uint32_t)folded[i] | IN_WORD : symbol_of(folded[i]);
    *made = (size_t)n;
    return (size_t)bytes;
}

/* Returns the number of symbols. Ensures: 1. The first and the last are a SPACE, and no two
 * neighbours are. */
static size_t fold(struct features *self, const char *text, size_t size)
{
    uint32_t *symbols = self->symbols;
    size_t n = 0;
    symbols[n++] = SPACE;
    for (size_t i = 0; i < size;) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 128) {
            uint32_t symbol = self->ascii[byte];
            symbols[n] = symbol;
            n += !(symbol == SPACE && symbols[n - 1] == SPACE);
            i++;
            continue;
        }
        uint32_t wide[FOLD_MOST];
        size_t made;
        i += fold_wide(text + i, size - i, wide, &made);
        for (size_t k = 0; k < made; k++)
            if (n + 2 < self->symbol_room && !(wide[k] == SPACE && symbols[n - 1] == SPACE))
                symbols[n++] = wide[k];
    }
    if (symbols[n - 1] != SPACE)
        symbols[n++] = SPACE;
    return n;
}

static void count_words(struct counter *counter, const uint32_t *symbols, size_t n)
{
    uint64_t before = 0; /* hash of the word before; 0: there is none */
    uint64_t hash = WORD;
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        if (symbols[i] & IN_WORD) {
            hash = (hash ^ symbols[i]) * STEP;
            inside = true;
        } else if (inside) {
            /* The last symbol's bits sit low and high only: spread them before taking the top. */
            hash = (hash ^ (hash >> 32)) * JOIN;
            counter_add(counter, hash);
            if (before)
                counter_add(counter, (before ^ (hash >> 29)) * STEP + hash);
            before = hash;
            hash = WORD;
            inside = false;
        }
    }
}

static void count_grams(struct counter *counter, const uint32_t *symbols, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t hash = (JOIN ^ symbols[i]) * STEP;
        size_t end = i + GRAM_LONGEST < n ? i + GRAM_LONGEST : n;
        for (size_t k = i + 1; k < end; k++) {
            hash = (hash ^ (hash >> 32) ^ symbols[k]) * STEP;
            counter_add(counter, hash);
            if (symbols[k] == SPACE)
                break;
        }
    }
}

size_t features_extract(struct features *self, const char *text, size_t size,
                        struct features_list list[FEATURES_FAMILIES])
{
    size_t read = cut(text, size, self->shape.read_bytes);
    size_t n = fold(self, text, read);
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        counter_clear(&self->counters[f], features_most(f, n));
    count_words(&self->counters[FEATURES_WORDS], self->symbols, n);
    count_grams(&self->counters[FEATURES_GRAMS], self->symbols, n);
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        list[f] = (struct features_list){.items = self->counters[f].items,
                                         .size = self->counters[f].size};
    return read;
}
