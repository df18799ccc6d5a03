/* SentencePiece's precompiled table of character replacements ("precompiled_charsmap"): base64 of a
 * double array whose leaves point into a pool of strings.
 *
 * Layout, little endian: u32 size of the array in bytes; the array, units of u32; the pool, strings
 * ended by NUL. A unit (after darts-clone by S. Yata): bits 0-7 label, bit 8 has a leaf, bit 9
 * offset is shifted left by 8, bits 10-30 offset, bit 31 set in a leaf, whose value is bits 0-30.
 */
#ifndef LEAT_ENCODER_CHARSMAP_H
#define LEAT_ENCODER_CHARSMAP_H

#include "proto/error.h"
#include "services/classify/encoder/strand.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHARSMAP_BYTES_MOST = 16 << 20 };

struct charsmap {
    uint32_t *units;
    size_t count;
    char *pool; /* ends with a NUL of its own */
    size_t pool_size;
    bool plain[128]; /* this ASCII character alone is left as it is */
};

/* Reads and checks the base64 text: the reason says what is wrong with it. */
bool charsmap_open(struct charsmap *self, const char *base64, size_t size, struct leat_error *err);
void charsmap_close(struct charsmap *self);

/* Replaces what the table knows, grapheme cluster by grapheme cluster, as the reference does: a
 * cluster of fewer than 6 bytes is replaced whole by what the *shortest* of its beginnings that the
 * table knows stands for; of others, and of clusters without one, each character by itself.
 * False without memory. */
bool charsmap_apply(const struct charsmap *self, struct strand text, struct strand_buffer *out);

#endif
