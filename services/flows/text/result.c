#include "services/flows/text/result.h"

#include <endian.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

const char *const text_emotion_names[TEXT_EMOTIONS] = {
    "anger", "disgust", "fear", "joy", "sadness", "surprise", "trust", "neutral",
};

/* The packed form is an array, not a map: it is written and read for every text, and only by code
 * of the same TEXT_RESULT_VERSION, which is part of the fingerprint. More values may follow those
 * that are known here. */
enum { RESULT_FIELDS = 10, RESULT_EMBEDDING = RESULT_FIELDS };

struct leat_span text_embedding(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = htole32(bits);
        memcpy(&values[i], &bits, sizeof bits);
    }
    return (struct leat_span){(const uint8_t *)values, n * sizeof *values};
}

void text_result_pack(const struct text_result *result, msgpack_sbuffer *to)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, to, msgpack_sbuffer_write);
    leat_pack_array(&pk, RESULT_FIELDS + (result->embedding.size > 0));
    msgpack_pack_int(&pk, TEXT_RESULT_VERSION);
    leat_pack_str(&pk, result->model);
    leat_pack_str(&pk, result->sentiment_label);
    msgpack_pack_double(&pk, result->sentiment_score);
    leat_pack_str(&pk, result->emotion_label);
    msgpack_pack_double(&pk, result->emotion_score);
    leat_pack_array(&pk, TEXT_EMOTIONS);
    for (size_t i = 0; i < TEXT_EMOTIONS; i++)
        msgpack_pack_uint32(&pk, result->distribution[i]);
    leat_pack_array(&pk, (uint32_t)result->n_emotions * 2);
    for (size_t i = 0; i < result->n_emotions; i++) {
        leat_pack_str(&pk, result->emotions[i].label);
        msgpack_pack_uint32(&pk, result->emotions[i].probability);
    }
    leat_pack_array(&pk, (uint32_t)result->n_topics * 4);
    for (size_t i = 0; i < result->n_topics; i++) {
        leat_pack_str(&pk, result->topics[i].topic);
        msgpack_pack_double(&pk, result->topics[i].confidence);
        msgpack_pack_double(&pk, result->topics[i].keyword_score);
        if (isnan(result->topics[i].embedding_score))
            msgpack_pack_nil(&pk);
        else
            msgpack_pack_double(&pk, result->topics[i].embedding_score);
    }
    if (result->truncated)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
    if (result->embedding.size > 0)
        leat_pack_bin(&pk, result->embedding);
}

static bool to_str(const msgpack_object *object, size_t max, struct leat_span *out)
{
    if (object->type != MSGPACK_OBJECT_STR || object->via.str.size > max)
        return false;
    *out = (struct leat_span){(const uint8_t *)object->via.str.ptr, object->via.str.size};
    return leat_wire_text_ok(*out); /* or the store would refuse the row */
}

static bool to_real(const msgpack_object *object, double *out)
{
    if (object->type != MSGPACK_OBJECT_FLOAT64 || !isfinite(object->via.f64))
        return false;
    *out = object->via.f64;
    return true;
}

static bool to_millionths(const msgpack_object *object, uint32_t *out)
{
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > 1000000)
        return false;
    *out = (uint32_t)object->via.u64;
    return true;
}

static bool to_array(const msgpack_object *object, size_t multiple, size_t max, size_t *n)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size % multiple != 0 ||
        object->via.array.size > multiple * max)
        return false;
    *n = object->via.array.size / multiple;
    return true;
}

static bool read_distribution(const msgpack_object *object, struct text_result *out)
{
    size_t n;
    uint64_t sum = 0;
    if (!to_array(object, 1, TEXT_EMOTIONS, &n) || n != TEXT_EMOTIONS)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!to_millionths(&object->via.array.ptr[i], &out->distribution[i]))
            return false;
        sum += out->distribution[i];
    }
    return sum == 1000000;
}

static bool read_emotions(const msgpack_object *object, struct text_result *out)
{
    if (!to_array(object, 2, TEXT_MAX_LABELS, &out->n_emotions))
        return false;
    for (size_t i = 0; i < out->n_emotions; i++) {
        const msgpack_object *pair = &object->via.array.ptr[2 * i];
        if (!to_str(&pair[0], TEXT_LABEL_MAX, &out->emotions[i].label) ||
            !to_millionths(&pair[1], &out->emotions[i].probability))
            return false;
    }
    return true;
}

static bool read_topics(const msgpack_object *object, struct text_result *out)
{
    if (!to_array(object, 4, TEXT_MAX_TOPICS, &out->n_topics))
        return false;
    for (size_t i = 0; i < out->n_topics; i++) {
        const msgpack_object *four = &object->via.array.ptr[4 * i];
        struct text_topic *topic = &out->topics[i];
        topic->embedding_score = NAN;
        if (!to_str(&four[0], TEXT_LABEL_MAX, &topic->topic) ||
            !to_real(&four[1], &topic->confidence) || !to_real(&four[2], &topic->keyword_score))
            return false;
        if (four[3].type != MSGPACK_OBJECT_NIL && !to_real(&four[3], &topic->embedding_score))
            return false;
    }
    return true;
}

/* Absent is none. */
static bool read_embedding(const msgpack_object_array *fields, struct leat_span *out)
{
    *out = (struct leat_span){0};
    if (fields->size <= RESULT_EMBEDDING)
        return true;
    const msgpack_object *object = &fields->ptr[RESULT_EMBEDDING];
    if (object->type != MSGPACK_OBJECT_BIN || object->via.bin.size == 0 ||
        object->via.bin.size % sizeof(float) != 0 ||
        object->via.bin.size > TEXT_EMBEDDING_MAX * sizeof(float))
        return false;
    *out = (struct leat_span){(const uint8_t *)object->via.bin.ptr, object->via.bin.size};
    for (size_t i = 0; i < out->size; i += sizeof(float)) {
        uint32_t bits;
        memcpy(&bits, out->data + i, sizeof bits);
        if ((le32toh(bits) & 0x7f800000) == 0x7f800000)
            return false; /* infinite or no number */
    }
    return true;
}

bool text_result_read(struct leat_span packed, msgpack_zone *zone, struct text_result *out,
                      struct leat_error *err)
{
    msgpack_object object;
    if (!leat_wire_unpack(packed, zone, &object, err))
        return leat_fail_in(err, "result of a text");
    if (object.type != MSGPACK_OBJECT_ARRAY || object.via.array.size < RESULT_FIELDS)
        return leat_fail(err, "result of a text: not an array of %d values or more", RESULT_FIELDS);
    const msgpack_object *f = object.via.array.ptr;
    if (f[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER || f[0].via.u64 != TEXT_RESULT_VERSION)
        return leat_fail(err, "result of a text: not of version %d", TEXT_RESULT_VERSION);
    if (!to_str(&f[1], TEXT_MODEL_MAX, &out->model) ||
        !to_str(&f[2], TEXT_LABEL_MAX, &out->sentiment_label) ||
        !to_real(&f[3], &out->sentiment_score) ||
        !to_str(&f[4], TEXT_LABEL_MAX, &out->emotion_label) ||
        !to_real(&f[5], &out->emotion_score) || !read_distribution(&f[6], out) ||
        !read_emotions(&f[7], out) || !read_topics(&f[8], out) ||
        f[9].type != MSGPACK_OBJECT_BOOLEAN || !read_embedding(&object.via.array, &out->embedding))
        return leat_fail(err, "result of a text: a value of the wrong type or range");
    out->truncated = f[9].via.boolean;
    return true;
}

void text_weights_pack(const struct text_weights *weights, msgpack_sbuffer *to)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, to, msgpack_sbuffer_write);
    leat_pack_array(&pk, 2);
    msgpack_pack_double(&pk, weights->influence);
    msgpack_pack_double(&pk, weights->confidence);
}

bool text_weights_read(struct leat_span packed, struct text_weights *out, struct leat_error *err)
{
    /* Exactly fixarray 2 and two float64: read in place, without an arena. */
    if (packed.size != 19 || packed.data[0] != 0x92 || packed.data[1] != 0xcb ||
        packed.data[10] != 0xcb)
        return leat_fail(err, "weights of a text: not two float64");
    double values[2];
    for (int i = 0; i < 2; i++) {
        uint64_t bits = 0;
        for (int b = 0; b < 8; b++)
            bits = bits << 8 | packed.data[2 + 9 * i + b];
        memcpy(&values[i], &bits, sizeof bits);
        if (!isfinite(values[i]))
            return leat_fail(err, "weights of a text: not finite");
    }
    *out = (struct text_weights){values[0], values[1]};
    return true;
}

void text_cache_key(const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE], struct leat_span text,
                    uint8_t key[16])
{
    XXH64_hash_t seed;
    memcpy(&seed, fingerprint, sizeof seed);
    XXH128_hash_t of_text = XXH3_128bits_withSeed(text.data, text.size, seed);
    /* The seed takes half of the fingerprint; the other half is mixed into the digest. */
    uint8_t mixed[sizeof(XXH128_canonical_t) + LEAT_FINGERPRINT_SIZE];
    XXH128_canonicalFromHash((XXH128_canonical_t *)mixed, of_text);
    memcpy(mixed + sizeof(XXH128_canonical_t), fingerprint, LEAT_FINGERPRINT_SIZE);
    XXH128_canonicalFromHash((XXH128_canonical_t *)key, XXH3_128bits(mixed, sizeof mixed));
}
