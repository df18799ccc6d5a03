/* leat_wire_scan and the walk: what they prove of bytes, msgpack-c finds as well. */
#include "tests/fuzz/targets.h"

#include <string.h>

static void check_tree(struct leat_span whole, msgpack_object *out, msgpack_zone *zone)
{
    struct leat_error err;
    size_t at = 0;
    FUZZ_CHECK(msgpack_unpack((const char *)whole.data, whole.size, &at, zone, out) ==
               MSGPACK_UNPACK_SUCCESS);
    FUZZ_CHECK(at == whole.size);
    FUZZ_CHECK(leat_wire_unpack(whole, zone, out, &err));

    msgpack_sbuffer again;
    msgpack_packer packer;
    msgpack_sbuffer_init(&again);
    leat_pack_init(&packer, &again);
    msgpack_pack_object(&packer, *out);
    FUZZ_CHECK(leat_wire_scan(fuzz_packed(&again), &err) == again.size);
    msgpack_sbuffer_destroy(&again);
}

/* The walk sees the pairs of the tree, in their order. */
static void check_map(struct leat_span whole, const msgpack_object *map)
{
    struct leat_walk walk;
    struct leat_error err;
    FUZZ_CHECK(leat_walk_open(&walk, whole, &err));
    FUZZ_CHECK(walk.left == map->via.map.size);
    for (uint32_t i = 0; walk.left > 0; i++) {
        const msgpack_object *key = &map->via.map.ptr[i].key;
        struct leat_span text, value;
        FUZZ_CHECK(leat_walk_next(&walk, &text, &value, &err));
        FUZZ_CHECK(leat_wire_scan(value, &err) == value.size);
        if (key->type == MSGPACK_OBJECT_STR)
            FUZZ_CHECK(fuzz_same(
                text, (struct leat_span){(const uint8_t *)key->via.str.ptr, key->via.str.size}));
        else
            FUZZ_CHECK(text.data == NULL && text.size == 0);
    }
    FUZZ_CHECK(walk.rest.size == 0);
}

static void check_array(struct leat_span whole, const msgpack_object *array)
{
    struct leat_span values;
    uint32_t count;
    bool is_array = leat_wire_array(whole, &values, &count);
    FUZZ_CHECK(is_array == (array->type == MSGPACK_OBJECT_ARRAY));
    if (!is_array)
        return;
    FUZZ_CHECK(count == array->via.array.size);
    while (count-- > 0) {
        size_t size = leat_wire_scan(values, NULL);
        FUZZ_CHECK(size > 0);
        values.data += size;
        values.size -= size;
    }
    FUZZ_CHECK(values.size == 0);
}

static void check_scalars(struct leat_span whole, const msgpack_object *object)
{
    uint64_t number;
    struct leat_span text;
    FUZZ_CHECK(leat_wire_number(whole, &number) ==
               (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER));
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        FUZZ_CHECK(number == object->via.u64);
    FUZZ_CHECK(leat_wire_text(whole, &text) == (object->type == MSGPACK_OBJECT_STR));
    if (object->type != MSGPACK_OBJECT_STR)
        return;
    size_t prefix = leat_wire_text_prefix(text, text.size);
    FUZZ_CHECK(prefix <= text.size);
    FUZZ_CHECK(leat_wire_text_ok((struct leat_span){text.data, prefix}));
    FUZZ_CHECK(leat_wire_text_ok(text) == (prefix == text.size));
}

void fuzz_wire(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    size_t size = leat_wire_scan(input, &err);
    FUZZ_CHECK(size <= input.size);
    FUZZ_CHECK((size == 0) == (err.text[0] != '\0'));
    if (size == 0)
        return;
    msgpack_zone zone;
    msgpack_object object;
    struct leat_span whole = {input.data, size};
    msgpack_zone_init(&zone, 4096);
    check_tree(whole, &object, &zone);
    if (object.type == MSGPACK_OBJECT_MAP)
        check_map(whole, &object);
    check_array(whole, &object);
    check_scalars(whole, &object);
    msgpack_zone_destroy(&zone);
}
