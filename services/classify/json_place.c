#include "services/classify/json_place.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A position in the text. Every move stops at the end, so a text that is not JSON after all gives a
 * wrong line and nothing worse. */
struct cursor {
    const char *at;
    const char *end;
};

struct json_place json_place_key(const struct json_place *parent, const char *key)
{
    struct json_place child = *parent;
    if (child.depth < JSON_PLACE_DEPTH)
        child.steps[child.depth++].key = key;
    return child;
}

struct json_place json_place_item(const struct json_place *parent, size_t index)
{
    struct json_place child = *parent;
    if (child.depth < JSON_PLACE_DEPTH) {
        child.steps[child.depth].key = NULL;
        child.steps[child.depth++].index = index;
    }
    return child;
}

const char *json_place_name(const struct json_place *self, char out[JSON_PLACE_TEXT])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < self->depth && used < JSON_PLACE_TEXT - 1; i++) {
        int wrote = self->steps[i].key ? snprintf(out + used, JSON_PLACE_TEXT - used, "%s%.80s",
                                                  i ? "." : "", self->steps[i].key)
                                       : snprintf(out + used, JSON_PLACE_TEXT - used, "[%zu]",
                                                  self->steps[i].index);
        used += (size_t)(wrote > 0 ? wrote : 0);
    }
    return out;
}

static char peek(const struct cursor *cursor)
{
    return cursor->at < cursor->end ? *cursor->at : '\0';
}

/* To the next byte that is neither white space nor one of `more`. */
static void skip_space(struct cursor *cursor, const char *more)
{
    while (cursor->at < cursor->end &&
           (strchr(" \t\r\n", *cursor->at) || strchr(more, *cursor->at)))
        cursor->at++;
}

/* From a quote to what is behind the matching one. */
static void skip_string(struct cursor *cursor)
{
    for (cursor->at++; cursor->at < cursor->end && *cursor->at != '"'; cursor->at++)
        if (*cursor->at == '\\')
            cursor->at++;
    cursor->at = cursor->at < cursor->end ? cursor->at + 1 : cursor->end;
}

static void skip_value(struct cursor *cursor)
{
    size_t open = 0;
    do {
        skip_space(cursor, ",:");
        char c = peek(cursor);
        if (c == '"') {
            skip_string(cursor);
        } else if (c == '{' || c == '[') {
            open++;
            cursor->at++;
        } else if (c == '}' || c == ']') {
            open--;
            cursor->at++;
        } else {
            while (cursor->at < cursor->end && !strchr(" \t\r\n,:]}", *cursor->at))
                cursor->at++;
        }
    } while (open && cursor->at < cursor->end);
}

/* From the start of an object or array to the start of the member's value or the item. */
static bool descend(struct cursor *cursor, const char *key, size_t index)
{
    if (peek(cursor) != (key ? '{' : '['))
        return false;
    cursor->at++;
    for (size_t i = 0;; i++) {
        skip_space(cursor, ",");
        char c = peek(cursor);
        if (c == '\0' || c == '}' || c == ']')
            return false;
        if (!key) {
            if (i == index)
                return true;
        } else {
            const char *name = cursor->at + 1;
            skip_string(cursor);
            size_t size = (size_t)(cursor->at - name) - 1;
            skip_space(cursor, ":");
            if (size == strlen(key) && memcmp(name, key, size) == 0)
                return true;
        }
        skip_value(cursor);
    }
}

size_t json_place_line(const struct json_place *self, const char *json, size_t size)
{
    struct cursor cursor = {json, json + size};
    skip_space(&cursor, "");
    const char *found = cursor.at;
    for (size_t i = 0; i < self->depth; i++) {
        if (!descend(&cursor, self->steps[i].key, self->steps[i].index))
            break;
        found = cursor.at;
    }
    size_t line = 1;
    for (const char *c = json; c < found; c++)
        line += *c == '\n';
    return line;
}
