#include "services/classify/provider/answer.h"

#include "services/runtime/printable.h"

#include <endian.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum {
    CONTAINERS_MOST = 8, /* arrays and objects of a text's, */
    KEYS_MOST = 32,      /* and values besides its numbers */
    SPARE = 1024,        /* of either, for what is around them */
};

struct answer {
    json_t *root;
    const json_t **embeddings; /* by text */
    size_t n, width;
};

/* How many floats a string of base64 stands for; 0 when it cannot be that. */
static size_t base64_floats(const char *text, size_t size)
{
    while (size > 0 && text[size - 1] == '=')
        size--;
    size_t bytes = size * 3 / 4;
    return size % 4 != 1 && bytes % sizeof(float) == 0 ? bytes / sizeof(float) : 0;
}

static int base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* `out` has room for what base64_floats said. False at a character that is none of base64's. */
static bool base64_decode(const char *text, size_t floats, float *out)
{
    uint8_t *to = (uint8_t *)out;
    uint32_t bits = 0;
    size_t have = 0;
    for (size_t written = 0; written < floats * sizeof(float); text++) {
        int digit = base64_digit(*text);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[written++] = (uint8_t)(bits >> have);
        }
    }
    for (size_t i = 0; i < floats; i++) {
        uint32_t value;
        memcpy(&value, &out[i], sizeof value);
        value = le32toh(value);
        memcpy(&out[i], &value, sizeof value);
    }
    return true;
}

static size_t width_of(const json_t *embedding)
{
    return json_is_string(embedding)
               ? base64_floats(json_string_value(embedding), json_string_length(embedding))
               : json_array_size(embedding);
}

/* An item to its text's place. */
static bool place(struct answer *self, size_t at, const json_t *item, struct leat_error *err)
{
    const json_t *index = json_object_get(item, "index");
    const json_t *embedding = json_object_get(item, "embedding");
    json_int_t text = json_integer_value(index);
    if (!json_is_integer(index) || text < 0 || (size_t)text >= self->n)
        return leat_fail(err, "data[%zu].index: expected a whole number from 0 to %zu", at,
                         self->n - 1);
    if (self->embeddings[text])
        return leat_fail(err, "data[%zu].index: %zu was there before", at, (size_t)text);
    if (!json_is_string(embedding) && !json_is_array(embedding))
        return leat_fail(err, "data[%zu].embedding: expected an array of numbers or base64", at);
    self->embeddings[text] = embedding;
    return true;
}

static bool check_widths(struct answer *self, size_t width, size_t widest, struct leat_error *err)
{
    self->width = width > 0 ? width : width_of(self->embeddings[0]);
    if (self->width < 1 || self->width > widest)
        return leat_fail(err, "an embedding has %zu numbers; expected 1 to %zu", self->width,
                         widest);
    for (size_t i = 0; i < self->n; i++)
        if (width_of(self->embeddings[i]) != self->width)
            return leat_fail(err, "an embedding has %zu numbers; expected %zu",
                             width_of(self->embeddings[i]), self->width);
    return true;
}

static bool check(struct answer *self, size_t width, size_t widest, struct leat_error *err)
{
    const json_t *data = json_object_get(self->root, "data");
    if (!json_is_array(data))
        return leat_fail(err, "data: expected an array");
    if (json_array_size(data) != self->n)
        return leat_fail(err, "data: expected %zu items, for as many texts; there are %zu", self->n,
                         json_array_size(data));
    self->embeddings = calloc(self->n, sizeof *self->embeddings);
    if (!self->embeddings)
        return leat_fail(err, "out of memory");
    for (size_t i = 0; i < self->n; i++)
        if (!place(self, i, json_array_get(data, i), err))
            return false;
    return check_widths(self, width, widest, err);
}

/* What an answer takes in memory follows from its values, not from its bytes: "[],[]," forty times
 * as many. Characters within strings count, too: there are few in what is asked for. */
static bool has_few_values(const char *json, size_t size, size_t n, size_t width)
{
    size_t containers = 0, values = 0;
    for (size_t i = 0; i < size; i++) {
        containers += json[i] == '[' || json[i] == '{';
        values += json[i] == ',';
    }
    return containers <= CONTAINERS_MOST * n + SPARE && values <= (width + KEYS_MOST) * n + SPARE;
}

struct answer *answer_open(const char *json, size_t size, size_t n, size_t width, size_t widest,
                           struct leat_error *err)
{
    json_error_t where;
    struct answer *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->n = n;
    bool few = has_few_values(json, size, n, width > 0 ? width : widest);
    self->root = few ? json_loadb(size ? json : "", size, 0, &where) : NULL;
    if (!few)
        leat_fail(err, "more values than vectors of %zu texts have", n);
    else if (!self->root)
        leat_fail(err, "no JSON: line %d, column %d: %.100s", where.line, where.column, where.text);
    else if (check(self, width, widest, err))
        return self;
    answer_close(&self);
    return NULL;
}

void answer_close(struct answer **self)
{
    if (!*self)
        return;
    json_decref((*self)->root);
    free((*self)->embeddings);
    free(*self);
    *self = NULL;
}

size_t answer_width(const struct answer *self)
{
    return self->width;
}

uint64_t answer_tokens(const struct answer *self)
{
    const json_t *usage = json_object_get(self->root, "usage");
    const json_t *tokens = json_object_get(usage, "total_tokens");
    json_int_t value =
        json_integer_value(tokens ? tokens : json_object_get(usage, "prompt_tokens"));
    return value > 0 ? (uint64_t)value : 0;
}

static bool read_one(const json_t *embedding, size_t width, float *out)
{
    if (json_is_string(embedding))
        return base64_decode(json_string_value(embedding), width, out);
    for (size_t i = 0; i < width; i++) {
        const json_t *number = json_array_get(embedding, i);
        if (!json_is_number(number))
            return false;
        out[i] = (float)json_number_value(number);
    }
    return true;
}

static bool normalise(float *vector, size_t width)
{
    double square = 0;
    for (size_t i = 0; i < width; i++)
        square += (double)vector[i] * (double)vector[i];
    if (!isfinite(square) || square <= 0)
        return false;
    double factor = 1 / sqrt(square);
    for (size_t i = 0; i < width; i++)
        vector[i] = (float)((double)vector[i] * factor);
    return true;
}

bool answer_take(const struct answer *self, float *out, struct leat_error *err)
{
    for (size_t i = 0; i < self->n; i++) {
        float *vector = out + i * self->width;
        if (!read_one(self->embeddings[i], self->width, vector))
            return leat_fail(err, "an embedding has something in it that is no number");
        if (!normalise(vector, self->width))
            return leat_fail(err, "an embedding is not finite, or has no direction");
    }
    return true;
}

/* One line of what is printable; the text is UTF-8, as JSON is. What does not fit is cut. */
static void make_harmless(const char *text, char out[160])
{
    size_t size = 0, left = strlen(text);
    utf8proc_int32_t point;
    utf8proc_ssize_t n;
    while (left > 0 && (n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left,
                                             &point)) > 0) {
        bool shown = leat_printable(point);
        size_t taken = (size_t)n, written = shown ? taken : 1;
        if (size + written >= 160)
            break;
        memcpy(out + size, shown ? text : " ", written);
        size += written;
        text += taken;
        left -= taken;
    }
    out[size] = '\0';
}

void answer_complaint(const char *json, size_t size, const char *secret, char out[160])
{
    static const char *const names[] = {"error", "message", "detail"};
    json_t *root = size ? json_loadb(json, size, 0, NULL) : NULL;
    const json_t *said = NULL;
    for (size_t i = 0; !said && i < sizeof names / sizeof *names; i++)
        said = json_object_get(root, names[i]);
    if (json_is_object(said))
        said = json_object_get(said, "message");
    const char *text = json_is_string(said) ? json_string_value(said) : "";
    if (*secret &&
        strstr(text, secret)) /* all of it: its beginning alone is not to be shown either */
        text = "";
    make_harmless(text, out);
    json_decref(root);
}
