#include "services/leat/cut.h"

#include <stdbool.h>
#include <string.h>

/* Bytes of the "ESC [ ... letter" at the beginning of a text; 0: there is none. */
static size_t escape_size(const char *text, size_t size)
{
    size_t at = 2;
    if (size < 2 || text[0] != '\x1b' || text[1] != '[')
        return 0;
    while (at < size && (text[at] < '@' || text[at] > '~'))
        at++;
    return at < size ? at + 1 : size;
}

/* Of UTF-8, the bytes behind a character's first. */
static bool continues(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

void cut_line(FILE *out, const char *line, size_t size, int columns)
{
    int used = 0;
    for (size_t at = 0; at < size;) {
        size_t escape = escape_size(line + at, size - at);
        if (escape == 0)
            used += !continues(line[at]);
        if (escape > 0 || used <= columns)
            fwrite(line + at, 1, escape > 0 ? escape : 1, out);
        at += escape > 0 ? escape : 1;
    }
}

static int count_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* A line that ends in the last column leaves the cursor there, where clearing the rest would take
 * its last character: so the row is cleared first. */
static void write_row(FILE *out, const char *line, size_t size, int columns)
{
    fputs("\x1b[K", out);
    cut_line(out, line, size, columns);
    fputc('\n', out);
}

void cut_screen(FILE *out, const char *text, int columns, int rows)
{
    int lines = count_lines(text), room = rows > 2 ? rows - 1 : 1;
    int shown = lines > room ? room - 1 : lines;
    fputs("\x1b[H", out);
    for (int i = 0; i < shown; i++) {
        size_t size = strcspn(text, "\n");
        write_row(out, text, size, columns);
        text += size + 1;
    }
    if (shown < lines) {
        char more[48];
        int size = snprintf(more, sizeof more, "... %d more lines", lines - shown);
        write_row(out, more, (size_t)size, columns);
    }
    fputs("\x1b[J", out);
}
