/* Rolling quadratic regression: a parabola fitted by least squares to every window of a run of
 * rows, and fifteen figures of each fit. A pure function over arrays.
 *
 * A window of n rows ends with its row t and holds y_0 … y_{n-1} = y[t-n+1] … y[t]. Positions are
 * centred and scaled to variance 1:
 *
 *     x_i = (i - (n-1)/2) / s    s = sqrt((n² - 1) / 12)    q_i = x_i² - 1
 *
 * On such positions 1, x and q are orthogonal (x is odd, q is even with mean 0), so the normal
 * equations of ŷ = a2·x² + a1·x + b fall apart into three quotients:
 *
 *     a1 = Σ x_i·y_i / n             because Σ x² = n
 *     a2 = Σ q_i·y_i / (n·k)         Σ q² = n·k, k = 4(n² - 4) / (5(n² - 1))
 *     b  = ȳ - a2                    because x² = q + 1
 *     SStot = SSres + n·a1² + n·k·a2²   (Pythagoras: a sum of squares, nothing cancels)
 *
 *     a2 a1 b                 as above, in units of y
 *     r2                      1 - SSres / (SStot + 1e-10)
 *     rmse                    sqrt(SSres / n)
 *     residual_mean           mean of e_i = y_i - ŷ_i: 0 but for rounding
 *     residual_std            population standard deviation of e
 *     prediction              ŷ_{n-1}
 *     pred_interval_lower     prediction - 1.96·residual_std
 *     pred_interval_upper     prediction + 1.96·residual_std
 *     vertex_x                -a1 / (2·a2 + 1e-10), in units of x
 *     vertex_y                a2·vx² + a1·vx + b
 *     curvature               |a2|
 *     fit_quality             r2 clipped to [0, 1]
 *     extrapolation_error     residual_std / (|prediction| + 1e-10)
 *
 * Ensures:
 *  1. Accuracy: on a2, a1, b, rmse and prediction the error is at most 1e-9 of the true value plus
 *     1e-12 of the window's max |y - ȳ| (measured: below 1e-14 of it). Sums are over y_i - y_0,
 *     which is exact where values are close to each other, so a large level costs nothing; SSres is
 *     summed from the residuals themselves. A constant window is exact: a2 = a1 = 0, r2 = 1.
 *  2. Bits: every window is computed on its own, in an order that only n determines, without fused
 *     multiply-add. So a row's figures depend on its window's values alone: not on how the rows
 *     were cut into calls, nor on their place in a call, nor on the processor's instruction set.
 *  3. Undefined is NaN, and everything else is finite. All figures of a window are NaN when it
 *     is not whole (fewer than n rows up to t), when one of its values is not finite, or when
 *     its figures leave the range of a float64 (values about 1e154 apart). vertex_x and vertex_y
 *     are also NaN by themselves, where 2·a2 is exactly -1e-10 or the vertex is out of that
 *     range. Differences below about 1e-154 vanish when they are squared: rmse is then 0. */
#ifndef LEAT_REGRESS_KERNEL_H
#define LEAT_REGRESS_KERNEL_H

#include "services/flows/series/windows.h"

/* What the fits are computed with; every one gives the same bits. */
enum kernel_set { KERNEL_PORTABLE, KERNEL_AVX2, KERNEL_AVX512 };

struct kernel;

/* For these windows, with the fastest set that this processor has. Never NULL (without memory it
 * ends the process). A kernel is not changed by use: threads may share it. */
struct kernel *kernel_new(const struct series_windows *windows);
void kernel_destroy(struct kernel **self);

/* Chooses a set; false when this processor (or this build) does not have it. */
bool kernel_use(struct kernel *self, enum kernel_set set);

/* "portable", "avx2", "avx512". */
const char *kernel_set_name(const struct kernel *self);

/* Fits every window that ends in one of the rows `from` to `n - 1` of `y`; rows before serve as
 * their windows' earlier rows. Metric m of window w that ends in row t goes to
 *
 *     out[(w * SERIES_METRICS + m) * stride + (t - from)]
 *
 * which is written for every row: stride ≥ n - from. `y` and `out` need no alignment beyond a
 * double's and do not overlap. */
void kernel_fit(const struct kernel *self, const double *y, size_t n, size_t from, double *out,
                size_t stride);

#endif
