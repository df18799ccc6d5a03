/* The records of one send: each is checked by its flow, and those that may travel are packed, word
 * for word as the client packed them, as the items of a batch. */
#ifndef LEAT_INGEST_RECORDS_H
#define LEAT_INGEST_RECORDS_H

#include "proto/message.h"
#include "services/flows/flow.h"

struct records {
    msgpack_sbuffer items; /* as leat_batch_write_item packs them, in the order of the send */
    uint32_t count;        /* of these */
    uint32_t accepted;
    struct leat_rejection *rejected; /* n_rejected of them; room for `most` */
    uint32_t n_rejected, most;
    msgpack_sbuffer scratch;
};

/* What becomes of a record that is not fit. */
enum records_unfit {
    RECORDS_LEFT_OUT,    /* the client is told: it stays out of the batch */
    RECORDS_CARRY_ERROR, /* nobody can be told: it travels on with its error */
};

/* For sends of at most `most` records. */
void records_open(struct records *self, uint32_t most);
void records_close(struct records *self);

/* Checks and packs all records of `send` (at most `most`), in place of those before. A record's own
 * version may not be above `newest`, the lowest version that the batch can get. */
void records_take(struct records *self, const struct leat_message *send,
                  const struct leat_flow *flow, const struct leat_flow_limits *limits,
                  int64_t newest, enum records_unfit unfit);

/* The same for a kind that has no flow: every record is rejected as kind_unknown. */
void records_refuse(struct records *self, const struct leat_message *send);

#endif
