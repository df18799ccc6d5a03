/* What classify finds in a text: exactly what text, model and settings determine. Packed once by
 * classify, carried as it is through cache and wire, read by persist. */
#ifndef LEAT_TEXT_RESULT_H
#define LEAT_TEXT_RESULT_H

#include "proto/batch.h"

enum {
    TEXT_EMOTIONS = 8, /* anger disgust fear joy sadness surprise trust neutral */
    TEXT_MAX_LABELS = 64,
    TEXT_MAX_TOPICS = 5,
    TEXT_LABEL_MAX = 64,       /* bytes of a label's or a topic's key */
    TEXT_MODEL_MAX = 512,      /* bytes of what the model is called: there may be two */
    TEXT_EMBEDDING_MAX = 4096, /* numbers */
};

extern const char *const text_emotion_names[TEXT_EMOTIONS];

struct text_label_score {
    struct leat_span label;
    uint32_t probability; /* millionths */
};

struct text_topic {
    struct leat_span topic;
    double confidence, keyword_score; /* 3 decimals */
    double embedding_score;           /* 3 decimals; NaN: no embedding model */
};

struct text_result {
    struct leat_span model; /* "name version" */
    struct leat_span sentiment_label;
    double sentiment_score; /* [-1, 1], 6 decimals; the label follows from it */
    struct leat_span emotion_label;
    double emotion_score;                 /* of the distribution */
    uint32_t distribution[TEXT_EMOTIONS]; /* millionths; they sum to exactly 1 000 000 */
    struct text_label_score emotions[TEXT_MAX_LABELS]; /* above threshold, best first */
    size_t n_emotions;
    struct text_topic topics[TEXT_MAX_TOPICS]; /* best first */
    size_t n_topics;
    bool truncated; /* the model did not read all of the text */

    /* Of length 1, as text_embedding makes it; size 0: none was asked for. */
    struct leat_span embedding;
};

/* `n` finite numbers (1 to TEXT_EMBEDDING_MAX) as float32, little-endian, one after the other: in
 * their own place. */
struct leat_span text_embedding(float *values, size_t n);

/* Codec version: part of the fingerprint; raised when the packed form of what was there before
 * changes. A result without an embedding is packed as programs that knew of none do. */
enum { TEXT_RESULT_VERSION = 1 };

void text_result_pack(const struct text_result *result, msgpack_sbuffer *to);
bool text_result_read(struct leat_span packed, msgpack_zone *zone, struct text_result *out,
                      struct leat_error *err);

/* The item's "derived": weights from the record's own fields. */
struct text_weights {
    double influence;  /* [1, 5], 2 decimals */
    double confidence; /* [0, 1], 3 decimals */
};
void text_weights_pack(const struct text_weights *weights, msgpack_sbuffer *to);
bool text_weights_read(struct leat_span packed, struct text_weights *out, struct leat_error *err);

/* Key of what may be cached: XXH3 of 128 bits over fingerprint and text. */
void text_cache_key(const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE], struct leat_span text,
                    uint8_t key[16]);

#endif
