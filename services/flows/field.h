/* Reading the fields of a record that come in every kind: each check refuses with a short code and
 * a reason. An absent field and nil are the same. */
#ifndef LEAT_FIELD_H
#define LEAT_FIELD_H

#include "services/flows/flow.h"

/* Writes code and reason; always returns false. */
bool leat_refuse(struct leat_why *why, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A string field, and the codes under which it is refused; not_utf8 and nul besides. */
struct leat_string_rule {
    const char *name;
    bool required; /* then it may not be empty either */
    size_t max;    /* bytes */
    const char *missing, *type, *empty, *too_long;
};

/* The value under a key of a map; NULL when there is none or it is nil. */
const msgpack_object *leat_field(const msgpack_object *record, const char *name);

/* *out: UTF-8 without NUL that points into the record; size 0 when absent. */
bool leat_field_string(const msgpack_object *record, const struct leat_string_rule *rule,
                       struct leat_span *out, struct leat_why *why);

/* *out: false when absent. `code`: when it is of another type. */
bool leat_field_bool(const msgpack_object *record, const char *name, const char *code, bool *out,
                     struct leat_why *why);

/* The key "version", which any record may bring: version_type, version_range. */
bool leat_field_version(const msgpack_object *record, struct leat_why *why);

#endif
