/* A batch as it travels between stages: one frame, never merged, split or reordered.
 *
 * On the wire: a head (msgpack map), then `count` items (msgpack maps), one after another. An item
 * keeps the client's record untouched under "record"; stages add their findings beside it. So
 * ingest journals the items' bytes once and puts a fresh head before them at every dispatch. */
#ifndef LEAT_BATCH_H
#define LEAT_BATCH_H

#include "proto/wire.h"

enum { LEAT_FINGERPRINT_SIZE = 16 };

/* Who a batch is, and where it goes. */
struct leat_batch_head {
    char stage[LEAT_MAX_STAGE + 1]; /* the stage this frame is for */
    char kind[LEAT_MAX_KIND + 1];
    uint8_t origin[LEAT_ID_SIZE]; /* of the journal: made once, with it */
    uint8_t run[LEAT_ID_SIZE];    /* of the ingest process: made at every start */
    uint64_t seq;                 /* the journal's: with origin and index it names a record */
    int64_t stamp;                /* version of the first record, µs since 1970; then +1 each */
    uint32_t attempt;             /* 1 for the first sending */
    uint32_t count;               /* items that follow */

    /* Cache to its next stage: what the results that it filled in depend on besides the records.
     * All 0: there are none. */
    uint8_t fingerprint[LEAT_FINGERPRINT_SIZE];
};

/* One record on its way. Each span is one msgpack object; size 0 means that there is none. Every
 * item that is read has a record: a frame with an item without one is refused. */
struct leat_item {
    struct leat_span record;  /* as the client sent it, whatever it is */
    struct leat_span result;  /* what record, model and settings determine: may be cached */
    struct leat_span derived; /* what a stage found from the record's own fields: never cached */
    struct leat_span error;   /* map {stage, code, message}: later stages pass this item by */
};

/* A decoded batch. It owns the frame, the items and everything that stages allocate from `zone`;
 * all of it goes with leat_batch_destroy. */
struct leat_batch {
    struct leat_batch_head head;
    struct leat_item *items; /* head.count of them */
    msgpack_zone *zone;      /* arena for whatever lives as long as the batch */
    size_t bytes;            /* size of the frame it was read from */
    void *frame;             /* owned: freed by `frame_free` */
    void (*frame_free)(void *frame);
};

/* Takes over `frame` (bytes `in`, freed by `frame_free (frame)` with the batch; both may be NULL)
 * whether it succeeds or not. NULL when the frame is not a batch: every length is checked, so any
 * bytes may be given. Takes at most 8 times the frame's size besides the frame. */
struct leat_batch *leat_batch_read(struct leat_span in, void *frame, void (*frame_free)(void *),
                                   struct leat_error *err);

void leat_batch_destroy(struct leat_batch **self);

/* Memory from the batch's arena, aligned for anything; never NULL (ends the process instead). */
void *leat_batch_alloc(struct leat_batch *self, size_t size);

/* A copy of bytes in the batch's arena. */
struct leat_span leat_batch_keep(struct leat_batch *self, const void *data, size_t size);

/* Marks an item as failed; an earlier error stays. The message may be any text (it is cut to 500
 * bytes at a character's boundary and made valid UTF-8); stage and code are names of up to 32 and
 * 64 bytes. */
void leat_batch_fail(struct leat_batch *self, uint32_t index, const char *stage, const char *code,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Appends the frame of a whole batch to `to`. */
void leat_batch_write(const struct leat_batch *self, msgpack_sbuffer *to);

/* The same in parts, for ingest (whose items are bytes already) and for halves of a batch. */
void leat_batch_write_head(const struct leat_batch_head *head, msgpack_sbuffer *to);
void leat_batch_write_item(const struct leat_item *item, msgpack_sbuffer *to);

/* Bytes that a head takes at most. */
enum { LEAT_BATCH_HEAD_MAX = 256 };

/* The record's version: its own "version" when it brings one, else the batch's stamp + index. */
int64_t leat_batch_version(const struct leat_batch *self, uint32_t index,
                           const msgpack_object *record);

/* Reads an item's error for a row of dead_letters; false when there is none. What the error does
 * not tell has size 0. Spans point into the batch. */
bool leat_item_error(const struct leat_item *item, msgpack_zone *zone, struct leat_span *stage,
                     struct leat_span *code, struct leat_span *message);

#endif
