/* Logs: one line an event, key=value, on stderr.
 *
 *     leat_log(LEAT_INFO, "ingest", "journal_opened", LEAT_S("path", path), LEAT_I("batches", n));
 *     2026-01-31T12:00:00.123456Z level=info stage=ingest event=journal_opened path=/x batches=3
 *
 * Values with spaces, quotes or control characters are quoted and escaped, so any bytes may be
 * logged; a value is cut at 1000 bytes. Each line is one write(2): lines of several threads and
 * processes do not mix. */
#ifndef LEAT_LOG_H
#define LEAT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum leat_log_level { LEAT_DEBUG, LEAT_INFO, LEAT_WARN, LEAT_ERR };

struct leat_log_field {
    const char *key; /* NULL ends the list */
    enum { LEAT_FIELD_STR, LEAT_FIELD_INT, LEAT_FIELD_REAL } type;
    const char *str;
    size_t size; /* of str; SIZE_MAX: up to its NUL */
    int64_t integer;
    double real;
};

#define LEAT_S(k, v)                                                                               \
    ((struct leat_log_field){.key = (k), .type = LEAT_FIELD_STR, .str = (v), .size = SIZE_MAX})
#define LEAT_SN(k, v, n)                                                                           \
    ((struct leat_log_field){                                                                      \
        .key = (k), .type = LEAT_FIELD_STR, .str = (const char *)(v), .size = (n)})
#define LEAT_I(k, v)                                                                               \
    ((struct leat_log_field){.key = (k), .type = LEAT_FIELD_INT, .integer = (int64_t)(v)})
#define LEAT_F(k, v) ((struct leat_log_field){.key = (k), .type = LEAT_FIELD_REAL, .real = (v)})

/* The first field is a stand-in, so that there may be none. */
#define leat_log(level, stage, event, ...)                                                         \
    leat_log_fields((level), (stage), (event),                                                     \
                    (const struct leat_log_field[]){{.key = ""}, ##__VA_ARGS__, {.key = NULL}} +   \
                        1)

void leat_log_fields(enum leat_log_level level, const char *stage, const char *event,
                     const struct leat_log_field *fields);

/* Events below the level are not written. Set once at start and at a reload (an atomic). */
void leat_log_set_level(enum leat_log_level level);
bool leat_log_level_parse(const char *text, enum leat_log_level *out);

/* For events that may come by the thousand: true at most once per second per site, and then
 * *suppressed tells how many were swallowed since. `site` is a static variable of the caller's
 * thread or stage. */
struct leat_log_site {
    int64_t last_ms;
    uint64_t swallowed;
};
bool leat_log_allow(struct leat_log_site *site, uint64_t *suppressed);

#endif
