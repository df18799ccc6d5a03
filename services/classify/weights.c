#include "services/classify/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BASE_MOST = 1000,
};

/* Wider than the error that a few multiplications leave, far narrower than a decimal that means
 * something: what is this near below a half is a half. */
static const double NEARLY_HALF = 1e-9;

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool name_character(char c)
{
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

double weights_round(double value, unsigned decimals)
{
    static const double scales[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double scale = scales[decimals < 6 ? decimals : 6];
    double scaled = floor(fabs(value) * scale + 0.5 + NEARLY_HALF);
    return scaled == 0 ? 0 : copysign(scaled / scale, value);
}

void weights_options_init(struct weights_options *options)
{
    *options = (struct weights_options){
        .unknown_base = 1,
        .verified_factor = 1.5,
        .high_reach = 100000,
        .high_factor = 1.3,
        .middle_reach = 10000,
        .middle_factor = 1.1,
        .least = 1,
        .most = 5,
    };
    weights_parse_bases(options, WEIGHTS_DEFAULT_BASES, NULL);
}

static const struct weights_base *find_base(const struct weights_base *bases, size_t count,
                                            const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (bases[i].size != size)
            continue;
        size_t same = 0;
        while (same < size && bases[i].name[same] == lower(name[same]))
            same++;
        if (same == size)
            return &bases[i];
    }
    return NULL;
}

/* The part of [from, to) without the spaces around it. */
static void trim(const char **from, const char **to)
{
    while (*from < *to && **from == ' ')
        (*from)++;
    while (*from < *to && (*to)[-1] == ' ')
        (*to)--;
}

static bool parse_name(const char *from, const char *to, struct weights_base *base)
{
    trim(&from, &to);
    base->size = (size_t)(to - from);
    if (base->size == 0 || base->size > WEIGHTS_NAME_MAX)
        return false;
    for (size_t i = 0; i < base->size; i++) {
        if (!name_character(from[i]))
            return false;
        base->name[i] = lower(from[i]);
    }
    base->name[base->size] = '\0';
    return true;
}

static bool parse_value(const char *from, const char *to, double *value)
{
    trim(&from, &to);
    char digits[32];
    size_t size = (size_t)(to - from);
    if (size == 0 || size >= sizeof digits)
        return false;
    memcpy(digits, from, size);
    digits[size] = '\0';
    /* strtod would also take "inf", "nan" and hexadecimal. */
    if (strspn(digits, "0123456789.") != size)
        return false;
    char *end;
    *value = strtod(digits, &end);
    return end == digits + size && *value <= BASE_MOST;
}

/* Appends the pair in [from, to) to the bases. */
static bool parse_pair(const char *from, const char *to, struct weights_options *options,
                       struct leat_error *err)
{
    trim(&from, &to);
    int width = (int)(to - from < 80 ? to - from : 80);
    struct weights_base *base = &options->bases[options->base_count];
    const char *equals = memchr(from, '=', (size_t)(to - from));
    if (options->base_count == WEIGHTS_BASES_MAX)
        return leat_fail(err, "more than %d pairs", WEIGHTS_BASES_MAX);
    if (!equals)
        return leat_fail(err, "\"%.*s\" must be name=value", width, from);
    if (!parse_name(from, equals, base))
        return leat_fail(err, "\"%.*s\": the name must be 1 to %d letters, digits, '_', '-' or '.'",
                         width, from, WEIGHTS_NAME_MAX);
    if (find_base(options->bases, options->base_count, base->name, base->size))
        return leat_fail(err, "\"%.*s\": that name was given before", width, from);
    if (!parse_value(equals + 1, to, &base->value))
        return leat_fail(err, "\"%.*s\": the value must be a number from 0 to %d", width, from,
                         BASE_MOST);
    options->base_count++;
    return true;
}

bool weights_parse_bases(struct weights_options *options, const char *list, struct leat_error *err)
{
    struct weights_options parsed = *options;
    parsed.base_count = 0;
    for (bool more = list[strspn(list, " ")] != '\0'; more;) {
        const char *end = list + strcspn(list, ",");
        if (!parse_pair(list, end, &parsed, err))
            return false;
        more = *end == ',';
        list = end + 1;
    }
    *options = parsed;
    return true;
}

bool weights_options_check(const struct weights_options *options, struct leat_error *err)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"base of an unknown source", options->unknown_base},
        {"factor of a verified author", options->verified_factor},
        {"factor of a high reach", options->high_factor},
        {"factor of a middle reach", options->middle_factor},
        {"least influence", options->least},
        {"most influence", options->most},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value <= BASE_MOST))
            return leat_fail(err, "%s: must be a number from 0 to %d", numbers[i].name, BASE_MOST);
    if (options->least > options->most)
        return leat_fail(err, "least influence %g is above the most, %g", options->least,
                         options->most);
    if (options->middle_reach > options->high_reach)
        return leat_fail(err, "middle reach %llu is above the high one, %llu",
                         (unsigned long long)options->middle_reach,
                         (unsigned long long)options->high_reach);
    return true;
}

double weights_influence(const struct weights_options *options, const char *source_type,
                         size_t source_type_size, const char *platform, size_t platform_size,
                         bool verified, uint64_t reach)
{
    bool has_type = source_type && source_type_size > 0;
    const char *source = has_type ? source_type : platform;
    size_t size = has_type ? source_type_size : platform_size;
    const struct weights_base *base =
        source ? find_base(options->bases, options->base_count, source, size) : NULL;

    double weight = base ? base->value : options->unknown_base;
    if (verified)
        weight *= options->verified_factor;
    if (reach >= options->high_reach)
        weight *= options->high_factor;
    else if (reach >= options->middle_reach)
        weight *= options->middle_factor;
    return weights_round(fmin(fmax(weight, options->least), options->most), 2);
}

/* fmin and fmax drop NaN: NaN becomes 0. */
static double within_one(double value)
{
    return fmin(fmax(value, 0), 1);
}

double weights_confidence(double sentiment_score, double emotion_score)
{
    return weights_round((within_one(fabs(sentiment_score)) + within_one(emotion_score)) / 2, 3);
}
