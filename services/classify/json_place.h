/* Where in a JSON text a value is, for reasons that name the place of what they complain about: the
 * parser forgets lines once the text is a tree. */
#ifndef LEAT_CLASSIFY_JSON_PLACE_H
#define LEAT_CLASSIFY_JSON_PLACE_H

#include <stddef.h>

enum {
    JSON_PLACE_DEPTH = 8,
    JSON_PLACE_TEXT = 256, /* bytes of a place in words, with the end */
};

/* The way from the top to a value. Zero is the top. Keys are borrowed. */
struct json_place {
    struct {
        const char *key; /* NULL: an item of an array */
        size_t index;
    } steps[JSON_PLACE_DEPTH];
    size_t depth;
};

/* The place of a member or an item of what is at `parent`. No deeper than JSON_PLACE_DEPTH. */
struct json_place json_place_key(const struct json_place *parent, const char *key);
struct json_place json_place_item(const struct json_place *parent, size_t index);

/* Writes "topics[3].keywords[2]", cut if it is too long, or nothing for the top; returns `out`. */
const char *json_place_name(const struct json_place *self, char out[JSON_PLACE_TEXT]);

/* The line (from 1) on which the value begins; that of the nearest value around it if it is not
 * there. `json` is known to be valid JSON. */
size_t json_place_line(const struct json_place *self, const char *json, size_t size);

#endif
