/* The linear model's file: fixed sizes, little-endian, made to be mapped and used as it lies.
 *
 *   at 0    struct linear_head, 64 bytes
 *   then    float bias[outputs], float scale[families][outputs], zeros up to a multiple of 64
 *   then    rows of the words table, rows of the grams table; a row is `stride` bytes:
 *           signed 8-bit weights, one an output (weight = value * scale of family and output),
 *           zeros, and in the last byte the row's idf (0 to 255 in a unit of the table's own, which
 *           dividing by the vector's length removes)
 *
 * Outputs are the labels, then positive, negative, neutral of the sentiment head.
 * Rule for changes: whatever makes an old file score differently raises LINEAR_FORMAT, and only
 * files of exactly this format are taken. */
#ifndef LEAT_CLASSIFY_LINEAR_FILE_H
#define LEAT_CLASSIFY_LINEAR_FILE_H

#include "proto/error.h"
#include "services/classify/card.h"
#include "services/classify/features.h"
#include "services/classify/linear_kernel.h"
#include "services/classify/sentiment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINEAR_FORMAT = 1, LINEAR_STRIDE_MOST = 64 };

struct linear_head {
    char magic[8]; /* "leat-lin" */
    uint32_t format;
    uint32_t byte_order; /* 0x01020304 as the machine writes it */
    uint64_t file_bytes;
    uint64_t hash[2]; /* XXH3-128 (low, high) of the whole file with these 16 bytes zero */
    uint32_t read_bytes;
    uint32_t labels;
    uint32_t outputs;
    uint32_t stride;
    uint32_t bits[FEATURES_FAMILIES];
};

/* A model file in memory; the pointers lie inside it. */
struct linear_file {
    const struct linear_head *head;
    const float *bias;
    const float *scale[FEATURES_FAMILIES];
    const int8_t *rows[FEATURES_FAMILIES];
    size_t bytes;
};

/* Bytes a row needs for this many labels: whole LINEAR_BLOCKs. */
size_t linear_file_stride(size_t labels);

/* Maps a file read-only and checks all of it: magic, format, every size against the file's, the
 * checksum, and that every bias and scale is finite. The error says what was expected. */
bool linear_file_open(const char *path, struct linear_file *file, struct leat_error *err);
void linear_file_close(struct linear_file *file);

/* Fills magic, format, sizes and checksum of `head` (which gives shape and labels) and writes the
 * file to `path`, synced. `floats` are bias and scales in the file's order, `rows` the two tables.
 */
bool linear_file_write(const char *path, struct linear_head *head, const float *floats,
                       const int8_t *const rows[FEATURES_FAMILIES], struct leat_error *err);

/* The checksum as the card holds it: 32 hexadecimal digits. */
void linear_file_hash(const struct linear_head *head, char text[CARD_HASH_BYTES]);

#endif
