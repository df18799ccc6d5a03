/* One question over HTTP to a process of Leat: /readyz, /metrics. */
#ifndef LEAT_CLI_HTTP_GET_H
#define LEAT_CLI_HTTP_GET_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

/* Asks for `path` at HOST:PORT. The status, and in *body the answer's text inside `answer` (what
 * does not fit is cut). 0: no answer until `until_us` (leat_monotonic_us), or one that is not
 * HTTP's; `err` says which. */
int http_get(const char *address, const char *path, int64_t until_us, char *answer, size_t room,
             const char **body, struct leat_error *err);

/* False: this can be no HOST:PORT, whatever runs there. */
bool http_address(const char *address, struct leat_error *err);

/* The status of an answer (100 to 999), and its text in *body. 0: it is not HTTP's. */
int http_answer_read(const char *answer, const char **body);

#endif
