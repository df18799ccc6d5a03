#include "services/leat/lines.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 * 1024 };

struct lines {
    struct input *input;
    uint8_t *buffer;
    size_t size, at, filled;
    uint64_t number;
    bool begun; /* the byte order mark was looked for */
    bool ended;
};

struct lines *lines_open(struct input *input, struct leat_error *err)
{
    struct lines *self = calloc(1, sizeof *self);
    uint8_t *buffer = malloc(FIRST_SIZE);
    if (!self || !buffer) {
        free(self);
        free(buffer);
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->input = input;
    self->buffer = buffer;
    self->size = FIRST_SIZE;
    return self;
}

void lines_close(struct lines **self)
{
    if (!*self)
        return;
    free((*self)->buffer);
    free(*self);
    *self = NULL;
}

/* Makes room and reads once. The buffer never grows past what LINES_MAX needs. */
static bool more(struct lines *self, struct leat_error *err)
{
    if (self->at > 0) {
        memmove(self->buffer, self->buffer + self->at, self->filled - self->at);
        self->filled -= self->at;
        self->at = 0;
    }
    if (self->filled == self->size) {
        uint8_t *larger = realloc(self->buffer, self->size * 2);
        if (!larger)
            return leat_fail(err, "out of memory");
        self->buffer = larger;
        self->size *= 2;
    }
    ssize_t n =
        input_read(self->input, self->buffer + self->filled, self->size - self->filled, err);
    if (n < 0)
        return false;
    self->filled += (size_t)n;
    self->ended = n == 0;
    return true;
}

static bool has_line(struct leat_span head)
{
    bool something = false;
    for (size_t i = 0; i < head.size; i++) {
        if (something && head.data[i] == '\n')
            return true;
        something |= !strchr(" \t\r\n", head.data[i]);
    }
    return false;
}

bool lines_peek(struct lines *self, size_t size, struct leat_span *out, struct leat_error *err)
{
    for (;;) {
        size_t n = self->filled - self->at;
        *out = (struct leat_span){self->buffer + self->at, n < size ? n : size};
        if (n >= size || self->ended || has_line(*out))
            return true;
        if (!more(self, err))
            return false;
    }
}

static bool skip_mark(struct lines *self, struct leat_error *err)
{
    while (self->filled - self->at < 3 && !self->ended)
        if (!more(self, err))
            return false;
    if (self->filled - self->at >= 3 && memcmp(self->buffer + self->at, "\xef\xbb\xbf", 3) == 0)
        self->at += 3;
    self->begun = true;
    return true;
}

/* Forgets the line that is too long, up to its newline. */
static enum lines_result pass_over(struct lines *self, struct leat_error *err)
{
    for (;;) {
        const uint8_t *from = self->buffer + self->at;
        const uint8_t *newline = memchr(from, '\n', self->filled - self->at);
        if (newline) {
            self->at += (size_t)(newline - from) + 1;
            return LINES_TOO_LONG;
        }
        self->at = self->filled;
        if (self->ended)
            return LINES_TOO_LONG;
        if (!more(self, err))
            return LINES_FAILED;
    }
}

enum lines_result lines_next(struct lines *self, struct leat_span *line, struct leat_error *err)
{
    if (!self->begun && !skip_mark(self, err))
        return LINES_FAILED;
    size_t searched = 0; /* bytes from `at` on that hold no newline */
    for (;;) {
        const uint8_t *from = self->buffer + self->at;
        size_t there = self->filled - self->at;
        const uint8_t *newline = memchr(from + searched, '\n', there - searched);
        size_t length = newline ? (size_t)(newline - from) : there;
        if (length > LINES_MAX) {
            self->number++;
            return pass_over(self, err);
        }
        if (newline || (self->ended && there > 0)) {
            self->number++;
            *line = (struct leat_span){from, length};
            self->at += length + (newline ? 1 : 0);
            return LINES_LINE;
        }
        if (self->ended)
            return LINES_END;
        searched = there;
        if (!more(self, err))
            return LINES_FAILED;
    }
}

uint64_t lines_number(const struct lines *self)
{
    return self->number;
}

struct leat_span lines_chomp(struct leat_span line)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}
