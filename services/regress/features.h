/* All features of a block: for each domain its values, and the figures of every window. */
#ifndef LEAT_REGRESS_FEATURES_H
#define LEAT_REGRESS_FEATURES_H

#include "services/flows/series/names.h"
#include "services/flows/series/record.h"
#include "services/flows/series/windows.h"

struct features;

/* For these windows; `names` are those that the records' columns refer to. */
struct features *features_new(const struct series_windows *windows,
                              const struct series_names *names);
void features_destroy(struct features **self);

/* "portable", "avx2", "avx512". */
const char *features_set_name(const struct features *self);

/* Computes a block that was read and packs what was found (services/flows/series/result.h) into the
 * batch's arena. With record->monthly each calendar month of the block is computed as if it were
 * all there is. */
struct leat_span features_find(struct features *self, const struct series_record *record,
                               struct leat_batch *arena);

/* Number of windows fitted by the last features_find. */
size_t features_fits(const struct features *self);

#endif
