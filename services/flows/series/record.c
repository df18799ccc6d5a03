#include "services/flows/series/record.h"

#include "services/flows/field.h"
#include "services/flows/series/domain.h"
#include "services/flows/month.h"

#include <endian.h>
#include <math.h>
#include <string.h>

/* Years 1900 to 2200. */
static const int64_t time_first = -2208988800000000;
static const int64_t time_last = 7289654399999999;

/* The codes under which a run of values is refused. */
struct values_rule {
    const char *type, *bytes, *value, *length;
};

static uint64_t packed_at(const struct series_values *values, uint32_t i)
{
    uint64_t bits;
    memcpy(&bits, values->packed + 8 * (size_t)i, sizeof bits);
    return le64toh(bits);
}

int64_t series_time_at(const struct series_values *values, uint32_t i)
{
    if (values->packed)
        return (int64_t)packed_at(values, i);
    return values->items[i].via.i64; /* an integer of either sign within int64_t: was checked */
}

static double real_of(const msgpack_object *item)
{
    switch (item->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return (double)item->via.u64;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return (double)item->via.i64;
    default:
        return item->via.f64;
    }
}

double series_real_at(const struct series_values *values, uint32_t i)
{
    if (!values->packed)
        return real_of(&values->items[i]);
    uint64_t bits = packed_at(values, i);
    double real;
    memcpy(&real, &bits, sizeof real);
    return real;
}

void series_times(const struct series_values *values, int64_t *out)
{
    for (uint32_t i = 0; i < values->n; i++)
        out[i] = series_time_at(values, i);
}

void series_reals(const struct series_values *values, double *out)
{
    for (uint32_t i = 0; i < values->n; i++)
        out[i] = series_real_at(values, i);
}

/* An array or a bin; what is in it is not looked at yet. */
static bool read_values(const msgpack_object *value, const char *name,
                        const struct values_rule *rule, struct series_values *out,
                        struct leat_why *why)
{
    if (value->type == MSGPACK_OBJECT_ARRAY) {
        *out = (struct series_values){.n = value->via.array.size, .items = value->via.array.ptr};
        return true;
    }
    if (value->type != MSGPACK_OBJECT_BIN)
        return leat_refuse(why, rule->type, "\"%s\" must be an array or a bin", name);
    if (value->via.bin.size % 8 != 0)
        return leat_refuse(why, rule->bytes,
                           "\"%s\" has %u bytes, which are no whole values of 8 bytes", name,
                           value->via.bin.size);
    *out = (struct series_values){.n = value->via.bin.size / 8,
                                  .packed = (const uint8_t *)value->via.bin.ptr};
    return true;
}

static bool is_time(const msgpack_object *item)
{
    return item->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
           item->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
}

static bool check_times(const struct series_values *ts, struct leat_why *why)
{
    int64_t before = INT64_MIN;
    for (uint32_t i = 0; i < ts->n; i++) {
        if (ts->items && !is_time(&ts->items[i]))
            return leat_refuse(why, "ts_value",
                               "ts[%u] must be a whole number: microseconds since 1970", i);
        int64_t us = series_time_at(ts, i);
        bool wraps = ts->items && ts->items[i].type == MSGPACK_OBJECT_POSITIVE_INTEGER && us < 0;
        if (wraps || us < time_first || us > time_last)
            return leat_refuse(why, "ts_range",
                               "ts[%u] is outside the years 1900 to 2200 (microseconds since 1970)",
                               i);
        if (us <= before)
            return leat_refuse(why, "ts_not_increasing", "ts[%u] is not after ts[%u]", i, i - 1);
        before = us;
    }
    return true;
}

static bool read_times(const msgpack_object *record, struct series_record *out,
                       struct leat_why *why)
{
    static const struct values_rule rule = {.type = "ts_type", .bytes = "ts_bytes"};
    const msgpack_object *value = leat_field(record, "ts");
    if (!value)
        return leat_refuse(why, "ts_missing", "there is no \"ts\"");
    if (!read_values(value, "ts", &rule, &out->ts, why))
        return false;
    out->n = out->ts.n;
    return true;
}

static bool is_real(const msgpack_object *item)
{
    return is_time(item) || item->type == MSGPACK_OBJECT_FLOAT64 ||
           item->type == MSGPACK_OBJECT_FLOAT32;
}

/* A run of numbers, one for each row. */
static bool read_reals(const msgpack_object *value, const char *name,
                       const struct values_rule *rule, const char *not_finite, uint32_t n,
                       struct series_values *out, struct leat_why *why)
{
    if (!read_values(value, name, rule, out, why))
        return false;
    if (out->n != n)
        return leat_refuse(why, rule->length, "\"%s\" has %u values for %u timestamps", name,
                           out->n, n);
    for (uint32_t i = 0; i < n; i++) {
        if (out->items && !is_real(&out->items[i]))
            return leat_refuse(why, rule->value, "%s[%u] must be a number", name, i);
        if (!isfinite(series_real_at(out, i)))
            return leat_refuse(why, not_finite, "%s[%u] is not a finite number", name, i);
    }
    return true;
}

static bool read_base(const msgpack_object *record, double *out, struct leat_why *why)
{
    const msgpack_object *value = leat_field(record, "base");
    if (!value)
        return leat_refuse(why, "base_missing", "there is no \"base\" for \"close\"");
    if (!is_real(value))
        return leat_refuse(why, "base_type", "\"base\" must be a number");
    *out = real_of(value);
    if (!isfinite(*out) || *out == 0)
        return leat_refuse(why, "base_range", "\"base\" must be a finite number other than 0");
    return true;
}

static bool read_close(const msgpack_object *record, const msgpack_object *value,
                       struct series_record *out, struct leat_why *why)
{
    static const struct values_rule rule = {"close_type", "close_bytes", "close_value",
                                            "close_length"};
    if (!read_reals(value, "close", &rule, "close_not_finite", out->n, &out->close, why) ||
        !read_base(record, &out->base, why))
        return false;
    for (uint32_t i = 0; i < out->n; i++)
        if (!isfinite(100 * series_real_at(&out->close, i) / out->base))
            return leat_refuse(why, "close_range", "100 * close[%u] / base is not finite", i);
    return true;
}

static bool read_column(const msgpack_object_kv *pair, const struct series_limits *limits,
                        struct series_record *out, struct leat_why *why)
{
    static const struct values_rule rule = {"column_type", "column_bytes", "column_value",
                                            "column_length"};
    struct leat_span name = {0};
    if (pair->key.type == MSGPACK_OBJECT_STR)
        name = (struct leat_span){(const uint8_t *)pair->key.via.str.ptr, pair->key.via.str.size};
    size_t at = series_names_find(limits->names, name);
    if (at == SERIES_NAMES_MOST || !limits->names->taken[at])
        return leat_refuse(why, "column_unknown",
                           "column \"%.*s\" is not in the setting series.columns",
                           (int)leat_wire_text_prefix(name, SERIES_DOMAIN_NAME_MAX),
                           name.data ? (const char *)name.data : "");
    for (size_t i = 0; i < out->n_columns; i++)
        if (out->columns[i].name == at)
            return leat_refuse(why, "column_twice", "column \"%s\" is there twice",
                               limits->names->items[at]);
    struct series_column *column = &out->columns[out->n_columns++];
    column->name = at;
    return read_reals(&pair->val, limits->names->items[at], &rule, "column_not_finite", out->n,
                      &column->values, why);
}

static bool read_columns(const msgpack_object *value, const struct series_limits *limits,
                         struct series_record *out, struct leat_why *why)
{
    if (value->type != MSGPACK_OBJECT_MAP)
        return leat_refuse(why, "columns_type", "\"columns\" must be a map of names to values");
    if (value->via.map.size == 0)
        return leat_refuse(why, "columns_empty", "\"columns\" is empty");
    for (uint32_t i = 0; i < value->via.map.size; i++)
        if (!read_column(&value->via.map.ptr[i], limits, out, why))
            return false;
    return true;
}

static bool read_domains(const msgpack_object *record, const struct series_limits *limits,
                         struct series_record *out, struct leat_why *why)
{
    const msgpack_object *close = leat_field(record, "close");
    const msgpack_object *columns = leat_field(record, "columns");
    if (close && columns)
        return leat_refuse(why, "close_and_columns",
                           "a block brings either \"close\" or \"columns\"");
    if (!close && !columns)
        return leat_refuse(why, "values_missing", "there is no \"close\" and no \"columns\"");
    return close ? read_close(record, close, out, why) : read_columns(columns, limits, out, why);
}

static bool read_warmup(const msgpack_object *record, struct series_record *out,
                        struct leat_why *why)
{
    const msgpack_object *value = leat_field(record, "warmup");
    if (!value)
        return true;
    if (value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return leat_refuse(why, "warmup_range", "\"warmup\" is below 0");
    if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return leat_refuse(why, "warmup_type", "\"warmup\" must be a whole number");
    if (value->via.u64 > UINT32_MAX)
        return leat_refuse(why, "warmup_range", "\"warmup\" is above the number of rows");
    out->warmup = (uint32_t)value->via.u64;
    return true;
}

static bool read_reset(const msgpack_object *record, bool *monthly, struct leat_why *why)
{
    static const struct leat_string_rule rule = {
        .name = "reset", .max = 16, .type = "reset_type", .too_long = "reset_unknown"};
    struct leat_span reset;
    if (!leat_field_string(record, &rule, &reset, why))
        return false;
    *monthly = leat_wire_is(reset, "month");
    if (reset.size > 0 && !*monthly && !leat_wire_is(reset, "none"))
        return leat_refuse(why, "reset_unknown", "\"reset\" must be \"none\" or \"month\"");
    return true;
}

size_t series_warmup_needed(size_t longest, bool from_close)
{
    return longest - 1 + (from_close ? SERIES_BQX_ROWS : 0);
}

/* With reset = month the rows before the first output row reach far enough back when they begin in
 * an earlier month. */
static bool reaches_back(const struct series_record *record, size_t needed)
{
    return record->start || record->warmup >= needed ||
           (record->monthly && leat_month(series_time_at(&record->ts, 0)) <
                                   leat_month(series_time_at(&record->ts, record->warmup)));
}

/* More than SERIES_MONTHS_MOST calendar months between the first and the last output row? */
static bool spans_too_much(const struct series_record *record)
{
    int64_t first = series_time_at(&record->ts, record->warmup);
    int64_t last = series_time_at(&record->ts, record->n - 1);
    int32_t from = leat_month(first), to = from + SERIES_MONTHS_MOST;
    return last > leat_month_begin(to) + (first - leat_month_begin(from));
}

static bool check_rows(const struct series_record *record, const struct series_limits *limits,
                       struct leat_why *why)
{
    size_t needed =
        limits->longest ? series_warmup_needed(limits->longest, record->close.n > 0) : 0;
    if (record->n <= record->warmup)
        return leat_refuse(why, "no_rows", "%u rows, %u of them warm-up: none is left", record->n,
                           record->warmup);
    if (record->n - record->warmup > limits->max_rows)
        return leat_refuse(why, "too_many_rows",
                           "%u rows besides the warm-up; at most %zu are taken",
                           record->n - record->warmup, limits->max_rows);
    if (limits->longest && record->warmup > limits->max_rows + needed)
        return leat_refuse(why, "too_many_rows", "%u rows of warm-up; at most %zu are taken",
                           record->warmup, limits->max_rows + needed);
    if (spans_too_much(record))
        return leat_refuse(why, "ts_months", "the rows span more than %d months",
                           SERIES_MONTHS_MOST);
    if (!reaches_back(record, needed))
        return leat_refuse(
            why, "warmup_short",
            "%u rows of warm-up; %zu are needed, or \"start\" where the series begins",
            record->warmup, needed);
    return true;
}

bool series_record_read(const msgpack_object *record, const struct series_limits *limits,
                        struct series_record *out, struct leat_why *why)
{
    static const struct leat_string_rule series = {"series",         true,          SERIES_NAME_MAX,
                                                   "series_missing", "series_type", "series_empty",
                                                   "series_too_long"};
    *out = (struct series_record){0};
    if (record->type != MSGPACK_OBJECT_MAP)
        return leat_refuse(why, "record_not_map", "a record must be a map");
    return leat_field_string(record, &series, &out->series, why) &&
           leat_field_version(record, why) && read_times(record, out, why) &&
           read_warmup(record, out, why) &&
           leat_field_bool(record, "start", "start_type", &out->start, why) &&
           read_reset(record, &out->monthly, why) && check_times(&out->ts, why) &&
           read_domains(record, limits, out, why) && check_rows(out, limits, why);
}

bool series_last_time(const msgpack_object *record, int64_t *us)
{
    struct series_record read;
    struct leat_why why;
    if (record->type != MSGPACK_OBJECT_MAP || !read_times(record, &read, &why) || read.n == 0 ||
        !check_times(&read.ts, &why))
        return false;
    *us = series_time_at(&read.ts, read.n - 1);
    return true;
}
