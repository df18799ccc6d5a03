#include "services/flows/fill.h"

#include <string.h>

void leat_fill_init(struct leat_fill *self)
{
    msgpack_sbuffer_init(&self->entries);
    self->count = 0;
}

void leat_fill_destroy(struct leat_fill *self)
{
    msgpack_sbuffer_destroy(&self->entries);
}

void leat_fill_add(struct leat_fill *self, const uint8_t key[LEAT_CACHE_KEY_SIZE],
                   struct leat_span value)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, &self->entries, msgpack_sbuffer_write);
    leat_pack_bin(&pk, (struct leat_span){key, LEAT_CACHE_KEY_SIZE});
    leat_pack_bin(&pk, value);
    self->count++;
}

void leat_fill_write(struct leat_fill *self, const char *kind,
                     const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE], msgpack_sbuffer *to)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, to, msgpack_sbuffer_write);
    leat_pack_map(&pk, 4);
    leat_pack_cstr(&pk, "v");
    msgpack_pack_int(&pk, LEAT_WIRE_VERSION);
    leat_pack_cstr(&pk, "kind");
    leat_pack_cstr(&pk, kind);
    leat_pack_cstr(&pk, "fingerprint");
    leat_pack_bin(&pk, (struct leat_span){fingerprint, LEAT_FINGERPRINT_SIZE});
    leat_pack_cstr(&pk, "entries");
    leat_pack_array(&pk, self->count * 2);
    leat_pack_raw(to, (struct leat_span){(const uint8_t *)self->entries.data, self->entries.size});
    msgpack_sbuffer_clear(&self->entries);
    self->count = 0;
}

bool leat_fill_read(struct leat_span frame, msgpack_zone *zone, char kind[LEAT_MAX_KIND + 1],
                    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE],
                    void (*each)(void *arg, struct leat_span key, struct leat_span value),
                    void *arg, struct leat_error *err)
{
    msgpack_object map;
    uint64_t version;
    struct leat_span name, print;
    if (!leat_wire_unpack(frame, zone, &map, err))
        return leat_fail_in(err, "cache fill");
    if (!leat_wire_u64(&map, "v", &version) || version != LEAT_WIRE_VERSION)
        return leat_fail(err, "cache fill: not of version %d", LEAT_WIRE_VERSION);
    const msgpack_object *entries = leat_wire_get(&map, "entries");
    if (!leat_wire_str(&map, "kind", &name) || name.size > LEAT_MAX_KIND ||
        !leat_wire_bin(&map, "fingerprint", &print) || print.size != LEAT_FINGERPRINT_SIZE ||
        !entries || entries->type != MSGPACK_OBJECT_ARRAY || entries->via.array.size % 2 != 0)
        return leat_fail(err, "cache fill: kind, fingerprint or entries missing or malformed");
    memcpy(kind, name.data, name.size);
    kind[name.size] = 0;
    memcpy(fingerprint, print.data, LEAT_FINGERPRINT_SIZE);
    for (uint32_t i = 0; i < entries->via.array.size; i += 2) {
        const msgpack_object *key = &entries->via.array.ptr[i], *value = key + 1;
        if (key->type != MSGPACK_OBJECT_BIN || key->via.bin.size != LEAT_CACHE_KEY_SIZE ||
            value->type != MSGPACK_OBJECT_BIN)
            return leat_fail(err, "cache fill: entry %u is no pair of bins", i / 2);
        each(arg, (struct leat_span){(const uint8_t *)key->via.bin.ptr, key->via.bin.size},
             (struct leat_span){(const uint8_t *)value->via.bin.ptr, value->via.bin.size});
    }
    return true;
}
