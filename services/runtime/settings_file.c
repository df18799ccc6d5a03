/* The settings file: one `name = value` a line.
 *
 * `#` begins a comment at the start of a line or after a blank. A value in double quotes keeps its
 * blanks and `#`; inside, \" and \\ stand for " and \. Lines may end in CR LF, a byte order mark is
 * passed over. Limits guard against a path that is not a settings file at all. */
#include "services/runtime/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20, LINE_SIZE_MAX = 4096 };

static char *file_read(const char *path, size_t *size, struct leat_error *err)
{
    FILE *file = fopen(path, "rbe");
    struct stat info;
    char *text = NULL;
    if (!file) {
        leat_fail(err, "%s: cannot open the settings file: %s", path, strerror(errno));
        return NULL;
    }
    if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode))
        leat_fail(err, "%s: is a folder, expected a settings file", path);
    else if (!(text = malloc(FILE_MAX + 2)))
        leat_fail(err, "%s: out of memory", path);
    else {
        *size = fread(text, 1, FILE_MAX + 1, file);
        if (ferror(file))
            leat_fail(err, "%s: cannot read the settings file: %s", path, strerror(errno));
        else if (*size > FILE_MAX)
            leat_fail(err, "%s: larger than 1MB: not a settings file", path);
        else {
            text[*size] = '\0';
            fclose(file);
            return text;
        }
    }
    free(text);
    fclose(file);
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *trim(char *text)
{
    while (is_blank(*text))
        text++;
    size_t size = strlen(text);
    while (size > 0 && (is_blank(text[size - 1]) || text[size - 1] == '\r'))
        text[--size] = '\0';
    return text;
}

static bool only_comment(const char *rest)
{
    while (is_blank(*rest))
        rest++;
    return *rest == '\0' || *rest == '#';
}

/* Takes quotes or a trailing comment off, in place. */
static bool value_bare(char *value, struct leat_error *err)
{
    if (value[0] != '"') {
        for (char *c = value; *c; c++)
            if (*c == '#' && (c == value || is_blank(c[-1]))) {
                *c = '\0';
                trim(value);
                break;
            }
        return true;
    }
    char *out = value;
    for (const char *in = value + 1; *in; in++) {
        if (*in == '"') {
            if (!only_comment(in + 1))
                return leat_fail(err, "unexpected text after the closing quote");
            *out = '\0';
            return true;
        }
        if (*in == '\\' && (in[1] == '"' || in[1] == '\\'))
            in++;
        *out++ = *in;
    }
    return leat_fail(err, "the closing quote is missing");
}

static bool line_parse(char *line, char **name, char **value, struct leat_error *err)
{
    char *equals = strchr(line, '=');
    if (line[0] == '[')
        return leat_fail(err, "sections are not known here: write group.name = value");
    if (!equals)
        return leat_fail(err, "expected NAME = VALUE, got \"%.60s\"", line);
    *equals = '\0';
    *name = trim(line);
    *value = trim(equals + 1);
    if (**name == '\0')
        return leat_fail(err, "the name before \"=\" is missing");
    return value_bare(*value, err);
}

/* Where a name was set before in this same file. */
struct earlier {
    const char *name;
    const char *path;
    int line;
};

static void find_earlier(void *arg, const struct leat_setting *row, const char *value,
                         const char *where)
{
    struct earlier *self = arg;
    (void)value;
    size_t size = strlen(self->path);
    if (strcmp(row->name, self->name) == 0 && strncmp(where, self->path, size) == 0 &&
        where[size] == ':')
        self->line = atoi(where + size + 1);
}

static bool line_take(struct leat_settings *self, const char *path, int number, char *line,
                      struct leat_error *err)
{
    char where[LINE_SIZE_MAX], *name = NULL, *value = NULL;
    snprintf(where, sizeof where, "%s:%d", path, number);
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#')
        return true;
    if (!line_parse(line, &name, &value, err))
        return leat_fail_in(err, "%s", where);
    struct earlier earlier = {.name = name, .path = path};
    leat_settings_each(self, find_earlier, &earlier);
    if (earlier.line > 0 && earlier.line < number)
        return leat_fail(err, "%s: %s is set a second time (first in line %d)", where, name,
                         earlier.line);
    return leat_settings_set(self, name, value, LEAT_FROM_FILE, where, err);
}

static bool file_take(struct leat_settings *self, const char *path, char *text, size_t size,
                      struct leat_error *err)
{
    char *at = text, *end = text + size;
    if (size >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        at += 3;
    for (int number = 1; at < end; number++) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *stop = newline ? newline : end;
        if (stop - at > LINE_SIZE_MAX)
            return leat_fail(err, "%s:%d: the line is longer than %d bytes", path, number,
                             LINE_SIZE_MAX);
        if (memchr(at, '\0', (size_t)(stop - at)))
            return leat_fail(err, "%s:%d: a NUL byte: not a settings file", path, number);
        *stop = '\0';
        if (!line_take(self, path, number, at, err))
            return false;
        at = stop + 1;
    }
    return true;
}

bool leat_settings_file(struct leat_settings *self, const char *path, struct leat_error *err)
{
    size_t size = 0;
    char *text = file_read(path, &size, err);
    bool ok = text && file_take(self, path, text, size, err);
    free(text);
    return ok;
}
