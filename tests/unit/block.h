/* A block of a series as a client would pack it. */
#ifndef BLOCK_H
#define BLOCK_H

#include "proto/wire.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct block {
    const char *series;
    const int64_t *ts;
    const double *close;
    size_t n;
    double base;
    uint32_t warmup;
    bool start, packed; /* packed: ts and close as bins */
    const char *reset;  /* NULL: none is said */
};

static inline void block_pack_times(msgpack_packer *pk, const int64_t *ts, size_t n, bool packed)
{
    if (!packed)
        msgpack_pack_array(pk, n);
    else
        msgpack_pack_bin(pk, 8 * n);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = htole64((uint64_t)ts[i]);
        if (packed)
            msgpack_pack_bin_body(pk, &bits, sizeof bits);
        else
            msgpack_pack_int64(pk, ts[i]);
    }
}

static inline void block_pack_reals(msgpack_packer *pk, const double *reals, size_t n, bool packed)
{
    if (!packed)
        msgpack_pack_array(pk, n);
    else
        msgpack_pack_bin(pk, 8 * n);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &reals[i], sizeof bits);
        bits = htole64(bits);
        if (packed)
            msgpack_pack_bin_body(pk, &bits, sizeof bits);
        else
            msgpack_pack_double(pk, reals[i]);
    }
}

enum { BLOCK_PAIRS = 7 };

/* The pairs of the map; the caller packs its head (and perhaps pairs before: the first of equal
 * keys counts). */
static inline void block_pack_pairs(msgpack_packer *pk, const struct block *block)
{
    leat_pack_cstr(pk, "series");
    leat_pack_cstr(pk, block->series);
    leat_pack_cstr(pk, "ts");
    block_pack_times(pk, block->ts, block->n, block->packed);
    leat_pack_cstr(pk, "close");
    block_pack_reals(pk, block->close, block->n, block->packed);
    leat_pack_cstr(pk, "base");
    msgpack_pack_double(pk, block->base);
    leat_pack_cstr(pk, "warmup");
    msgpack_pack_uint32(pk, block->warmup);
    leat_pack_cstr(pk, "start");
    if (block->start)
        msgpack_pack_true(pk);
    else
        msgpack_pack_false(pk);
    leat_pack_cstr(pk, "reset");
    if (block->reset)
        leat_pack_cstr(pk, block->reset);
    else
        msgpack_pack_nil(pk);
}

#endif
