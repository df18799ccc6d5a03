/* The windows over which features are computed, and the features' names: together they give the
 * columns of the feature tables. */
#ifndef LEAT_SERIES_WINDOWS_H
#define LEAT_SERIES_WINDOWS_H

#include "proto/error.h"

#include <stddef.h>

/* What is found in one window, in the order in which it is computed, packed and stored. What each
 * one is: services/regress/kernel.h. */
enum series_metric {
    SERIES_A2,
    SERIES_A1,
    SERIES_B,
    SERIES_R2,
    SERIES_RMSE,
    SERIES_RESIDUAL_MEAN,
    SERIES_RESIDUAL_STD,
    SERIES_PRED_INTERVAL_LOWER,
    SERIES_PRED_INTERVAL_UPPER,
    SERIES_PREDICTION,
    SERIES_VERTEX_X,
    SERIES_VERTEX_Y,
    SERIES_CURVATURE,
    SERIES_FIT_QUALITY,
    SERIES_EXTRAPOLATION_ERROR,
    SERIES_METRICS,
};

extern const char *const series_metric_names[SERIES_METRICS];

enum {
    SERIES_WINDOWS_MOST = 16,     /* 240 columns of metrics: a row of the store stays on its page */
    SERIES_WINDOW_ROWS_LEAST = 3, /* a parabola has three coefficients */
    SERIES_WINDOW_ROWS_MOST = 512, /* what the kernel keeps of one window stays in the cache */
    SERIES_WINDOW_NAME_MAX = 16,   /* bytes; with the metric's name it is a column's name */
};

/* regress.windows by default. */
#define SERIES_WINDOWS_DEFAULT "w15=15,w30=30,w45=45,w60=60,w75=75,agg=90"

struct series_window {
    char name[SERIES_WINDOW_NAME_MAX + 1]; /* [a-z0-9_]: "w15" */
    size_t rows;                           /* the current row included */
};

struct series_windows {
    struct series_window items[SERIES_WINDOWS_MOST];
    size_t n;
    size_t longest; /* rows of the longest one */
};

/* Reads "w15=15,w30=30,agg=90": names, each once, and their rows. false with the reason. */
bool series_windows_parse(const char *text, struct series_windows *out, struct leat_error *err);

#endif
