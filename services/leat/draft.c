#include "services/leat/draft.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>
#include <xxhash.h>

void draft_init(struct draft *self, const struct fields *fields)
{
    *self = (struct draft){.fields = fields};
    msgpack_sbuffer_init(&self->values);
    msgpack_sbuffer_init(&self->record);
}

void draft_end(struct draft *self)
{
    msgpack_sbuffer_destroy(&self->values);
    msgpack_sbuffer_destroy(&self->record);
}

void draft_begin(struct draft *self)
{
    msgpack_sbuffer_clear(&self->values);
    msgpack_sbuffer_clear(&self->record);
    self->count = 0;
    self->has_id = false;
    self->key = self->body = (struct leat_span){NULL, 0};
}

size_t draft_cut(struct leat_span text, size_t max)
{
    if (text.size <= max)
        return text.size;
    while (max > 0 && (text.data[max] & 0xc0) == 0x80)
        max--;
    return max;
}

void draft_mend(char *text)
{
    struct leat_span rest = {(const uint8_t *)text, strlen(text)};
    for (;;) {
        size_t good = leat_wire_text_prefix(rest, rest.size);
        if (good == rest.size)
            return;
        text += good;
        *text++ = '?';
        rest = (struct leat_span){(const uint8_t *)text, rest.size - good - 1};
    }
}

bool draft_refuse(struct draft_why *why, const char *code, const char *format, ...)
{
    snprintf(why->code, sizeof why->code, "%s", code);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(why->reason, sizeof why->reason, format, args);
    va_end(args);
    struct leat_span whole = {(const uint8_t *)why->reason, n > 0 ? (size_t)n : 0};
    if (whole.size >= sizeof why->reason)
        why->reason[draft_cut(whole, sizeof why->reason - 2)] = '\0';
    return false;
}

bool draft_check_text(struct leat_span text, struct draft_why *why)
{
    if (leat_wire_text_ok(text))
        return true;
    size_t at = 0;
    while (at < text.size) {
        if (text.data[at] == 0)
            return draft_refuse(why, "nul", "byte %zu is NUL, which no text may hold", at + 1);
        utf8proc_int32_t point;
        utf8proc_ssize_t n =
            utf8proc_iterate(text.data + at, (utf8proc_ssize_t)(text.size - at), &point);
        if (n <= 0)
            return draft_refuse(why, "not_utf8", "byte %zu (0x%02x) is not valid UTF-8", at + 1,
                                text.data[at]);
        at += (size_t)n;
    }
    return draft_refuse(why, "not_utf8", "this is not valid UTF-8");
}

static void pack_key(struct draft *self, size_t field)
{
    msgpack_packer to;
    msgpack_packer_init(&to, &self->values, msgpack_sbuffer_write);
    leat_pack_cstr(&to, self->fields->kind->fields[field].name);
    self->count++;
}

/* Remembers what the id may have to be made from. */
static void note(struct draft *self, size_t field, struct leat_span text)
{
    if (field == 0) {
        self->key = text;
        self->has_id = true;
    }
    if ((int)field == fields_content(self->fields))
        self->body = text;
}

static void pack_text(struct draft *self, size_t field, struct leat_span text)
{
    msgpack_packer to;
    msgpack_packer_init(&to, &self->values, msgpack_sbuffer_write);
    pack_key(self, field);
    leat_pack_str(&to, text);
    note(self, field, text);
}

static bool read_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1", "t", "y", NULL};
    static const char *const no[] = {"false", "no", "off", "0", "f", "n", NULL};
    for (size_t i = 0; yes[i]; i++)
        if (strcasecmp(text, yes[i]) == 0)
            return (*out = true);
    for (size_t i = 0; no[i]; i++)
        if (strcasecmp(text, no[i]) == 0) {
            *out = false;
            return true;
        }
    return false;
}

static bool read_integer(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (*digits < '0' || *digits > '9')
        return false;
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return !*end && errno == 0;
}

bool draft_text(struct draft *self, size_t field, struct leat_span text, struct draft_why *why)
{
    const struct field *row = &self->fields->kind->fields[field];
    if (text.size == 0 && (int)field != fields_content(self->fields))
        return true;
    if (!draft_check_text(text, why))
        return false;
    char word[32] = "";
    if (text.size < sizeof word)
        memcpy(word, text.data, text.size);

    msgpack_packer to;
    msgpack_packer_init(&to, &self->values, msgpack_sbuffer_write);
    char code[40];
    snprintf(code, sizeof code, "%s_type", row->name);
    int shown = (int)draft_cut(text, 40);
    bool yes;
    int64_t number;
    switch (row->type) {
    case FIELD_BOOL:
        if (!read_bool(word, &yes))
            return draft_refuse(why, code, "%s is '%.*s'; expected yes or no", row->name, shown,
                                (const char *)text.data);
        pack_key(self, field);
        yes ? msgpack_pack_true(&to) : msgpack_pack_false(&to);
        return true;
    case FIELD_INTEGER:
        if (!read_integer(word, &number))
            return draft_refuse(why, code, "%s is '%.*s'; expected a whole number", row->name,
                                shown, (const char *)text.data);
        pack_key(self, field);
        msgpack_pack_int64(&to, number);
        return true;
    case FIELD_TIME:
        if (read_integer(word, &number)) {
            pack_key(self, field);
            msgpack_pack_int64(&to, number);
            return true;
        }
        break;
    case FIELD_STRING:
        break;
    }
    pack_text(self, field, text);
    return true;
}

/* NULL-safe and bounded: the depth was checked before. */
static void pack_json(msgpack_packer *to, const json_t *value)
{
    const char *key;
    json_t *child;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        leat_pack_map(to, (uint32_t)json_object_size(value));
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
        {
            leat_pack_cstr(to, key);
            pack_json(to, child);
        }
        return;
    case JSON_ARRAY:
        leat_pack_array(to, (uint32_t)json_array_size(value));
        json_array_foreach(value, i, child)
        {
            pack_json(to, child);
        }
        return;
    case JSON_STRING:
        leat_pack_str(to, (struct leat_span){(const uint8_t *)json_string_value(value),
                                             json_string_length(value)});
        return;
    case JSON_INTEGER:
        msgpack_pack_int64(to, json_integer_value(value));
        return;
    case JSON_REAL:
        msgpack_pack_double(to, json_real_value(value));
        return;
    case JSON_TRUE:
        msgpack_pack_true(to);
        return;
    case JSON_FALSE:
        msgpack_pack_false(to);
        return;
    case JSON_NULL:
        msgpack_pack_nil(to);
        return;
    }
}

static bool too_deep(const json_t *value, int room)
{
    const char *key;
    json_t *child;
    size_t i;
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (room == 0)
        return true;
    json_object_foreach((json_t *)(uintptr_t)value, key, child)
    {
        if (too_deep(child, room - 1))
            return true;
    }
    json_array_foreach(value, i, child)
    {
        if (too_deep(child, room - 1))
            return true;
    }
    return false;
}

bool draft_json(struct draft *self, size_t field, const json_t *value, struct draft_why *why)
{
    if (!value || json_is_null(value))
        return true;
    const char *name = self->fields->kind->fields[field].name;
    if (too_deep(value, DRAFT_DEPTH))
        return draft_refuse(why, "too_deep", "%s nests deeper than %d levels", name, DRAFT_DEPTH);
    if (json_is_string(value)) {
        pack_text(self, field,
                  (struct leat_span){(const uint8_t *)json_string_value(value),
                                     json_string_length(value)});
        return true;
    }
    pack_key(self, field);
    msgpack_packer to;
    msgpack_packer_init(&to, &self->values, msgpack_sbuffer_write);
    pack_json(&to, value);
    if (field == 0) /* an id that is no string: ingest says what is wrong with it */
        self->has_id = true;
    return true;
}

/* A record that has no content either gets the id of all that it has: ingest tells what is wrong
 * with it, and its reason is about the content, not about the id. */
static void derive_id(struct draft *self)
{
    struct leat_span from = self->body;
    if (from.size == 0)
        from = (struct leat_span){(const uint8_t *)self->values.data, self->values.size};
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits(from.data, from.size));
    for (size_t i = 0; i < sizeof bytes.digest; i++)
        snprintf(self->id + 2 * i, 3, "%02x", bytes.digest[i]);
    pack_text(self, 0, (struct leat_span){(const uint8_t *)self->id, 32});
}

struct leat_span draft_finish(struct draft *self)
{
    if (!self->has_id)
        derive_id(self);
    msgpack_packer to;
    msgpack_packer_init(&to, &self->record, msgpack_sbuffer_write);
    leat_pack_map(&to, self->count);
    leat_pack_raw(&self->record,
                  (struct leat_span){(const uint8_t *)self->values.data, self->values.size});
    struct leat_span record = {(const uint8_t *)self->record.data, self->record.size};
    if (self->key.size == 0)
        self->key = record;
    return record;
}
