#include "services/ingest/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void records_open(struct records *self, uint32_t most)
{
    memset(self, 0, sizeof *self);
    msgpack_sbuffer_init(&self->items);
    msgpack_sbuffer_init(&self->scratch);
    self->most = most;
    self->rejected = calloc(most, sizeof self->rejected[0]);
    if (!self->rejected) {
        fprintf(stderr, "leat: out of memory for %u records\n", most);
        abort();
    }
}

void records_close(struct records *self)
{
    msgpack_sbuffer_destroy(&self->items);
    msgpack_sbuffer_destroy(&self->scratch);
    free(self->rejected);
    memset(self, 0, sizeof *self);
}

static void clear(struct records *self)
{
    msgpack_sbuffer_clear(&self->items);
    self->count = self->accepted = self->n_rejected = 0;
}

static void reject(struct records *self, uint32_t index, const char *code, const char *reason)
{
    struct leat_rejection *r = &self->rejected[self->n_rejected++];
    r->index = index;
    r->code = code;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
}

/* The packed map {stage, code, message} of an item's error; valid until the next call. */
static struct leat_span packed_error(struct records *self, const struct leat_why *why)
{
    msgpack_sbuffer_clear(&self->scratch);
    msgpack_packer to;
    leat_pack_init(&to, &self->scratch);
    leat_pack_map(&to, 3);
    leat_pack_cstr(&to, "stage");
    leat_pack_cstr(&to, "ingest");
    leat_pack_cstr(&to, "code");
    leat_pack_cstr(&to, why->code);
    leat_pack_cstr(&to, "message");
    leat_pack_cstr(&to, why->message);
    return (struct leat_span){(const uint8_t *)self->scratch.data, self->scratch.size};
}

static bool version_ok(const msgpack_object *record, int64_t newest, struct leat_why *why)
{
    uint64_t version;
    if (!leat_wire_u64(record, "version", &version) || version <= (uint64_t)newest)
        return true;
    why->code = "version_future";
    snprintf(why->message, sizeof why->message, "version %llu is above %lld, the newest given",
             (unsigned long long)version, (long long)newest);
    return false;
}

void records_take(struct records *self, const struct leat_message *send,
                  const struct leat_flow *flow, const struct leat_flow_limits *limits,
                  int64_t newest, enum records_unfit unfit)
{
    clear(self);
    struct leat_span rest = send->packed;
    for (uint32_t i = 0; i < send->records->via.array.size; i++) {
        const msgpack_object *record = &send->records->via.array.ptr[i];
        struct leat_item item = {.record = {rest.data, leat_wire_scan(rest, NULL)}};
        rest.data += item.record.size;
        rest.size -= item.record.size;

        struct leat_why why = {.code = "invalid"};
        bool fit = flow->check(record, limits, &why) && version_ok(record, newest, &why);
        if (fit) {
            self->accepted++;
        } else {
            reject(self, i, why.code, why.message);
            if (unfit == RECORDS_LEFT_OUT)
                continue;
            item.error = packed_error(self, &why);
        }
        leat_batch_write_item(&item, &self->items);
        self->count++;
    }
}

void records_refuse(struct records *self, const struct leat_message *send)
{
    clear(self);
    /* The name is the client's: any string of any length, so only what can be shown of it is. */
    struct leat_span kind = send->kind;
    kind.size = leat_wire_text_prefix(kind, LEAT_MAX_KIND);
    char reason[sizeof self->rejected[0].reason];
    snprintf(reason, sizeof reason, "no flow takes records of kind '%.*s'", (int)kind.size,
             (const char *)kind.data);
    for (uint32_t i = 0; i < send->records->via.array.size; i++)
        reject(self, i, "kind_unknown", reason);
}
