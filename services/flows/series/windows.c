#include "services/flows/series/windows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const series_metric_names[SERIES_METRICS] = {
    [SERIES_A2] = "a2",
    [SERIES_A1] = "a1",
    [SERIES_B] = "b",
    [SERIES_R2] = "r2",
    [SERIES_RMSE] = "rmse",
    [SERIES_RESIDUAL_MEAN] = "residual_mean",
    [SERIES_RESIDUAL_STD] = "residual_std",
    [SERIES_PRED_INTERVAL_LOWER] = "pred_interval_lower",
    [SERIES_PRED_INTERVAL_UPPER] = "pred_interval_upper",
    [SERIES_PREDICTION] = "prediction",
    [SERIES_VERTEX_X] = "vertex_x",
    [SERIES_VERTEX_Y] = "vertex_y",
    [SERIES_CURVATURE] = "curvature",
    [SERIES_FIT_QUALITY] = "fit_quality",
    [SERIES_EXTRAPOLATION_ERROR] = "extrapolation_error",
};

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

/* "NAME=ROWS", which ends at a comma or at the end; *text moves behind it. */
static bool parse_one(const char **text, struct series_window *out, struct leat_error *err)
{
    const char *at = *text;
    size_t size = strspn(at, name_characters);
    if (size == 0 || size > SERIES_WINDOW_NAME_MAX || at[size] != '=')
        return leat_fail(err,
                         "expected NAME=ROWS with a name of 1 to %d of a-z, 0-9 and _ at \"%.40s\"",
                         SERIES_WINDOW_NAME_MAX, at);
    memcpy(out->name, at, size);
    out->name[size] = 0;

    const char *digits = at + size + 1;
    size_t n_digits = strspn(digits, "0123456789");
    long rows = n_digits > 0 && n_digits < 10 ? strtol(digits, NULL, 10) : 0;
    char after = digits[n_digits];
    if ((after != 0 && after != ',') || rows < SERIES_WINDOW_ROWS_LEAST ||
        rows > SERIES_WINDOW_ROWS_MOST)
        return leat_fail(err, "window %s: expected %d to %d rows, got \"%.*s\"", out->name,
                         SERIES_WINDOW_ROWS_LEAST, SERIES_WINDOW_ROWS_MOST,
                         (int)strcspn(digits, ","), digits);
    out->rows = (size_t)rows;
    *text = digits + n_digits;
    return true;
}

static bool has(const struct series_windows *windows, const char *name)
{
    for (size_t i = 0; i < windows->n; i++)
        if (strcmp(windows->items[i].name, name) == 0)
            return true;
    return false;
}

bool series_windows_parse(const char *text, struct series_windows *out, struct leat_error *err)
{
    *out = (struct series_windows){0};
    for (;;) {
        struct series_window window;
        text += strspn(text, " ");
        if (!parse_one(&text, &window, err))
            return false;
        if (has(out, window.name))
            return leat_fail(err, "window %s is there twice", window.name);
        if (out->n == SERIES_WINDOWS_MOST)
            return leat_fail(err, "more than %d windows", SERIES_WINDOWS_MOST);
        out->items[out->n++] = window;
        if (window.rows > out->longest)
            out->longest = window.rows;
        if (*text == 0)
            return true;
        text++;
    }
}
