/* The lines that were not taken, with their reasons: all of them counted and, if wanted, written to
 * a file; the first ones kept to be shown. */
#ifndef LEAT_CLI_REJECTS_H
#define LEAT_CLI_REJECTS_H

#include "services/leat/render.h"

#include <jansson.h>

struct reject {
    uint32_t file;
    uint64_t line; /* 0: not known */
    uint64_t rows; /* of the input that it is about: the one of the line, and those behind it */
    char code[40];
    char reason[200];
};

struct rejects {
    const char *const *files; /* names by number */
    struct reject *kept;
    size_t n_kept, max_kept, shown;
    uint64_t count; /* rows */
    FILE *log;      /* NDJSON, or NULL */
    const char *log_path;
};

/* `shown`: how many rejects_print prints at most. `log_path` NULL: no file. The names must outlive
 * it. */
bool rejects_init(struct rejects *self, const char *const *files, size_t shown,
                  const char *log_path, struct leat_error *err);

/* Closes the file; false when not all of it could be written. Idempotent. */
bool rejects_end(struct rejects *self, struct leat_error *err);

void rejects_add(struct rejects *self, uint32_t file, uint64_t line, uint64_t rows,
                 const char *code, const char *reason);

/* "FILE:LINE: reason (code)", in the order of the input, then "and N more". */
void rejects_print(struct rejects *self, const struct render *to);

/* An array of {file, line, code, reason}, and rows where they are more than one: at most 1000, or
 * as many as are shown. */
json_t *rejects_json(struct rejects *self);

#endif
