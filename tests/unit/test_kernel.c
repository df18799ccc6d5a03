/* The regression kernel against a plain fit of every window in 113-bit arithmetic. `test_kernel 1`
 * compares every row of the long series instead of every STRIDE-th. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/regress/kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef _Float128 wide;

static const char usual[] = "w15=15,w30=30,w45=45,w60=60,w75=75,agg=90";
static const enum kernel_set sets[] = {KERNEL_PORTABLE, KERNEL_AVX2, KERNEL_AVX512};
static size_t stride_of_long = 97;

/* --- the reference -------------------------------------------------------------------------- */

static wide wide_abs(wide x)
{
    return x < 0 ? -x : x;
}

static wide wide_sqrt(wide x)
{
    if (x <= 0)
        return 0;
    wide root = sqrtl((long double)x);
    for (int i = 0; i < 3; i++)
        root = (root + x / root) / 2;
    return root;
}

/* Solves a system of three equations by elimination with the largest pivot. */
static void solve(wide a[3][4], wide out[3])
{
    for (int c = 0; c < 3; c++) {
        int best = c;
        for (int r = c + 1; r < 3; r++)
            if (wide_abs(a[r][c]) > wide_abs(a[best][c]))
                best = r;
        for (int j = 0; j < 4; j++) {
            wide swap = a[c][j];
            a[c][j] = a[best][j];
            a[best][j] = swap;
        }
        for (int r = c + 1; r < 3; r++)
            for (int j = 3; j >= c; j--)
                a[r][j] -= a[r][c] / a[c][c] * a[c][j];
    }
    for (int r = 2; r >= 0; r--) {
        out[r] = a[r][3];
        for (int j = r + 1; j < 3; j++)
            out[r] -= a[r][j] * out[j];
        out[r] /= a[r][r];
    }
}

/* The parabola through n values by the normal equations, and its figures by the table's words.
 * Returns max |y - mean|. */
static wide reference(const double *y, size_t n, wide out[SERIES_METRICS])
{
    wide scale = wide_sqrt(((wide)n * (wide)n - 1) / 12), mean = 0, spread = 0;
    wide x[SERIES_WINDOW_ROWS_MOST], equations[3][4] = {{0}}, c[3];
    for (size_t i = 0; i < n; i++) {
        x[i] = ((wide)i - ((wide)n - 1) / 2) / scale;
        wide powers[3] = {1, x[i], x[i] * x[i]};
        for (int r = 0; r < 3; r++) {
            for (int j = 0; j < 3; j++)
                equations[r][j] += powers[r] * powers[j];
            equations[r][3] += powers[r] * (wide)y[i];
        }
        mean += (wide)y[i] / (wide)n;
    }
    solve(equations, c);

    wide ss_res = 0, ss_tot = 0, e_mean = 0;
    for (size_t i = 0; i < n; i++) {
        wide e = (wide)y[i] - (c[2] * x[i] * x[i] + c[1] * x[i] + c[0]);
        wide from_mean = (wide)y[i] - mean;
        ss_res += e * e;
        ss_tot += from_mean * from_mean;
        e_mean += e / (wide)n;
        spread = wide_abs(from_mean) > spread ? wide_abs(from_mean) : spread;
    }
    wide last = x[n - 1], r2 = 1 - ss_res / (ss_tot + 1e-10);
    wide deviation = wide_sqrt(ss_res / (wide)n - e_mean * e_mean);
    wide prediction = c[2] * last * last + c[1] * last + c[0];
    wide vertex = -c[1] / (2 * c[2] + 1e-10);
    out[SERIES_A2] = c[2];
    out[SERIES_A1] = c[1];
    out[SERIES_B] = c[0];
    out[SERIES_R2] = r2;
    out[SERIES_RMSE] = wide_sqrt(ss_res / (wide)n);
    out[SERIES_RESIDUAL_MEAN] = e_mean;
    out[SERIES_RESIDUAL_STD] = deviation;
    out[SERIES_PRED_INTERVAL_LOWER] = prediction - 1.96 * deviation;
    out[SERIES_PRED_INTERVAL_UPPER] = prediction + 1.96 * deviation;
    out[SERIES_PREDICTION] = prediction;
    out[SERIES_VERTEX_X] = vertex;
    out[SERIES_VERTEX_Y] = c[2] * vertex * vertex + c[1] * vertex + c[0];
    out[SERIES_CURVATURE] = wide_abs(c[2]);
    out[SERIES_FIT_QUALITY] = r2 < 0 ? 0 : r2 > 1 ? 1 : r2;
    out[SERIES_EXTRAPOLATION_ERROR] = deviation / (wide_abs(prediction) + 1e-10);
    return spread;
}

/* --- what is compared ----------------------------------------------------------------------- */

struct fixture {
    struct series_windows windows;
    struct kernel *kernel;
    size_t n;
    double *y, *out;
    wide worst; /* error on the five metrics that are promised, as a share of what is allowed */
};

static void setup_n(struct fixture *f, const char *windows, size_t n)
{
    struct leat_error err;
    memset(f, 0, sizeof *f);
    assert_true(series_windows_parse(windows, &f->windows, &err));
    f->kernel = kernel_new(&f->windows);
    f->n = n;
    f->y = calloc(n, sizeof *f->y);
    f->out = calloc(f->windows.n * SERIES_METRICS * n, sizeof *f->out);
    assert_true(f->y && f->out);
}

static void teardown(struct fixture *f)
{
    kernel_destroy(&f->kernel);
    kernel_destroy(&f->kernel);
    free(f->y);
    free(f->out);
}

/* xorshift64*: the same numbers everywhere, in [0, 1). */
static double chance(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)(*state * 0x2545f4914f6cdd1d >> 11) * 0x1p-53;
}

static void walk(double *y, size_t n, double start, double step)
{
    uint64_t state = 20121116;
    for (size_t i = 0; i < n; i++) {
        start += step * (chance(&state) + chance(&state) - 1);
        y[i] = start;
    }
}

static double figure(const struct fixture *f, size_t window, size_t metric, size_t row)
{
    return f->out[(window * SERIES_METRICS + metric) * f->n + row];
}

static void close_to(const struct fixture *f, size_t window, size_t metric, size_t row,
                     wide expected, wide allowed)
{
    double is = figure(f, window, metric, row);
    if (!isfinite(is) || wide_abs((wide)is - expected) > allowed)
        fail_msg("%s_%s of row %zu is %.17g, the reference %.20Lg, allowed %Lg",
                 series_metric_names[metric], f->windows.items[window].name, row, is,
                 (long double)expected, (long double)allowed);
}

/* All figures of one window that ends in `row`. The vertex is a quotient that may amplify any error
 * without bound: it is held against a2, a1 and b as they came out. */
static void compare(struct fixture *f, size_t window, size_t row)
{
    static const int promised[] = {SERIES_A2, SERIES_A1, SERIES_B, SERIES_RMSE, SERIES_PREDICTION};
    static const int likewise[] = {SERIES_RESIDUAL_MEAN, SERIES_RESIDUAL_STD,
                                   SERIES_PRED_INTERVAL_LOWER, SERIES_PRED_INTERVAL_UPPER,
                                   SERIES_CURVATURE};
    size_t n = f->windows.items[window].rows;
    wide is[SERIES_METRICS];
    wide spread = reference(f->y + row + 1 - n, n, is);
    wide own_error = 1e-30 * wide_abs((wide)f->y[row]); /* the reference's */
    for (size_t i = 0; i < 5; i++) {
        wide allowed = 1e-9 * wide_abs(is[promised[i]]) + 1e-12 * spread + own_error;
        wide error = wide_abs((wide)figure(f, window, (size_t)promised[i], row) - is[promised[i]]);
        close_to(f, window, (size_t)promised[i], row, is[promised[i]], allowed);
        if (allowed > 0 && error / allowed > f->worst)
            f->worst = error / allowed;
        allowed = 1e-9 * wide_abs(is[likewise[i]]) + 3e-12 * spread + own_error;
        close_to(f, window, (size_t)likewise[i], row, is[likewise[i]], allowed);
    }
    wide r2_allowed = 1e-9 * (1 - is[SERIES_R2]) + 1e-12;
    close_to(f, window, SERIES_R2, row, is[SERIES_R2], r2_allowed);
    close_to(f, window, SERIES_FIT_QUALITY, row, is[SERIES_FIT_QUALITY], r2_allowed);
    close_to(f, window, SERIES_EXTRAPOLATION_ERROR, row, is[SERIES_EXTRAPOLATION_ERROR],
             1e-9 * is[SERIES_EXTRAPOLATION_ERROR] +
                 1e-12 * (spread + 1e-10) / (wide_abs(is[SERIES_PREDICTION]) + 1e-10));

    wide a2 = figure(f, window, SERIES_A2, row), a1 = figure(f, window, SERIES_A1, row);
    wide b = figure(f, window, SERIES_B, row), vertex = figure(f, window, SERIES_VERTEX_X, row);
    wide divisor = 2 * (double)a2 + 1e-10;
    close_to(f, window, SERIES_VERTEX_X, row, -a1 / divisor, 1e-9 * wide_abs(a1 / divisor));
    wide y = a2 * vertex * vertex + a1 * vertex + b;
    close_to(f, window, SERIES_VERTEX_Y, row, y,
             1e-12 * (wide_abs(a2 * vertex * vertex) + wide_abs(a1 * vertex) + wide_abs(b)));
}

static void fit(struct fixture *f)
{
    kernel_fit(f->kernel, f->y, f->n, 0, f->out, f->n);
}

/* Fits f->y and compares every `stride`-th row of every window. */
static void compare_all(struct fixture *f, const char *name, size_t stride)
{
    fit(f);
    for (size_t w = 0; w < f->windows.n; w++)
        for (size_t row = f->windows.items[w].rows - 1; row < f->n; row += stride)
            compare(f, w, row);
    print_message("%s: largest error %.1Le of what is allowed\n", name, (long double)f->worst);
}

/* --- promises ------------------------------------------------------------------------------- */

static void a_million_rows_near_100_are_exact(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, usual, 1000000);
    walk(f.y, f.n, 100, 0.02);
    compare_all(&f, "near 100", stride_of_long);
    teardown(&f);
}

static void any_scale_and_shape_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double start, step;
    } shapes[] = {
        {"near-constant", 100, 3e-14},
        {"steps of single bits", 100, 1.5e-14},
        {"tiny", 1e-9, 1e-12},
        {"tiny and around 0", 0, 1e-9},
        {"huge", 1e9, 1e5},
        {"huge and near-constant", 1e9, 1e-6},
        {"far from 1", 1e150, 1e148},
        {"wild", 0, 1e9},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct fixture f;
        setup_n(&f, usual, 1000);
        walk(f.y, f.n, shapes[i].start, shapes[i].step);
        compare_all(&f, shapes[i].name, 1);
        teardown(&f);
    }
}

static void a_spike_in_a_flat_series_is_exact(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, usual, 600);
    for (size_t i = 0; i < f.n; i++)
        f.y[i] = i % 97 == 0 ? 1e9 : 1 + 1e-3 * (double)(i % 7);
    compare_all(&f, "spikes", 1);
    teardown(&f);
}

static void parabolas_are_found_again(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, usual, 500);
    for (size_t i = 0; i < f.n; i++)
        f.y[i] = 0.5 * (double)(i * i) - 40 * (double)i + 7; /* exact in float64 */
    compare_all(&f, "quadratic", 1);
    for (size_t w = 0; w < f.windows.n; w++)
        for (size_t row = f.windows.items[w].rows - 1; row < f.n; row++)
            assert_true(figure(&f, w, SERIES_R2, row) > 1 - 1e-15);
    teardown(&f);
}

static void a_constant_window_is_exact(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, usual, 300);
    for (size_t i = 0; i < f.n; i++)
        f.y[i] = 0.1;
    fit(&f);
    for (size_t w = 0; w < f.windows.n; w++)
        for (size_t row = f.windows.items[w].rows - 1; row < f.n; row++) {
            static const double is[SERIES_METRICS] = {
                [SERIES_B] = 0.1,
                [SERIES_R2] = 1,
                [SERIES_PRED_INTERVAL_LOWER] = 0.1,
                [SERIES_PRED_INTERVAL_UPPER] = 0.1,
                [SERIES_PREDICTION] = 0.1,
                [SERIES_VERTEX_Y] = 0.1,
                [SERIES_FIT_QUALITY] = 1,
            };
            for (size_t m = 0; m < SERIES_METRICS; m++) {
                double figured = figure(&f, w, m, row);
                assert_memory_equal(&figured, &is[m], sizeof figured); /* no -0 either */
            }
        }
    teardown(&f);
}

static void windows_of_any_length_are_exact(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, "z=3,a=4,b=5,c=6,d=7,e=16,f=17,g=100,h=255,i=511,j=512", 700);
    walk(f.y, f.n, 1.1, 0.001);
    compare_all(&f, "3 to 512 rows", 3);
    teardown(&f);
}

static void assert_near(double is, double expected, double allowed)
{
    if (!(fabs(is - expected) <= allowed))
        fail_msg("%.17g is not within %g of %.17g", is, allowed, expected);
}

/* The worked examples of the flow's definition: coefficients of w15 and what they predict. */
static void predictions_are_those_of_the_worked_examples(void **state)
{
    (void)state;
    static const double examples[][4] = {{.000324, .000736, -.000567, .001475},
                                         {-.000788, .000505, .000250, -.001002},
                                         {-.001856, -.000140, .000938, -.004161}};
    struct fixture f;
    setup_n(&f, "w15=15", 15);
    for (size_t e = 0; e < 3; e++) {
        double scale = sqrt((15 * 15 - 1) / 12.0);
        assert_near(7 / scale, 1.620185, 5e-7);
        for (size_t i = 0; i < 15; i++) {
            double x = ((double)i - 7) / scale;
            f.y[i] = examples[e][0] * x * x + examples[e][1] * x + examples[e][2];
        }
        fit(&f);
        assert_near(figure(&f, 0, SERIES_A2, 14), examples[e][0], 1e-15);
        assert_near(figure(&f, 0, SERIES_A1, 14), examples[e][1], 1e-15);
        assert_near(figure(&f, 0, SERIES_B, 14), examples[e][2], 1e-15);
        assert_near(figure(&f, 0, SERIES_PREDICTION, 14), examples[e][3], 2.5e-6);
    }
    teardown(&f);
}

/* Values of every kind, so that equal bits are equal bits everywhere. */
static void mixed(double *y, size_t n)
{
    walk(y, n, 100, 0.02);
    for (size_t i = n / 4; i < n / 2; i++)
        y[i] = 1e9 * (y[i] - 100);
    for (size_t i = n / 2; i < n / 2 + n / 8; i++)
        y[i] = 77.7;
    for (size_t i = n / 2 + n / 8; i < 3 * n / 4; i++)
        y[i] *= 1e-9;
    y[n / 3] = NAN;
    y[n / 5] = 1e200;
}

static void every_set_of_instructions_gives_the_same_bits(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, "w15=15,w30=30,odd=37,agg=90", 20011);
    mixed(f.y, f.n);
    size_t size = f.windows.n * SERIES_METRICS * f.n * sizeof *f.out;
    double *portable = malloc(size);
    assert_true(portable && kernel_use(f.kernel, KERNEL_PORTABLE));
    fit(&f);
    memcpy(portable, f.out, size);
    for (size_t i = 0; i < 3; i++) {
        if (!kernel_use(f.kernel, sets[i]))
            continue;
        memset(f.out, 0, size);
        fit(&f);
        print_message("%s\n", kernel_set_name(f.kernel));
        assert_memory_equal(f.out, portable, size);
    }
    free(portable);
    teardown(&f);
}

/* One call for the rows [from, to) of the whole, with `warmup` rows before them. */
static void fit_block(const struct fixture *f, size_t from, size_t to, size_t warmup, double *out,
                      size_t stride)
{
    double *copy = malloc((to - from + warmup) * sizeof *copy); /* so that ASan sees its ends */
    assert_non_null(copy);
    memcpy(copy, f->y + from - warmup, (to - from + warmup) * sizeof *copy);
    kernel_fit(f->kernel, copy, to - from + warmup, warmup, out, stride);
    free(copy);
}

static void any_cutting_gives_the_same_bits(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, "w15=15,w30=30,odd=37,agg=90", 3000);
    mixed(f.y, f.n);
    fit(&f);
    uint64_t random = 7;
    double *out = malloc(f.windows.n * SERIES_METRICS * f.n * sizeof *out);
    assert_non_null(out);
    for (size_t s = 0; s < 3; s++) {
        if (!kernel_use(f.kernel, sets[s]))
            continue;
        for (int round = 0; round < 5; round++)
            for (size_t from = 0, to; from < f.n; from = to) {
                to = from + 1 + (size_t)(chance(&random) * (round == 0 ? 3 : 400));
                to = to > f.n ? f.n : to;
                size_t more = (size_t)(chance(&random) * 50), warmup = 89 + more;
                fit_block(&f, from, to, warmup > from ? from : warmup, out, to - from);
                for (size_t c = 0; c < f.windows.n * SERIES_METRICS; c++)
                    assert_memory_equal(out + c * (to - from), f.out + c * f.n + from,
                                        (to - from) * sizeof *out);
            }
    }
    free(out);
    teardown(&f);
}

/* Are all figures of a window NaN (or, if not, all finite)? */
static void assert_undefined(const struct fixture *f, size_t window, size_t row, bool undefined)
{
    for (size_t m = 0; m < SERIES_METRICS; m++) {
        double is = figure(f, window, m, row);
        assert_true(undefined ? isnan(is) : isfinite(is));
    }
}

static void only_whole_windows_of_finite_values_are_defined(void **state)
{
    (void)state;
    static const double poison[] = {NAN, INFINITY, -INFINITY};
    for (size_t p = 0; p < 3; p++) {
        struct fixture f;
        setup_n(&f, "odd=15,even=30", 200);
        walk(f.y, f.n, 100, 0.02);
        f.y[100] = poison[p];
        fit(&f);
        for (size_t w = 0; w < f.windows.n; w++)
            for (size_t row = 0; row < f.n; row++) {
                size_t n = f.windows.items[w].rows;
                assert_undefined(&f, w, row, row + 1 < n || (row >= 100 && row < 100 + n));
            }
        teardown(&f);
    }
}

static void figures_out_of_range_are_undefined_and_never_infinite(void **state)
{
    (void)state;
    static const double levels[] = {1e100, 1e153, 1e154, 1e160, 1e200, 1e300, 1.7e308};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        struct fixture f;
        setup_n(&f, usual, 300);
        uint64_t random = 3;
        for (size_t i = 0; i < f.n; i++)
            f.y[i] = levels[l] * (2 * chance(&random) - 1);
        fit(&f);
        for (size_t w = 0; w < f.windows.n; w++)
            for (size_t row = f.windows.items[w].rows - 1; row < f.n; row++) {
                assert_undefined(&f, w, row, !isfinite(figure(&f, w, SERIES_A2, row)));
                if (levels[l] < 1e153)
                    assert_undefined(&f, w, row, false);
                if (levels[l] > 1e159)
                    assert_undefined(&f, w, row, true);
            }
        teardown(&f);
    }
}

static void a_constant_at_the_end_of_the_range_is_defined(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, usual, 100);
    for (size_t i = 0; i < f.n; i++)
        f.y[i] = -1.7e308;
    fit(&f);
    assert_undefined(&f, 5, 99, false);
    assert_true(figure(&f, 5, SERIES_PREDICTION, 99) == -1.7e308);
    teardown(&f);
}

static void fewer_rows_than_any_window_are_undefined(void **state)
{
    (void)state;
    struct fixture f;
    setup_n(&f, usual, 14);
    walk(f.y, f.n, 1, 1);
    fit(&f);
    for (size_t w = 0; w < f.windows.n; w++)
        for (size_t row = 0; row < f.n; row++)
            assert_undefined(&f, w, row, true);
    kernel_fit(f.kernel, f.y, 0, 0, f.out, 0); /* no rows: nothing is written */
    teardown(&f);
}

static void windows_are_read_as_written(void **state)
{
    (void)state;
    struct series_windows windows;
    struct leat_error err;
    assert_true(series_windows_parse("w15=15, a_b=512,c=3", &windows, &err));
    assert_int_equal(windows.n, 3);
    assert_int_equal(windows.longest, 512);
    assert_string_equal(windows.items[1].name, "a_b");
    assert_int_equal(windows.items[2].rows, 3);
}

static void wrong_windows_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "w15",
        "w15=",
        "=15",
        "w15=2",
        "w15=513",
        "W15=15",
        "w15=15,",
        "w15=15;",
        "a=15,a=16",
        "w15=15 w30=30",
        "a=99999999999999999999",
        "a=15,,b=30",
        "12345678901234567=15",
        "a=3,b=3,c=3,d=3,e=3,f=3,g=3,h=3,i=3,j=3,k=3,l=3,m=3,n=3,o=3,p=3,q=3",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct series_windows windows;
        struct leat_error err = {""};
        assert_false(series_windows_parse(wrong[i], &windows, &err));
        assert_true(err.text[0]);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && atoi(argv[1]) > 0)
        stride_of_long = (size_t)atoi(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_rows_near_100_are_exact),
        cmocka_unit_test(any_scale_and_shape_is_exact),
        cmocka_unit_test(a_spike_in_a_flat_series_is_exact),
        cmocka_unit_test(parabolas_are_found_again),
        cmocka_unit_test(a_constant_window_is_exact),
        cmocka_unit_test(windows_of_any_length_are_exact),
        cmocka_unit_test(predictions_are_those_of_the_worked_examples),
        cmocka_unit_test(every_set_of_instructions_gives_the_same_bits),
        cmocka_unit_test(any_cutting_gives_the_same_bits),
        cmocka_unit_test(only_whole_windows_of_finite_values_are_defined),
        cmocka_unit_test(figures_out_of_range_are_undefined_and_never_infinite),
        cmocka_unit_test(a_constant_at_the_end_of_the_range_is_defined),
        cmocka_unit_test(fewer_rows_than_any_window_are_undefined),
        cmocka_unit_test(windows_are_read_as_written),
        cmocka_unit_test(wrong_windows_are_refused),
    };
    return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
