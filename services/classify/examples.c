#include "services/classify/examples.h"
#include "services/classify/meanings.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utf8proc.h>

/* The whole file with a zero behind it, to be freed. */
static char *read_file(const char *path, size_t *size, struct leat_error *err)
{
    FILE *file = fopen(path, "rbe");
    struct stat about;
    char *bytes = NULL;
    if (!file || fstat(fileno(file), &about) != 0) {
        leat_fail(err, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(about.st_mode)) {
        leat_fail(err, "%s: expected a regular file", path);
    } else if (!(bytes = malloc((size_t)about.st_size + 1))) {
        leat_fail(err, "%s: out of memory", path);
    } else {
        *size = fread(bytes, 1, (size_t)about.st_size, file);
        bytes[*size] = '\0';
    }
    if (file)
        fclose(file);
    return bytes;
}

/* Cuts the next line off at *rest and ends it with a zero in place of "\n" or "\r\n". */
static char *next_line(char **rest, char *end, size_t *size)
{
    if (*rest >= end)
        return NULL;
    char *line = *rest;
    char *stop = memchr(line, '\n', (size_t)(end - line));
    *rest = stop ? stop + 1 : end;
    if (!stop)
        stop = end;
    if (stop > line && stop[-1] == '\r')
        stop--;
    *stop = '\0';
    *size = (size_t)(stop - line);
    return line;
}

static bool is_utf8(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                              (utf8proc_ssize_t)(size - i), &point);
        if (n <= 0 || point == 0)
            return false;
        i += (size_t)n;
    }
    return true;
}

static bool parse_labels(const char *text, unsigned label_count, uint64_t *labels,
                         struct leat_error *err)
{
    *labels = 0;
    for (const char *at = text;; at++) {
        char *end;
        unsigned long label = strtoul(at, &end, 10);
        if (*at < '0' || *at > '9' || (*end && *end != ',') || label >= label_count)
            return leat_fail(err, "expected label numbers from 0 to %u, separated by commas",
                             label_count - 1);
        *labels |= UINT64_C(1) << label;
        at = end;
        if (!*at)
            return true;
    }
}

static bool parse_line(char *line, size_t size, unsigned label_count, struct example *example,
                       struct leat_error *err)
{
    char *tab = memchr(line, '\t', size);
    if (!tab)
        return leat_fail(err, "expected a text, a tab, and label numbers");
    example->text = line;
    example->size = (size_t)(tab - line);
    if (example->size == 0)
        return leat_fail(err, "expected a text that is not empty");
    if (!is_utf8(line, example->size))
        return leat_fail(err, "expected a text in UTF-8 without NUL");
    char *numbers = tab + 1;
    numbers[strcspn(numbers, "\t")] = '\0';
    return parse_labels(numbers, label_count, &example->labels, err);
}

bool examples_read(const char *path, unsigned label_count, struct examples *examples,
                   struct leat_error *err)
{
    *examples = (struct examples){0};
    size_t size = 0;
    char *bytes = read_file(path, &size, err);
    if (!bytes)
        return false;
    examples->bytes = bytes;
    size_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n';
    examples->items = malloc(lines * sizeof *examples->items);
    bool good = examples->items || leat_fail(err, "%s: out of memory", path);
    char *rest = bytes;
    char *line;
    size_t line_size = 0;
    while (good && (line = next_line(&rest, bytes + size, &line_size)) != NULL) {
        size_t n = examples->count++;
        if (!parse_line(line, line_size, label_count, &examples->items[n], err))
            good = leat_fail_in(err, "%s: line %zu", path, n + 1);
    }
    if (good && examples->count == 0)
        good = leat_fail(err, "%s: expected at least one line", path);
    if (!good)
        examples_close(examples);
    return good;
}

void examples_close(struct examples *examples)
{
    free(examples->items);
    free(examples->bytes);
    *examples = (struct examples){0};
}

static bool read_names(const char *path, struct card *card, struct leat_error *err)
{
    size_t size = 0;
    char *bytes = read_file(path, &size, err);
    if (!bytes)
        return false;
    bool good = true;
    char *rest = bytes;
    char *line;
    size_t length = 0;
    card->label_count = 0;
    while (good && (line = next_line(&rest, bytes + size, &length)) != NULL) {
        unsigned n = card->label_count;
        if (n == CARD_LABELS_MOST)
            good = leat_fail(err, "%s: expected at most %d labels", path, CARD_LABELS_MOST);
        else if (length == 0 || length >= CARD_NAME_BYTES || !is_utf8(line, length))
            good = leat_fail(err, "%s: line %u: expected a name of 1 to %d bytes in UTF-8", path,
                             n + 1, CARD_NAME_BYTES - 1);
        else if (card_find(card, line) >= 0)
            good = leat_fail(err, "%s: line %u: the label %s is there twice", path, n + 1, line);
        else
            memcpy(card->labels[card->label_count++].name, line, length + 1);
    }
    if (good && card->label_count == 0)
        good = leat_fail(err, "%s: expected the names of the labels, one a line", path);
    free(bytes);
    return good;
}

static bool fold_known(struct card_label *label, struct leat_error *err)
{
    struct meaning meaning;
    if (!meaning_find(label->name, &meaning) || meaning.emotion == EMOTION_COUNT ||
        meaning.sentiment == SENTIMENT_COUNT)
        return leat_fail(err, "the label %s is none of those that are known: a label map is needed",
                         label->name);
    label->emotion = meaning.emotion;
    label->sentiment = meaning.sentiment;
    return true;
}

static bool fold_mapped(const json_t *map, struct card_label *label, struct leat_error *err)
{
    const json_t *entry = json_object_get(map, label->name);
    const char *emotion = json_string_value(json_object_get(entry, "emotion"));
    const char *sentiment = json_string_value(json_object_get(entry, "sentiment"));
    if (!json_is_object(entry))
        return leat_fail(err, "expected an object for the label %s", label->name);
    unsigned e = emotion ? emotion_find(emotion) : EMOTION_COUNT;
    if (e == EMOTION_COUNT)
        return leat_fail(err,
                         "%s.emotion: expected one of anger, disgust, fear, joy, sadness, "
                         "surprise, trust, neutral",
                         label->name);
    unsigned s = sentiment ? sentiment_find(sentiment) : SENTIMENT_COUNT;
    if (s == SENTIMENT_COUNT)
        return leat_fail(err, "%s.sentiment: expected one of positive, negative, neutral",
                         label->name);
    label->emotion = (uint8_t)e;
    label->sentiment = (uint8_t)s;
    return true;
}

/* A name that is no label is most likely a label misspelt. */
static bool has_no_others(json_t *map, const struct card *card, struct leat_error *err)
{
    for (void *at = json_object_iter(map); at; at = json_object_iter_next(map, at))
        if (card_find(card, json_object_iter_key(at)) < 0)
            return leat_fail(err, "%s: expected a name that is among the labels",
                             json_object_iter_key(at));
    return true;
}

static bool fold_by_map(const char *path, struct card *card, struct leat_error *err)
{
    json_error_t where;
    json_t *map = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    bool good = map != NULL;
    if (!good)
        leat_fail(err, "line %d, column %d: %s", where.line, where.column, where.text);
    else if (!json_is_object(map))
        good = leat_fail(err, "expected an object, one key a label");
    for (unsigned i = 0; good && i < card->label_count; i++)
        good = fold_mapped(map, &card->labels[i], err);
    good = good && has_no_others(map, card, err);
    json_decref(map);
    return good ? true : leat_fail_in(err, "label map %s", path);
}

bool examples_read_labels(const char *labels_path, const char *map_path, struct card *card,
                          struct leat_error *err)
{
    if (!read_names(labels_path, card, err))
        return false;
    if (map_path)
        return fold_by_map(map_path, card, err);
    for (unsigned i = 0; i < card->label_count; i++)
        if (!fold_known(&card->labels[i], err))
            return false;
    return true;
}
