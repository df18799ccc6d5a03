/* How much a text counts: by who said it, and by how sure its classification is.
 *
 * Both numbers depend on the record's own fields (and on its scores), so they are computed for
 * cached results as well. Pure functions: no allocation, nothing kept.
 *
 * Rounding (weights_round) is to the nearest decimal, halves away from zero, and "half" is meant in
 * decimal: a product that should be 1.005 but is 1.00499999999999989 in binary becomes 1.01. The
 * result is the double nearest to the decimal, so it prints as the decimal. */
#ifndef LEAT_CLASSIFY_WEIGHTS_H
#define LEAT_CLASSIFY_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"

enum {
    WEIGHTS_BASES_MAX = 64, /* pairs in a list of bases */
    WEIGHTS_NAME_MAX = 63,  /* bytes in a source's name */
};

/* What weights_options_init puts in, in the form that weights_parse_bases reads. */
#define WEIGHTS_DEFAULT_BASES                                                                      \
    "presidency_statement=5,national_media=4,verified_influencer=3,regional_media=2,"              \
    "citizen_post=1,news=4,rss=3,youtube=2,twitter=1,facebook=1"

struct weights_base {
    char name[WEIGHTS_NAME_MAX + 1]; /* lower case */
    size_t size;
    double value;
};

struct weights_options {
    struct weights_base bases[WEIGHTS_BASES_MAX];
    size_t base_count;
    double unknown_base;    /* 1: the source is not in the list, or not given */
    double verified_factor; /* 1.5 */
    uint64_t high_reach;    /* 100 000: from here on ... */
    double high_factor;     /* ... 1.3 */
    uint64_t middle_reach;  /* 10 000: else from here on ... */
    double middle_factor;   /* ... 1.1 */
    double least;           /* 1: the result is clamped to [least, most] */
    double most;            /* 5 */
};

/* Fills in the defaults given above. */
void weights_options_init(struct weights_options *options);

/* Replaces the bases by those of `list`, "name=value,name=value,…": names of letters, digits and
 * "_-.", in any case, each once; values from 0 to 1000; spaces around names and values are skipped;
 * an empty list is allowed (then every base is `unknown_base`). On failure the bases stay as they
 * were and the reason quotes the pair. */
bool weights_parse_bases(struct weights_options *options, const char *list, struct leat_error *err);

/* Whether the numbers make sense together (finite, not negative, bounds in order). */
bool weights_options_check(const struct weights_options *options, struct leat_error *err);

/* base x verified_factor (if verified) x high_factor or middle_factor (by reach), clamped, 2
 * decimals. The base is that of `source_type`; of `platform` if there is no source type; else
 * unknown_base. A source type that is given but not in the list does not fall back on the platform.
 * Names are compared without regard to ASCII case; a NULL or empty one counts as absent. */
double weights_influence(const struct weights_options *options, const char *source_type,
                         size_t source_type_size, const char *platform, size_t platform_size,
                         bool verified, uint64_t reach);

/* Mean of |sentiment_score| and emotion_score, in [0, 1], 3 decimals. Out of range inputs are
 * clamped, NaN counts as 0. */
double weights_confidence(double sentiment_score, double emotion_score);

/* `value` to `decimals` (0-6) decimals by the rule at the top of this file. */
double weights_round(double value, unsigned decimals);

#endif
