#include "proto/batch.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An item is at least a map of one pair: its head, the key "record" and one byte. */
enum { ITEM_MIN = 9 };

static void *or_end(void *memory)
{
    if (!memory) {
        fprintf(stderr, "leat: out of memory for a batch\n");
        abort();
    }
    return memory;
}

/* --- reading -------------------------------------------------------------------------------- */

static bool read_number(struct leat_span value, uint64_t max, uint64_t *out)
{
    return leat_wire_number(value, out) && *out <= max;
}

static bool read_name(struct leat_span value, char *out, size_t max)
{
    struct leat_span name;
    if (!leat_wire_text(value, &name) || !leat_wire_name_ok(name, max))
        return false;
    memcpy(out, name.data, name.size);
    out[name.size] = '\0';
    return true;
}

static bool read_id(struct leat_span value, uint8_t out[LEAT_ID_SIZE])
{
    if (value.size != 2 + LEAT_ID_SIZE || value.data[0] != 0xc4 || value.data[1] != LEAT_ID_SIZE)
        return false;
    memcpy(out, value.data + 2, LEAT_ID_SIZE);
    return true;
}

_Static_assert((int)LEAT_FINGERPRINT_SIZE == (int)LEAT_ID_SIZE, "a fingerprint is read as an id");

/* The head's fields in the order of their bits in `seen`; all but the last are required. */
static const char *const head_fields[] = {"v",   "stage", "kind",    "origin", "run",
                                          "seq", "stamp", "attempt", "count",  "fingerprint"};
enum {
    HEAD_FIELDS = sizeof head_fields / sizeof head_fields[0],
    HEAD_REQUIRED = HEAD_FIELDS - 1,
};

/* A field's place in head_fields; -1 for a key that a later version may have added. */
static int head_field(struct leat_span key)
{
    for (int i = 0; i < HEAD_FIELDS; i++)
        if (leat_wire_is(key, head_fields[i]))
            return i;
    return -1;
}

static bool read_head_value(struct leat_batch_head *head, int field, struct leat_span value,
                            struct leat_error *err)
{
    uint64_t number = 0;
    bool ok = true;
    switch (field) {
    case 0:
        if (!read_number(value, UINT64_MAX, &number) || number != LEAT_WIRE_VERSION)
            return leat_fail(err, "head: version is not %d", LEAT_WIRE_VERSION);
        break;
    case 1:
        ok = read_name(value, head->stage, LEAT_MAX_STAGE);
        break;
    case 2:
        ok = read_name(value, head->kind, LEAT_MAX_KIND);
        break;
    case 3:
        ok = read_id(value, head->origin);
        break;
    case 4:
        ok = read_id(value, head->run);
        break;
    case 5:
        ok = read_number(value, INT64_MAX, &head->seq); /* stores keep it as one of these */
        break;
    case 6:
        ok = read_number(value, INT64_MAX, &number);
        head->stamp = (int64_t)number;
        break;
    case 7:
        ok = read_number(value, UINT32_MAX, &number);
        head->attempt = (uint32_t)number;
        break;
    case 8:
        ok = read_number(value, UINT32_MAX, &number);
        head->count = (uint32_t)number;
        break;
    case 9:
        ok = read_id(value, head->fingerprint);
        break;
    }
    return ok || leat_fail(err, "head: %s is not what it must be", head_fields[field]);
}

static bool read_head(struct leat_walk *walk, struct leat_batch_head *head, struct leat_error *err)
{
    unsigned seen = 0;
    struct leat_span key, value;
    while (walk->left > 0) {
        if (!leat_walk_next(walk, &key, &value, err))
            return leat_fail_in(err, "head");
        int field = head_field(key);
        if (field < 0 || seen & 1u << field)
            continue;
        if (!read_head_value(head, field, value, err))
            return false;
        seen |= 1u << field;
    }
    for (int i = 0; i < HEAD_REQUIRED; i++)
        if (!(seen & 1u << i))
            return leat_fail(err, "head: %s is missing", head_fields[i]);
    if (head->stamp > INT64_MAX - head->count)
        return leat_fail(err, "head: stamp leaves no versions for %" PRIu32 " items", head->count);
    return true;
}

/* Where a key's value belongs; NULL for keys that a later version may have added. */
static inline struct leat_span *item_part(struct leat_item *item, struct leat_span key)
{
    switch (key.size) {
    case 5:
        return memcmp(key.data, "error", 5) == 0 ? &item->error : NULL;
    case 6:
        return memcmp(key.data, "record", 6) == 0   ? &item->record
               : memcmp(key.data, "result", 6) == 0 ? &item->result
                                                    : NULL;
    case 7:
        return memcmp(key.data, "derived", 7) == 0 ? &item->derived : NULL;
    }
    return NULL;
}

static bool read_item(struct leat_span *rest, struct leat_item *item, struct leat_error *err)
{
    struct leat_walk walk;
    if (!leat_walk_open(&walk, *rest, err))
        return false;
    *item = (struct leat_item){0};
    while (walk.left > 0) {
        struct leat_span key, value;
        if (!leat_walk_next(&walk, &key, &value, err))
            return false;
        struct leat_span *part = item_part(item, key);
        if (part && part->size == 0)
            *part = value;
    }
    *rest = walk.rest;
    return item->record.size > 0 || leat_fail(err, "record is missing");
}

static bool read_items(struct leat_batch *self, struct leat_span rest, struct leat_error *err)
{
    uint32_t count = self->head.count;
    /* The count is believed only as far as bytes go, before memory is taken for it. */
    if (count > rest.size / ITEM_MIN)
        return leat_fail(err, "cut short: %u items promised, %zu bytes left", count, rest.size);
    self->items = leat_batch_alloc(self, count * sizeof self->items[0]);
    for (uint32_t i = 0; i < count; i++)
        if (!read_item(&rest, &self->items[i], err))
            return leat_fail_in(err, "item %u", i);
    return rest.size == 0 || leat_fail(err, "%zu bytes too many after the last item", rest.size);
}

struct leat_batch *leat_batch_read(struct leat_span in, void *frame, void (*frame_free)(void *),
                                   struct leat_error *err)
{
    struct leat_batch *self = or_end(calloc(1, sizeof *self));
    self->bytes = in.size;
    self->frame = frame;
    self->frame_free = frame_free;

    struct leat_walk walk;
    if (!leat_walk_open(&walk, in, err) || !read_head(&walk, &self->head, err) ||
        !read_items(self, walk.rest, err)) {
        leat_batch_destroy(&self);
        return NULL;
    }
    return self;
}

void leat_batch_destroy(struct leat_batch **self_p)
{
    struct leat_batch *self = *self_p;
    if (!self)
        return;
    if (self->frame_free)
        self->frame_free(self->frame);
    if (self->zone)
        msgpack_zone_free(self->zone);
    free(self);
    *self_p = NULL;
}

/* --- memory --------------------------------------------------------------------------------- */

void *leat_batch_alloc(struct leat_batch *self, size_t size)
{
    /* msgpack's arena aligns to pointers only. */
    const size_t align = alignof(max_align_t);
    if (!self->zone)
        self->zone = or_end(msgpack_zone_new(size + MSGPACK_ZONE_CHUNK_SIZE));
    uintptr_t at = (uintptr_t)or_end(msgpack_zone_malloc(self->zone, size + align));
    return (void *)((at + align - 1) & ~(uintptr_t)(align - 1));
}

struct leat_span leat_batch_keep(struct leat_batch *self, const void *data, size_t size)
{
    uint8_t *copy = leat_batch_alloc(self, size);
    if (size > 0)
        memcpy(copy, data, size);
    return (struct leat_span){copy, size};
}

/* --- errors --------------------------------------------------------------------------------- */

enum { ERROR_CODE_MAX = 64, ERROR_MESSAGE_MAX = 500 };

/* Copies text, '?' for every byte that is not UTF-8, up to `max` bytes of whole characters. */
static size_t clean_copy(char *to, const char *text, size_t size, size_t max)
{
    size_t at = 0;
    while (at < size && at < max) {
        struct leat_span rest = {(const uint8_t *)text + at, size - at};
        size_t good = leat_wire_text_prefix(rest, max - at);
        memcpy(to + at, text + at, good);
        at += good;
        if (at == size || at == max)
            break;
        /* What stopped it is either no character, or a good one that `max` would cut in two. */
        rest = (struct leat_span){(const uint8_t *)text + at, size - at};
        if (leat_wire_text_prefix(rest, rest.size < 4 ? rest.size : 4) > 0)
            break;
        to[at++] = '?';
    }
    return at;
}

static size_t put_str(uint8_t *to, const char *text, size_t size)
{
    /* str 16 whatever the size: one form, and the room it takes is plain. */
    to[0] = 0xda;
    to[1] = (uint8_t)(size >> 8);
    to[2] = (uint8_t)size;
    memcpy(to + 3, text, size);
    return 3 + size;
}

void leat_batch_fail(struct leat_batch *self, uint32_t index, const char *stage, const char *code,
                     const char *format, ...)
{
    struct leat_item *item = &self->items[index];
    if (item->error.size > 0)
        return;

    char text[2 * ERROR_MESSAGE_MAX], message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = wanted < 0 ? 0 : strnlen(text, sizeof text);
    size = clean_copy(message, text, size, sizeof message);

    /* A map of three pairs; 3 bytes before each of six strings. */
    uint8_t packed[1 + 6 * 3 + 5 + LEAT_MAX_STAGE + 4 + ERROR_CODE_MAX + 7 + ERROR_MESSAGE_MAX];
    size_t at = 0;
    packed[at++] = 0x83;
    at += put_str(packed + at, "stage", 5);
    at += put_str(packed + at, stage, strnlen(stage, LEAT_MAX_STAGE));
    at += put_str(packed + at, "code", 4);
    at += put_str(packed + at, code, strnlen(code, ERROR_CODE_MAX));
    at += put_str(packed + at, "message", 7);
    at += put_str(packed + at, message, size);
    item->error = leat_batch_keep(self, packed, at);
}

bool leat_item_error(const struct leat_item *item, msgpack_zone *zone, struct leat_span *stage,
                     struct leat_span *code, struct leat_span *message)
{
    if (item->error.size == 0)
        return false;
    *stage = *code = *message = (struct leat_span){NULL, 0};
    msgpack_object map;
    if (leat_wire_unpack(item->error, zone, &map, NULL)) {
        leat_wire_str(&map, "stage", stage);
        leat_wire_str(&map, "code", code);
        leat_wire_str(&map, "message", message);
    }
    return true;
}

/* --- writing -------------------------------------------------------------------------------- */

void leat_batch_write_head(const struct leat_batch_head *head, msgpack_sbuffer *to)
{
    static const uint8_t none[LEAT_FINGERPRINT_SIZE];
    bool fingerprint = memcmp(head->fingerprint, none, sizeof none) != 0;
    msgpack_packer pack;
    leat_pack_init(&pack, to);
    leat_pack_map(&pack, HEAD_REQUIRED + fingerprint);
    leat_pack_cstr(&pack, "v");
    msgpack_pack_int(&pack, LEAT_WIRE_VERSION);
    leat_pack_cstr(&pack, "stage");
    leat_pack_cstr(&pack, head->stage);
    leat_pack_cstr(&pack, "kind");
    leat_pack_cstr(&pack, head->kind);
    leat_pack_cstr(&pack, "origin");
    leat_pack_bin(&pack, (struct leat_span){head->origin, LEAT_ID_SIZE});
    leat_pack_cstr(&pack, "run");
    leat_pack_bin(&pack, (struct leat_span){head->run, LEAT_ID_SIZE});
    leat_pack_cstr(&pack, "seq");
    msgpack_pack_uint64(&pack, head->seq);
    leat_pack_cstr(&pack, "stamp");
    msgpack_pack_int64(&pack, head->stamp);
    leat_pack_cstr(&pack, "attempt");
    msgpack_pack_uint32(&pack, head->attempt);
    leat_pack_cstr(&pack, "count");
    msgpack_pack_uint32(&pack, head->count);
    if (fingerprint) {
        leat_pack_cstr(&pack, "fingerprint");
        leat_pack_bin(&pack, (struct leat_span){head->fingerprint, LEAT_FINGERPRINT_SIZE});
    }
}

static inline void write_part(msgpack_sbuffer *to, const char *key, size_t key_size,
                              struct leat_span value)
{
    if (value.size == 0)
        return;
    leat_pack_raw(to, (struct leat_span){(const uint8_t *)key, key_size});
    leat_pack_raw(to, value);
}

void leat_batch_write_item(const struct leat_item *item, msgpack_sbuffer *to)
{
    uint8_t head = (uint8_t)(0x80 + (item->record.size > 0) + (item->result.size > 0) +
                             (item->derived.size > 0) + (item->error.size > 0));
    leat_pack_raw(to, (struct leat_span){&head, 1});
    write_part(to, "\xa6record", 7, item->record);
    write_part(to, "\xa6result", 7, item->result);
    write_part(to,
               "\xa7"
               "derived",
               8, item->derived);
    write_part(to,
               "\xa5"
               "error",
               6, item->error);
}

void leat_batch_write(const struct leat_batch *self, msgpack_sbuffer *to)
{
    leat_batch_write_head(&self->head, to);
    for (uint32_t i = 0; i < self->head.count; i++)
        leat_batch_write_item(&self->items[i], to);
}

int64_t leat_batch_version(const struct leat_batch *self, uint32_t index,
                           const msgpack_object *record)
{
    uint64_t own;
    if (leat_wire_u64(record, "version", &own) && own <= INT64_MAX)
        return (int64_t)own;
    return self->head.stamp + index;
}
