#include "services/leat/fields.h"

#include <string.h>

static const struct field text_fields[] = {
    {"id", FIELD_STRING},         {"text", FIELD_STRING},     {"source_type", FIELD_STRING},
    {"platform", FIELD_STRING},   {"verified", FIELD_BOOL},   {"reach", FIELD_INTEGER},
    {"published_at", FIELD_TIME}, {"lang", FIELD_STRING},     {"url", FIELD_STRING},
    {"author", FIELD_STRING},     {"version", FIELD_INTEGER}, {NULL, FIELD_STRING},
};

const struct fields_kind fields_kinds[] = {
    {"text", text_fields, "text"},
    {NULL, NULL, NULL},
};

const struct fields_kind *fields_find(const char *kind)
{
    for (const struct fields_kind *row = fields_kinds; row->kind; row++)
        if (strcmp(row->kind, kind) == 0)
            return row;
    return NULL;
}

void fields_init(struct fields *self, const struct fields_kind *kind)
{
    *self = (struct fields){.kind = kind};
    for (; kind->fields[self->count].name; self->count++)
        self->from[self->count] = kind->fields[self->count].name;
}

int fields_place(const struct fields *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->kind->fields[i].name, name) == 0)
            return (int)i;
    return -1;
}

int fields_content(const struct fields *self)
{
    return fields_place(self, self->kind->content);
}

/* "id, text, …" for a person. */
static void list_names(const struct fields *self, char *to, size_t size)
{
    size_t at = 0;
    to[0] = '\0';
    for (size_t i = 0; i < self->count; i++) {
        const char *name = self->kind->fields[i].name;
        size_t length = strlen(name);
        if (at + length + 3 > size)
            return;
        if (i > 0) {
            memcpy(to + at, ", ", 2);
            at += 2;
        }
        memcpy(to + at, name, length + 1);
        at += length;
    }
}

bool fields_map(struct fields *self, const char *assignment, struct leat_error *err)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment || !equals[1])
        return leat_fail(err, "'%s' maps no field: write FIELD=NAME, as in text=body", assignment);
    size_t length = (size_t)(equals - assignment);
    for (size_t i = 0; i < self->count; i++) {
        const char *name = self->kind->fields[i].name;
        if (strlen(name) != length || memcmp(name, assignment, length) != 0)
            continue;
        if (self->mapped[i])
            return leat_fail(err, "field '%s' is mapped twice", name);
        self->from[i] = equals + 1;
        self->mapped[i] = true;
        return true;
    }
    char names[200];
    list_names(self, names, sizeof names);
    return leat_fail(err, "'%.*s' is no field of kind %s: it has %s", (int)length, assignment,
                     self->kind->kind, names);
}
