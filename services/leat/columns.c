#include "services/leat/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct leat_span trim(struct leat_span cell)
{
    while (cell.size > 0 && cell.data[0] == ' ') {
        cell.data++;
        cell.size--;
    }
    while (cell.size > 0 && cell.data[cell.size - 1] == ' ')
        cell.size--;
    return cell;
}

static void show_names(struct columns *self, const struct leat_span *cells, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct leat_span cell = trim(cells[i]);
        size_t shown = draft_cut(cell, 40);
        if (at + shown + 12 > sizeof self->names_shown) {
            snprintf(self->names_shown + at, sizeof self->names_shown - at, ", ...");
            return;
        }
        at += (size_t)snprintf(self->names_shown + at, sizeof self->names_shown - at, "%s%.*s%s",
                               i ? ", " : "", (int)shown, (const char *)cell.data,
                               shown < cell.size ? "..." : "");
    }
}

/* A column's number from 1, as one may give it instead of a name. */
static int by_number(const char *name, size_t count)
{
    char *end;
    if (*name < '1' || *name > '9')
        return -1;
    unsigned long number = strtoul(name, &end, 10);
    return *end || number > count ? -1 : (int)(number - 1);
}

enum { TWICE = -2 };

static int by_name(const char *name, const struct leat_span *cells, size_t count)
{
    int found = -1;
    for (size_t i = 0; cells && i < count; i++)
        if (leat_wire_is(trim(cells[i]), name)) {
            if (found >= 0)
                return TWICE;
            found = (int)i;
        }
    return found >= 0 ? found : by_number(name, count);
}

/* The option that says which column it is. */
static const char *option_of(const struct fields *fields, size_t field, const char *what,
                             char to[80])
{
    const char *wire = fields->kind->fields[field].name;
    if (strcmp(fields->kind->kind, "series") != 0)
        snprintf(to, 80, "--field %.40s=%s", wire, what);
    else if (field == 0)
        snprintf(to, 80, "--time %s", what);
    else if (strcmp(wire, "close") == 0)
        snprintf(to, 80, "--value %s", what);
    else
        snprintf(to, 80, "--domain %.40s=%s", wire, what);
    return to;
}

static bool missing(const struct columns *self, const struct fields *fields, size_t field,
                    const char *name, struct leat_error *err)
{
    const char *wire = fields->kind->fields[field].name;
    char option[80];
    if (!self->names_shown[0])
        return leat_fail(err, "%s: which of its %zu columns is '%s'? Use %s or --columns", name,
                         self->count, wire, option_of(fields, field, "NUMBER", option));
    if (strcmp(fields->kind->kind, "series") == 0)
        return leat_fail(err, "no column '%s' in %s: it has %s; use %s", fields->from[field], name,
                         self->names_shown, option_of(fields, field, "NAME", option));
    if (fields->mapped[field])
        return leat_fail(err, "no column '%s' in %s: it has %s", fields->from[field], name,
                         self->names_shown);
    return leat_fail(err,
                     "no column '%s' in %s: it has %s; use %s, or --columns if the first line is "
                     "no header",
                     fields->from[field], name, self->names_shown,
                     option_of(fields, field, "NAME", option));
}

bool columns_find(struct columns *self, const struct fields *fields, const struct leat_span *cells,
                  size_t count, const char *name, struct leat_error *err)
{
    *self = (struct columns){.count = count};
    if (cells)
        show_names(self, cells, count);
    for (size_t i = 0; i < fields->count; i++) {
        self->at[i] = by_name(fields->from[i], cells, count);
        if (self->at[i] == TWICE)
            return leat_fail(err, "column '%s' stands twice in %s: it has %s", fields->from[i],
                             name, self->names_shown);
        bool needed = fields->mapped[i] || (int)i == fields_content(fields);
        if (self->at[i] < 0 && needed)
            return missing(self, fields, i, name, err);
    }
    return true;
}

size_t columns_split(const char *names, struct leat_span cells[ROWS_CELLS_MAX])
{
    size_t count = 0;
    for (;;) {
        size_t length = strcspn(names, ",");
        cells[count++] = (struct leat_span){(const uint8_t *)names, length};
        if (!names[length] || count == ROWS_CELLS_MAX)
            return count;
        names += length + 1;
    }
}

bool columns_take(const struct columns *self, struct draft *draft, const struct row *row,
                  struct draft_why *why)
{
    if (row->count != self->count)
        return draft_refuse(why, "column_count", "%zu column%s where there should be %zu",
                            row->count, row->count == 1 ? "" : "s", self->count);
    for (size_t i = 0; i < draft->fields->count; i++)
        if (self->at[i] >= 0 && !draft_text(draft, i, row->cells[self->at[i]], why))
            return false;
    return true;
}
