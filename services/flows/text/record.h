/* A text as clients send it. */
#ifndef LEAT_TEXT_RECORD_H
#define LEAT_TEXT_RECORD_H

#include "services/flows/flow.h"

enum {
    TEXT_ID_MAX = 256,         /* bytes */
    TEXT_SOURCE_TYPE_MAX = 64, /* bytes; also of platform */
    TEXT_LANG_MAX = 64,
    TEXT_URL_MAX = 2048,
    TEXT_AUTHOR_MAX = 256,
};

/* Every field that a text may have. Spans point into the record; size 0 means absent. */
struct text_record {
    struct leat_span id;          /* 1-256 bytes: the natural key */
    struct leat_span text;        /* 1 byte to text.max_bytes of UTF-8 without NUL */
    struct leat_span source_type; /* any; known ones have weights */
    struct leat_span platform;
    struct leat_span lang, url, author;
    bool verified;
    int64_t reach;
    bool has_published_at;
    int64_t published_at; /* µs since 1970 UTC, years 1 to 9999 */
};

/* Reads and checks a record. Codes: record_not_map, id_missing, id_type, id_empty, id_too_long,
 * text_missing, text_type, text_empty, text_too_long, not_utf8, nul, FIELD_type, FIELD_too_long,
 * reach_negative, reach_range, published_at_type, published_at_format, published_at_range,
 * version_type, version_range. Unknown keys are ignored. */
bool text_record_read(const msgpack_object *record, const struct leat_flow_limits *limits,
                      struct text_record *out, struct leat_why *why);

/* RFC 3339 (date, time, optional fraction, Z or offset; a space for T is taken) to µs since 1970.
 */
bool text_time_parse(struct leat_span text, int64_t *us);

extern const struct leat_flow text_flow;

#endif
