#include "services/leat/payload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *bytes_json(struct leat_span bytes)
{
    char *hex = malloc(2 * bytes.size + 1);
    if (!hex)
        return json_null();
    for (size_t i = 0; i < bytes.size; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes.data[i]);
    json_t *out = json_pack("{s:s#}", "bytes", hex, (int)(2 * bytes.size));
    free(hex);
    return out;
}

static json_t *object_json(const msgpack_object *object);

static json_t *text_json(const char *data, size_t size)
{
    json_t *text = json_stringn(data, size);
    return text ? text : bytes_json((struct leat_span){(const uint8_t *)data, size});
}

static json_t *map_json(const msgpack_object_map *map)
{
    json_t *out = json_object();
    for (uint32_t i = 0; i < map->size; i++) {
        json_t *key = object_json(&map->ptr[i].key);
        char *name = json_is_string(key) ? strdup(json_string_value(key))
                                         : json_dumps(key, JSON_ENCODE_ANY | JSON_COMPACT);
        json_object_set_new(out, name ? name : "", object_json(&map->ptr[i].val));
        free(name);
        json_decref(key);
    }
    return out;
}

static json_t *array_json(const msgpack_object_array *array)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < array->size; i++)
        json_array_append_new(out, object_json(&array->ptr[i]));
    return out;
}

static json_t *object_json(const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        return json_null();
    case MSGPACK_OBJECT_BOOLEAN:
        return json_boolean(object->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return object->via.u64 <= INT64_MAX
                   ? json_integer((json_int_t)object->via.u64)
                   : json_sprintf("%llu", (unsigned long long)object->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return json_integer(object->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return isfinite(object->via.f64) ? json_real(object->via.f64)
                                         : json_sprintf("%f", object->via.f64);
    case MSGPACK_OBJECT_STR:
        return text_json(object->via.str.ptr, object->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return bytes_json(
            (struct leat_span){(const uint8_t *)object->via.bin.ptr, object->via.bin.size});
    case MSGPACK_OBJECT_EXT:
        return bytes_json(
            (struct leat_span){(const uint8_t *)object->via.ext.ptr, object->via.ext.size});
    case MSGPACK_OBJECT_ARRAY:
        return array_json(&object->via.array);
    case MSGPACK_OBJECT_MAP:
        return map_json(&object->via.map);
    }
    return json_null();
}

json_t *payload_json(struct leat_span payload)
{
    msgpack_zone zone;
    msgpack_object object;
    if (!msgpack_zone_init(&zone, 4096))
        return json_null();
    json_t *out = leat_wire_unpack(payload, &zone, &object, NULL) ? object_json(&object)
                                                                  : bytes_json(payload);
    msgpack_zone_destroy(&zone);
    return out;
}

/* Keys that the replay sets itself. */
static bool is_ours(const msgpack_object *key)
{
    if (key->type != MSGPACK_OBJECT_STR)
        return false;
    struct leat_span name = {(const uint8_t *)key->via.str.ptr, key->via.str.size};
    return leat_wire_is(name, "version") || leat_wire_is(name, "replay_of");
}

static void pack_replay(const msgpack_object_map *map, const struct payload_replay *of,
                        msgpack_sbuffer *to)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < map->size; i++)
        kept += !is_ours(&map->ptr[i].key);
    msgpack_packer packer;
    msgpack_packer_init(&packer, to, msgpack_sbuffer_write);
    leat_pack_map(&packer, kept + 2);
    for (uint32_t i = 0; i < map->size; i++)
        if (!is_ours(&map->ptr[i].key)) {
            msgpack_pack_object(&packer, map->ptr[i].key);
            msgpack_pack_object(&packer, map->ptr[i].val);
        }
    leat_pack_cstr(&packer, "version");
    msgpack_pack_int64(&packer, of->version);
    leat_pack_cstr(&packer, "replay_of");
    leat_pack_map(&packer, 3);
    leat_pack_cstr(&packer, "origin");
    leat_pack_bin(&packer, (struct leat_span){of->origin, LEAT_ID_SIZE});
    leat_pack_cstr(&packer, "seq");
    msgpack_pack_uint64(&packer, of->seq);
    leat_pack_cstr(&packer, "record");
    msgpack_pack_uint64(&packer, of->record);
}

bool payload_replay(struct leat_span payload, const struct payload_replay *of, msgpack_sbuffer *to,
                    struct leat_error *err)
{
    msgpack_zone zone;
    msgpack_object object;
    if (!msgpack_zone_init(&zone, 4096))
        return leat_fail(err, "out of memory");
    bool ok = leat_wire_unpack(payload, &zone, &object, err);
    if (ok && object.type != MSGPACK_OBJECT_MAP)
        ok = leat_fail(err, "its payload is not a map, and no ingest takes such a record");
    if (ok)
        pack_replay(&object.via.map, of, to);
    msgpack_zone_destroy(&zone);
    return ok;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool payload_uuid(const char *text, uint8_t out[LEAT_ID_SIZE])
{
    if (strlen(text) != 36)
        return false;
    for (size_t i = 0, at = 0; i < LEAT_ID_SIZE; i++, at += 2) {
        at += text[at] == '-';
        int high = digit(text[at]), low = digit(text[at + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
