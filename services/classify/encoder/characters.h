/* What a character is taken for when text is cut up: letter, number, space, punctuation and so on.
 *
 * The answers are those of the reference implementation (Hugging Face `tokenizers`), asked for one
 * by one: its libraries carry Unicode data of different ages (categories of version 8 for BERT's
 * punctuation and accents, version 12 for normal forms, 16 and later for letters and numbers), so
 * no library alone would give them. tests/tokenizer/characters.js writes the table anew. */
#ifndef LEAT_ENCODER_CHARACTERS_H
#define LEAT_ENCODER_CHARACTERS_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHARACTER_NONE = 0,
    CHARACTER_LETTER = 1 << 0,      /* \p{L} */
    CHARACTER_NUMBER = 1 << 1,      /* \p{N} */
    CHARACTER_SPACE = 1 << 2,       /* White_Space */
    CHARACTER_WORD = 1 << 3,        /* \w */
    CHARACTER_PUNCTUATION = 1 << 4, /* BERT's: ASCII's, and P* of an early Unicode */
    CHARACTER_NUMERIC = 1 << 5,     /* what Digits splits at */
    CHARACTER_DECIMAL = 1 << 6,     /* \d */
    CHARACTER_REMOVED = 1 << 7,     /* BERT's cleaning leaves it out */
    CHARACTER_ACCENT = 1 << 8,      /* BERT's strip_accents leaves it out: Mn */
    CHARACTER_MARK = 1 << 9,        /* StripAccents leaves it out: M* */
    CHARACTER_UNORDERED = 1 << 10,  /* a mark of combining class 0 there, whatever it is today */
};

enum {
    CHARACTERS_MOST = 0x110000,
    CHARACTERS_LOWER_MOST = 2, /* characters that one becomes in lower case, at most */
};

/* The table unpacked: of each 256 characters which page, and pages of 256 kinds. About 100 KB. */
struct characters {
    uint16_t page[CHARACTERS_MOST >> 8];
    uint16_t *kinds;
};

bool characters_open(struct characters *self, struct leat_error *err);
void characters_close(struct characters *self);

/* The flags of a character below CHARACTERS_MOST. */
static inline unsigned characters_of(const struct characters *self, uint32_t c)
{
    return self->kinds[(size_t)self->page[c >> 8] << 8 | (c & 0xff)];
}

/* Writes the lower-case form, full mapping without regard to neighbours; returns how many
 * characters that is. */
size_t characters_lower(uint32_t c, uint32_t out[CHARACTERS_LOWER_MOST]);

/* True for the blocks that BERT takes for Chinese. */
bool characters_chinese(uint32_t c);

#endif
