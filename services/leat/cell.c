#include "services/leat/cell.h"

#include "services/flows/text/record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    REAL_MAX = 400, /* bytes of a number: every float64 can be written in fewer */
    TIME_MAX = 64,
    SHOWN = 40, /* bytes of a cell in a message */
};

static const int64_t time_first = -2208988800000000; /* year 1900 */
static const int64_t time_last = 7289654399999999;   /* the end of year 2200 */

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

struct leat_span cell_trim(struct leat_span cell)
{
    while (cell.size > 0 && (cell.data[0] == ' ' || cell.data[0] == '\t')) {
        cell.data++;
        cell.size--;
    }
    while (cell.size > 0 && (cell.data[cell.size - 1] == ' ' || cell.data[cell.size - 1] == '\t'))
        cell.size--;
    return cell;
}

static size_t skip_digits(struct leat_span text, size_t *at)
{
    size_t begin = *at;
    while (*at < text.size && is_digit(text.data[*at]))
        ++*at;
    return *at - begin;
}

static void skip_sign(struct leat_span text, size_t *at)
{
    if (*at < text.size && (text.data[*at] == '-' || text.data[*at] == '+'))
        ++*at;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or behind the point. */
static bool is_decimal(struct leat_span text)
{
    size_t at = 0, n;
    skip_sign(text, &at);
    n = skip_digits(text, &at);
    if (at < text.size && text.data[at] == '.') {
        at++;
        n += skip_digits(text, &at);
    }
    if (n == 0)
        return false;
    if (at < text.size && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        skip_sign(text, &at);
        if (skip_digits(text, &at) == 0)
            return false;
    }
    return at == text.size;
}

/* As programs write what is no finite number. */
static bool is_not_finite(const char *text)
{
    static const char *const words[] = {"nan", "inf", "infinity", "1.#inf", "1.#qnan", NULL};
    text += *text == '-' || *text == '+';
    for (size_t i = 0; words[i]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static bool refuse(struct draft_why *why, const char *prefix, const char *suffix, const char *name,
                   struct leat_span cell, const char *expected)
{
    char code[sizeof why->code];
    snprintf(code, sizeof code, "%.20s_%s", prefix, suffix);
    if (cell.size == 0)
        return draft_refuse(why, code, "%s is empty", name);
    return draft_refuse(why, code, "%s is '%.*s'; expected %s", name,
                        (int)leat_wire_text_prefix(cell, SHOWN), (const char *)cell.data, expected);
}

bool cell_real(struct leat_span cell, const char *prefix, const char *name, double *out,
               struct draft_why *why)
{
    static const char expected[] = "a number", finite[] = "a finite number";
    char text[REAL_MAX + 1];
    cell = cell_trim(cell);
    if (cell.size == 0)
        return refuse(why, prefix, "missing", name, cell, expected);
    if (cell.size > REAL_MAX)
        return refuse(why, prefix, "value", name, cell, expected);
    memcpy(text, cell.data, cell.size);
    text[cell.size] = '\0';
    if (!is_decimal(cell))
        return is_not_finite(text) ? refuse(why, prefix, "not_finite", name, cell, finite)
                                   : refuse(why, prefix, "value", name, cell, expected);
    *out = strtod(text, NULL);
    return isfinite(*out) || refuse(why, prefix, "not_finite", name, cell, finite);
}

/* --- times --- */

static enum cell_unit unit_of(uint64_t whole)
{
    if (whole < (uint64_t)1e11)
        return CELL_SECONDS;
    if (whole < (uint64_t)1e14)
        return CELL_MILLISECONDS;
    return whole < (uint64_t)1e17 ? CELL_MICROSECONDS : CELL_NANOSECONDS;
}

/* "1700000000.25" of some unit. False: it is not written like that. *in_range: it is a moment. */
static bool read_number(struct leat_span cell, enum cell_unit *unit, int64_t *us, bool *in_range)
{
    size_t at = 0, digits;
    uint64_t whole = 0;
    bool huge = false;
    skip_sign(cell, &at);
    size_t begin = at;
    digits = skip_digits(cell, &at);
    for (size_t i = begin; i < at; i++) {
        huge = huge || whole > (uint64_t)9e17;
        whole = huge ? whole : whole * 10 + (uint64_t)(cell.data[i] - '0');
    }
    size_t fraction = at;
    if (at < cell.size && cell.data[at] == '.') {
        at++;
        digits += skip_digits(cell, &at);
    }
    if (digits == 0 || at != cell.size)
        return false;
    if (*unit == CELL_UNIT_UNKNOWN)
        *unit = unit_of(huge ? UINT64_MAX : whole);
    static const uint64_t us_each[] = {[CELL_SECONDS] = 1000000,
                                       [CELL_MILLISECONDS] = 1000,
                                       [CELL_MICROSECONDS] = 1,
                                       [CELL_NANOSECONDS] = 0};
    uint64_t each = us_each[*unit];
    *in_range = !huge && (each == 0 || whole < (uint64_t)INT64_MAX / 2 / each);
    uint64_t value = each == 0 ? whole / 1000 : whole * each;
    for (size_t i = fraction + 1; i < cell.size && each > 1; i++) {
        each /= 10;
        value += (uint64_t)(cell.data[i] - '0') * each;
    }
    *us = cell.data[0] == '-' ? -(int64_t)value : (int64_t)value;
    return true;
}

/* Does it end with an offset: Z, or a sign and 02:00 behind the time? */
static bool has_offset(const char *text, size_t size)
{
    return text[size - 1] == 'Z' || text[size - 1] == 'z' ||
           (size > 16 && (text[size - 6] == '+' || text[size - 6] == '-'));
}

/* What is missing of RFC 3339 is filled in, and then it is that. */
static bool read_date(struct leat_span cell, int64_t *us)
{
    char text[TIME_MAX + 16];
    if (cell.size < 10 || cell.size > TIME_MAX)
        return false;
    memcpy(text, cell.data, cell.size);
    size_t size = cell.size;
    if (size == 10) {
        memcpy(text + size, "T00:00:00Z", 10);
        size += 10;
    } else {
        /* "2026-01-31 12:00", perhaps with an offset */
        if (size >= 16 && (size == 16 || text[16] != ':')) {
            memmove(text + 19, text + 16, size - 16);
            memcpy(text + 16, ":00", 3);
            size += 3;
        }
        if (!has_offset(text, size))
            text[size++] = 'Z';
    }
    return text_time_parse((struct leat_span){(const uint8_t *)text, size}, us);
}

bool cell_time(struct leat_span cell, enum cell_unit *unit, int64_t *us, struct draft_why *why)
{
    static const char name[] = "the time";
    bool in_range = true;
    cell = cell_trim(cell);
    if (cell.size == 0)
        return refuse(why, "ts", "missing", name, cell, "");
    if (!read_number(cell, unit, us, &in_range) && !read_date(cell, us))
        return refuse(why, "ts", "value", name, cell,
                      "a time such as 2026-01-31 12:00:00, or a number since 1970");
    if (!in_range || *us < time_first || *us > time_last)
        return refuse(why, "ts", "range", name, cell, "years 1900 to 2200");
    return true;
}
