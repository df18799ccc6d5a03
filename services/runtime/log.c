#include "services/runtime/log.h"

#include "proto/wire.h"
#include "services/runtime/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_LINE = 4096,  /* PIPE_BUF: a write of so many bytes to a pipe is not torn */
    LOG_VALUE = 1000, /* bytes of a value that are shown */
};

static _Atomic int log_level = LEAT_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* A line in the making; what does not fit is left out, the newline always fits. */
struct line {
    char text[LOG_LINE];
    size_t size;
};

static void line_put(struct line *self, const char *text, size_t size)
{
    size_t room = sizeof self->text - 1 - self->size;
    if (size > room)
        size = room;
    memcpy(self->text + self->size, text, size);
    self->size += size;
}

static void line_text(struct line *self, const char *text)
{
    line_put(self, text, strlen(text));
}

static void line_time(struct line *self)
{
    int64_t now = leat_now_us();
    time_t seconds = (time_t)(now / 1000000);
    struct tm tm;
    char text[40];
    gmtime_r(&seconds, &tm);
    line_put(self, text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm));
    snprintf(text, sizeof text, ".%06dZ", (int)(now % 1000000));
    line_text(self, text);
}

static bool value_is_plain(const unsigned char *value, size_t size, bool utf8)
{
    for (size_t i = 0; i < size; i++)
        if (value[i] <= ' ' || value[i] == '"' || value[i] == '\\' || value[i] == '=' ||
            value[i] == 127 || (value[i] > 127 && !utf8))
            return false;
    return size > 0;
}

static void line_escaped(struct line *self, unsigned char c, bool utf8)
{
    char text[5];
    if (c == '"' || c == '\\')
        snprintf(text, sizeof text, "\\%c", c);
    else if (c == '\n')
        snprintf(text, sizeof text, "\\n");
    else if (c == '\t')
        snprintf(text, sizeof text, "\\t");
    else if (c < ' ' || c == 127 || (c > 127 && !utf8))
        snprintf(text, sizeof text, "\\x%02x", c);
    else
        snprintf(text, sizeof text, "%c", c);
    line_text(self, text);
}

static void line_value(struct line *self, const char *value, size_t size)
{
    bool cut = size > LOG_VALUE;
    size_t shown = cut ? LOG_VALUE : size;
    /* A cut must not leave half a character. */
    while (cut && shown > LOG_VALUE - 4 && ((unsigned char)value[shown] & 0xc0) == 0x80)
        shown--;
    const unsigned char *bytes = (const unsigned char *)value;
    bool utf8 = leat_wire_text_ok((struct leat_span){bytes, shown});
    if (!cut && value_is_plain(bytes, shown, utf8)) {
        line_put(self, value, shown);
        return;
    }
    line_text(self, "\"");
    for (size_t i = 0; i < shown; i++)
        line_escaped(self, bytes[i], utf8);
    line_text(self, cut ? "...\"" : "\"");
}

static void line_field(struct line *self, const struct leat_log_field *field)
{
    char number[40];
    line_text(self, " ");
    line_text(self, field->key);
    line_text(self, "=");
    switch (field->type) {
    case LEAT_FIELD_STR:
        if (field->str)
            line_value(self, field->str,
                       field->size == SIZE_MAX ? strlen(field->str) : field->size);
        return;
    case LEAT_FIELD_INT:
        snprintf(number, sizeof number, "%" PRId64, field->integer);
        break;
    case LEAT_FIELD_REAL:
        snprintf(number, sizeof number, "%.6g", field->real);
        break;
    }
    line_text(self, number);
}

void leat_log_fields(enum leat_log_level level, const char *stage, const char *event,
                     const struct leat_log_field *fields)
{
    if ((int)level < atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    struct line line;
    line.size = 0;
    line_time(&line);
    line_text(&line, " level=");
    line_text(&line, level_names[level]);
    line_text(&line, " stage=");
    line_text(&line, stage);
    line_text(&line, " event=");
    line_text(&line, event);
    for (; fields->key; fields++)
        line_field(&line, fields);
    line.text[line.size++] = '\n';
    /* Where the log itself cannot be written there is nobody left to tell. */
    while (write(STDERR_FILENO, line.text, line.size) < 0 && errno == EINTR)
        ;
}

void leat_log_set_level(enum leat_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool leat_log_level_parse(const char *text, enum leat_log_level *out)
{
    for (int i = LEAT_DEBUG; i <= LEAT_ERR; i++)
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum leat_log_level)i;
            return true;
        }
    return false;
}

bool leat_log_allow(struct leat_log_site *site, uint64_t *suppressed)
{
    int64_t now = leat_monotonic_us() / 1000;
    if (site->last_ms != 0 && now - site->last_ms < 1000) {
        site->swallowed++;
        return false;
    }
    site->last_ms = now;
    *suppressed = site->swallowed;
    site->swallowed = 0;
    return true;
}
