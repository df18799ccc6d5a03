/* Text for a terminal: colours, widths, wrapping, bars. What comes from outside (a text in the
 * store, a name in a file) is shown with its control characters made harmless. */
#ifndef LEAT_CLI_RENDER_H
#define LEAT_CLI_RENDER_H

#include "proto/wire.h"

#include <stdio.h>

enum render_style {
    RENDER_PLAIN,
    RENDER_BOLD,
    RENDER_DIM,
    RENDER_RED,
    RENDER_GREEN,
    RENDER_YELLOW,
    RENDER_CYAN,
};

struct render {
    FILE *out;
    bool terminal; /* `out` is one */
    bool colour;   /* a terminal, and NO_COLOR is not set */
    bool utf8;     /* the locale's encoding: else bars are made of ASCII */
    int width;     /* columns: the terminal's, or 80 */
};

void render_init(struct render *self, FILE *out);

/* Switches the style; nothing without colour. */
void render_style(const struct render *self, enum render_style style);

/* printf in a style, then plain again. */
void render_print(const struct render *self, enum render_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Columns that a text takes on a terminal. */
int render_columns(struct leat_span text);

/* One line of at most `columns` columns: line ends become spaces, what does not fit is cut and ends
 * with an ellipsis. Filled up with spaces to `columns` when `pad`. */
void render_line(const struct render *self, struct leat_span text, int columns, bool pad);

/* A text in lines from column `indent` to the width (at most 100 columns), broken at spaces; the
 * cursor stands at `indent` already. Ends with a newline. Empty lines stay. */
void render_wrap(const struct render *self, struct leat_span text, int indent);

/* A bar of `columns` columns, `share` (0 to 1) of it filled, to an eighth of a column. */
void render_bar(const struct render *self, double share, int columns);

/* 1234567 as "1 234 567". */
const char *render_count(uint64_t n, char to[32]);

/* Seconds as "0.35 s", "12 s", "3 min 05 s", "2 h 07 min". */
const char *render_duration(double seconds, char to[32]);

/* Bytes as "512 B", "1.5 MB" (powers of 1024). */
const char *render_bytes(uint64_t bytes, char to[32]);

/* "name: " and a message on stderr, as every command says what went wrong. Control characters are
 * made harmless. */
void render_complain(const char *who, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The bytes of a C string. */
struct leat_span render_span(const char *text);

#endif
