#include "services/flows/series/names.h"

#include <string.h>

static size_t add(struct series_names *self, const char *name, size_t size)
{
    memcpy(self->items[self->n], name, size);
    return self->n++;
}

bool series_names_parse(const char *text, struct series_names *out, struct leat_error *err)
{
    *out = (struct series_names){0};
    add(out, "idx", 3);
    add(out, "bqx", 3);
    for (bool more = text[strspn(text, " ")] != 0; more; text++) {
        text += strspn(text, " ");
        size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
        if (size == 0 || size > SERIES_DOMAIN_NAME_MAX || (text[size] != 0 && text[size] != ','))
            return leat_fail(err, "expected a name of 1 to %d of a-z, 0-9 and _ at \"%.40s\"",
                             SERIES_DOMAIN_NAME_MAX, text);
        size_t at = series_names_find(out, (struct leat_span){(const uint8_t *)text, size});
        if (at == SERIES_NAMES_MOST) {
            if (out->n == SERIES_NAMES_MOST)
                return leat_fail(err, "more than %d names, with idx and bqx", SERIES_NAMES_MOST);
            at = add(out, text, size);
        }
        if (out->taken[at])
            return leat_fail(err, "\"%s\" is there twice", out->items[at]);
        out->taken[at] = true;
        text += size;
        more = *text == ',';
    }
    return true;
}

size_t series_names_find(const struct series_names *self, struct leat_span name)
{
    for (size_t i = 0; i < self->n; i++)
        if (leat_wire_is(name, self->items[i]))
            return i;
    return SERIES_NAMES_MOST;
}
