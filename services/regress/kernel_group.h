/* The fit of a group of windows, written once and compiled for each instruction set:
 * kernel_portable.c, kernel_avx2.c and kernel_avx512.c include this file, each with its own
 *
 *     GROUP_FIT        the function's name
 *     GROUP_LANES      doubles in a vector
 *     GROUP_VECTORS    vectors in a group: enough to hide the latency of additions
 *     group_sqrt(v)    the square root of every lane
 *
 * A lane is a window, and lanes do not touch each other. Every set makes the same operations in the
 * same order in every lane, none of them fused: that is why the bits are the same. */
#ifndef LEAT_REGRESS_KERNEL_GROUP_H
#define LEAT_REGRESS_KERNEL_GROUP_H

#include "services/regress/kernel_window.h"

#include <math.h>

enum { GROUP_ROWS = GROUP_LANES * GROUP_VECTORS };

_Static_assert((int)GROUP_ROWS <= (int)KERNEL_GROUP_MOST, "a group fits the kernel's scratch");

/* The second is for rows in memory, which lie at any multiple of 8. */
typedef double vector __attribute__((vector_size(GROUP_LANES * sizeof(double))));
typedef double vector_in_memory
    __attribute__((vector_size(GROUP_LANES * sizeof(double)), aligned(sizeof(double)), may_alias));
typedef int64_t lane_mask __attribute__((vector_size(GROUP_LANES * sizeof(double))));

#define GROUP_PART static inline __attribute__((always_inline))

/* What the figures follow from. */
struct group {
    vector first[GROUP_VECTORS]; /* y_0 */
    vector mean[GROUP_VECTORS];  /* ȳ - y_0 */
    vector a1[GROUP_VECTORS], a2[GROUP_VECTORS];
    vector ss_res[GROUP_VECTORS], e_sum[GROUP_VECTORS];
};

/* A pair of rows (i, j = n-1-i), as the sum and the difference of its values less y_0: q is even
 * and x is odd, so a2 has to do with sums only and a1 with differences only. */
struct pair {
    vector sum[GROUP_VECTORS];  /* d_i + d_j */
    vector gain[GROUP_VECTORS]; /* y_j - y_i */
};

GROUP_PART vector group_load(const double *y, size_t v)
{
    return *(const vector_in_memory *)(const void *)(y + v * GROUP_LANES);
}

/* Mean, a1 and a2; leaves the pairs behind. */
GROUP_PART void group_coefficients(struct group *g, struct pair *pairs,
                                   const struct kernel_window *w, const double *y)
{
    vector d_sum[GROUP_VECTORS] = {0}, x_sum[GROUP_VECTORS] = {0}, q_sum[GROUP_VECTORS] = {0};
#pragma GCC unroll 4
    for (size_t v = 0; v < GROUP_VECTORS; v++)
        g->first[v] = group_load(y, v);
    for (size_t i = 0; i < w->pairs; i++) {
        const double *early = y + i, *late = y + (w->rows - 1 - i);
        const double x = w->x_q[i][0], q = w->x_q[i][1];
#pragma GCC unroll 4
        for (size_t v = 0; v < GROUP_VECTORS; v++) {
            vector a = group_load(early, v), b = group_load(late, v);
            vector sum = (a - g->first[v]) + (b - g->first[v]);
            vector gain = b - a;
            d_sum[v] += sum;
            q_sum[v] += q * sum;
            x_sum[v] += x * gain;
            pairs[i].sum[v] = sum;
            pairs[i].gain[v] = gain;
        }
    }
    if (w->rows % 2 == 1) {
#pragma GCC unroll 4
        for (size_t v = 0; v < GROUP_VECTORS; v++) {
            vector d = group_load(y + w->pairs, v) - g->first[v];
            d_sum[v] += d;
            q_sum[v] += w->q_middle * d;
        }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < GROUP_VECTORS; v++) {
        g->mean[v] = d_sum[v] * w->per_n;
        g->a1[v] = x_sum[v] * w->per_n;
        g->a2[v] = q_sum[v] * w->per_nk;
    }
}

/* Sums of the residuals and of their squares. With E = e_i + e_j and D = e_j - e_i of a pair, e_i²
 * + e_j² = (E² + D²) / 2. */
GROUP_PART void group_residuals(struct group *g, const struct pair *pairs,
                                const struct kernel_window *w, const double *y)
{
    vector even[GROUP_VECTORS] = {0}, odd[GROUP_VECTORS] = {0}, e_sum[GROUP_VECTORS] = {0};
    vector mean_2[GROUP_VECTORS], a1_2[GROUP_VECTORS], a2_2[GROUP_VECTORS];
#pragma GCC unroll 4
    for (size_t v = 0; v < GROUP_VECTORS; v++) {
        mean_2[v] = g->mean[v] + g->mean[v];
        a1_2[v] = g->a1[v] + g->a1[v];
        a2_2[v] = g->a2[v] + g->a2[v];
    }
    for (size_t i = 0; i < w->pairs; i++) {
        const double x = w->x_q[i][0], q = w->x_q[i][1];
#pragma GCC unroll 4
        for (size_t v = 0; v < GROUP_VECTORS; v++) {
            vector e = (pairs[i].sum[v] - mean_2[v]) - a2_2[v] * q;
            vector d = pairs[i].gain[v] - a1_2[v] * x;
            e_sum[v] += e;
            even[v] += e * e;
            odd[v] += d * d;
        }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < GROUP_VECTORS; v++)
        g->ss_res[v] = 0.5 * (even[v] + odd[v]);
    if (w->rows % 2 == 1) {
#pragma GCC unroll 4
        for (size_t v = 0; v < GROUP_VECTORS; v++) {
            vector d = group_load(y + w->pairs, v) - g->first[v];
            vector e = (d - g->mean[v]) - g->a2[v] * w->q_middle;
            e_sum[v] += e;
            g->ss_res[v] += e * e;
        }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < GROUP_VECTORS; v++)
        g->e_sum[v] = e_sum[v];
}

GROUP_PART vector group_choose(lane_mask mask, vector yes, vector no)
{
    return (vector)(((lane_mask)yes & mask) | ((lane_mask)no & ~mask));
}

GROUP_PART vector group_abs(vector v)
{
    return (vector)((lane_mask)v & INT64_MAX);
}

/* The figures of the v-th vector. They are adopted where `sound` is 0 and not NaN, which it is
 * where one of them would be infinite; each undefined one is the same NaN everywhere, and no -0 is
 * left. */
GROUP_PART void group_figures(const struct group *g, const struct kernel_window *w, size_t v,
                              double *out, size_t stride)
{
    const vector zero = {0}, one = zero + 1, undefined = zero + (double)NAN;
    const vector a1 = g->a1[v], a2 = g->a2[v], ss_res = g->ss_res[v];
    vector figures[SERIES_METRICS];

    vector ss_tot = ss_res + (w->n * (a1 * a1) + w->nk * (a2 * a2));
    vector b = g->first[v] + (g->mean[v] - a2);
    vector r2 = 1 - ss_res / (ss_tot + 1e-10);
    vector mse = ss_res * w->per_n, e_mean = g->e_sum[v] * w->per_n;
    vector variance = mse - e_mean * e_mean;
    vector deviation = group_sqrt(group_choose(variance < 0, zero, variance));
    vector prediction = g->first[v] + (g->mean[v] + (a1 * w->x_q[0][0] + a2 * w->x_q[0][1]));
    vector lower = prediction - 1.96 * deviation, upper = prediction + 1.96 * deviation;
    vector sound = 0 * ss_tot + 0 * b + 0 * lower + 0 * upper;

    vector vertex_x = -a1 / (2 * a2 + 1e-10);
    vector vertex_y = (a2 * vertex_x + a1) * vertex_x + b;
    figures[SERIES_A2] = a2;
    figures[SERIES_A1] = a1;
    figures[SERIES_B] = b;
    figures[SERIES_R2] = r2;
    figures[SERIES_RMSE] = group_sqrt(mse);
    figures[SERIES_RESIDUAL_MEAN] = e_mean;
    figures[SERIES_RESIDUAL_STD] = deviation;
    figures[SERIES_PRED_INTERVAL_LOWER] = lower;
    figures[SERIES_PRED_INTERVAL_UPPER] = upper;
    figures[SERIES_PREDICTION] = prediction;
    figures[SERIES_VERTEX_X] =
        group_choose(0 * vertex_x + 0 * vertex_y == zero, vertex_x, undefined);
    figures[SERIES_VERTEX_Y] = group_choose(0 * vertex_y == zero, vertex_y, undefined);
    figures[SERIES_CURVATURE] = group_abs(a2);
    figures[SERIES_FIT_QUALITY] = group_choose(r2 < 0, zero, group_choose(r2 > 1, one, r2));
    figures[SERIES_EXTRAPOLATION_ERROR] = deviation / (group_abs(prediction) + 1e-10);
    for (size_t m = 0; m < SERIES_METRICS; m++)
        *(vector_in_memory *)(void *)(out + m * stride + v * GROUP_LANES) =
            group_choose(sound == zero, figures[m] + zero, undefined);
}

static void GROUP_FIT(const struct kernel_window *w, const double *y, double *out, size_t stride)
{
    struct group g;
    struct pair pairs[KERNEL_PAIRS_MOST];
    group_coefficients(&g, pairs, w, y);
    group_residuals(&g, pairs, w, y);
    for (size_t v = 0; v < GROUP_VECTORS; v++)
        group_figures(&g, w, v, out, stride);
}

#endif
