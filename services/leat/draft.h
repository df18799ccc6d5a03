/* A record in the making: values in, one packed msgpack map out. Memory is reused from one record
 * to the next. */
#ifndef LEAT_CLI_DRAFT_H
#define LEAT_CLI_DRAFT_H

#include "services/leat/fields.h"

#include <jansson.h>

enum {
    DRAFT_DEPTH = 8, /* arrays and maps inside each other in one value */
};

/* Why a line is no record. */
struct draft_why {
    char code[40];
    char reason[200];
};

struct draft {
    const struct fields *fields;
    msgpack_sbuffer values; /* the values so far, each with its key */
    msgpack_sbuffer record; /* the finished map */
    uint32_t count;
    char id[33];           /* derived from the content: XXH3, 128 bits, hexadecimal */
    bool has_id;           /* the input gave one, of whatever type */
    struct leat_span key;  /* what chooses among several ingests: the id's bytes */
    struct leat_span body; /* the content's bytes, which are the caller's */
};

/* `fields` must outlive the draft. */
void draft_init(struct draft *self, const struct fields *fields);
void draft_end(struct draft *self);

/* Begins a new record; what draft_finish gave before is gone. */
void draft_begin(struct draft *self);

/* Adds a field's value. Text is coerced by the field's type; empty text is no value, but for the
 * content. JSON is taken as it is; null is no value. The text and the JSON value must live until
 * draft_finish. False: why. */
bool draft_text(struct draft *self, size_t field, struct leat_span text, struct draft_why *why);
bool draft_json(struct draft *self, size_t field, const json_t *value, struct draft_why *why);

/* The packed record, valid until the next draft_begin, and in self->key the bytes of its id. A
 * record without an id gets one from its content: equal contents get equal ids. */
struct leat_span draft_finish(struct draft *self);

/* The most bytes of UTF-8 up to `max` that end with a whole character. */
size_t draft_cut(struct leat_span text, size_t max);

/* Makes UTF-8 of a text that may be anything (a file's name is): bytes that are none become "?". */
void draft_mend(char *text);

/* Fills `why`; always false. */
bool draft_refuse(struct draft_why *why, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Is this UTF-8 without NUL? The reason names the first byte that is not, counted from 1. */
bool draft_check_text(struct leat_span text, struct draft_why *why);

#endif
