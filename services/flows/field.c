#include "services/flows/field.h"

#include <stdio.h>
#include <string.h>

bool leat_refuse(struct leat_why *why, const char *code, const char *format, ...)
{
    why->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(why->message, sizeof why->message, format, args);
    va_end(args);
    return false;
}

const msgpack_object *leat_field(const msgpack_object *record, const char *name)
{
    const msgpack_object *value = leat_wire_get(record, name);
    return value && value->type != MSGPACK_OBJECT_NIL ? value : NULL;
}

bool leat_field_string(const msgpack_object *record, const struct leat_string_rule *rule,
                       struct leat_span *out, struct leat_why *why)
{
    *out = (struct leat_span){0};
    const msgpack_object *value = leat_field(record, rule->name);
    if (!value)
        return !rule->required || leat_refuse(why, rule->missing, "there is no \"%s\"", rule->name);
    if (value->type != MSGPACK_OBJECT_STR)
        return leat_refuse(why, rule->type, "\"%s\" must be a string", rule->name);
    *out = (struct leat_span){(const uint8_t *)value->via.str.ptr, value->via.str.size};
    if (rule->required && out->size == 0)
        return leat_refuse(why, rule->empty, "\"%s\" is empty", rule->name);
    if (out->size > rule->max)
        return leat_refuse(why, rule->too_long, "\"%s\" has %zu bytes; at most %zu are taken",
                           rule->name, out->size, rule->max);
    if (leat_wire_text_ok(*out))
        return true;
    if (memchr(out->data, 0, out->size))
        return leat_refuse(why, "nul", "\"%s\" contains a NUL character", rule->name);
    return leat_refuse(why, "not_utf8", "\"%s\" is not valid UTF-8", rule->name);
}

bool leat_field_bool(const msgpack_object *record, const char *name, const char *code, bool *out,
                     struct leat_why *why)
{
    *out = false;
    const msgpack_object *value = leat_field(record, name);
    if (!value)
        return true;
    if (value->type != MSGPACK_OBJECT_BOOLEAN)
        return leat_refuse(why, code, "\"%s\" must be true or false", name);
    *out = value->via.boolean;
    return true;
}

bool leat_field_version(const msgpack_object *record, struct leat_why *why)
{
    const msgpack_object *value = leat_field(record, "version");
    if (!value)
        return true;
    if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return leat_refuse(why, "version_type", "\"version\" must be a whole number above 0");
    if (value->via.u64 == 0 || value->via.u64 > INT64_MAX)
        return leat_refuse(why, "version_range", "\"version\" is outside 1 to 9223372036854775807");
    return true;
}
