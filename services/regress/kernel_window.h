/* One window's constants, and the fit of a group of windows. Private to the kernel. */
#ifndef LEAT_REGRESS_KERNEL_WINDOW_H
#define LEAT_REGRESS_KERNEL_WINDOW_H

#include "services/flows/series/windows.h"

#include <stdint.h>

enum {
    KERNEL_PAIRS_MOST = SERIES_WINDOW_ROWS_MOST / 2,
    KERNEL_GROUP_MOST = 32, /* rows of a group, with any set of instructions */
};

/* Positions lie symmetric about the window's centre, x_{n-1-i} = -x_i and q_{n-1-i} = q_i, so rows
 * are taken in pairs (i, n-1-i), from the outside in. Everything here is computed in long double
 * and rounded once. */
struct kernel_window {
    size_t rows, pairs;               /* n, n / 2 */
    double n, nk;                     /* n, n·k */
    double per_n, per_nk;             /* 1 / n, 1 / (n·k) */
    double q_middle;                  /* q of the middle row, when n is odd */
    double x_q[KERNEL_PAIRS_MOST][2]; /* x and q of the later row of each pair */
};

/* Fits the windows that end in the consecutive rows of a group: `rows` of the set below. `y` is the
 * first value of the first of these windows. Metric m of the g-th goes to out[m * stride + g]. */
typedef void kernel_fit_group(const struct kernel_window *window, const double *y, double *out,
                              size_t stride);

struct kernel_group {
    const char *name;
    kernel_fit_group *fit;
    size_t rows;
};

extern const struct kernel_group kernel_group_portable;
#if defined(__x86_64__)
extern const struct kernel_group kernel_group_avx2;
extern const struct kernel_group kernel_group_avx512;
#endif

#endif
