#include "services/runtime/settings_value.h"

#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"GB", INT64_C(1) << 30},
    {"MB", 1 << 20},
    {"KB", 1 << 10},
    {"B", 1},
    {"G", INT64_C(1) << 30},
    {"M", 1 << 20},
    {"K", 1 << 10},
    {"GiB", INT64_C(1) << 30},
    {"MiB", 1 << 20},
    {"KiB", 1 << 10},
    {"TB", INT64_C(1) << 40},
    {"", 1},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

/* A whole number, then one of the units. Sizes may be written in any case: nobody means millibytes.
 */
static bool parse_with_unit(const char *text, const struct unit *units, bool any_case, int64_t *out)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno)
        return false;
    while (*end == ' ')
        end++;
    if (number == 0 && *end == '\0') {
        *out = 0;
        return true;
    }
    for (const struct unit *unit = units; unit->name; unit++)
        if ((any_case ? strcasecmp(end, unit->name) : strcmp(end, unit->name)) == 0)
            return !__builtin_mul_overflow((int64_t)number, unit->factor, out);
    return false;
}

static bool parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (*digits < '0' || *digits > '9')
        return false;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool parse_real(const char *text, double *out)
{
    /* strtod also takes hexadecimal, nan and inf, which nobody writes on purpose. */
    if (text[0] == '\0' || strspn(text, "0123456789.+-eE") != strlen(text))
        return false;
    char *end;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool parse_bool(const char *text, int64_t *out)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1", NULL};
    for (int i = 0; words[i]; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2;
            return true;
        }
    return false;
}

static bool choice_has(const char *choices, const char *text)
{
    size_t size = strlen(text);
    for (const char *at = choices; *at;) {
        size_t word = strcspn(at, " ");
        if (word == size && size > 0 && memcmp(at, text, size) == 0)
            return true;
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

/* A number as one would write it in this unit: the largest one that divides it. */
static void show(enum leat_setting_type type, double value, char out[40])
{
    const struct unit *units = type == LEAT_SET_BYTES ? size_units : duration_units;
    if (type == LEAT_SET_BYTES || type == LEAT_SET_DURATION) {
        for (const struct unit *unit = units; unit->name && value != 0; unit++)
            if (value >= (double)unit->factor && fmod(value, (double)unit->factor) == 0) {
                snprintf(out, 40, "%.0f%s", value / (double)unit->factor, unit->name);
                return;
            }
    }
    snprintf(out, 40, "%.12g", value);
}

static bool expected(const struct leat_setting *row, const char *text, struct leat_error *err)
{
    const char *what = "";
    switch (row->type) {
    case LEAT_SET_BOOL:
        what = "yes or no";
        break;
    case LEAT_SET_INT:
        what = "a whole number";
        break;
    case LEAT_SET_BYTES:
        what = "a size such as 64KB, 16MB or 4GB";
        break;
    case LEAT_SET_DURATION:
        what = "a duration such as 250ms, 5s, 10m, 2h or 30d";
        break;
    case LEAT_SET_REAL:
        what = "a number";
        break;
    case LEAT_SET_CHOICE:
        return leat_fail(err, "expected one of: %s; got \"%.60s\"", row->choices, text);
    case LEAT_SET_STRING:
        break;
    }
    return leat_fail(err, "expected %s, got \"%.60s\"", what, text);
}

static bool in_bounds(const struct leat_setting *row, double value, const char *text,
                      struct leat_error *err)
{
    if ((row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max))
        return true;
    char low[40], high[40];
    show(row->type, row->min, low);
    show(row->type, row->max, high);
    return leat_fail(err, "must be from %s to %s, got \"%.60s\"", low, high, text);
}

bool settings_value_parse(const struct leat_setting *row, const char *text,
                          struct settings_number *out, struct leat_error *err)
{
    bool ok = true;
    *out = (struct settings_number){0};
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return leat_fail(err, "control characters (here byte 0x%02x) are not allowed", *c);
    if (!leat_wire_text_ok((struct leat_span){(const uint8_t *)text, strlen(text)}))
        return leat_fail(err, "expected text in UTF-8");
    switch (row->type) {
    case LEAT_SET_BOOL:
        ok = parse_bool(text, &out->integer);
        break;
    case LEAT_SET_INT:
        ok = parse_int(text, &out->integer);
        break;
    case LEAT_SET_BYTES:
        ok = parse_with_unit(text, size_units, true, &out->integer);
        break;
    case LEAT_SET_DURATION:
        ok = parse_with_unit(text, duration_units, false, &out->integer);
        break;
    case LEAT_SET_REAL:
        ok = parse_real(text, &out->real);
        return ok ? in_bounds(row, out->real, text, err) : expected(row, text, err);
    case LEAT_SET_CHOICE:
        return choice_has(row->choices, text) || expected(row, text, err);
    case LEAT_SET_STRING:
        return true;
    }
    return ok ? in_bounds(row, (double)out->integer, text, err) : expected(row, text, err);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t settings_distance(const char *a, const char *b)
{
    enum { NAME = 64 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= NAME || m >= NAME)
        return SIZE_MAX;
    size_t rows[NAME + 1][NAME + 1]; /* rows[i][j]: the first i bytes of a against j of b */
    for (size_t i = 0; i <= n; i++)
        rows[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t best = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, rows[i - 2][j - 2] + 1);
            rows[i][j] = best;
        }
    return rows[n][m];
}
