/* The domains that are derived from a series' closes. Every operation is one of float64, in the
 * order written here, none fused: the same bits everywhere. */
#ifndef LEAT_SERIES_DOMAIN_H
#define LEAT_SERIES_DOMAIN_H

#include <stddef.h>

enum { SERIES_BQX_ROWS = 15 }; /* rows that bqx looks back on */

/* idx(t) = (100 · close(t)) / base, for n rows. */
void series_idx(const double *close, size_t n, double base, double *out);

/* bqx(t) = (1 / r_t) · Σ_{i=1..15} (r_{t-i} - r_t) with r = idx, added from i = 1 on: how far the
 * last fifteen rows lie above the current one. NaN (undefined) for the first fifteen rows and where
 * the result is not finite (r_t = 0). */
void series_bqx(const double *idx, size_t n, double *out);

#endif
