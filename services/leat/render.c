#include "services/leat/render.h"

#include "services/runtime/printable.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

enum { WRAP_MAX = 100 }; /* longer lines are hard to read */

struct leat_span render_span(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

static int find_width(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
    return width >= 20 && width < 1000 ? (int)width : 80;
}

void render_init(struct render *self, FILE *out)
{
    setlocale(LC_CTYPE, "");
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    bool dumb = term && strcmp(term, "dumb") == 0;
    self->out = out;
    self->terminal = isatty(fileno(out));
    self->colour = self->terminal && !dumb && !(no_colour && *no_colour);
    self->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    self->width = find_width(out);
}

void render_style(const struct render *self, enum render_style style)
{
    static const char *const codes[] = {
        [RENDER_PLAIN] = "\x1b[0m", [RENDER_BOLD] = "\x1b[1m",   [RENDER_DIM] = "\x1b[2m",
        [RENDER_RED] = "\x1b[31m",  [RENDER_GREEN] = "\x1b[32m", [RENDER_YELLOW] = "\x1b[33m",
        [RENDER_CYAN] = "\x1b[36m",
    };
    if (self->colour)
        fputs(codes[style], self->out);
}

void render_print(const struct render *self, enum render_style style, const char *format, ...)
{
    va_list args;
    render_style(self, style);
    va_start(args, format);
    vfprintf(self->out, format, args);
    va_end(args);
    render_style(self, RENDER_PLAIN);
}

/* One character: its bytes and its columns. What is not printable is shown as U+FFFD. */
struct glyph {
    const char *bytes;
    size_t size;
    int columns;
    size_t taken; /* bytes of the text that it stands for */
};

static struct glyph next_glyph(struct leat_span text, size_t at)
{
    static const char replacement[] = "\xef\xbf\xbd";
    utf8proc_int32_t point;
    utf8proc_ssize_t n =
        utf8proc_iterate(text.data + at, (utf8proc_ssize_t)(text.size - at), &point);
    if (n <= 0)
        return (struct glyph){replacement, 3, 1, 1};
    if (!leat_printable(point))
        return (struct glyph){replacement, 3, 1, (size_t)n};
    return (struct glyph){(const char *)text.data + at, (size_t)n, utf8proc_charwidth(point),
                          (size_t)n};
}

int render_columns(struct leat_span text)
{
    int columns = 0;
    for (size_t at = 0; at < text.size;) {
        struct glyph glyph = next_glyph(text, at);
        columns += glyph.columns;
        at += glyph.taken;
    }
    return columns;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

void render_line(const struct render *self, struct leat_span text, int columns, bool pad)
{
    bool cut = render_columns(text) > columns;
    int room = cut ? columns - 1 : columns;
    int used = 0;
    for (size_t at = 0; at < text.size;) {
        struct glyph glyph =
            is_space(text.data[at]) ? (struct glyph){" ", 1, 1, 1} : next_glyph(text, at);
        if (used + glyph.columns > room)
            break;
        fwrite(glyph.bytes, 1, glyph.size, self->out);
        used += glyph.columns;
        at += glyph.taken;
    }
    if (cut) {
        fputs(self->utf8 ? "\xe2\x80\xa6" : "~", self->out);
        used++;
    }
    if (pad && used < columns)
        fprintf(self->out, "%*s", columns - used, "");
}

static void new_line(const struct render *self, int indent)
{
    fprintf(self->out, "\n%*s", indent, "");
}

/* Writes a word, over as many lines as it needs; gives the column after it. */
static int write_word(const struct render *self, struct leat_span word, int column, int indent,
                      int width)
{
    for (size_t at = 0; at < word.size;) {
        struct glyph glyph = next_glyph(word, at);
        if (column + glyph.columns > width) {
            new_line(self, indent);
            column = indent;
        }
        fwrite(glyph.bytes, 1, glyph.size, self->out);
        column += glyph.columns;
        at += glyph.taken;
    }
    return column;
}

void render_wrap(const struct render *self, struct leat_span text, int indent)
{
    int width = self->width < WRAP_MAX ? self->width : WRAP_MAX;
    if (width < indent + 20)
        width = indent + 20;
    int column = indent;
    for (size_t at = 0; at < text.size;) {
        if (text.data[at] == '\n') {
            new_line(self, indent);
            column = indent;
        }
        if (is_space(text.data[at])) {
            at++;
            continue;
        }
        size_t end = at;
        while (end < text.size && !is_space(text.data[end]))
            end++;
        struct leat_span word = {text.data + at, end - at};
        int columns = render_columns(word);
        if (column > indent && column + 1 + columns > width) {
            new_line(self, indent);
            column = indent;
        } else if (column > indent) {
            fputc(' ', self->out);
            column++;
        }
        column = write_word(self, word, column, indent, width);
        at = end;
    }
    fputc('\n', self->out);
}

void render_bar(const struct render *self, double share, int columns)
{
    static const char *const eighths[] = {"",
                                          "\xe2\x96\x8f",
                                          "\xe2\x96\x8e",
                                          "\xe2\x96\x8d",
                                          "\xe2\x96\x8c",
                                          "\xe2\x96\x8b",
                                          "\xe2\x96\x8a",
                                          "\xe2\x96\x89"};
    if (!(share > 0))
        share = 0;
    if (share > 1)
        share = 1;
    int steps = (int)lround(share * columns * 8);
    if (share >= 0.0005 && steps == 0)
        steps = 1;
    int used = steps / 8;
    for (int i = 0; i < used; i++)
        fputs(self->utf8 ? "\xe2\x96\x88" : "#", self->out);
    if (steps % 8 && self->utf8) {
        fputs(eighths[steps % 8], self->out);
        used++;
    } else if (steps % 8 >= 4) {
        fputc('#', self->out);
        used++;
    }
    fprintf(self->out, "%*s", columns - used, "");
}

const char *render_count(uint64_t n, char to[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    char *at = to;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *at++ = ' ';
        *at++ = digits[i];
    }
    *at = '\0';
    return to;
}

const char *render_duration(double seconds, char to[32])
{
    long whole = lround(seconds < 1e9 ? seconds : 1e9);
    if (seconds < 9.95)
        snprintf(to, 32, "%.*f s", seconds < 0.995 ? 2 : 1, seconds);
    else if (whole < 60)
        snprintf(to, 32, "%ld s", whole);
    else if (whole < 3600)
        snprintf(to, 32, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(to, 32, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
    return to;
}

const char *render_bytes(uint64_t bytes, char to[32])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    snprintf(to, 32, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return to;
}

/* As it is, but for what a terminal might obey. */
static void write_lines(FILE *out, struct leat_span text)
{
    for (size_t at = 0; at < text.size;) {
        struct glyph glyph = next_glyph(text, at);
        if (is_space(text.data[at]))
            glyph = (struct glyph){text.data[at] == '\n' ? "\n" : " ", 1, 1, 1};
        fwrite(glyph.bytes, 1, glyph.size, out);
        at += glyph.taken;
    }
}

void render_complain(const char *who, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout);
    fprintf(stderr, "%s: ", who);
    write_lines(stderr, render_span(text));
    fputc('\n', stderr);
}
