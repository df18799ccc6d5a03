/* A reason for whoever can act on it. */
#ifndef LEAT_ERROR_H
#define LEAT_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

/* One line of text without a newline, always terminated. A function that can fail takes a pointer
 * to one, fills it on failure only, and returns false (or NULL). Nobody logs on the way up: the
 * caller who handles the failure does, once. */
struct leat_error {
    char text[512];
};

/* Writes the reason; always returns false, so that `return leat_fail(err, ...)` reads well.
 * `err` may be NULL: the reason is dropped. */
bool leat_fail(struct leat_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the reason that is there already; always returns false. */
bool leat_fail_in(struct leat_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
