#include "services/regress/kernel.h"

#include "services/regress/kernel_window.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kernel {
    const struct kernel_group *group;
    size_t n;
    struct kernel_window windows[];
};

static void make_window(struct kernel_window *self, size_t rows)
{
    const long double n = (long double)rows;
    const long double scale = sqrtl((n * n - 1) / 12);
    const long double k = 4 * (n * n - 4) / (5 * (n * n - 1));
    self->rows = rows;
    self->pairs = rows / 2;
    self->n = (double)n;
    self->nk = (double)(n * k);
    self->per_n = (double)(1 / n);
    self->per_nk = (double)(1 / (n * k));
    self->q_middle = -1;
    for (size_t i = 0; i < self->pairs; i++) {
        long double x = ((n - 1) / 2 - (long double)i) / scale;
        self->x_q[i][0] = (double)x;
        self->x_q[i][1] = (double)(x * x - 1);
    }
}

static const struct kernel_group *group_of(enum kernel_set set)
{
    if (set == KERNEL_PORTABLE)
        return &kernel_group_portable;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == KERNEL_AVX2 && __builtin_cpu_supports("avx2"))
        return &kernel_group_avx2;
    if (set == KERNEL_AVX512 && __builtin_cpu_supports("avx512f"))
        return &kernel_group_avx512;
#endif
    return NULL;
}

struct kernel *kernel_new(const struct series_windows *windows)
{
    struct kernel *self = malloc(sizeof *self + windows->n * sizeof *self->windows);
    if (!self) {
        fprintf(stderr, "leat: out of memory for the windows\n");
        abort();
    }
    self->n = windows->n;
    for (size_t i = 0; i < windows->n; i++)
        make_window(&self->windows[i], windows->items[i].rows);
    for (int set = KERNEL_PORTABLE; set <= KERNEL_AVX512; set++)
        kernel_use(self, (enum kernel_set)set);
    return self;
}

void kernel_destroy(struct kernel **self)
{
    free(*self);
    *self = NULL;
}

bool kernel_use(struct kernel *self, enum kernel_set set)
{
    const struct kernel_group *group = group_of(set);
    if (group)
        self->group = group;
    return group != NULL;
}

const char *kernel_set_name(const struct kernel *self)
{
    return self->group->name;
}

/* Fewer rows than a group has: fitted as a group on a copy that ends in zeros, which are of no
 * consequence for the other lanes. */
static void fit_some(const struct kernel_group *group, const struct kernel_window *window,
                     const double *y, size_t rows, double *out, size_t stride)
{
    double padded[SERIES_WINDOW_ROWS_MOST + KERNEL_GROUP_MOST] = {0};
    double fits[SERIES_METRICS * KERNEL_GROUP_MOST];
    memcpy(padded, y, (window->rows - 1 + rows) * sizeof *y);
    group->fit(window, padded, fits, KERNEL_GROUP_MOST);
    for (size_t m = 0; m < SERIES_METRICS; m++)
        memcpy(out + m * stride, fits + m * KERNEL_GROUP_MOST, rows * sizeof *out);
}

/* All rows of one window. */
static void fit_window(const struct kernel_group *group, const struct kernel_window *window,
                       const double *y, size_t n, size_t from, double *out, size_t stride)
{
    size_t row = from, whole = window->rows - 1; /* the first row whose window is whole */
    for (; row < n && row < whole; row++)
        for (size_t m = 0; m < SERIES_METRICS; m++)
            out[m * stride + row - from] = NAN;
    for (; row + group->rows <= n; row += group->rows)
        group->fit(window, y + row - whole, out + row - from, stride);
    if (row < n)
        fit_some(group, window, y + row - whole, n - row, out + row - from, stride);
}

void kernel_fit(const struct kernel *self, const double *y, size_t n, size_t from, double *out,
                size_t stride)
{
    for (size_t w = 0; w < self->n; w++)
        fit_window(self->group, &self->windows[w], y, n, from, out + w * SERIES_METRICS * stride,
                   stride);
}
