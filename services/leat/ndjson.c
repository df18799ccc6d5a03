#include "services/leat/ndjson.h"

#include <string.h>

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "true or false";
    }
}

/* The parser's words, with the column: its line is always 1 here. What it quotes of the line is
 * left out, it may be long and is in the file anyway. */
static bool refuse_json(const json_error_t *error, struct draft_why *why)
{
    const char *near = strstr(error->text, " near '");
    int length = near ? (int)(near - error->text) : (int)strlen(error->text);
    return draft_refuse(why, "json_broken", "not JSON: %.*s, at column %d", length, error->text,
                        error->column > 0 ? error->column : 1);
}

static bool take_fields(struct draft *draft, const json_t *object, struct draft_why *why)
{
    for (size_t i = 0; i < draft->fields->count; i++)
        if (!draft_json(draft, i, json_object_get(object, draft->fields->from[i]), why))
            return false;
    return true;
}

bool ndjson_read(struct draft *draft, struct leat_span line, json_t **tree, struct draft_why *why)
{
    *tree = NULL;
    if (!draft_check_text(line, why))
        return false;
    json_error_t error;
    json_t *value = json_loadb((const char *)line.data, line.size,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value)
        return refuse_json(&error, why);
    bool taken = json_is_object(value)
                     ? take_fields(draft, value, why)
                     : draft_refuse(why, "not_object", "this is %s, not an object in braces",
                                    type_name(value));
    if (!taken) {
        json_decref(value);
        return false;
    }
    *tree = value;
    return true;
}
