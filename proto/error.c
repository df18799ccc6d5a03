#include "proto/error.h"

#include <stdio.h>
#include <string.h>

bool leat_fail(struct leat_error *err, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return false;
}

bool leat_fail_in(struct leat_error *err, const char *format, ...)
{
    if (err) {
        struct leat_error inner = *err;
        va_list args;
        va_start(args, format);
        int n = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (n < 0 || (size_t)n >= sizeof err->text)
            return false;
        /* A reason that is cut at the end is meant to be. */
        if (snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner.text) < 0)
            err->text[n] = '\0';
    }
    return false;
}
