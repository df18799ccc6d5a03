/* Records from one input, whatever its format. */
#ifndef LEAT_CLI_READER_H
#define LEAT_CLI_READER_H

#include "services/leat/draft.h"
#include "services/leat/input.h"

enum reader_format {
    READER_AUTO, /* by the name (.ndjson .jsonl .json .csv .tsv .tab, before .gz), else by content
                  */
    READER_NDJSON,
    READER_CSV,
    READER_TSV,
};

struct reader;

struct reader_options {
    enum reader_format format;
    const struct fields *fields; /* must outlive the reader */
    const char *columns;         /* "text,labels,id": there is no header line; NULL: there is one */
    bool no_header;              /* there is no header line; columns are named 1, 2, … */
};

/* One record, or why a line is none. Lives until the next call. */
struct reader_row {
    uint64_t line; /* where it begins, from 1 */
    struct leat_span record, key;
    struct draft_why why;
};

enum reader_result {
    READER_RECORD,
    READER_BAD, /* the line is no record; reading goes on */
    READER_END,
    READER_FAILED, /* nothing more can be read of this input; the reason is in err */
};

/* Takes over `input`, and looks at its beginning: the format, the header, the columns that are
 * needed. NULL when that cannot be read as any of the formats; the reason says what to do. An empty
 * input is a reader without records. */
struct reader *reader_open(struct input *input, const struct reader_options *options,
                           struct leat_error *err);
void reader_close(struct reader **self);

enum reader_result reader_next(struct reader *self, struct reader_row *row, struct leat_error *err);

/* The format that was found. */
enum reader_format reader_format(const struct reader *self);

bool reader_format_parse(const char *text, enum reader_format *out);

#endif
