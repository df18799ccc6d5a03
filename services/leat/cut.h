/* What was drawn, cut to what a terminal has room for: lines that wrap would push others off it. */
#ifndef LEAT_CLI_CUT_H
#define LEAT_CLI_CUT_H

#include <stddef.h>
#include <stdio.h>

/* Writes the first `columns` columns of a line. Colours stay: what begins with ESC takes no room,
 * and is written behind the cut as well. */
void cut_line(FILE *out, const char *line, size_t size, int columns);

/* Writes lines over what a terminal of so many columns and rows shows, from its first row on. The
 * last row stays empty; before it stands how many lines had no room. */
void cut_screen(FILE *out, const char *text, int columns, int rows);

#endif
