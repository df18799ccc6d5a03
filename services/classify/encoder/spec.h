/* Reading a tokenizer.json: typed members with reasons that name the file and the place. */
#ifndef LEAT_ENCODER_SPEC_H
#define LEAT_ENCODER_SPEC_H

#include "proto/error.h"
#include "services/classify/json_place.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct spec {
    const char *name; /* of the file, for reasons */
    struct leat_error *err;
};

/* An object or array of the file and where it is. */
struct spec_node {
    const json_t *json;
    struct json_place place;
};

/* "FILE: place: ..."; always returns false. */
bool spec_fail(const struct spec *self, const struct json_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A member; its json is NULL when it is not there or is null. */
struct spec_node spec_member(const struct spec_node *parent, const char *key);
struct spec_node spec_item(const struct spec_node *parent, size_t index);

/* Members by type. What is not there, or is null, leaves *out as it was; any other type fails. */
bool spec_bool(const struct spec *self, const struct spec_node *parent, const char *key, bool *out);
bool spec_integer(const struct spec *self, const struct spec_node *parent, const char *key,
                  long long least, long long most, long long *out);
/* Borrowed from the JSON tree, UTF-8 without NUL; at most `most` bytes. */
bool spec_text(const struct spec *self, const struct spec_node *parent, const char *key,
               size_t most, const char **out);

/* The same, but what is not there fails as well. */
bool spec_need_text(const struct spec *self, const struct spec_node *parent, const char *key,
                    size_t most, const char **out);
bool spec_need_array(const struct spec *self, const struct spec_node *parent, const char *key,
                     size_t most, struct spec_node *out);
bool spec_need_object(const struct spec *self, const struct spec_node *parent, const char *key,
                      size_t most, struct spec_node *out);

/* What is one step or a "Sequence" of steps: where such a list is, how long it may be, and who
 * reads a step by its type. Lists stand within each other to the depth of two. */
struct spec_steps {
    const char *list;
    size_t most;
    void *owner;
    bool (*read)(void *owner, const struct spec *spec, const struct spec_node *node,
                 const char *type);
};

/* Reads all steps in their order; ends at the first that fails. */
bool spec_read_steps(const struct spec *self, const struct spec_node *node,
                     const struct spec_steps *steps);

/* Exactly one character. */
bool spec_character(const struct spec *self, const struct spec_node *parent, const char *key,
                    const char **out);

#endif
