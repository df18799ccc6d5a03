/* The lines of an input, one after another, in bounded memory. */
#ifndef LEAT_CLI_LINES_H
#define LEAT_CLI_LINES_H

#include "proto/wire.h"
#include "services/leat/input.h"

enum {
    LINES_MAX = 16 * 1024 * 1024, /* bytes of one line: longer ones are passed over */
};

struct lines;

enum lines_result {
    LINES_LINE,
    LINES_TOO_LONG, /* the line was passed over; its number is lines_number */
    LINES_END,
    LINES_FAILED, /* the input's reason in err */
};

/* Reads from `input`, which stays the caller's. NULL: out of memory. */
struct lines *lines_open(struct input *input, struct leat_error *err);
void lines_close(struct lines **self);

/* The next line, without its newline; a carriage return before the newline is still there (inside
 * quotes of CSV it belongs to the value). A byte order mark at the very beginning is taken off. The
 * last line counts with and without a newline. Bytes live until the next call. */
enum lines_result lines_next(struct lines *self, struct leat_span *line, struct leat_error *err);

/* Number of the line that was read last, from 1. */
uint64_t lines_number(const struct lines *self);

/* The bytes at the beginning, before any line is taken: up to `size` of them, fewer when they hold
 * a whole line that is not blank already (a pipe may bring no more for long), or at the end of the
 * input. The bytes live until the next call. */
bool lines_peek(struct lines *self, size_t size, struct leat_span *out, struct leat_error *err);

/* A line without the carriage return that ended it. */
struct leat_span lines_chomp(struct leat_span line);

#endif
