/* What the settings say about series, read for every part of the flow alike. */
#ifndef LEAT_SERIES_FLOW_H
#define LEAT_SERIES_FLOW_H

#include "services/flows/flow.h"
#include "services/flows/series/names.h"
#include "services/flows/series/windows.h"

/* Reads regress.windows and series.columns; false: a setting is malformed, and how. */
bool series_settings_read(const struct leat_settings *settings, struct series_windows *windows,
                          struct series_names *names, struct leat_error *err);

/* Rows of the longest of regress.windows; 0 when that setting is malformed. */
size_t series_longest(const struct leat_settings *settings);

/* Bytes of features that a byte of a record gives at most. A row is at least 8 bytes of time (a
 * timestamp after 1970-01-01 01:12 takes that many however it is packed) and one for each value,
 * and a close gives two domains. */
size_t series_growth(const struct series_windows *windows, const struct series_names *names);

enum { SERIES_GROWTH = 2048 }; /* besides, for each record: names and heads, or an error */

extern const struct leat_flow series_flow;

#endif
