#include "services/classify/encoder_card.h"

#include "services/classify/json_file.h"
#include "services/classify/meanings.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define THRESHOLD 0.5f

_Static_assert((int)ENCODER_LABELS_MOST <= (int)CARD_LABELS_MOST, "room for all labels");
_Static_assert((int)ENCODER_LABEL_BYTES <= (int)CARD_NAME_BYTES, "room for a label's name");

/* The last part of the folder's path. */
static void guess_name(const char *folder, char out[CARD_NAME_BYTES])
{
    char path[PATH_MAX];
    if (!realpath(folder, path))
        snprintf(path, sizeof path, "%s", folder);
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(out, CARD_NAME_BYTES, "%.*s", CARD_NAME_BYTES - 1,
             slash && slash[1] ? slash + 1 : path);
}

void encoder_card_guess(const char *folder, const struct encoder_config *config, struct card *card)
{
    *card = (struct card){.version = "1", .label_count = (unsigned)config->labels};
    guess_name(folder, card->name);
    for (size_t i = 0; i < config->labels; i++) {
        struct meaning meaning = {EMOTION_COUNT, SENTIMENT_COUNT};
        meaning_find(config->label[i], &meaning);
        struct card_label *label = &card->labels[i];
        snprintf(label->name, sizeof label->name, "%s", config->label[i]);
        label->threshold = THRESHOLD;
        label->emotion = meaning.emotion;
        label->sentiment = meaning.sentiment;
    }
}

static bool check_known(const char *folder, const struct card *card, struct leat_error *err)
{
    for (unsigned i = 0; i < card->label_count; i++)
        if (card->labels[i].emotion == EMOTION_COUNT &&
            card->labels[i].sentiment == SENTIMENT_COUNT)
            return leat_fail(
                err,
                "%s: nothing is known of the model's label %s: 'leat model inspect %s' "
                "writes a card in which to say what it stands for",
                folder, card->labels[i].name, folder);
    return true;
}

static bool read_text(const json_t *object, const char *key, char out[CARD_NAME_BYTES],
                      struct leat_error *err)
{
    const json_t *value = json_object_get(object, key);
    size_t size = json_string_length(value);
    if (!json_is_string(value) || size == 0 || size >= CARD_NAME_BYTES)
        return leat_fail(err, "%s: expected a string of 1 to %d bytes", key, CARD_NAME_BYTES - 1);
    memcpy(out, json_string_value(value), size + 1);
    return true;
}

static bool read_label(const json_t *object, struct card_label *label, struct leat_error *err)
{
    const json_t *threshold = json_object_get(object, "threshold");
    const json_t *emotion = json_object_get(object, "emotion");
    const json_t *sentiment = json_object_get(object, "sentiment");
    label->threshold = threshold ? (float)json_number_value(threshold) : THRESHOLD;
    if (!(label->threshold > 0 && label->threshold < 1))
        return leat_fail(err, "threshold: expected a number above 0 and below 1");
    label->emotion = EMOTION_COUNT;
    if (json_is_string(emotion))
        label->emotion = (uint8_t)emotion_find(json_string_value(emotion));
    if (!json_is_null(emotion) && label->emotion == EMOTION_COUNT)
        return leat_fail(err, "emotion: expected null or one of anger, disgust, fear, joy, "
                              "sadness, surprise, trust, neutral");
    label->sentiment = SENTIMENT_COUNT;
    if (json_is_string(sentiment))
        label->sentiment = (uint8_t)sentiment_find(json_string_value(sentiment));
    if (!json_is_null(sentiment) && label->sentiment == SENTIMENT_COUNT)
        return leat_fail(err, "sentiment: expected null or one of positive, negative, neutral");
    return true;
}

/* Every label of the model once; `card` has the model's labels already. */
static bool read_labels(const json_t *root, struct card *card, struct leat_error *err)
{
    const json_t *labels = json_object_get(root, "labels");
    bool seen[CARD_LABELS_MOST] = {false};
    if (json_array_size(labels) != card->label_count)
        return leat_fail(err,
                         "labels: expected an array with one object for each of the model's "
                         "%u labels",
                         card->label_count);
    for (size_t i = 0; i < card->label_count; i++) {
        const json_t *object = json_array_get(labels, i);
        char name[CARD_NAME_BYTES];
        if (!read_text(object, "name", name, err))
            return leat_fail_in(err, "labels[%zu]", i);
        int index = card_find(card, name);
        if (index < 0 || seen[index])
            return leat_fail(err, "labels[%zu].name: expected a label of config.json's id2label%s",
                             i, index < 0 ? "" : " that was not named before");
        seen[index] = true;
        if (!read_label(object, &card->labels[index], err))
            return leat_fail_in(err, "labels[%zu]", i);
    }
    return true;
}

static bool read_root(const json_t *root, struct card *card, struct leat_error *err)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    if (!kind || strcmp(kind, "encoder") != 0)
        return leat_fail(err, "kind: expected \"encoder\"");
    return read_text(root, "name", card->name, err) &&
           read_text(root, "version", card->version, err) && read_labels(root, card, err);
}

/* Of what the card says, in whatever words: what results depend on. */
static void hash_content(struct card *card)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return;
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, card->name, sizeof card->name);
    XXH3_128bits_update(state, card->version, sizeof card->version);
    for (unsigned i = 0; i < card->label_count; i++) {
        const struct card_label *label = &card->labels[i];
        XXH3_128bits_update(state, label->name, sizeof label->name);
        XXH3_128bits_update(state, &label->threshold, sizeof label->threshold);
        XXH3_128bits_update(state, &label->emotion, sizeof label->emotion);
        XXH3_128bits_update(state, &label->sentiment, sizeof label->sentiment);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    card->content_low = hash.low64;
    card->content_high = hash.high64;
    XXH3_freeState(state);
}

bool encoder_card_read(const char *folder, const struct encoder_config *config, struct card *card,
                       struct leat_error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/" ENCODER_CARD_FILE, folder) >= (int)sizeof path)
        return leat_fail(err, "%s: the path is too long", folder);
    encoder_card_guess(folder, config, card);
    if (access(path, F_OK) != 0) {
        if (!check_known(folder, card, err))
            return false;
        hash_content(card);
        return true;
    }
    /* What a name of the guess kept from before must not show through. */
    memset(card->name, 0, sizeof card->name);
    memset(card->version, 0, sizeof card->version);
    json_t *root = json_file_read(path, NULL, err);
    bool good = root && read_root(root, card, err);
    json_decref(root);
    if (!good)
        return leat_fail_in(err, "model card %s", path);
    hash_content(card);
    return true;
}

/* Names of members outside the set are written as null. */
static json_t *or_null(const char *name)
{
    return *name ? json_string(name) : json_null();
}

bool encoder_card_write(const char *path, const struct card *card, struct leat_error *err)
{
    json_t *labels = json_array();
    for (unsigned i = 0; labels && i < card->label_count; i++) {
        const struct card_label *label = &card->labels[i];
        char threshold[16];
        snprintf(threshold, sizeof threshold, "%.6f", (double)label->threshold);
        json_array_append_new(
            labels,
            json_pack("{ss sf so so}", "name", label->name, "threshold", strtod(threshold, NULL),
                      "emotion", or_null(emotion_name((enum emotion)label->emotion)), "sentiment",
                      or_null(sentiment_name((enum sentiment)label->sentiment))));
    }
    json_t *root = json_pack("{ss ss ss so}", "kind", "encoder", "name", card->name, "version",
                             card->version, "labels", labels);
    if (!root)
        return leat_fail(err, "model card %s: its strings must be UTF-8", path);
    errno = 0;
    int failed = json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    return failed ? leat_fail(err, "model card %s cannot be written: %s", path, strerror(errno))
                  : true;
}
