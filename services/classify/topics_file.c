#include "services/classify/topics_file.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "services/classify/json_place.h"
#include "services/classify/words.h"

/* What every step of the check needs. */
struct reader {
    const char *json;
    size_t size;
    const char *name;
    struct topics_file *file;
    struct leat_error *err;
};

/* Always false. */
__attribute__((format(printf, 3, 4))) static bool
refuse(const struct reader *reader, const struct json_place *place, const char *format, ...)
{
    char reason[320], where[JSON_PLACE_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return leat_fail(reader->err, "%s: line %zu: %s%s%s", reader->name,
                     json_place_line(place, reader->json, reader->size),
                     json_place_name(place, where), place->depth ? ": " : "", reason);
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

static bool want_array(const struct reader *reader, const struct json_place *place,
                       const json_t *value, size_t most, const char *of)
{
    if (!json_is_array(value))
        return refuse(reader, place, "must be an array of %s, not %s", of, type_name(value));
    size_t count = json_array_size(value);
    if (count == 0 || count > most)
        return refuse(reader, place, "must have 1 to %zu %s, not %zu", most, of, count);
    return true;
}

/* No key but those of `known`, which ends with NULL. */
static bool want_keys(const struct reader *reader, const struct json_place *place, json_t *object,
                      const char *const *known)
{
    if (!json_is_object(object))
        return refuse(reader, place, "must be an object, not %s", type_name(object));
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const char *const *match = known;
        while (*match && strcmp(*match, key) != 0)
            match++;
        if (*match)
            continue;
        char list[160] = "";
        for (match = known; *match; match++) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *match);
        }
        struct json_place at = json_place_key(place, key);
        return refuse(reader, &at, "unknown key; there may be %s", list);
    }
    return true;
}

/* Sets *text to a string of 1 to `most` bytes without control characters. */
static bool want_text(const struct reader *reader, const struct json_place *place,
                      const json_t *value, size_t most, const char **text)
{
    if (!json_is_string(value))
        return refuse(reader, place, "must be a string, not %s", type_name(value));
    size_t size = json_string_length(value);
    *text = json_string_value(value);
    if (size == 0)
        return refuse(reader, place, "must not be empty");
    if (size > most)
        return refuse(reader, place, "must have at most %zu bytes, not %zu", most, size);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)(*text)[i] < 0x20 || (*text)[i] == 0x7f)
            return refuse(reader, place, "must not contain control characters");
    return true;
}

static bool want_member(const struct reader *reader, const struct json_place *topic,
                        const json_t *object, const char *key, size_t most, const char **text)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return refuse(reader, topic, "\"%s\" is missing", key);
    struct json_place at = json_place_key(topic, key);
    return want_text(reader, &at, value, most, text);
}

/* Whether a word could be made of it: not marks, spaces and punctuation alone. */
static bool says_something(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                   (utf8proc_ssize_t)(size - i), &code);
        utf8proc_category_t category = length > 0 ? utf8proc_category(code) : 0;
        if ((category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
            (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
            (category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO))
            return true;
        i += length > 0 ? (size_t)length : 1;
    }
    return false;
}

/* Checks a keyword and appends it, folded, to the file's tables. `seen` maps those of its list to
 * their positions. */
static bool read_keyword(const struct reader *reader, const struct json_place *place,
                         const json_t *value, json_t *seen, size_t position)
{
    const char *text;
    if (!want_text(reader, place, value, TOPICS_FILE_KEYWORD_BYTES, &text))
        return false;
    struct topics_file *file = reader->file;
    char *folded = file->folded + file->folded_size;
    size_t size = words_fold(text, strlen(text), folded);
    folded[size] = '\0';
    if (folded[0] == ' ' || folded[size - 1] == ' ' || strstr(folded, "  "))
        return refuse(reader, place, "must not have white space around it or doubled inside");
    if (!says_something(folded, size))
        return refuse(reader, place, "must have a letter, digit or symbol");
    const json_t *before = json_object_get(seen, folded);
    if (before)
        return refuse(reader, place, "\"%s\" is in this list already, at [%lld]", text,
                      (long long)json_integer_value(before));
    if (json_object_set_new_nocheck(seen, folded, json_integer((json_int_t)position)) != 0)
        return leat_fail(reader->err, "%s: out of memory", reader->name);

    file->keywords[file->keyword_count++] =
        (struct topics_file_keyword){.offset = file->folded_size, .size = size};
    file->folded_size += size;
    return true;
}

static bool read_list(const struct reader *reader, const struct json_place *place,
                      const json_t *value, enum topics_file_kind kind)
{
    if (!want_array(reader, place, value, TOPICS_FILE_KEYWORDS, "keywords"))
        return false;
    struct topics_file *file = reader->file;
    file->lists[file->list_count++] = (struct topics_file_list){
        .kind = kind, .first = file->keyword_count, .count = json_array_size(value)};

    json_t *seen = json_object();
    bool good = true;
    for (size_t i = 0; good && i < json_array_size(value); i++) {
        struct json_place at = json_place_item(place, i);
        good = read_keyword(reader, &at, json_array_get(value, i), seen, i);
    }
    json_decref(seen);
    return good;
}

static bool read_group(const struct reader *reader, const struct json_place *place, json_t *group)
{
    static const char *const keys[] = {"or", "and", NULL};
    if (!want_keys(reader, place, group, keys))
        return false;
    if (json_object_size(group) != 1)
        return refuse(reader, place, "must have one key, \"or\" or \"and\"");
    const char *key = json_object_iter_key(json_object_iter(group));
    struct json_place at = json_place_key(place, key);
    return read_list(reader, &at, json_object_get(group, key),
                     strcmp(key, "or") == 0 ? TOPICS_FILE_OR : TOPICS_FILE_AND);
}

/* The lists of a topic: the plain one is checked in any case, and dropped if there are groups. */
static bool read_lists(const struct reader *reader, const struct json_place *place,
                       const json_t *object, struct topics_file_topic *topic)
{
    const json_t *keywords = json_object_get(object, "keywords");
    const json_t *groups = json_object_get(object, "keyword_groups");
    struct topics_file *file = reader->file;
    if (!keywords && !groups)
        return refuse(reader, place, "\"keywords\" is missing (there is no \"keyword_groups\")");

    const struct topics_file before = *file;
    topic->first_list = file->list_count;
    struct json_place at = json_place_key(place, "keywords");
    if (keywords && !read_list(reader, &at, keywords, TOPICS_FILE_PLAIN))
        return false;
    if (groups) {
        file->list_count = before.list_count;
        file->keyword_count = before.keyword_count;
        file->folded_size = before.folded_size;
        at = json_place_key(place, "keyword_groups");
        if (!want_array(reader, &at, groups, TOPICS_FILE_GROUPS, "groups"))
            return false;
        for (size_t i = 0; i < json_array_size(groups); i++) {
            struct json_place item = json_place_item(&at, i);
            if (!read_group(reader, &item, json_array_get(groups, i)))
                return false;
        }
    }
    topic->list_count = file->list_count - topic->first_list;
    return true;
}

static bool read_require_all(const struct reader *reader, const struct json_place *place,
                             const json_t *object, struct topics_file_topic *topic)
{
    const json_t *value = json_object_get(object, "require_all_groups");
    struct json_place at = json_place_key(place, "require_all_groups");
    if (!value)
        return true;
    if (!json_is_boolean(value))
        return refuse(reader, &at, "must be true or false, not %s", type_name(value));
    if (!json_object_get(object, "keyword_groups"))
        return refuse(reader, &at, "there is no \"keyword_groups\" that it could be about");
    topic->require_all_groups = json_is_true(value);
    return true;
}

static bool read_match(const struct reader *reader, const struct json_place *place,
                       const json_t *object, struct topics_file_topic *topic)
{
    static const char *const names[] = {
        [TOPICS_FILE_ANYWHERE] = "anywhere",
        [TOPICS_FILE_START] = "start",
        [TOPICS_FILE_WHOLE] = "whole",
    };
    const json_t *value = json_object_get(object, "match");
    if (!value)
        return true;
    const char *text = json_string_value(value);
    for (int i = TOPICS_FILE_ANYWHERE; text && i <= TOPICS_FILE_WHOLE; i++) {
        if (strcmp(text, names[i]) == 0) {
            topic->match = (enum topics_file_match)i;
            return true;
        }
    }
    struct json_place at = json_place_key(place, "match");
    return refuse(reader, &at, "must be \"anywhere\", \"start\" or \"whole\"");
}

static bool check_key(const struct reader *reader, const struct json_place *topic, const char *key,
                      json_t *seen, size_t position)
{
    struct json_place at = json_place_key(topic, "key");
    if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")])
        return refuse(reader, &at, "must be of letters, digits, '_', '-' and '.'");
    const json_t *before = json_object_get(seen, key);
    if (before)
        return refuse(reader, &at, "\"%s\" is the key of topics[%lld] already", key,
                      (long long)json_integer_value(before));
    if (json_object_set_new_nocheck(seen, key, json_integer((json_int_t)position)) != 0)
        return leat_fail(reader->err, "%s: out of memory", reader->name);
    return true;
}

static bool read_topic(const struct reader *reader, const struct json_place *place, json_t *object,
                       json_t *seen, size_t position)
{
    static const char *const keys[] = {
        "key",      "name",           "description",        "category",
        "keywords", "keyword_groups", "require_all_groups", "match",
        NULL};
    struct topics_file_topic *topic = &reader->file->topics[position];
    return want_keys(reader, place, object, keys) &&
           want_member(reader, place, object, "key", TOPICS_FILE_KEY_BYTES, &topic->key) &&
           check_key(reader, place, topic->key, seen, position) &&
           want_member(reader, place, object, "name", TOPICS_FILE_NAME_BYTES, &topic->name) &&
           want_member(reader, place, object, "description", TOPICS_FILE_DESCRIPTION_BYTES,
                       &topic->description) &&
           want_member(reader, place, object, "category", TOPICS_FILE_CATEGORY_BYTES,
                       &topic->category) &&
           read_match(reader, place, object, topic) &&
           read_require_all(reader, place, object, topic) &&
           read_lists(reader, place, object, topic);
}

/* Tables for the worst that the text can hold: no string in it is shorter than two quotes and a
 * separator, and each list takes that as well, so the text's size bounds all of them. */
static bool make_room(const struct reader *reader, size_t topics)
{
    struct topics_file *file = reader->file;
    size_t strings = reader->size / 3 + 1;
    file->topic_count = topics;
    file->topics = calloc(topics, sizeof *file->topics);
    file->lists = malloc(strings * sizeof *file->lists);
    file->keywords = malloc(strings * sizeof *file->keywords);
    file->folded = malloc(reader->size * WORDS_FOLD_GROWTH + 1);
    if (file->topics && file->lists && file->keywords && file->folded)
        return true;
    return leat_fail(reader->err, "%s: out of memory", reader->name);
}

static bool read_topics(const struct reader *reader, json_t *tree)
{
    static const char *const keys[] = {"topics", NULL};
    const struct json_place top = {.depth = 0};
    if (!want_keys(reader, &top, tree, keys))
        return false;
    const json_t *topics = json_object_get(tree, "topics");
    if (!topics)
        return refuse(reader, &top, "\"topics\" is missing");
    struct json_place at = json_place_key(&top, "topics");
    if (!want_array(reader, &at, topics, TOPICS_FILE_TOPICS, "topics") ||
        !make_room(reader, json_array_size(topics)))
        return false;

    json_t *seen = json_object();
    bool good = true;
    for (size_t i = 0; good && i < json_array_size(topics); i++) {
        struct json_place item = json_place_item(&at, i);
        good = read_topic(reader, &item, json_array_get(topics, i), seen, i);
    }
    json_decref(seen);
    return good;
}

struct topics_file *topics_file_parse(const char *json, size_t size, const char *name,
                                      struct leat_error *err)
{
    if (size > TOPICS_FILE_BYTES) {
        leat_fail(err, "%s: must have at most %d bytes, not %zu", name, TOPICS_FILE_BYTES, size);
        return NULL;
    }
    json_error_t wrong;
    json_t *tree = json_loadb(json, size, JSON_REJECT_DUPLICATES, &wrong);
    if (!tree) {
        leat_fail(err, "%s: line %d, column %d: %s", name, wrong.line, wrong.column, wrong.text);
        return NULL;
    }
    struct topics_file *self = calloc(1, sizeof *self);
    const struct reader reader = {json, size, name, self, err};
    if (!self) {
        json_decref(tree);
        leat_fail(err, "%s: out of memory", name);
        return NULL;
    }
    self->tree = tree;
    if (!read_topics(&reader, tree))
        topics_file_close(&self);
    return self;
}

void topics_file_close(struct topics_file **self)
{
    if (!*self)
        return;
    json_decref((*self)->tree);
    free((*self)->topics);
    free((*self)->lists);
    free((*self)->keywords);
    free((*self)->folded);
    free(*self);
    *self = NULL;
}
