/* What ingest allows a client: the limits, credit and kinds of its welcome. */
#ifndef LEAT_PROTO_TERMS_H
#define LEAT_PROTO_TERMS_H

#include "proto/message.h"

enum {
    TERMS_FRAME_HEAD = 128, /* bytes of a send besides its records, at most */
    TERMS_MAX_KINDS = 64,
};

struct terms {
    struct leat_limits limits;
    uint64_t credit; /* never less than limits.send_bytes */
    char kinds[TERMS_MAX_KINDS][LEAT_MAX_KIND + 1];
    size_t n_kinds;
};

/* False when a welcome makes no sense: no kinds, or limits that let nothing pass. */
bool terms_read(struct terms *self, const struct leat_message *welcome);

bool terms_know(const struct terms *self, const char *kind);

/* Bytes of records that one send may have. */
size_t terms_send_room(const struct terms *self);

/* Whether a send may be complete with so many records and bytes of records. */
bool terms_allow(const struct terms *self, uint64_t records, size_t bytes);

#endif
