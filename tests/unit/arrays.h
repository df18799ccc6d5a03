/* Arrays for tests of what computes. */
#ifndef TESTS_UNIT_ARRAYS_H
#define TESTS_UNIT_ARRAYS_H

#include <math.h>
#include <stdlib.h>

/* Zeroed, at least one item; to be freed. */
static inline void *arrays_make(size_t n, size_t size)
{
    void *out = calloc(n ? n : 1, size);
    if (!out)
        abort();
    return out;
}

/* NaN when there is one in either. */
static inline double arrays_difference(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        most = isnan(most) || difference <= most ? most : difference;
    }
    return most;
}

#endif
