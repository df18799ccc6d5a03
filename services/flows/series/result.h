/* What regress found in a block: for each domain its own values and all figures of all windows, in
 * columns. Packed once by regress, carried as it is, read by persist.
 *
 * Packed form, a msgpack array: version, rows, [rows of each window …], [[name, values, figures]
 * …]. `values` is a bin of `rows` float64, `figures` a bin of windows × SERIES_METRICS × rows
 * float64, window-major, then metric, then row; all little-endian. NaN is undefined. */
#ifndef LEAT_SERIES_RESULT_H
#define LEAT_SERIES_RESULT_H

#include "proto/batch.h"
#include "services/flows/series/names.h"
#include "services/flows/series/windows.h"

enum { SERIES_RESULT_VERSION = 1 };

struct series_found {
    struct leat_span name;           /* the domain's */
    const uint8_t *values, *figures; /* read: little-endian float64 at any address */
};

struct series_result {
    uint32_t rows; /* output rows: warm-up has none */
    size_t n_windows;
    uint32_t windows[SERIES_WINDOWS_MOST]; /* rows of each */
    size_t n_domains;
    struct series_found domains[SERIES_NAMES_MOST];
};

/* Bytes that a packed result takes at most, besides 8 for each value and figure. */
enum { SERIES_RESULT_HEAD_MAX = 64 + 8 * SERIES_WINDOWS_MOST + SERIES_NAMES_MOST * 64 };

/* A result that is being packed into a batch's arena. */
struct series_packing {
    uint8_t *begin, *at;
    size_t room;
};

/* Begins a result of `n_domains` domains, each to be added then; room is taken for all of it. */
void series_pack_begin(struct series_packing *self, struct leat_batch *arena,
                       const struct series_windows *windows, uint32_t rows, uint32_t n_domains);
void series_pack_domain(struct series_packing *self, const char *name, const double *values,
                        size_t n_values, const double *figures, size_t n_figures);
struct leat_span series_pack_end(const struct series_packing *self);

/* Reads what was packed; any bytes may be given. Pointers are into them. */
bool series_result_read(struct leat_span packed, msgpack_zone *zone, struct series_result *out,
                        struct leat_error *err);

#endif
