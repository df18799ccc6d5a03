/* A picture of a series and one of its features, drawn by gnuplot. */
#ifndef LEAT_CLI_PICTURE_H
#define LEAT_CLI_PICTURE_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

/* One row; NaN is undefined. */
struct picture_point {
    int64_t ts; /* microseconds since 1970 */
    double close, value, feature;
};

struct picture {
    const char *series, *domain, *metric; /* names; the metric with its window */
    bool level;         /* the feature is of the domain's own scale: a fit, not how good it is */
    const char *output; /* a path that ends in .svg or .png */
    int width, height;  /* pixels */
    struct picture_point *points; /* in the order of time; thinned out in place */
    size_t n;                     /* 1 or more */
};

/* False: gnuplot is not installed, or could not draw. */
bool picture_draw(struct picture *self, struct leat_error *err);

#endif
