/* msgpack as Leat reads and writes it: bounded before it is parsed.
 *
 * Bytes from outside are first walked by leat_wire_scan, which takes no memory and proves that one
 * whole object of bounded depth is there; only then msgpack-c builds its tree of it, whose strings
 * point into the bytes that were given. */
#ifndef LEAT_WIRE_H
#define LEAT_WIRE_H

#include "proto/error.h"

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEAT_WIRE_VERSION = 1,    /* major version of every frame; another one is refused */
    LEAT_WIRE_MAX_DEPTH = 16, /* arrays and maps inside each other */
    LEAT_MAX_RECORD_DEPTH = LEAT_WIRE_MAX_DEPTH - 1, /* a record is inside the array of records */
    LEAT_MAX_CLIENT_ID = 128,                        /* bytes of a client's name */
    LEAT_MAX_KIND = 32,                              /* bytes of the name of a kind of record */
    LEAT_MAX_STAGE = 32,                             /* bytes of the name of a stage */
    LEAT_ID_SIZE = 16,                               /* bytes of an origin and of a run */
};

/* Bytes that belong to somebody else. */
struct leat_span {
    const uint8_t *data;
    size_t size;
};

/* Size in bytes of the msgpack object that begins at `in`, whatever follows it; 0 when there is no
 * whole object, when it nests deeper than LEAT_WIRE_MAX_DEPTH, or when a count promises more than
 * the bytes can hold (then `err` says which, with the offset). */
size_t leat_wire_scan(struct leat_span in, struct leat_error *err);

/* The same with another bound of depth, at most LEAT_WIRE_MAX_DEPTH: for what will be put inside
 * something else. */
size_t leat_wire_scan_within(struct leat_span in, unsigned depth, struct leat_error *err);

/* A walk over the pairs of a packed map, one pass and no memory: for hot paths that need to know
 * where values are, not what they are made of.
 *
 *     if (!leat_walk_open(&walk, in, err))
 *         return false;
 *     while (walk.left > 0)
 *         if (!leat_walk_next(&walk, &key, &value, err))
 *             return false;
 *     … walk.rest is what follows the map
 */
struct leat_walk {
    struct leat_span rest; /* not walked yet */
    uint64_t left;         /* pairs not walked yet */
};

bool leat_walk_open(struct leat_walk *self, struct leat_span in, struct leat_error *err);

/* The next pair. `key` is the text of a string key; a key of another type reads as data NULL, size
 * 0. `value` is one whole object, proven as by leat_wire_scan. */
bool leat_walk_next(struct leat_walk *self, struct leat_span *key, struct leat_span *value,
                    struct leat_error *err);

/* What a proven object is, without a tree; false when it is of another type. The values of a packed
 * array, one after another, and their count; an integer that is not negative; the bytes of a str.
 */
bool leat_wire_array(struct leat_span packed, struct leat_span *values, uint32_t *count);
bool leat_wire_number(struct leat_span packed, uint64_t *out);
bool leat_wire_text(struct leat_span packed, struct leat_span *out);

/* The tree of the one object that `in` is, exactly. Strings and bins point into `in`; arrays and
 * maps are in `zone`. */
bool leat_wire_unpack(struct leat_span in, msgpack_zone *zone, msgpack_object *out,
                      struct leat_error *err);

/* The value under a string key of a map; NULL when there is none or `map` is no map. The first of
 * equal keys counts. */
const msgpack_object *leat_wire_get(const msgpack_object *map, const char *key);

/* Typed values under a key of a map. false: absent or of another type or out of range; the reader
 * that must tell these apart uses leat_wire_get. */
bool leat_wire_u64(const msgpack_object *map, const char *key, uint64_t *out);
bool leat_wire_str(const msgpack_object *map, const char *key, struct leat_span *out);
bool leat_wire_bin(const msgpack_object *map, const char *key, struct leat_span *out);

/* True when a str object's bytes equal the C string. */
bool leat_wire_is(struct leat_span str, const char *text);

/* True when the bytes are valid UTF-8 (no surrogates, nothing above U+10FFFF, no overlong form)
 * without NUL. */
bool leat_wire_text_ok(struct leat_span str);

/* Bytes of the longest beginning that is valid UTF-8 without NUL, whole characters, at most `max`.
 */
size_t leat_wire_text_prefix(struct leat_span str, size_t max);

/* True for a name of a kind or a stage: 1 to `max` bytes of a-z, 0-9, _ and -. */
bool leat_wire_name_ok(struct leat_span name, size_t max);

/* Packing onto a growing buffer. Memory that cannot be had ends the process: nothing half-packed
 * ever leaves. A packer made by leat_pack_init keeps that promise for msgpack_pack_… as well. */
void leat_pack_init(msgpack_packer *to, msgpack_sbuffer *onto);
void leat_pack_map(msgpack_packer *to, uint32_t pairs);
void leat_pack_array(msgpack_packer *to, uint32_t values);
void leat_pack_cstr(msgpack_packer *to, const char *text);
void leat_pack_str(msgpack_packer *to, struct leat_span text);
void leat_pack_bin(msgpack_packer *to, struct leat_span bytes);
/* Bytes that are msgpack already. */
void leat_pack_raw(msgpack_sbuffer *to, struct leat_span packed);

#endif
