#include "proto/acks.h"

#include <string.h>

void leat_acks_write(msgpack_sbuffer *to, const uint8_t run[LEAT_ID_SIZE],
                     const struct leat_ack *acks, size_t n)
{
    msgpack_packer pack;
    leat_pack_init(&pack, to);
    leat_pack_raw(to, (struct leat_span){run, LEAT_ID_SIZE});
    leat_pack_map(&pack, 2);
    leat_pack_cstr(&pack, "v");
    msgpack_pack_int(&pack, LEAT_WIRE_VERSION);
    leat_pack_cstr(&pack, "acks");
    leat_pack_array(&pack, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        leat_pack_array(&pack, 5);
        leat_pack_cstr(&pack, acks[i].kind);
        msgpack_pack_uint64(&pack, acks[i].seq);
        msgpack_pack_uint32(&pack, acks[i].attempt);
        msgpack_pack_uint32(&pack, acks[i].committed);
        msgpack_pack_uint32(&pack, acks[i].dead);
    }
}

/* Takes the next value off `rest`, which has been proven. */
static struct leat_span next_value(struct leat_span *rest)
{
    size_t size = leat_wire_scan(*rest, NULL);
    struct leat_span value = {rest->data, size};
    *rest = (struct leat_span){rest->data + size, rest->size - size};
    return value;
}

static bool next_u32(struct leat_span *rest, uint32_t *out)
{
    uint64_t number;
    if (!leat_wire_number(next_value(rest), &number) || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

/* One [kind, seq, attempt, committed, dead]; what a later version may add behind is ignored. */
static bool read_ack(struct leat_span packed, struct leat_ack *ack)
{
    struct leat_span rest, kind;
    uint32_t count;
    if (!leat_wire_array(packed, &rest, &count) || count < 5 ||
        !leat_wire_text(next_value(&rest), &kind) || !leat_wire_name_ok(kind, LEAT_MAX_KIND))
        return false;
    memcpy(ack->kind, kind.data, kind.size);
    ack->kind[kind.size] = '\0';
    return leat_wire_number(next_value(&rest), &ack->seq) && ack->seq <= INT64_MAX &&
           next_u32(&rest, &ack->attempt) && next_u32(&rest, &ack->committed) &&
           next_u32(&rest, &ack->dead);
}

bool leat_acks_read(struct leat_span frame, uint8_t run[LEAT_ID_SIZE],
                    void (*each)(void *arg, const struct leat_ack *ack), void *arg,
                    struct leat_error *err)
{
    if (frame.size < LEAT_ID_SIZE)
        return leat_fail(err, "acks: shorter than a topic");
    memcpy(run, frame.data, LEAT_ID_SIZE);

    struct leat_walk walk;
    struct leat_span key, value, list = {NULL, 0};
    bool version = false;
    if (!leat_walk_open(
            &walk, (struct leat_span){frame.data + LEAT_ID_SIZE, frame.size - LEAT_ID_SIZE}, err))
        return leat_fail_in(err, "acks");
    while (walk.left > 0) {
        uint64_t number;
        if (!leat_walk_next(&walk, &key, &value, err))
            return leat_fail_in(err, "acks");
        if (leat_wire_is(key, "v"))
            version = leat_wire_number(value, &number) && number == LEAT_WIRE_VERSION;
        else if (list.size == 0 && leat_wire_is(key, "acks"))
            list = value;
    }
    if (walk.rest.size > 0)
        return leat_fail(err, "acks: %zu bytes too many after the end", walk.rest.size);
    if (!version)
        return leat_fail(err, "acks: version is not %d", LEAT_WIRE_VERSION);

    struct leat_span rest;
    uint32_t count;
    if (list.size == 0 || !leat_wire_array(list, &rest, &count))
        return leat_fail(err, "acks: the list is missing");
    for (uint32_t i = 0; i < count; i++) {
        struct leat_ack ack;
        if (!read_ack(next_value(&rest), &ack))
            return leat_fail(err, "acks: number %u is not what it must be", i);
        each(arg, &ack);
    }
    return true;
}
