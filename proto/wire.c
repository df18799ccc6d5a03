#include "proto/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- scanning ------------------------------------------------------------------------------- */

/* Bytes of a value whose type byte alone tells its size; 0: containers, what brings its length, and
 * c1, which is never used. */
/* clang-format off */
static const uint8_t plain[256] = {
    [0x00 ... 0x7f] = 1,                                                     /* fixint */
    [0xa0] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,          /* fixstr */
    [0xb0] = 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, /* fixstr */
    [0xc0] = 1, [0xc2] = 1, 1,                                               /* nil, booleans */
    [0xca] = 5, 9,                                                           /* floats */
    [0xcc] = 2, 3, 5, 9,                                                     /* uint */
    [0xd0] = 2, 3, 5, 9,                                                     /* int */
    [0xd4] = 3, 4, 6, 10, 18,                                                /* fixext */
    [0xe0 ... 0xff] = 1,                                                     /* negative fixint */
};
/* clang-format on */

/* Values that bring their length: in `width` bytes, then `extra` bytes, then as many bytes as it
 * says, or `values` times as many values. */
struct layout {
    uint8_t width, extra, values;
};

static const struct layout layouts[32] = {
    [0x04] = {1, 0, 0}, [0x05] = {2, 0, 0}, [0x06] = {4, 0, 0}, /* bin */
    [0x07] = {1, 1, 0}, [0x08] = {2, 1, 0}, [0x09] = {4, 1, 0}, /* ext */
    [0x19] = {1, 0, 0}, [0x1a] = {2, 0, 0}, [0x1b] = {4, 0, 0}, /* str */
    [0x1c] = {2, 0, 1}, [0x1d] = {4, 0, 1},                     /* array */
    [0x1e] = {2, 0, 2}, [0x1f] = {4, 0, 2},                     /* map */
};

static uint64_t big_endian(const uint8_t *at, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

/* One value without what is inside it: its head and, for a scalar, its body. */
struct element {
    size_t size;     /* bytes; 0: not whole, or no msgpack */
    uint64_t values; /* that follow and belong to it */
};

static inline struct element element_at(const uint8_t *at, size_t left)
{
    const struct element broken = {0, 0};
    if (left == 0)
        return broken;
    uint8_t b = at[0];
    if (plain[b])
        return plain[b] <= left ? (struct element){plain[b], 0} : broken;
    if (b < 0xa0)
        return (struct element){1, (uint64_t)(b & 0x0f) << (b < 0x90)};

    struct layout layout = layouts[b & 0x1f];
    if (layout.width == 0 || left < 1 + (size_t)layout.width)
        return broken;
    uint64_t length = big_endian(at + 1, layout.width);
    size_t size = 1 + (size_t)layout.width + layout.extra;
    if (layout.values)
        return (struct element){size, length * layout.values};
    size += length;
    return size <= left ? (struct element){size, 0} : broken;
}

static inline bool is_map(uint8_t b)
{
    return (b & 0xf0) == 0x80 || b == 0xde || b == 0xdf;
}

static inline bool is_array(uint8_t b)
{
    return (b & 0xf0) == 0x90 || b == 0xdc || b == 0xdd;
}

/* Says why there is no whole value at offset `at`; returns 0. */
static size_t broken_at(struct leat_span in, size_t at, struct leat_error *err)
{
    if (at < in.size && in.data[at] == 0xc1)
        leat_fail(err, "no msgpack: byte c1 at offset %zu", at);
    else
        leat_fail(err, "cut short: the value at offset %zu goes beyond the end (%zu bytes)", at,
                  in.size);
    return 0;
}

size_t leat_wire_scan_within(struct leat_span in, unsigned most, struct leat_error *err)
{
    uint64_t
        outer[LEAT_WIRE_MAX_DEPTH]; /* values still to come in the containers around this one */
    uint64_t left = 1;              /* values still to come here */
    unsigned depth = 0;
    size_t at = 0;

    for (;;) {
        if (at == in.size)
            return broken_at(in, at, err);
        uint8_t b = in.data[at];
        size_t size = plain[b];
        if (size > 0) {
            if (size > in.size - at)
                return broken_at(in, at, err);
            at += size;
        } else {
            struct element e = element_at(in.data + at, in.size - at);
            if (e.size == 0)
                return broken_at(in, at, err);
            at += e.size;
            if (is_map(b) || is_array(b)) {
                if (depth == most) {
                    leat_fail(err, "nested deeper than %u at offset %zu", most, at - e.size);
                    return 0;
                }
                /* Every value takes a byte at least, so a count is believed only as far as bytes
                 * go. */
                if (e.values > in.size - at) {
                    leat_fail(err, "cut short: %llu values promised at offset %zu, %zu bytes left",
                              (unsigned long long)e.values, at - e.size, in.size - at);
                    return 0;
                }
                if (e.values > 0) {
                    outer[depth++] = left;
                    left = e.values;
                    continue;
                }
            }
        }
        while (--left == 0) {
            if (depth == 0)
                return at;
            left = outer[--depth];
        }
    }
}

size_t leat_wire_scan(struct leat_span in, struct leat_error *err)
{
    return leat_wire_scan_within(in, LEAT_WIRE_MAX_DEPTH, err);
}

bool leat_walk_open(struct leat_walk *self, struct leat_span in, struct leat_error *err)
{
    struct element e = element_at(in.data, in.size);
    if (e.size == 0 || !is_map(in.data[0]))
        return leat_fail(err, in.size == 0 ? "empty" : "no map where one must begin");
    if (e.values > in.size - e.size)
        return leat_fail(err, "cut short: a map of %llu pairs, %zu bytes left",
                         (unsigned long long)(e.values / 2), in.size - e.size);
    *self = (struct leat_walk){{in.data + e.size, in.size - e.size}, e.values / 2};
    return true;
}

bool leat_walk_next(struct leat_walk *self, struct leat_span *key, struct leat_span *value,
                    struct leat_error *err)
{
    size_t size = leat_wire_scan(self->rest, err);
    if (size == 0)
        return false;
    if (!leat_wire_text((struct leat_span){self->rest.data, size}, key))
        *key = (struct leat_span){NULL, 0};
    self->rest = (struct leat_span){self->rest.data + size, self->rest.size - size};

    size = leat_wire_scan(self->rest, err);
    if (size == 0)
        return false;
    *value = (struct leat_span){self->rest.data, size};
    self->rest = (struct leat_span){self->rest.data + size, self->rest.size - size};
    self->left--;
    return true;
}

bool leat_wire_array(struct leat_span packed, struct leat_span *values, uint32_t *count)
{
    struct element e = element_at(packed.data, packed.size);
    if (e.size == 0 || !is_array(packed.data[0]))
        return false;
    *values = (struct leat_span){packed.data + e.size, packed.size - e.size};
    *count = (uint32_t)e.values;
    return true;
}

bool leat_wire_number(struct leat_span packed, uint64_t *out)
{
    uint8_t b = packed.data[0];
    if (b < 0x80) {
        *out = b;
        return true;
    }
    if (b < 0xcc || b > 0xd3)
        return false;
    unsigned width = plain[b] - 1u;
    *out = big_endian(packed.data + 1, width);
    /* The signed forms count as long as they are not negative. */
    return b < 0xd0 || !(packed.data[1] & 0x80);
}

bool leat_wire_text(struct leat_span packed, struct leat_span *out)
{
    uint8_t b = packed.data[0];
    size_t head = 1;
    if (b >= 0xd9 && b <= 0xdb)
        head += layouts[b & 0x1f].width;
    else if (b < 0xa0 || b >= 0xc0)
        return false;
    *out = (struct leat_span){packed.data + head, packed.size - head};
    return true;
}

/* --- trees ---------------------------------------------------------------------------------- */

bool leat_wire_unpack(struct leat_span in, msgpack_zone *zone, msgpack_object *out,
                      struct leat_error *err)
{
    size_t size = leat_wire_scan(in, err);
    if (size == 0)
        return false;
    if (size != in.size)
        return leat_fail(err, "%zu bytes too many after the end", in.size - size);
    /* msgpack-c keeps a stack of 32 levels and takes memory for counts unread; the scan has proven
     * depth and counts, so what can still fail is memory. */
    if (msgpack_unpack((const char *)in.data, in.size, NULL, zone, out) != MSGPACK_UNPACK_SUCCESS)
        return leat_fail(err, "no memory to unpack %zu bytes", in.size);
    return true;
}

const msgpack_object *leat_wire_get(const msgpack_object *map, const char *key)
{
    if (!map || map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    size_t size = strlen(key);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == size &&
            memcmp(pair->key.via.str.ptr, key, size) == 0)
            return &pair->val;
    }
    return NULL;
}

bool leat_wire_u64(const msgpack_object *map, const char *key, uint64_t *out)
{
    const msgpack_object *value = leat_wire_get(map, key);
    if (!value || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return false;
    *out = value->via.u64;
    return true;
}

bool leat_wire_str(const msgpack_object *map, const char *key, struct leat_span *out)
{
    const msgpack_object *value = leat_wire_get(map, key);
    if (!value || value->type != MSGPACK_OBJECT_STR)
        return false;
    *out = (struct leat_span){(const uint8_t *)value->via.str.ptr, value->via.str.size};
    return true;
}

bool leat_wire_bin(const msgpack_object *map, const char *key, struct leat_span *out)
{
    const msgpack_object *value = leat_wire_get(map, key);
    if (!value || value->type != MSGPACK_OBJECT_BIN)
        return false;
    *out = (struct leat_span){(const uint8_t *)value->via.bin.ptr, value->via.bin.size};
    return true;
}

/* --- text ----------------------------------------------------------------------------------- */

bool leat_wire_is(struct leat_span str, const char *text)
{
    size_t size = strlen(text);
    return str.size == size && (size == 0 || memcmp(str.data, text, size) == 0);
}

/* Bytes of the character at `at`; 0 when it is none (Unicode 15, table 3-7: well-formed UTF-8), or
 * NUL. */
static inline size_t character(const uint8_t *at, size_t left)
{
    uint8_t b = at[0];
    if (b < 0x80)
        return b != 0;
    if (b < 0xc2 || b > 0xf4)
        return 0;
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t size = b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
    if (b == 0xe0)
        low = 0xa0;
    else if (b == 0xed)
        high = 0x9f;
    else if (b == 0xf0)
        low = 0x90;
    else if (b == 0xf4)
        high = 0x8f;
    if (size > left || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

size_t leat_wire_text_prefix(struct leat_span str, size_t max)
{
    if (max > str.size)
        max = str.size;
    size_t at = 0;
    while (at < max) {
        /* Eight bytes at once as long as none of them is NUL or above 7 bits. */
        uint64_t word;
        while (max - at >= sizeof word) {
            memcpy(&word, str.data + at, sizeof word);
            if ((((word - 0x0101010101010101u) & ~word) | word) & 0x8080808080808080u)
                break;
            at += sizeof word;
        }
        if (at == max)
            break;
        size_t size = character(str.data + at, max - at);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}

bool leat_wire_text_ok(struct leat_span str)
{
    return leat_wire_text_prefix(str, str.size) == str.size;
}

bool leat_wire_name_ok(struct leat_span name, size_t max)
{
    if (name.size == 0 || name.size > max)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t b = name.data[i];
        if (!((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '_' || b == '-'))
            return false;
    }
    return true;
}

/* --- packing -------------------------------------------------------------------------------- */

static int write_or_end(void *onto, const char *data, size_t size)
{
    if (size > 0 && msgpack_sbuffer_write(onto, data, size) != 0) {
        fprintf(stderr, "leat: out of memory while packing %zu bytes\n", size);
        abort();
    }
    return 0;
}

void leat_pack_init(msgpack_packer *to, msgpack_sbuffer *onto)
{
    msgpack_packer_init(to, onto, write_or_end);
}

/* For packers that the caller made with msgpack-c's own, failing write. */
static void or_end(int result)
{
    if (result != 0) {
        fprintf(stderr, "leat: out of memory while packing\n");
        abort();
    }
}

void leat_pack_map(msgpack_packer *to, uint32_t pairs)
{
    or_end(msgpack_pack_map(to, pairs));
}

void leat_pack_array(msgpack_packer *to, uint32_t values)
{
    or_end(msgpack_pack_array(to, values));
}

void leat_pack_cstr(msgpack_packer *to, const char *text)
{
    leat_pack_str(to, (struct leat_span){(const uint8_t *)text, strlen(text)});
}

void leat_pack_str(msgpack_packer *to, struct leat_span text)
{
    or_end(msgpack_pack_str(to, text.size));
    if (text.size > 0)
        or_end(msgpack_pack_str_body(to, text.data, text.size));
}

void leat_pack_bin(msgpack_packer *to, struct leat_span bytes)
{
    or_end(msgpack_pack_bin(to, bytes.size));
    if (bytes.size > 0)
        or_end(msgpack_pack_bin_body(to, bytes.data, bytes.size));
}

void leat_pack_raw(msgpack_sbuffer *to, struct leat_span packed)
{
    write_or_end(to, (const char *)packed.data, packed.size);
}
