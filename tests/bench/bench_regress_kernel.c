/* How many windows one core fits in a second, with all fifteen figures of each:
 * `bench_regress_kernel [portable|avx2|avx512]`, by default with the fastest set of instructions.
 * Blocks, windows and rows are those of the defaults; the figure is the median of ROUNDS. Time is
 * the time on the core, which others on this machine do not lengthen. */
#include "services/regress/kernel.h"

#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 15, BLOCKS = 200, OUTPUT_ROWS = 2000 };

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool choose(struct kernel *kernel, const char *name)
{
    for (int set = KERNEL_PORTABLE; set <= KERNEL_AVX512; set++)
        if (kernel_use(kernel, (enum kernel_set)set) && strcmp(kernel_set_name(kernel), name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct series_windows windows;
    struct leat_error err;
    if (!series_windows_parse(SERIES_WINDOWS_DEFAULT, &windows, &err))
        return 1;
    struct kernel *kernel = kernel_new(&windows);
    if (argc > 1 && !choose(kernel, argv[1])) {
        fprintf(stderr, "bench_regress_kernel: this processor has no \"%s\"\n", argv[1]);
        return 2;
    }
    size_t warmup = windows.longest - 1, n = warmup + OUTPUT_ROWS;
    double *y = calloc(n, sizeof *y), rates[ROUNDS], level = 100;
    double *out = calloc(windows.n * SERIES_METRICS * OUTPUT_ROWS, sizeof *out);
    if (!y || !out)
        return 1;
    uint32_t random = 1;
    for (size_t i = 0; i < n; i++) {
        random = random * 1664525 + 1013904223;
        level += ((double)random / 4294967296.0 - 0.5) * 0.02;
        y[i] = level;
    }
    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_s();
        for (int block = 0; block < BLOCKS; block++)
            kernel_fit(kernel, y, n, warmup, out, OUTPUT_ROWS);
        rates[round] = (double)windows.n * OUTPUT_ROWS * BLOCKS / (cpu_s() - begin);
    }
    qsort(rates, ROUNDS, sizeof *rates, compare);
    fprintf(stderr, "%s instructions\n", kernel_set_name(kernel));
    printf("regress_kernel %.0f fits/s\n", rates[ROUNDS / 2]);
    free(out);
    free(y);
    kernel_destroy(&kernel);
    return 0;
}
