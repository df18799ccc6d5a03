#include "services/leat/stored.h"

#include "services/leat/cell.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A newcomer's store is not there because nothing has run yet, or ran elsewhere. */
bool stored_is_there(const char *url, struct leat_error *err)
{
    if (strncmp(url, "sqlite:", 7) != 0 || access(url + 7, F_OK) == 0)
        return true;
    return leat_fail(err,
                     "there is no store at %s: 'leat run' makes one; if it is elsewhere, say where "
                     "with --data DIR or --store URL",
                     url + 7);
}

struct query *stored_open(const struct options *options, bool *usage, struct leat_error *err)
{
    *usage = true;
    struct leat_settings *settings = options_settings(options, err);
    if (!settings || !options_store(options, settings, err)) {
        leat_settings_destroy(&settings);
        return NULL;
    }
    *usage = false;
    const char *url = leat_settings_str(settings, "store.url");
    struct query *query = stored_is_there(url, err) ? query_open(url, err) : NULL;
    leat_settings_destroy(&settings);
    return query;
}

const char *stored_text(const struct query_row *row, size_t column)
{
    return row->values[column] ? row->values[column] : "";
}

double stored_real(const struct query_row *row, size_t column)
{
    return strtod(stored_text(row, column), NULL);
}

uint64_t stored_count(const struct query_row *row, size_t column)
{
    return strtoull(stored_text(row, column), NULL, 10);
}

/* In as few digits as give the same float32 again. */
static json_t *reals_json(const char *bytes, size_t size)
{
    json_t *array = json_array();
    for (size_t i = 0; i + sizeof(float) <= size; i += sizeof(float)) {
        uint32_t bits;
        float value;
        char text[24];
        memcpy(&bits, bytes + i, sizeof bits);
        bits = le32toh(bits);
        memcpy(&value, &bits, sizeof value);
        for (int digits = 6; digits <= 9; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, (double)value);
            if (strtof(text, NULL) == value)
                break;
        }
        json_array_append_new(array, json_real(strtod(text, NULL)));
    }
    return array;
}

static json_t *value_json(const char *text, size_t size, enum stored_type type)
{
    switch (type) {
    case STORED_INTEGER:
        return json_integer(strtoll(text, NULL, 10));
    case STORED_REAL:
        return json_real(strtod(text, NULL));
    case STORED_BOOL:
        return json_boolean(*text == '1');
    case STORED_JSON:
        return json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    case STORED_REALS:
        return reals_json(text, size);
    case STORED_NONE:
        return NULL;
    case STORED_TEXT:
        break;
    }
    return json_stringn(text, size);
}

enum stored_type stored_type_of(enum leat_column_type type)
{
    switch (type) {
    case LEAT_COL_BIGINT:
        return STORED_INTEGER;
    case LEAT_COL_BOOL:
        return STORED_BOOL;
    case LEAT_COL_DOUBLE:
        return STORED_REAL;
    case LEAT_COL_JSONB:
        return STORED_JSON;
    case LEAT_COL_REALS:
        return STORED_REALS;
    case LEAT_COL_BYTEA:
        return STORED_NONE;
    case LEAT_COL_TEXT:
    case LEAT_COL_TIMESTAMPTZ:
    case LEAT_COL_UUID:
        break;
    }
    return STORED_TEXT;
}

json_t *stored_json(const struct query_row *row, const enum stored_type *types)
{
    json_t *object = json_object();
    for (size_t i = 0; i < row->n; i++) {
        json_t *value = NULL;
        if (row->values[i])
            value = value_json(row->values[i], row->sizes[i], types[i]);
        json_object_set_new(object, row->names[i], value ? value : json_null());
    }
    return object;
}

const char *stored_time(const char *time, char to[32])
{
    if (!time || strlen(time) < 19)
        return "-";
    snprintf(to, 32, "%.10s %.8s", time, time + 11);
    return to;
}

bool stored_moment(const struct options *options, const char *name, char to[ISO_TIME_MAX],
                   const char **out, struct leat_error *err)
{
    const char *text = options_value(options, name);
    enum cell_unit unit = CELL_UNIT_UNKNOWN;
    struct draft_why why;
    int64_t us;
    *out = NULL;
    if (!text)
        return true;
    if (!cell_time(render_span(text), &unit, &us, &why))
        return leat_fail(err, "%s: %s", name, why.reason);
    to[iso_time(us, to)] = '\0'; /* there is room: years are 1900 to 2200 */
    *out = to;
    return true;
}
