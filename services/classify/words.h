/* Case folding of texts and the boundaries of words in them, for finding keywords.
 *
 * Boundaries follow UAX #29 (Unicode text segmentation) with the character classes that utf8proc's
 * general categories and a few ranges of scripts give:
 *   - letters, digits and connector punctuation ('_') join each other: no boundary between them;
 *   - marks, joiners and format characters belong to the character before them;
 *   - Katakana joins Katakana and '_' only; ideographs, Hiragana and the scripts of South-East Asia
 *     that are written without spaces join nothing, so every one of their letters ends a word;
 *   - anything else (spaces, punctuation, symbols, emoji) is a boundary on both sides.
 * Left out on purpose are the rules by which a dot, a colon or an apostrophe inside a word (or a
 * number) joins what is around it: "Iran's", "l'économie" and "prices.Then" do contain the words
 * that people see in them. */
#ifndef LEAT_CLASSIFY_WORDS_H
#define LEAT_CLASSIFY_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    WORDS_FOLD_GROWTH = 3, /* folded text has at most this many bytes a byte of text */
};

/* Whether every byte is below 0x80. */
bool words_ascii(const char *text, size_t size);

/* Writes the text with its case folded (Unicode full case folding; no normalisation), typographic
 * apostrophes as ' and every kind of space as a plain space. Bytes that are not UTF-8 stay as they
 * are. `out` has room for size x WORDS_FOLD_GROWTH bytes. Returns how many were written. */
size_t words_fold(const char *text, size_t size, char *out);

/* Whether a word may begin or end at byte `at` (0 to size; the start of a character). The start and
 * the end of the text are boundaries. */
bool words_boundary(const char *text, size_t size, size_t at);

#endif
