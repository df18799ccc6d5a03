/* A safetensors file, mapped read-only: named tensors of numbers.
 *
 *   8 bytes      length of the header, little-endian
 *   the header   JSON: name -> {dtype, shape, data_offsets: [begin, end]}; "__metadata__" is text
 *   the rest     the tensors, back to back
 *
 * Files come from strangers. Everything is checked when the file is opened: the header's length
 * against the file's, every tensor's size against its shape, and that the tensors fill the rest of
 * the file without a gap or an overlap. Data may lie at any address: read it by safetensors_row. */
#ifndef LEAT_ENCODER_SAFETENSORS_H
#define LEAT_ENCODER_SAFETENSORS_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAFETENSORS_RANK_MOST = 8 };

enum safetensors_type {
    SAFETENSORS_F32,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_OTHER, /* integers and the like: there, but not to be computed with */
};

struct safetensors_tensor {
    const char *name;
    enum safetensors_type type;
    size_t rank;
    uint64_t shape[SAFETENSORS_RANK_MOST];
    const uint8_t *data;
    uint64_t size; /* bytes */
};

struct safetensors;

/* NULL with the reason: path, place in the header, what was expected there. */
struct safetensors *safetensors_open(const char *path, struct leat_error *err);
void safetensors_close(struct safetensors **self);

size_t safetensors_count(const struct safetensors *self);

/* In the order of their data, `index` below the count. Lives as long as the file is open. */
const struct safetensors_tensor *safetensors_at(const struct safetensors *self, size_t index);

/* NULL: no such tensor. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *self, const char *name);

/* Row `row` of `width` numbers, as floats. The caller knows type (not OTHER) and shape. */
void safetensors_row(const struct safetensors_tensor *tensor, size_t row, size_t width, float *out);

/* XXH3-128 of the whole file, whose pages are not kept. False when memory is out. */
bool safetensors_hash(const struct safetensors *self, uint8_t out[16]);

/* Gives the pages back that have been read so far; they come again when they are touched. */
void safetensors_forget_pages(const struct safetensors *self);

#endif
