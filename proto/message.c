#include "proto/message.h"

#include <string.h>

/* --- reading -------------------------------------------------------------------------------- */

static bool missing(const char *type, const char *field, struct leat_error *err)
{
    return leat_fail(err, "%s: %s is missing or not what it must be", type, field);
}

static const msgpack_object *array(const msgpack_object *map, const char *key)
{
    const msgpack_object *value = leat_wire_get(map, key);
    return value && value->type == MSGPACK_OBJECT_ARRAY ? value : NULL;
}

/* Numbers that a message must have: names and where they go, ended by NULL. */
struct number {
    const char *key;
    uint64_t *out;
};

static bool read_numbers(const msgpack_object *map, const char *type, const struct number *numbers,
                         struct leat_error *err)
{
    for (; numbers->key; numbers++)
        if (!leat_wire_u64(map, numbers->key, numbers->out))
            return missing(type, numbers->key, err);
    return true;
}

/* false: the key is there, but not of its type. */
static bool read_instance(const msgpack_object *map, struct leat_message *m)
{
    uint64_t instance = 0;
    if (leat_wire_get(map, "instance") &&
        (!leat_wire_u64(map, "instance", &instance) || instance > UINT32_MAX))
        return false;
    m->instance = (uint32_t)instance;
    return true;
}

static bool read_hello(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    if (!leat_wire_get(map, "client"))
        return true;
    if (!leat_wire_str(map, "client", &m->client))
        return missing("hello", "client", err);
    if (m->client.size == 0 || m->client.size > LEAT_MAX_CLIENT_ID || !leat_wire_text_ok(m->client))
        return leat_fail(err, "hello: client must be 1 to %d bytes of UTF-8 without NUL",
                         LEAT_MAX_CLIENT_ID);
    const msgpack_object *again = leat_wire_get(map, "again");
    if (!read_instance(map, m))
        return missing("hello", "instance", err);
    if (leat_wire_get(map, "session") && !leat_wire_u64(map, "session", &m->session))
        return missing("hello", "session", err);
    if (again && again->type != MSGPACK_OBJECT_BOOLEAN)
        return missing("hello", "again", err);
    m->again = again && again->via.boolean;
    return true;
}

static bool read_welcome(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    const msgpack_object *limits = leat_wire_get(map, "limits");
    m->kinds = array(map, "kinds");
    if (!m->kinds)
        return missing("welcome", "kinds", err);
    if (limits) {
        leat_wire_u64(limits, "series_rows", &m->limits.series_rows);
        leat_wire_u64(limits, "series_longest", &m->limits.series_longest);
    }
    return read_numbers(map, "welcome",
                        (struct number[]){{"session", &m->session},
                                          {"held", &m->held},
                                          {"through", &m->through},
                                          {"committed", &m->committed},
                                          {"dead", &m->dead},
                                          {"credit", &m->credit},
                                          {NULL, NULL}},
                        err) &&
           read_numbers(limits, "welcome: limits",
                        (struct number[]){{"send_bytes", &m->limits.send_bytes},
                                          {"send_records", &m->limits.send_records},
                                          {"unanswered", &m->limits.unanswered},
                                          {NULL, NULL}},
                        err);
}

static bool read_send(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    m->records = array(map, "records");
    if (!leat_wire_str(map, "kind", &m->kind))
        return missing("send", "kind", err);
    if (!m->records)
        return missing("send", "records", err);
    return true;
}

static bool read_acked_send(const msgpack_object *map, struct leat_message *m,
                            struct leat_error *err)
{
    return read_numbers(map, "send",
                        (struct number[]){{"session", &m->session}, {"seq", &m->seq}, {NULL, NULL}},
                        err) &&
           read_send(map, m, err);
}

static bool read_ack(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    const msgpack_object *forgotten = leat_wire_get(map, "forgotten");
    m->forgotten = forgotten && forgotten->type == MSGPACK_OBJECT_BOOLEAN && forgotten->via.boolean;
    m->rejected = array(map, "rejected");
    if (!m->rejected)
        return missing("ack", "rejected", err);
    return read_numbers(
        map, "ack", (struct number[]){{"seq", &m->seq}, {"accepted", &m->accepted}, {NULL, NULL}},
        err);
}

static bool read_busy(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    return read_numbers(
        map, "busy", (struct number[]){{"seq", &m->seq}, {"retry_ms", &m->retry_ms}, {NULL, NULL}},
        err);
}

static bool read_gap(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    return read_numbers(map, "gap", (struct number[]){{"held", &m->held}, {NULL, NULL}}, err);
}

static bool read_fenced(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    if (!read_instance(map, m))
        return missing("fenced", "instance", err);
    return read_numbers(map, "fenced", (struct number[]){{"session", &m->session}, {NULL, NULL}},
                        err);
}

static bool read_done(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    if (leat_wire_get(map, "session"))
        return read_numbers(map, "done", (struct number[]){{"session", &m->session}, {NULL, NULL}},
                            err);
    return read_numbers(map, "done",
                        (struct number[]){{"through", &m->through},
                                          {"committed", &m->committed},
                                          {"dead", &m->dead},
                                          {NULL, NULL}},
                        err);
}

static bool read_error(const msgpack_object *map, struct leat_message *m, struct leat_error *err)
{
    if (!leat_wire_str(map, "code", &m->code))
        return missing("error", "code", err);
    if (!leat_wire_str(map, "reason", &m->reason))
        return missing("error", "reason", err);
    return true;
}

static const struct {
    const char *name;
    bool (*read)(const msgpack_object *map, struct leat_message *m, struct leat_error *err);
} types[] = {
    [LEAT_HELLO] = {"hello", read_hello},    [LEAT_WELCOME] = {"welcome", read_welcome},
    [LEAT_SEND] = {"send", read_acked_send}, [LEAT_ACK] = {"ack", read_ack},
    [LEAT_BUSY] = {"busy", read_busy},       [LEAT_GAP] = {"gap", read_gap},
    [LEAT_FENCED] = {"fenced", read_fenced}, [LEAT_DONE] = {"done", read_done},
    [LEAT_ERROR] = {"error", read_error},
};

static bool read_type(const msgpack_object *map, struct leat_message *m, const char **code,
                      struct leat_error *err)
{
    struct leat_span type;
    *code = "malformed";
    if (!leat_wire_get(map, "type")) {
        m->type = LEAT_SEND; /* the one-way port's frame */
        return (leat_wire_get(map, "kind") && read_send(map, m, err)) ||
               missing("frame", "type", err);
    }
    if (!leat_wire_str(map, "type", &type))
        return missing("frame", "type", err);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (leat_wire_is(type, types[i].name)) {
            m->type = (enum leat_message_type)i;
            return types[i].read(map, m, err);
        }
    }
    *code = "type";
    return leat_fail(err, "no such type of message");
}

/* Where the records' bytes are: the tree does not tell. Proves the whole frame as it goes. */
static bool find_records(struct leat_span frame, struct leat_span *packed, struct leat_error *err)
{
    struct leat_walk walk;
    if (!leat_walk_open(&walk, frame, err))
        return false;
    while (walk.left > 0) {
        struct leat_span key, value;
        uint32_t count;
        if (!leat_walk_next(&walk, &key, &value, err))
            return false;
        if (!packed->data && leat_wire_is(key, "records"))
            leat_wire_array(value, packed, &count);
    }
    return walk.rest.size == 0 ||
           leat_fail(err, "%zu bytes too many after the end", walk.rest.size);
}

bool leat_message_read(struct leat_span frame, msgpack_zone *zone, struct leat_message *out,
                       const char **code, struct leat_error *err)
{
    memset(out, 0, sizeof *out);
    *code = "malformed";
    if (!find_records(frame, &out->packed, err))
        return false;
    /* Proven: every value of the map by itself, so one level more than leat_wire_scan lets pass. */
    msgpack_object map;
    if (msgpack_unpack((const char *)frame.data, frame.size, NULL, zone, &map) !=
        MSGPACK_UNPACK_SUCCESS)
        return leat_fail(err, "no memory to unpack %zu bytes", frame.size);

    uint64_t version;
    if (!leat_wire_get(&map, "v"))
        return leat_fail(err, "v is missing");
    if (!leat_wire_u64(&map, "v", &version) || version != LEAT_WIRE_VERSION) {
        *code = "version";
        return leat_fail(err, "version must be %d", LEAT_WIRE_VERSION);
    }
    return read_type(&map, out, code, err);
}

/* --- writing -------------------------------------------------------------------------------- */

/* Begins a message of `pairs` pairs besides v and type. */
static void begin(msgpack_packer *pack, msgpack_sbuffer *to, uint32_t pairs,
                  enum leat_message_type type)
{
    leat_pack_init(pack, to);
    leat_pack_map(pack, pairs + 2);
    leat_pack_cstr(pack, "v");
    msgpack_pack_int(pack, LEAT_WIRE_VERSION);
    leat_pack_cstr(pack, "type");
    leat_pack_cstr(pack, types[type].name);
}

static void put_number(msgpack_packer *pack, const char *key, uint64_t value)
{
    leat_pack_cstr(pack, key);
    msgpack_pack_uint64(pack, value);
}

static void put_text(msgpack_packer *pack, const char *key, const char *value)
{
    leat_pack_cstr(pack, key);
    leat_pack_cstr(pack, value);
}

void leat_message_hello(msgpack_sbuffer *to, const char *client, uint32_t instance,
                        uint64_t session, bool again)
{
    msgpack_packer pack;
    begin(&pack, to, 1U + (instance > 0) + (session > 0) + again, LEAT_HELLO);
    put_text(&pack, "client", client);
    if (instance > 0)
        put_number(&pack, "instance", instance);
    if (session > 0)
        put_number(&pack, "session", session);
    if (again) {
        leat_pack_cstr(&pack, "again");
        msgpack_pack_true(&pack);
    }
}

void leat_message_say_hello(msgpack_sbuffer *to)
{
    msgpack_packer pack;
    begin(&pack, to, 0, LEAT_HELLO);
}

void leat_message_welcome(msgpack_sbuffer *to, const struct leat_message *welcome,
                          const char *const *kinds)
{
    uint32_t n_kinds = 0;
    while (kinds[n_kinds])
        n_kinds++;

    msgpack_packer pack;
    begin(&pack, to, 8, LEAT_WELCOME);
    put_number(&pack, "session", welcome->session);
    put_number(&pack, "held", welcome->held);
    put_number(&pack, "through", welcome->through);
    put_number(&pack, "committed", welcome->committed);
    put_number(&pack, "dead", welcome->dead);
    put_number(&pack, "credit", welcome->credit);
    leat_pack_cstr(&pack, "limits");
    bool series = welcome->limits.series_rows > 0;
    leat_pack_map(&pack, series ? 5 : 3);
    put_number(&pack, "send_bytes", welcome->limits.send_bytes);
    put_number(&pack, "send_records", welcome->limits.send_records);
    put_number(&pack, "unanswered", welcome->limits.unanswered);
    if (series) {
        put_number(&pack, "series_rows", welcome->limits.series_rows);
        put_number(&pack, "series_longest", welcome->limits.series_longest);
    }
    leat_pack_cstr(&pack, "kinds");
    leat_pack_array(&pack, n_kinds);
    for (uint32_t i = 0; i < n_kinds; i++)
        leat_pack_cstr(&pack, kinds[i]);
}

static void put_records(msgpack_packer *pack, msgpack_sbuffer *to, const char *kind, uint32_t count,
                        struct leat_span records)
{
    put_text(pack, "kind", kind);
    leat_pack_cstr(pack, "records");
    leat_pack_array(pack, count);
    leat_pack_raw(to, records);
}

void leat_message_send(msgpack_sbuffer *to, uint64_t session, uint64_t seq, const char *kind,
                       uint32_t count, struct leat_span records)
{
    msgpack_packer pack;
    begin(&pack, to, 4, LEAT_SEND);
    put_number(&pack, "session", session);
    put_number(&pack, "seq", seq);
    put_records(&pack, to, kind, count, records);
}

void leat_message_oneway(msgpack_sbuffer *to, const char *kind, uint32_t count,
                         struct leat_span records)
{
    msgpack_packer pack;
    leat_pack_init(&pack, to);
    leat_pack_map(&pack, 3);
    put_number(&pack, "v", LEAT_WIRE_VERSION);
    put_records(&pack, to, kind, count, records);
}

void leat_message_ack(msgpack_sbuffer *to, uint64_t seq, uint64_t accepted,
                      const struct leat_rejection *rejected, size_t n)
{
    msgpack_packer pack;
    size_t reasons = 0;
    begin(&pack, to, 3, LEAT_ACK);
    put_number(&pack, "seq", seq);
    put_number(&pack, "accepted", accepted);
    leat_pack_cstr(&pack, "rejected");
    leat_pack_array(&pack, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        reasons += strlen(rejected[i].reason);
        leat_pack_map(&pack, 3);
        put_number(&pack, "index", rejected[i].index);
        put_text(&pack, "code", rejected[i].code);
        put_text(&pack, "reason", reasons <= LEAT_REASONS_BYTES ? rejected[i].reason : "");
    }
}

void leat_message_forgotten(msgpack_sbuffer *to, uint64_t seq)
{
    msgpack_packer pack;
    begin(&pack, to, 4, LEAT_ACK);
    put_number(&pack, "seq", seq);
    put_number(&pack, "accepted", 0);
    leat_pack_cstr(&pack, "rejected");
    leat_pack_array(&pack, 0);
    leat_pack_cstr(&pack, "forgotten");
    msgpack_pack_true(&pack);
}

void leat_message_busy(msgpack_sbuffer *to, uint64_t seq, uint64_t retry_ms)
{
    msgpack_packer pack;
    begin(&pack, to, 2, LEAT_BUSY);
    put_number(&pack, "seq", seq);
    put_number(&pack, "retry_ms", retry_ms);
}

void leat_message_gap(msgpack_sbuffer *to, uint64_t held)
{
    msgpack_packer pack;
    begin(&pack, to, 1, LEAT_GAP);
    put_number(&pack, "held", held);
}

void leat_message_fenced(msgpack_sbuffer *to, uint64_t session, uint32_t instance)
{
    msgpack_packer pack;
    begin(&pack, to, 1U + (instance > 0), LEAT_FENCED);
    put_number(&pack, "session", session);
    if (instance > 0)
        put_number(&pack, "instance", instance);
}

void leat_message_done_request(msgpack_sbuffer *to, uint64_t session)
{
    msgpack_packer pack;
    begin(&pack, to, 1, LEAT_DONE);
    put_number(&pack, "session", session);
}

void leat_message_done(msgpack_sbuffer *to, uint64_t through, uint64_t committed, uint64_t dead)
{
    msgpack_packer pack;
    begin(&pack, to, 3, LEAT_DONE);
    put_number(&pack, "through", through);
    put_number(&pack, "committed", committed);
    put_number(&pack, "dead", dead);
}

void leat_message_error(msgpack_sbuffer *to, const char *code, const char *reason)
{
    msgpack_packer pack;
    begin(&pack, to, 2, LEAT_ERROR);
    put_text(&pack, "code", code);
    put_text(&pack, "reason", reason);
}
