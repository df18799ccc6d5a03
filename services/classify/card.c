#include "services/classify/card.h"

#include "services/classify/json_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND "linear"

/* Where a reader is: errors name the place by it. */
struct place {
    const char *inside; /* "" or "quality." or "labels[3]." */
    struct leat_error *err;
};

static bool expect(const struct place *place, const char *key, const char *expected)
{
    return leat_fail(place->err, "%s%s: expected %s", place->inside, key, expected);
}

static bool read_string(const json_t *object, const char *key, char *out, size_t room,
                        const struct place *place)
{
    const json_t *value = json_object_get(object, key);
    size_t size = json_string_length(value);
    if (!json_is_string(value) || size == 0 || size >= room) {
        char expected[64];
        snprintf(expected, sizeof expected, "a string of 1 to %zu bytes", room - 1);
        return expect(place, key, expected);
    }
    memcpy(out, json_string_value(value), size + 1);
    return true;
}

/* A share that was measured; one that is not there is 0. */
static bool read_share(const json_t *object, const char *key, float *out, const struct place *place)
{
    const json_t *value = json_object_get(object, key);
    double number = value ? json_number_value(value) : 0;
    if (value && (!json_is_number(value) || !(number >= 0 && number <= 1)))
        return expect(place, key, "a number from 0 to 1");
    *out = (float)number;
    return true;
}

static bool read_count(const json_t *object, const char *key, unsigned *out,
                       const struct place *place)
{
    const json_t *value = json_object_get(object, key);
    json_int_t number = value ? json_integer_value(value) : 0;
    if (value && (!json_is_integer(value) || number < 0 || number > INT32_MAX))
        return expect(place, key, "a whole number that is not negative");
    *out = (unsigned)number;
    return true;
}

static bool read_threshold(const json_t *object, float *out, const struct place *place)
{
    const json_t *value = json_object_get(object, "threshold");
    float number = (float)json_number_value(value);
    if (!json_is_number(value) || !(number > 0 && number < 1))
        return expect(place, "threshold", "a number above 0 and below 1");
    *out = number;
    return true;
}

static bool read_emotion(const json_t *object, uint8_t *out, const struct place *place)
{
    const char *name = json_string_value(json_object_get(object, "emotion"));
    enum emotion emotion = name ? emotion_find(name) : EMOTION_COUNT;
    if (emotion == EMOTION_COUNT)
        return expect(place, "emotion",
                      "one of anger, disgust, fear, joy, sadness, surprise, trust, neutral");
    *out = (uint8_t)emotion;
    return true;
}

static bool read_sentiment(const json_t *object, uint8_t *out, const struct place *place)
{
    const char *name = json_string_value(json_object_get(object, "sentiment"));
    enum sentiment sentiment = name ? sentiment_find(name) : SENTIMENT_COUNT;
    if (sentiment == SENTIMENT_COUNT)
        return expect(place, "sentiment", "one of positive, negative, neutral");
    *out = (uint8_t)sentiment;
    return true;
}

static bool read_label(const json_t *object, struct card_label *label, const struct place *place)
{
    return read_string(object, "name", label->name, sizeof label->name, place) &&
           read_threshold(object, &label->threshold, place) &&
           read_emotion(object, &label->emotion, place) &&
           read_sentiment(object, &label->sentiment, place) &&
           read_count(object, "texts", &label->texts, place) &&
           read_share(object, "precision", &label->precision, place) &&
           read_share(object, "recall", &label->recall, place) &&
           read_share(object, "f1", &label->f1, place);
}

static bool read_labels(const json_t *root, struct card *card, struct leat_error *err)
{
    const json_t *labels = json_object_get(root, "labels");
    size_t count = json_array_size(labels);
    if (count == 0 || count > CARD_LABELS_MOST)
        return leat_fail(err, "labels: expected an array of 1 to %d objects", CARD_LABELS_MOST);
    for (size_t i = 0; i < count; i++) {
        char inside[32];
        snprintf(inside, sizeof inside, "labels[%zu].", i);
        const json_t *object = json_array_get(labels, i);
        if (!json_is_object(object))
            return leat_fail(err, "labels[%zu]: expected an object", i);
        card->label_count = (unsigned)i; /* so that card_find looks at those before it */
        if (!read_label(object, &card->labels[i], &(struct place){inside, err}))
            return false;
        int same = card_find(card, card->labels[i].name);
        if (same >= 0)
            return leat_fail(err, "labels[%zu].name: expected another name than that of labels[%d]",
                             i, same);
    }
    card->label_count = (unsigned)count;
    return true;
}

static const json_t *section(const json_t *root, const char *key, struct leat_error *err)
{
    const json_t *object = json_object_get(root, key);
    if (json_is_object(object))
        return object;
    leat_fail(err, "%s: expected an object", key);
    return NULL;
}

static bool read_model(const json_t *root, struct card *card, struct leat_error *err)
{
    const json_t *model = section(root, "model", err);
    if (!model)
        return false;
    struct place place = {"model.", err};
    if (!read_string(model, "hash", card->model_hash, sizeof card->model_hash, &place))
        return false;
    if (strspn(card->model_hash, "0123456789abcdef") != CARD_HASH_BYTES - 1)
        return expect(&place, "hash", "32 hexadecimal digits (0-9, a-f)");
    return true;
}

static bool read_training(const json_t *root, struct card *card, struct leat_error *err)
{
    const json_t *training = section(root, "training", err);
    struct place place = {"training.", err};
    return training &&
           read_string(training, "data", card->data_name, sizeof card->data_name, &place) &&
           read_string(training, "source", card->data_source, sizeof card->data_source, &place) &&
           read_string(training, "license", card->data_license, sizeof card->data_license,
                       &place) &&
           read_string(training, "recipe", card->recipe, sizeof card->recipe, &place) &&
           read_count(training, "texts", &card->data_texts, &place);
}

static bool read_quality(const json_t *root, struct card_quality *quality, struct leat_error *err)
{
    const json_t *object = section(root, "quality", err);
    struct place place = {"quality.", err};
    return object && read_string(object, "on", quality->on, sizeof quality->on, &place) &&
           read_count(object, "texts", &quality->texts, &place) &&
           read_share(object, "macro_f1", &quality->macro_f1, &place) &&
           read_share(object, "micro_f1", &quality->micro_f1, &place) &&
           read_share(object, "reported_macro_f1", &quality->reported_macro_f1, &place) &&
           read_share(object, "sentiment_accuracy", &quality->sentiment_accuracy, &place) &&
           read_share(object, "sentiment_macro_f1", &quality->sentiment_macro_f1, &place);
}

static bool read_root(const json_t *root, struct card *card, struct leat_error *err)
{
    struct place place = {"", err};
    char kind[CARD_NAME_BYTES];
    if (!read_string(root, "kind", kind, sizeof kind, &place))
        return false;
    if (strcmp(kind, KIND) != 0)
        return expect(&place, "kind", "\"" KIND "\"");
    return read_string(root, "name", card->name, sizeof card->name, &place) &&
           read_string(root, "version", card->version, sizeof card->version, &place) &&
           read_string(root, "description", card->description, sizeof card->description, &place) &&
           read_string(root, "language", card->language, sizeof card->language, &place) &&
           read_model(root, card, err) && read_labels(root, card, err) &&
           read_training(root, card, err) && read_quality(root, &card->quality, err);
}

bool card_read(const char *path, struct card *card, struct leat_error *err)
{
    uint64_t hash[2] = {0, 0};
    *card = (struct card){0};
    json_t *root = json_file_read(path, hash, err);
    card->content_low = hash[0];
    card->content_high = hash[1];
    bool good = root && read_root(root, card, err);
    json_decref(root);
    return good ? true : leat_fail_in(err, "model card %s", path);
}

/* Short decimals: a float's neighbours are told apart by nine digits, people read six. */
static json_t *number(float value)
{
    char text[32];
    snprintf(text, sizeof text, "%.6f", (double)value);
    return json_real(strtod(text, NULL));
}

static json_t *label_json(const struct card_label *label)
{
    return json_pack("{ss so ss ss si so so so}", "name", label->name, "threshold",
                     number(label->threshold), "emotion", emotion_name(label->emotion), "sentiment",
                     sentiment_name(label->sentiment), "texts", (int)label->texts, "precision",
                     number(label->precision), "recall", number(label->recall), "f1",
                     number(label->f1));
}

static json_t *quality_json(const struct card_quality *quality)
{
    return json_pack("{ss si so so so so so}", "on", quality->on, "texts", (int)quality->texts,
                     "macro_f1", number(quality->macro_f1), "micro_f1", number(quality->micro_f1),
                     "reported_macro_f1", number(quality->reported_macro_f1), "sentiment_accuracy",
                     number(quality->sentiment_accuracy), "sentiment_macro_f1",
                     number(quality->sentiment_macro_f1));
}

bool card_write(const char *path, const struct card *card, struct leat_error *err)
{
    json_t *labels = json_array();
    for (unsigned i = 0; labels && i < card->label_count; i++)
        json_array_append_new(labels, label_json(&card->labels[i]));
    json_t *root = json_pack(
        "{ss ss ss ss ss s{ss} s{ss ss ss si ss} so so}", "name", card->name, "version",
        card->version, "kind", KIND, "language", card->language, "description", card->description,
        "model", "hash", card->model_hash, "training", "data", card->data_name, "source",
        card->data_source, "license", card->data_license, "texts", (int)card->data_texts, "recipe",
        card->recipe, "quality", quality_json(&card->quality), "labels", labels);
    if (!root)
        return leat_fail(err, "model card %s: its strings must be UTF-8", path);
    errno = 0;
    int failed = json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    return failed ? leat_fail(err, "model card %s cannot be written: %s", path, strerror(errno))
                  : true;
}

int card_find(const struct card *card, const char *name)
{
    for (unsigned i = 0; i < card->label_count; i++)
        if (strcmp(card->labels[i].name, name) == 0)
            return (int)i;
    return -1;
}
