#include "services/classify/encoder/charsmap.h"

#include <stdlib.h>
#include <utf8proc.h>

enum { CLUSTER_BYTES = 6 /* shorter clusters are looked up whole */ };

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes into `out` with room for 3 bytes per 4; returns the size, -1 when it is not base64. */
static int64_t base64_decode(const char *text, size_t size, uint8_t *out)
{
    size_t to = 0, padding = 0;
    if (size % 4 != 0)
        return -1;
    for (size_t i = 0; i < size; i += 4) {
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = base64_digit(text[i + k]);
            if (text[i + k] == '=' && i + 4 == size && k >= 2)
                padding++;
            else if (digit < 0 || padding > 0)
                return -1;
            group = group << 6 | (uint32_t)(digit < 0 ? 0 : digit);
        }
        out[to++] = (uint8_t)(group >> 16);
        out[to++] = (uint8_t)(group >> 8);
        out[to++] = (uint8_t)group;
    }
    return (int64_t)(to - padding);
}

static uint32_t u32_read(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint32_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* Where in the pool the replacement is of the shortest beginning that is known; -1: none. */
static int64_t lookup(const struct charsmap *self, const char *bytes, size_t size)
{
    size_t at = unit_offset(self->units[0]);
    for (size_t i = 0; i < size && bytes[i] != '\0'; i++) {
        at ^= (unsigned char)bytes[i];
        if (at >= self->count)
            return -1;
        uint32_t unit = self->units[at];
        if ((unit & (1u << 31 | 0xff)) != (unsigned char)bytes[i])
            return -1;
        at ^= unit_offset(unit);
        if (unit & 1u << 8) {
            size_t place = at < self->count ? self->units[at] & ~(1u << 31) : self->pool_size;
            return place < self->pool_size ? (int64_t)place : -1;
        }
    }
    return -1;
}

/* Every leaf must lead to the start of a character of the pool: then all replacements are UTF-8. */
static bool leaves_check(const struct charsmap *self)
{
    for (size_t i = 0; i < self->count; i++) {
        uint32_t unit = self->units[i];
        if (unit >> 31 || !(unit & 1u << 8))
            continue;
        size_t leaf = i ^ unit_offset(unit);
        if (leaf >= self->count)
            return false;
        size_t place = self->units[leaf] & ~(1u << 31);
        if (place >= self->pool_size || ((unsigned char)self->pool[place] & 0xc0) == 0x80)
            return false;
    }
    return true;
}

static bool pool_check(const struct charsmap *self)
{
    for (size_t at = 0; at < self->pool_size;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)self->pool + at,
                                              (utf8proc_ssize_t)(self->pool_size - at), &c);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static bool blob_read(struct charsmap *self, const uint8_t *blob, size_t size,
                      struct leat_error *err)
{
    size_t array = size >= 4 ? u32_read(blob) : 0;
    if (size < 4 || array < 4 || array % 4 != 0 || array > size - 4)
        return leat_fail(err, "its double array does not fit into its %zu bytes", size);
    self->count = array / 4;
    self->pool_size = size - 4 - array;
    self->units = malloc(array);
    self->pool = malloc(self->pool_size + 1);
    if (!self->units || !self->pool)
        return leat_fail(err, "out of memory");
    for (size_t i = 0; i < self->count; i++)
        self->units[i] = u32_read(blob + 4 + 4 * i);
    memcpy(self->pool, blob + 4 + array, self->pool_size);
    self->pool[self->pool_size] = '\0';
    if (!pool_check(self))
        return leat_fail(err, "its replacements are not UTF-8");
    return leaves_check(self) || leat_fail(err, "its double array runes outside");
}

bool charsmap_open(struct charsmap *self, const char *base64, size_t size, struct leat_error *err)
{
    *self = (struct charsmap){0};
    uint8_t *blob = malloc(size / 4 * 3 + 3);
    if (!blob)
        return leat_fail(err, "out of memory");
    int64_t decoded = base64_decode(base64, size, blob);
    bool good = decoded >= 0 ? blob_read(self, blob, (size_t)decoded, err)
                             : leat_fail(err, "it is not base64");
    free(blob);
    for (int c = 0; good && c < 128; c++)
        self->plain[c] = lookup(self, &(char){(char)c}, 1) < 0;
    if (!good)
        charsmap_close(self);
    return good;
}

void charsmap_close(struct charsmap *self)
{
    free(self->units);
    free(self->pool);
    *self = (struct charsmap){0};
}

/* The reference counts which character of the input each character of the output stands for, and
 * counts wrongly after replacements by more, fewer or no characters. It matters for nothing but
 * `head`, where it is followed. */
struct counter {
    size_t next;  /* the input character that it has come to */
    size_t heads; /* characters of the input's head */
    bool first;   /* what comes before the first counted one stands for the text's beginning */
    bool inside;  /* still in the output's head */
};

static void counted(struct counter *self, int64_t change, struct strand_buffer *out)
{
    bool head;
    if (change > 0) {
        head = self->next == 0 ? self->first : self->next - 1 < self->heads;
    } else {
        head = self->next < self->heads;
        self->next += 1 + (size_t)-change;
    }
    self->inside = self->inside && head;
    if (self->inside)
        out->head = out->size;
}

static int64_t characters_in(const char *bytes, size_t size)
{
    int64_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    return n;
}

enum outcome { REPLACED, KEPT, FAILED };

/* Writes the replacement for `size` bytes, if there is one. */
static enum outcome replace(const struct charsmap *self, const char *bytes, size_t size,
                            struct counter *counter, struct strand_buffer *out)
{
    int64_t place = lookup(self, bytes, size);
    if (place < 0)
        return KEPT;
    const char *with = self->pool + place;
    size_t length = strlen(with);
    int64_t change = characters_in(with, length) - characters_in(bytes, size);
    for (size_t i = 0, k = 0; i < length; k++) {
        size_t step = utf8_size(with[i]);
        if (!strand_put(out, with + i, step))
            return FAILED;
        counted(counter, k == 0 ? change : (int64_t)k, out);
        i += step;
    }
    return REPLACED;
}

static bool cluster_apply(const struct charsmap *self, const char *bytes, size_t size,
                          struct counter *counter, struct strand_buffer *out)
{
    enum outcome done = KEPT;
    if (size < CLUSTER_BYTES)
        done = replace(self, bytes, size, counter, out);
    if (done != KEPT)
        return done == REPLACED;
    for (size_t i = 0; i < size;) {
        size_t step = utf8_size(bytes[i]);
        done = replace(self, bytes + i, step, counter, out);
        if (done == FAILED || (done == KEPT && !strand_put(out, bytes + i, step)))
            return false;
        if (done == KEPT)
            counted(counter, 0, out);
        i += step;
    }
    return true;
}

/* The size of the grapheme cluster at the beginning. */
static size_t cluster_size(const char *bytes, size_t size)
{
    uint32_t before, c;
    utf8proc_int32_t state = 0;
    size_t at = utf8_read(bytes, &before);
    while (at < size) {
        size_t step = utf8_read(bytes + at, &c);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)c, &state))
            break;
        before = c;
        at += step;
    }
    return at;
}

bool charsmap_apply(const struct charsmap *self, struct strand text, struct strand_buffer *out)
{
    struct counter counter = {
        .heads = (size_t)characters_in(text.bytes, text.head), .first = text.first, .inside = true};
    out->size = out->head = 0;
    for (size_t i = 0; i < text.size;) {
        unsigned char c = (unsigned char)text.bytes[i];
        bool alone = c < 0x80 && self->plain[c] && c != '\r' &&
                     (i + 1 == text.size || (unsigned char)text.bytes[i + 1] < 0x80);
        if (alone) { /* most text: an ASCII character, and no mark after it */
            if (!strand_put(out, text.bytes + i, 1))
                return false;
            counted(&counter, 0, out);
            i++;
            continue;
        }
        size_t size = cluster_size(text.bytes + i, text.size - i);
        if (!cluster_apply(self, text.bytes + i, size, &counter, out))
            return false;
        i += size;
    }
    return true;
}
