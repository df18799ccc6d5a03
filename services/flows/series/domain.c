#include "services/flows/series/domain.h"

#include <math.h>

void series_idx(const double *close, size_t n, double base, double *out)
{
    for (size_t t = 0; t < n; t++)
        out[t] = 100 * close[t] / base;
}

void series_bqx(const double *idx, size_t n, double *out)
{
    for (size_t t = 0; t < n && t < SERIES_BQX_ROWS; t++)
        out[t] = (double)NAN;
    for (size_t t = SERIES_BQX_ROWS; t < n; t++) {
        double sum = 0;
        for (size_t i = 1; i <= SERIES_BQX_ROWS; i++)
            sum += idx[t - i] - idx[t];
        double value = (1 / idx[t]) * sum;
        out[t] = isfinite(value) ? value : (double)NAN;
    }
}
