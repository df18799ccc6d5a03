#include "services/classify/encoder/spec.h"

#include "services/classify/encoder/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SEQUENCES_MOST = 2 }; /* within each other */

bool spec_fail(const struct spec *self, const struct json_place *place, const char *format, ...)
{
    char where[JSON_PLACE_TEXT], what[384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    json_place_name(place, where);
    return leat_fail(self->err, "%s: %s%s%s", self->name, where, *where ? ": " : "", what);
}

struct spec_node spec_member(const struct spec_node *parent, const char *key)
{
    const json_t *json = json_object_get(parent->json, key);
    return (struct spec_node){.json = json_is_null(json) ? NULL : json,
                              .place = json_place_key(&parent->place, key)};
}

struct spec_node spec_item(const struct spec_node *parent, size_t index)
{
    return (struct spec_node){.json = json_array_get(parent->json, index),
                              .place = json_place_item(&parent->place, index)};
}

bool spec_bool(const struct spec *self, const struct spec_node *parent, const char *key, bool *out)
{
    struct spec_node node = spec_member(parent, key);
    if (!node.json)
        return true;
    if (!json_is_boolean(node.json))
        return spec_fail(self, &node.place, "expected true or false");
    *out = json_is_true(node.json);
    return true;
}

bool spec_integer(const struct spec *self, const struct spec_node *parent, const char *key,
                  long long least, long long most, long long *out)
{
    struct spec_node node = spec_member(parent, key);
    if (!node.json)
        return true;
    long long value = json_integer_value(node.json);
    if (!json_is_integer(node.json) || value < least || value > most)
        return spec_fail(self, &node.place, "expected an integer from %lld to %lld", least, most);
    *out = value;
    return true;
}

bool spec_text(const struct spec *self, const struct spec_node *parent, const char *key,
               size_t most, const char **out)
{
    struct spec_node node = spec_member(parent, key);
    if (!node.json)
        return true;
    if (!json_is_string(node.json) || json_string_length(node.json) > most)
        return spec_fail(self, &node.place, "expected a string of at most %zu bytes", most);
    *out = json_string_value(node.json);
    return true;
}

/* What must be there: "expected ..." when it is not. */
static bool need(const struct spec *self, const struct spec_node *node, const char *what)
{
    return node->json ? true : spec_fail(self, &node->place, "expected %s", what);
}

bool spec_need_text(const struct spec *self, const struct spec_node *parent, const char *key,
                    size_t most, const char **out)
{
    struct spec_node node = spec_member(parent, key);
    return need(self, &node, "a string") && spec_text(self, parent, key, most, out);
}

bool spec_need_array(const struct spec *self, const struct spec_node *parent, const char *key,
                     size_t most, struct spec_node *out)
{
    *out = spec_member(parent, key);
    if (!need(self, out, "an array"))
        return false;
    if (!json_is_array(out->json) || json_array_size(out->json) > most)
        return spec_fail(self, &out->place, "expected an array of at most %zu", most);
    return true;
}

bool spec_need_object(const struct spec *self, const struct spec_node *parent, const char *key,
                      size_t most, struct spec_node *out)
{
    *out = spec_member(parent, key);
    if (!need(self, out, "an object"))
        return false;
    if (!json_is_object(out->json) || json_object_size(out->json) > most)
        return spec_fail(self, &out->place, "expected an object of at most %zu members", most);
    return true;
}

static bool read_steps(const struct spec *self, const struct spec_node *node,
                       const struct spec_steps *steps, int depth)
{
    const char *type;
    struct spec_node list;
    if (!json_is_object(node->json))
        return spec_fail(self, &node->place, "expected an object");
    if (!spec_need_text(self, node, "type", SIZE_MAX, &type))
        return false;
    if (strcmp(type, "Sequence") != 0)
        return steps->read(steps->owner, self, node, type);
    if (depth == SEQUENCES_MOST)
        return spec_fail(self, &node->place, "sequences nested too deep");
    if (!spec_need_array(self, node, steps->list, steps->most, &list))
        return false;
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct spec_node item = spec_item(&list, i);
        if (!read_steps(self, &item, steps, depth + 1))
            return false;
    }
    return true;
}

bool spec_read_steps(const struct spec *self, const struct spec_node *node,
                     const struct spec_steps *steps)
{
    return read_steps(self, node, steps, 0);
}

bool spec_character(const struct spec *self, const struct spec_node *parent, const char *key,
                    const char **out)
{
    struct spec_node node = spec_member(parent, key);
    if (!spec_need_text(self, parent, key, UTF8_MOST, out))
        return false;
    if (**out == '\0' || strlen(*out) != utf8_size(**out))
        return spec_fail(self, &node.place, "expected one character");
    return true;
}
