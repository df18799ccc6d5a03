/* The row of the table of flows that makes series a flow. */
#include "services/flows/series/flow.h"

#include "services/flows/series/record.h"
#include "services/flows/series/result.h"
#include "services/flows/series/table.h"

bool series_settings_read(const struct leat_settings *settings, struct series_windows *windows,
                          struct series_names *names, struct leat_error *err)
{
    if (!series_windows_parse(leat_settings_str(settings, "regress.windows"), windows, err))
        return leat_fail_in(err, "setting regress.windows");
    if (!series_names_parse(leat_settings_str(settings, "series.columns"), names, err))
        return leat_fail_in(err, "setting series.columns");
    return true;
}

size_t series_longest(const struct leat_settings *settings)
{
    struct series_windows windows;
    bool good =
        series_windows_parse(leat_settings_str(settings, "regress.windows"), &windows, NULL);
    return good ? windows.longest : 0;
}

size_t series_growth(const struct series_windows *windows, const struct series_names *names)
{
    size_t of_domain = 8 * (1 + windows->n * SERIES_METRICS); /* bytes, for a row */
    size_t of_close = 2 * of_domain / (8 + 1) + 1;
    size_t of_columns = names->n * of_domain / (8 + names->n) + 1;
    return of_close > of_columns ? of_close : of_columns;
}

static size_t growth_factor(const struct leat_settings *settings)
{
    struct series_windows windows;
    struct series_names names;
    return series_settings_read(settings, &windows, &names, NULL) ? series_growth(&windows, &names)
                                                                  : 0;
}

static bool check_settings(const struct leat_settings *settings, struct leat_error *err)
{
    struct series_windows windows;
    struct series_names names;
    return series_settings_read(settings, &windows, &names, err);
}

static bool check(const msgpack_object *object, const struct leat_flow_limits *limits,
                  struct leat_why *why)
{
    struct series_names names;
    struct series_record record;
    const struct series_limits own = {
        .max_rows = limits->series_max_rows, .longest = limits->series_longest, .names = &names};
    series_names_parse(limits->series_columns, &names, NULL); /* was checked at the start */
    return series_record_read(object, &own, &record, why);
}

static struct leat_span key(const msgpack_object *record)
{
    struct leat_span name = {0};
    leat_wire_str(record, "series", &name);
    return name.size <= SERIES_NAME_MAX && leat_wire_text_ok(name) ? name : (struct leat_span){0};
}

static const struct leat_table *const *make_tables(const struct leat_settings *settings,
                                                   struct leat_error *err)
{
    struct series_windows windows;
    struct series_names names;
    return series_settings_read(settings, &windows, &names, err)
               ? series_tables_make(&windows, &names)
               : NULL;
}

static const char *const stages[] = {"regress", "persist", NULL};

_Static_assert((int)SERIES_RESULT_HEAD_MAX <= (int)SERIES_GROWTH, "a head is within the growth");

const struct leat_flow series_flow = {
    .kind = "series",
    .stages = stages,
    .growth = SERIES_GROWTH,
    .growth_factor = growth_factor,
    .check_settings = check_settings,
    .check = check,
    .key = key,
    .last_ts = series_last_time,
    .make_tables = make_tables,
    .free_tables = series_tables_free,
};
