/* Rows of CSV (RFC 4180: quotes, doubled quotes, newlines inside quotes) and of TSV (tabs are the
 * only separators, nothing is quoted).
 *
 * A quote that is opened and never closed would swallow the rest of the file. So a row that cannot
 * be read costs its first line only: reading goes on with the line behind it. */
#ifndef LEAT_CLI_ROWS_H
#define LEAT_CLI_ROWS_H

#include "services/leat/draft.h"
#include "services/leat/lines.h"

enum {
    ROWS_CELLS_MAX = 1024, /* of one row */
};

struct rows;

struct row {
    uint64_t line; /* where it begins, from 1 */
    size_t count;
    const struct leat_span *cells; /* live until the next rows_next */
};

enum rows_result {
    ROWS_ROW,
    ROWS_BAD, /* row->line was passed over, and why */
    ROWS_END,
    ROWS_FAILED, /* the input's reason in err */
};

/* `separator`: ',' for CSV, '\t' for TSV. `lines` stays the caller's. NULL: out of memory. */
struct rows *rows_open(struct lines *lines, char separator, struct leat_error *err);
void rows_close(struct rows **self);

/* The next row; lines with nothing on them are passed over. Codes of bad ones: line_too_long,
 * csv_broken (quotes, or too many columns), column_count (TSV: too many columns). */
enum rows_result rows_next(struct rows *self, struct row *row, struct draft_why *why,
                           struct leat_error *err);

#endif
