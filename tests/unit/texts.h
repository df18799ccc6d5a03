/* Batches of the text flow for tests of the store: records, results and weights as they come out of
 * classify. */
#ifndef TESTS_UNIT_TEXTS_H
#define TESTS_UNIT_TEXTS_H

#include "proto/batch.h"
#include "services/flows/text/result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One text. What is 0 is left out. */
struct texts_item {
    const char *id, *text;
    int64_t version;     /* in the record itself, as a replay has it */
    uint64_t replay_seq; /* replay_of: {the batch's origin, replay_seq, replay_record} */
    uint64_t replay_record;
    const char *error;      /* code of an error that an earlier stage gave it */
    const char *topic;      /* besides, the topic "economy" */
    const float *embedding; /* two numbers */
};

struct texts {
    msgpack_sbuffer frame, record, found, derived;
    struct leat_batch_head head;
};

static inline struct leat_span texts_span(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

static inline struct leat_span texts_packed(const msgpack_sbuffer *from)
{
    return (struct leat_span){(const uint8_t *)from->data, from->size};
}

/* `origin`: what its 16 bytes are. */
static inline void texts_begin(struct texts *self, uint8_t origin, uint64_t seq, int64_t stamp,
                               uint32_t count)
{
    memset(self, 0, sizeof *self);
    msgpack_sbuffer_init(&self->frame);
    msgpack_sbuffer_init(&self->record);
    msgpack_sbuffer_init(&self->found);
    msgpack_sbuffer_init(&self->derived);
    self->head = (struct leat_batch_head){.stage = "persist",
                                          .kind = "text",
                                          .seq = seq,
                                          .stamp = stamp,
                                          .attempt = 1,
                                          .count = count};
    memset(self->head.origin, origin, sizeof self->head.origin);
    memset(self->head.run, 9, sizeof self->head.run);
    leat_batch_write_head(&self->head, &self->frame);
}

static inline void texts_pack_record(struct texts *self, const struct texts_item *item)
{
    msgpack_packer pk;
    msgpack_sbuffer_clear(&self->record);
    msgpack_packer_init(&pk, &self->record, msgpack_sbuffer_write);
    leat_pack_map(&pk, 2u + (item->version > 0) + (item->replay_seq > 0));
    leat_pack_cstr(&pk, "id");
    leat_pack_cstr(&pk, item->id);
    leat_pack_cstr(&pk, "text");
    leat_pack_cstr(&pk, item->text);
    if (item->version > 0) {
        leat_pack_cstr(&pk, "version");
        msgpack_pack_int64(&pk, item->version);
    }
    if (item->replay_seq > 0) {
        leat_pack_cstr(&pk, "replay_of");
        leat_pack_map(&pk, 3);
        leat_pack_cstr(&pk, "origin");
        leat_pack_bin(&pk, (struct leat_span){self->head.origin, LEAT_ID_SIZE});
        leat_pack_cstr(&pk, "seq");
        msgpack_pack_uint64(&pk, item->replay_seq);
        leat_pack_cstr(&pk, "record");
        msgpack_pack_uint64(&pk, item->replay_record);
    }
}

static inline void texts_pack_error(struct texts *self, const char *code)
{
    msgpack_packer pk;
    msgpack_sbuffer_clear(&self->found);
    msgpack_packer_init(&pk, &self->found, msgpack_sbuffer_write);
    leat_pack_map(&pk, 3);
    leat_pack_cstr(&pk, "stage");
    leat_pack_cstr(&pk, "classify");
    leat_pack_cstr(&pk, "code");
    leat_pack_cstr(&pk, code);
    leat_pack_cstr(&pk, "message");
    leat_pack_cstr(&pk, "it did not work");
}

static inline void texts_pack_result(struct texts *self, const struct texts_item *item)
{
    struct text_result result = {
        .model = texts_span("test 1"),
        .sentiment_label = texts_span("positive"),
        .sentiment_score = 0.75,
        .emotion_label = texts_span("joy"),
        .emotion_score = 0.6,
        .distribution = {50000, 50000, 50000, 600000, 50000, 50000, 50000, 100000},
        .emotions = {{texts_span("joy"), 912345}, {texts_span("love"), 500000}},
        .n_emotions = 2,
        .topics = {{texts_span("economy"), 0.5, 0.5, NAN},
                   {texts_span(item->topic ? item->topic : ""), 0.25, 0.25, 0.3}},
        .n_topics = item->topic ? 2 : 1,
    };
    float embedding[2];
    if (item->embedding) {
        memcpy(embedding, item->embedding, sizeof embedding);
        result.embedding = text_embedding(embedding, 2);
    }
    const struct text_weights weights = {.influence = 1.95, .confidence = 0.675};
    msgpack_sbuffer_clear(&self->found);
    msgpack_sbuffer_clear(&self->derived);
    text_result_pack(&result, &self->found);
    text_weights_pack(&weights, &self->derived);
}

static inline void texts_add(struct texts *self, const struct texts_item *item)
{
    struct leat_item out = {0};
    texts_pack_record(self, item);
    out.record = texts_packed(&self->record);
    if (item->error) {
        texts_pack_error(self, item->error);
        out.error = texts_packed(&self->found);
    } else {
        texts_pack_result(self, item);
        out.result = texts_packed(&self->found);
        out.derived = texts_packed(&self->derived);
    }
    leat_batch_write_item(&out, &self->frame);
}

static inline struct leat_batch *texts_end(struct texts *self)
{
    struct leat_error err;
    struct leat_span frame = texts_packed(&self->frame);
    struct leat_batch *batch =
        leat_batch_read(frame, msgpack_sbuffer_release(&self->frame), free, &err);
    msgpack_sbuffer_destroy(&self->frame);
    msgpack_sbuffer_destroy(&self->record);
    msgpack_sbuffer_destroy(&self->found);
    msgpack_sbuffer_destroy(&self->derived);
    if (!batch) {
        fprintf(stderr, "texts_end: %s\n", err.text);
        abort();
    }
    return batch;
}

/* A batch of `n` items. */
static inline struct leat_batch *texts_batch(uint8_t origin, uint64_t seq, int64_t stamp,
                                             const struct texts_item *items, uint32_t n)
{
    struct texts texts;
    texts_begin(&texts, origin, seq, stamp, n);
    for (uint32_t i = 0; i < n; i++)
        texts_add(&texts, &items[i]);
    return texts_end(&texts);
}

/* A batch of `n` texts PREFIX-0, PREFIX-1, …, all with that text. */
static inline struct leat_batch *texts_many(uint8_t origin, uint64_t seq, int64_t stamp,
                                            const char *prefix, uint32_t n, const char *text)
{
    struct texts texts;
    texts_begin(&texts, origin, seq, stamp, n);
    for (uint32_t i = 0; i < n; i++) {
        char id[64];
        snprintf(id, sizeof id, "%s-%u", prefix, i);
        texts_add(&texts, &(struct texts_item){.id = id, .text = text});
    }
    return texts_end(&texts);
}

#endif
