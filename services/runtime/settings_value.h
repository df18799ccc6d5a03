/* One value of one setting: read, checked, shown. Private to settings. */
#ifndef LEAT_SETTINGS_VALUE_H
#define LEAT_SETTINGS_VALUE_H

#include "services/runtime/settings.h"

/* Numbers of a value in its type's unit: bytes, milliseconds, 0 or 1. */
struct settings_number {
    int64_t integer;
    double real;
};

/* Reads `text` as the row's type wants it. false: what was expected instead, e.g. "expected a size
 * such as 64KB or 16MB, got \"many\"". */
bool settings_value_parse(const struct leat_setting *row, const char *text,
                          struct settings_number *out, struct leat_error *err);

/* How far two names are apart: insertions, deletions, replacements and swaps of neighbours. */
size_t settings_distance(const char *a, const char *b);

#endif
