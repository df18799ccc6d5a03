#include "proto/terms.h"

#include <string.h>

static void read_kinds(struct terms *self, const msgpack_object *kinds)
{
    self->n_kinds = 0;
    for (uint32_t i = 0; i < kinds->via.array.size && self->n_kinds < TERMS_MAX_KINDS; i++) {
        const msgpack_object *kind = &kinds->via.array.ptr[i];
        if (kind->type != MSGPACK_OBJECT_STR || kind->via.str.size > LEAT_MAX_KIND)
            continue; /* no name that a program could ask for */
        memcpy(self->kinds[self->n_kinds], kind->via.str.ptr, kind->via.str.size);
        self->kinds[self->n_kinds++][kind->via.str.size] = '\0';
    }
}

bool terms_read(struct terms *self, const struct leat_message *welcome)
{
    read_kinds(self, welcome->kinds);
    self->limits = welcome->limits;
    self->credit = welcome->credit;
    if (self->credit < self->limits.send_bytes)
        self->credit = self->limits.send_bytes;
    return self->n_kinds > 0 && self->limits.send_bytes > TERMS_FRAME_HEAD &&
           self->limits.send_records > 0 && self->limits.unanswered > 0;
}

bool terms_know(const struct terms *self, const char *kind)
{
    for (size_t i = 0; i < self->n_kinds; i++)
        if (strcmp(self->kinds[i], kind) == 0)
            return true;
    return false;
}

size_t terms_send_room(const struct terms *self)
{
    return (size_t)self->limits.send_bytes - TERMS_FRAME_HEAD;
}

bool terms_allow(const struct terms *self, uint64_t records, size_t bytes)
{
    return records <= self->limits.send_records && bytes <= terms_send_room(self);
}
