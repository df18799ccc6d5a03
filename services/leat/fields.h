/* The fields that records of a kind have, and where in the input they come from. */
#ifndef LEAT_CLI_FIELDS_H
#define LEAT_CLI_FIELDS_H

#include "proto/wire.h"

enum { FIELDS_MAX = 16 };

enum field_type {
    FIELD_STRING,
    FIELD_BOOL,    /* yes no true false on off 1 0 t f y n */
    FIELD_INTEGER, /* a whole number of 64 bits */
    FIELD_TIME,    /* digits only: microseconds since 1970; else sent as it is, for RFC 3339 */
};

struct field {
    const char *name; /* on the wire; NULL ends a list */
    enum field_type type;
};

/* What `leat send` knows of a kind. */
struct fields_kind {
    const char *kind;
    const struct field *fields; /* the first is the key, "id" */
    const char *content;        /* the field whose bytes give an id when there is none */
};

/* NULL: no such kind. `fields_kinds` is all of them, ended by a row without a kind. */
const struct fields_kind *fields_find(const char *kind);
extern const struct fields_kind fields_kinds[];

/* Which name in the input each field has. */
struct fields {
    const struct fields_kind *kind;
    size_t count;
    const char *from[FIELDS_MAX]; /* by the field's place in kind->fields */
    bool mapped[FIELDS_MAX];      /* the name was given, it is not the default */
};

/* Every field under its own name. */
void fields_init(struct fields *self, const struct fields_kind *kind);

/* Takes "WIRE=NAME"; the text must outlive `self`. */
bool fields_map(struct fields *self, const char *assignment, struct leat_error *err);

/* Place of the content field, and of a field by its wire name (-1: there is none). */
int fields_content(const struct fields *self);
int fields_place(const struct fields *self, const char *name);

#endif
