/* A text's row: one text is one row, with topics and emotions inside it, so that no reader can ever
 * see parts of two versions. */
#include "services/flows/text/table.h"

#include "services/flows/text/record.h"
#include "services/flows/text/result.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum column {
    COL_ID,
    COL_VERSION,
    COL_ORIGIN,
    COL_SEQ,
    COL_TEXT,
    COL_SOURCE_TYPE,
    COL_PLATFORM,
    COL_AUTHOR,
    COL_URL,
    COL_LANG,
    COL_VERIFIED,
    COL_REACH,
    COL_PUBLISHED_AT,
    COL_INGESTED_AT,
    COL_MODEL,
    COL_SENTIMENT_LABEL,
    COL_SENTIMENT_SCORE,
    COL_EMOTION_LABEL,
    COL_EMOTION_SCORE,
    COL_EMOTION_DISTRIBUTION,
    COL_EMOTIONS,
    COL_INFLUENCE_WEIGHT,
    COL_CONFIDENCE_WEIGHT,
    COL_PRIMARY_TOPIC,
    COL_TOPICS,
    COL_TRUNCATED,
    COL_EMBEDDING,
    COLUMNS,
};

static const struct leat_column columns[] = {
    [COL_ID] = {"id", LEAT_COL_TEXT, .is_key = true},
    [COL_VERSION] = {"version", LEAT_COL_BIGINT},
    [COL_ORIGIN] = {"origin", LEAT_COL_UUID},
    [COL_SEQ] = {"seq", LEAT_COL_BIGINT},
    [COL_TEXT] = {"text", LEAT_COL_TEXT},
    [COL_SOURCE_TYPE] = {"source_type", LEAT_COL_TEXT, .nullable = true},
    [COL_PLATFORM] = {"platform", LEAT_COL_TEXT, .nullable = true},
    [COL_AUTHOR] = {"author", LEAT_COL_TEXT, .nullable = true},
    [COL_URL] = {"url", LEAT_COL_TEXT, .nullable = true},
    [COL_LANG] = {"lang", LEAT_COL_TEXT, .nullable = true},
    [COL_VERIFIED] = {"verified", LEAT_COL_BOOL},
    [COL_REACH] = {"reach", LEAT_COL_BIGINT},
    [COL_PUBLISHED_AT] = {"published_at", LEAT_COL_TIMESTAMPTZ, .nullable = true},
    [COL_INGESTED_AT] = {"ingested_at", LEAT_COL_TIMESTAMPTZ},
    [COL_MODEL] = {"model", LEAT_COL_TEXT},
    [COL_SENTIMENT_LABEL] = {"sentiment_label", LEAT_COL_TEXT},
    [COL_SENTIMENT_SCORE] = {"sentiment_score", LEAT_COL_DOUBLE},
    [COL_EMOTION_LABEL] = {"emotion_label", LEAT_COL_TEXT},
    [COL_EMOTION_SCORE] = {"emotion_score", LEAT_COL_DOUBLE},
    [COL_EMOTION_DISTRIBUTION] = {"emotion_distribution", LEAT_COL_JSONB},
    [COL_EMOTIONS] = {"emotions", LEAT_COL_JSONB},
    [COL_INFLUENCE_WEIGHT] = {"influence_weight", LEAT_COL_DOUBLE},
    [COL_CONFIDENCE_WEIGHT] = {"confidence_weight", LEAT_COL_DOUBLE},
    [COL_PRIMARY_TOPIC] = {"primary_topic", LEAT_COL_TEXT, .nullable = true},
    [COL_TOPICS] = {"topics", LEAT_COL_JSONB},
    [COL_TRUNCATED] = {"truncated", LEAT_COL_BOOL},
    [COL_EMBEDDING] = {"embedding", LEAT_COL_REALS, .nullable = true},
    [COLUMNS] = {NULL},
};

/* JSON is written straight into the batch's arena: a buffer of the largest size that the values can
 * take, filled from the front. */
struct json {
    char *begin, *at;
};

static void put(struct json *json, const char *text)
{
    size_t n = strlen(text);
    memcpy(json->at, text, n);
    json->at += n;
}

/* A label or key: they are short, and checked when model and topic file are loaded; still, whatever
 * they hold comes out as valid JSON. Six bytes a byte at most. */
static void put_string(struct json *json, struct leat_span text)
{
    static const char hex[] = "0123456789abcdef";
    *json->at++ = '"';
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            *json->at++ = '\\';
            *json->at++ = (char)c;
        } else if (c < 0x20) {
            put(json, "\\u00");
            *json->at++ = hex[c >> 4];
            *json->at++ = hex[c & 15];
        } else {
            *json->at++ = (char)c;
        }
    }
    *json->at++ = '"';
}

/* A number in [0, 1] as 0.dddd with `decimals` digits, from whole units of that size. */
static void put_units(struct json *json, uint32_t units, int decimals)
{
    char digits[8] = {0};
    for (int i = decimals - 1; i >= 0; i--) {
        digits[i] = (char)('0' + units % 10);
        units /= 10;
    }
    *json->at++ = (char)('0' + units);
    *json->at++ = '.';
    memcpy(json->at, digits, (size_t)decimals);
    json->at += decimals;
}

static void put_score(struct json *json, double value)
{
    put_units(json, (uint32_t)lround(fmin(fmax(value, 0), 1) * 1000), 3);
}

static struct json json_begin(struct leat_batch *arena, size_t size)
{
    char *begin = leat_batch_alloc(arena, size);
    return (struct json){begin, begin};
}

static struct leat_span json_end(const struct json *json)
{
    return (struct leat_span){(const uint8_t *)json->begin, (size_t)(json->at - json->begin)};
}

static struct leat_span distribution_json(const struct text_result *result,
                                          struct leat_batch *arena)
{
    struct json json = json_begin(arena, 2 + TEXT_EMOTIONS * 24);
    char separator = '{';
    for (size_t i = 0; i < TEXT_EMOTIONS; i++) {
        *json.at++ = separator;
        *json.at++ = '"';
        put(&json, text_emotion_names[i]);
        put(&json, "\":");
        put_units(&json, result->distribution[i], 6);
        separator = ',';
    }
    *json.at++ = '}';
    return json_end(&json);
}

static struct leat_span emotions_json(const struct text_result *result, struct leat_batch *arena)
{
    size_t size = 2;
    for (size_t i = 0; i < result->n_emotions; i++)
        size += 48 + 6 * result->emotions[i].label.size;
    struct json json = json_begin(arena, size);
    *json.at++ = '[';
    for (size_t i = 0; i < result->n_emotions; i++) {
        put(&json, i ? ",{\"label\":" : "{\"label\":");
        put_string(&json, result->emotions[i].label);
        put(&json, ",\"probability\":");
        put_units(&json, result->emotions[i].probability, 6);
        *json.at++ = '}';
    }
    *json.at++ = ']';
    return json_end(&json);
}

static struct leat_span topics_json(const struct text_result *result, struct leat_batch *arena)
{
    size_t size = 2;
    for (size_t i = 0; i < result->n_topics; i++)
        size += 96 + 6 * result->topics[i].topic.size;
    struct json json = json_begin(arena, size);
    *json.at++ = '[';
    for (size_t i = 0; i < result->n_topics; i++) {
        const struct text_topic *topic = &result->topics[i];
        put(&json, i ? ",{\"topic\":" : "{\"topic\":");
        put_string(&json, topic->topic);
        put(&json, ",\"confidence\":");
        put_score(&json, topic->confidence);
        put(&json, ",\"keyword_score\":");
        put_score(&json, topic->keyword_score);
        put(&json, ",\"embedding_score\":");
        if (isnan(topic->embedding_score))
            put(&json, "null");
        else
            put_score(&json, topic->embedding_score);
        *json.at++ = '}';
    }
    *json.at++ = ']';
    return json_end(&json);
}

static struct leat_value of_bytes(struct leat_span bytes)
{
    return (struct leat_value){.bytes = bytes};
}

/* What is absent is NULL in the store. */
static struct leat_value of_optional(struct leat_span bytes)
{
    return (struct leat_value){.null = bytes.size == 0, .bytes = bytes};
}

static struct leat_value of_integer(int64_t integer)
{
    return (struct leat_value){.integer = integer};
}

static struct leat_value of_real(double real)
{
    return (struct leat_value){.real = real};
}

static void fill_record(const struct leat_row_context *ctx, const struct text_record *record,
                        struct leat_value *values)
{
    const struct leat_batch_head *head = &ctx->batch->head;
    values[COL_ID] = of_bytes(record->id);
    values[COL_VERSION] = of_integer(ctx->version);
    values[COL_ORIGIN] = of_bytes((struct leat_span){head->origin, LEAT_ID_SIZE});
    values[COL_SEQ] = of_integer((int64_t)head->seq);
    values[COL_TEXT] = of_bytes(record->text);
    values[COL_SOURCE_TYPE] = of_optional(record->source_type);
    values[COL_PLATFORM] = of_optional(record->platform);
    values[COL_AUTHOR] = of_optional(record->author);
    values[COL_URL] = of_optional(record->url);
    values[COL_LANG] = of_optional(record->lang);
    values[COL_VERIFIED] = of_integer(record->verified);
    values[COL_REACH] = of_integer(record->reach);
    values[COL_PUBLISHED_AT] =
        (struct leat_value){.null = !record->has_published_at, .integer = record->published_at};
    values[COL_INGESTED_AT] = of_integer(ctx->ingested_at);
}

static void fill_result(const struct text_result *result, const struct text_weights *weights,
                        struct leat_value *values, struct leat_batch *arena)
{
    values[COL_MODEL] = of_bytes(result->model);
    values[COL_SENTIMENT_LABEL] = of_bytes(result->sentiment_label);
    values[COL_SENTIMENT_SCORE] = of_real(result->sentiment_score);
    values[COL_EMOTION_LABEL] = of_bytes(result->emotion_label);
    values[COL_EMOTION_SCORE] = of_real(result->emotion_score);
    values[COL_EMOTION_DISTRIBUTION] = of_bytes(distribution_json(result, arena));
    values[COL_EMOTIONS] = of_bytes(emotions_json(result, arena));
    values[COL_INFLUENCE_WEIGHT] = of_real(weights->influence);
    values[COL_CONFIDENCE_WEIGHT] = of_real(weights->confidence);
    values[COL_PRIMARY_TOPIC] =
        result->n_topics ? of_bytes(result->topics[0].topic) : (struct leat_value){.null = true};
    values[COL_TOPICS] = of_bytes(topics_json(result, arena));
    values[COL_TRUNCATED] = of_integer(result->truncated);
    values[COL_EMBEDDING] = of_optional(result->embedding);
}

static uint32_t rows(const struct leat_row_context *ctx, const msgpack_object *record)
{
    (void)ctx;
    (void)record;
    return 1;
}

static bool fill(const struct leat_row_context *ctx, const msgpack_object *object,
                 struct leat_value *values, struct leat_batch *arena, char code[32],
                 char message[200])
{
    /* Ingest has checked the record; its limit on the text's length is not the store's business. */
    const struct leat_flow_limits limits = {.text_max_bytes = SIZE_MAX};
    const struct leat_item *item = &ctx->batch->items[ctx->index];
    struct text_record record;
    struct text_result result;
    struct text_weights weights;
    struct leat_why why;
    struct leat_error err;

    if (!text_record_read(object, &limits, &record, &why)) {
        snprintf(code, 32, "%s", why.code);
        snprintf(message, 200, "%s", why.message);
        return false;
    }
    if (item->result.size == 0 || item->derived.size == 0) {
        snprintf(code, 32, "not_classified");
        snprintf(message, 200, "the text came to the store without a result");
        return false;
    }
    if (!text_result_read(item->result, arena->zone, &result, &err) ||
        !text_weights_read(item->derived, &weights, &err)) {
        snprintf(code, 32, "result_malformed");
        snprintf(message, 200, "%.199s", err.text);
        return false;
    }
    fill_record(ctx, &record, values);
    fill_result(&result, &weights, values, arena);
    return true;
}

const struct leat_table text_table = {
    .name = "texts",
    .columns = columns,
    .n_columns = COLUMNS,
    .rows = rows,
    .fill = fill,
};
