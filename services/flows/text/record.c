#include "services/flows/text/record.h"

#include "services/flows/field.h"

#include <string.h>

static bool read_reach(const msgpack_object *record, int64_t *out, struct leat_why *why)
{
    *out = 0;
    const msgpack_object *value = leat_field(record, "reach");
    if (!value)
        return true;
    if (value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return leat_refuse(why, "reach_negative", "\"reach\" is %lld; it must be 0 or more",
                           (long long)value->via.i64);
    if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return leat_refuse(why, "reach_type", "\"reach\" must be a whole number");
    if (value->via.u64 > INT64_MAX)
        return leat_refuse(why, "reach_range", "\"reach\" is above 9223372036854775807");
    *out = (int64_t)value->via.u64;
    return true;
}

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted in eras of 400 years
 * that begin on 1 March, so that the leap day is a year's last. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Years 1 to 9999, which both stores can keep and print. */
static const int64_t time_first = -62135596800000000;
static const int64_t time_last = 253402300799999999;

/* `n` digits at *at, which moves behind them; -1 when they are not all digits. */
static int digits(struct leat_span text, size_t *at, size_t n)
{
    int value = 0;
    if (text.size - *at < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = text.data[*at + i];
        if (c < '0' || c > '9')
            return -1;
        value = value * 10 + (c - '0');
    }
    *at += n;
    return value;
}

static bool mark(struct leat_span text, size_t *at, const char *one_of)
{
    if (*at >= text.size || text.data[*at] == 0 || !strchr(one_of, text.data[*at]))
        return false;
    ++*at;
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* ".123" at *at, in microseconds; further digits are cut. */
static bool read_fraction(struct leat_span text, size_t *at, int64_t *us)
{
    *us = 0;
    if (!mark(text, at, "."))
        return true;
    size_t begin = *at;
    int64_t unit = 100000;
    while (*at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9') {
        *us += (text.data[*at] - '0') * unit;
        unit /= 10;
        ++*at;
    }
    return *at > begin;
}

/* "Z" or "+02:00", in minutes east of UTC. */
static bool read_offset(struct leat_span text, size_t *at, int *minutes)
{
    *minutes = 0;
    if (mark(text, at, "Zz"))
        return true;
    bool west = *at < text.size && text.data[*at] == '-';
    if (!mark(text, at, "+-"))
        return false;
    int h = digits(text, at, 2);
    bool colon = mark(text, at, ":");
    int m = digits(text, at, 2);
    if (h < 0 || h > 23 || !colon || m < 0 || m > 59)
        return false;
    *minutes = (h * 60 + m) * (west ? -1 : 1);
    return true;
}

bool text_time_parse(struct leat_span text, int64_t *us)
{
    size_t at = 0;
    int year = digits(text, &at, 4);
    bool ok = mark(text, &at, "-");
    int month = digits(text, &at, 2);
    ok = ok && mark(text, &at, "-");
    int day = digits(text, &at, 2);
    ok = ok && mark(text, &at, "Tt ");
    int hour = digits(text, &at, 2);
    ok = ok && mark(text, &at, ":");
    int minute = digits(text, &at, 2);
    ok = ok && mark(text, &at, ":");
    int second = digits(text, &at, 2);
    int64_t fraction;
    int offset;
    if (!ok || !read_fraction(text, &at, &fraction) || !read_offset(text, &at, &offset) ||
        at != text.size)
        return false;
    /* 60 is a leap second: RFC 3339 allows it; it counts as the next minute's first. */
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
                      (int64_t)offset * 60;
    *us = seconds * 1000000 + fraction;
    return *us >= time_first && *us <= time_last;
}

static bool read_published_at(const msgpack_object *record, struct text_record *out,
                              struct leat_why *why)
{
    const msgpack_object *value = leat_field(record, "published_at");
    if (!value)
        return true;
    out->has_published_at = true;
    if (value->type == MSGPACK_OBJECT_STR) {
        struct leat_span text = {(const uint8_t *)value->via.str.ptr, value->via.str.size};
        if (text_time_parse(text, &out->published_at))
            return true;
        return leat_refuse(why, "published_at_format",
                           "\"published_at\" is no RFC 3339 time such as 2026-01-31T12:00:00Z");
    }
    if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER && value->via.u64 <= (uint64_t)time_last)
        out->published_at = (int64_t)value->via.u64;
    else if (value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && value->via.i64 >= time_first)
        out->published_at = value->via.i64;
    else if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
             value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return leat_refuse(
            why, "published_at_range",
            "\"published_at\" is outside the years 1 to 9999 (microseconds since 1970)");
    else
        return leat_refuse(
            why, "published_at_type",
            "\"published_at\" must be microseconds since 1970 or an RFC 3339 string");
    return true;
}

bool text_record_read(const msgpack_object *record, const struct leat_flow_limits *limits,
                      struct text_record *out, struct leat_why *why)
{
    static const struct leat_string_rule id = {"id",      true,       TEXT_ID_MAX,  "id_missing",
                                               "id_type", "id_empty", "id_too_long"};
    static const struct {
        struct leat_string_rule rule;
        size_t at;
    } optional[] = {
        {{"source_type", false, TEXT_SOURCE_TYPE_MAX, NULL, "source_type_type", NULL,
          "source_type_too_long"},
         offsetof(struct text_record, source_type)},
        {{"platform", false, TEXT_SOURCE_TYPE_MAX, NULL, "platform_type", NULL,
          "platform_too_long"},
         offsetof(struct text_record, platform)},
        {{"lang", false, TEXT_LANG_MAX, NULL, "lang_type", NULL, "lang_too_long"},
         offsetof(struct text_record, lang)},
        {{"url", false, TEXT_URL_MAX, NULL, "url_type", NULL, "url_too_long"},
         offsetof(struct text_record, url)},
        {{"author", false, TEXT_AUTHOR_MAX, NULL, "author_type", NULL, "author_too_long"},
         offsetof(struct text_record, author)},
    };

    *out = (struct text_record){0};
    if (record->type != MSGPACK_OBJECT_MAP)
        return leat_refuse(why, "record_not_map", "a record must be a map");
    struct leat_string_rule text = {"text",         true,        limits->text_max_bytes,
                                    "text_missing", "text_type", "text_empty",
                                    "text_too_long"};
    if (!leat_field_string(record, &id, &out->id, why) ||
        !leat_field_string(record, &text, &out->text, why))
        return false;
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
        struct leat_span *field = (struct leat_span *)((char *)out + optional[i].at);
        if (!leat_field_string(record, &optional[i].rule, field, why))
            return false;
    }
    return leat_field_bool(record, "verified", "verified_type", &out->verified, why) &&
           read_reach(record, &out->reach, why) && read_published_at(record, out, why) &&
           leat_field_version(record, why);
}
