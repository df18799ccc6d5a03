/* The tables of features: one for each domain, "features_idx", "features_bqx", … with a row for
 * each output row of a block: series, ts, version, origin, value (the domain's own; features_idx
 * has also close), then all figures of all windows, window-major: a2_w15 … extrapolation_error_agg.
 * NULL where undefined. The figures are stored straight from the packed result. */
#ifndef LEAT_SERIES_TABLE_H
#define LEAT_SERIES_TABLE_H

#include "services/flows/series/names.h"
#include "services/flows/series/windows.h"
#include "services/flows/table.h"

/* A list ended by NULL, one table for each name, in their order. Free it with series_tables_free.
 * Never NULL (without memory it ends the process). */
const struct leat_table *const *series_tables_make(const struct series_windows *windows,
                                                   const struct series_names *names);
void series_tables_free(const struct leat_table *const *tables);

#endif
