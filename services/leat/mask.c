#include "services/leat/mask.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char stars[] = "******";

enum { SHOWN_MAX = 8192 };

static const char blanks[] = " \t\n\v\f\r"; /* between the words of a connection text */

/* A copy of an address. A byte that is not to be shown is NUL in it. */
struct shown {
    char text[SHOWN_MAX];
    size_t size;
};

static void hide(struct shown *self, size_t at, size_t length)
{
    if (at >= self->size)
        return;
    memset(self->text + at, 0, length < self->size - at ? length : self->size - at);
}

/* With stars for every piece that is hidden. */
static void write_shown(const struct shown *self, char *to, size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    for (size_t at = 0; at < self->size && used < size; at++) {
        bool goes_on = at > 0 && !self->text[at - 1];
        if (self->text[at])
            used += (size_t)snprintf(to + used, size - used, "%c", self->text[at]);
        else if (!goes_on)
            used += (size_t)snprintf(to + used, size - used, "%s", stars);
    }
}

static bool is_url(const char *address)
{
    size_t scheme = strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789+.-");
    return strncmp(address + scheme, "://", 3) == 0;
}

/* scheme://user:PASSWORD@host. Everything up to the last @ is the user's part: a password may hold
 * whatever nobody escaped. */
static void hide_user(struct shown *self, const char *address)
{
    const char *user = strstr(address, "://");
    const char *end = user ? strrchr(user, '@') : NULL;
    const char *colon = end ? memchr(user + 3, ':', (size_t)(end - user - 3)) : NULL;
    if (colon)
        hide(self, (size_t)(colon + 1 - address), (size_t)(end - colon - 1));
}

/* A value as libpq reads it: up to a blank, or in single quotes; a backslash takes what follows. */
static size_t value_length(const char *value)
{
    bool quoted = *value == '\'';
    size_t length = quoted;
    while (value[length] && !strchr(quoted ? "'" : blanks, value[length]))
        length += value[length] == '\\' && value[length + 1] ? 2 : 1;
    return length + (quoted && value[length]);
}

/* Where a value ends is known only if libpq can read the whole. */
static bool is_readable(const char *address)
{
    PQconninfoOption *words = PQconninfoParse(address, NULL);
    bool readable = words;
    PQconninfoFree(words);
    return readable;
}

/* password=PASSWORD and sslpassword=PASSWORD, in a connection text or behind a URL's question mark.
 * Each is looked at by itself: one that only looks like a keyword, as in a quoted value, must not
 * hide another. */
static void hide_passwords(struct shown *self, const char *address)
{
    bool url = is_url(address), readable = is_readable(address);
    const char *at = address;
    while ((at = strcasestr(at, "password"))) {
        at += strlen("password");
        const char *value = at + strspn(at, blanks);
        if (*value != '=')
            continue;
        value++;
        value += strspn(value, blanks);
        size_t length = !readable ? strlen(value) : url ? strcspn(value, "&") : value_length(value);
        hide(self, (size_t)(value - address), length);
    }
}

/* What providers call a key that stands behind a URL's question mark. */
static bool names_key(const char *name, size_t size)
{
    static const char *const names[] = {"key",    "api-key", "api_key",
                                        "apikey", "token",   "access_token"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && strncasecmp(name, names[i], size) == 0)
            return true;
    return false;
}

/* scheme://host/path?key=KEY */
static void hide_keys(struct shown *self, const char *address)
{
    const char *at = strstr(address, "://") ? strchr(address, '?') : NULL;
    while (at) {
        const char *name = at + 1;
        size_t size = strcspn(name, "=&#");
        if (name[size] == '=' && names_key(name, size))
            hide(self, (size_t)(name + size + 1 - address), strcspn(name + size + 1, "&#"));
        at = strchr(name, '&');
    }
}

const char *mask_address(const char *address, char *to, size_t size)
{
    struct shown shown = {.size = strnlen(address, SHOWN_MAX)};
    memcpy(shown.text, address, shown.size);
    hide_user(&shown, address);
    hide_passwords(&shown, address);
    hide_keys(&shown, address);
    write_shown(&shown, to, size);
    return to;
}

/* A key may look like one. */
static bool is_address(const struct leat_setting *row, const char *value)
{
    const char *dot = strrchr(row->name, '.');
    return dot && strcmp(dot, ".url") == 0 && (strchr(value, ':') || strchr(value, '='));
}

const char *mask_value(const struct leat_setting *row, const char *value, char *to, size_t size)
{
    if (row->secret && *value && !is_address(row, value))
        snprintf(to, size, "%s", stars);
    else if (row->type == LEAT_SET_STRING)
        mask_address(value, to, size);
    else
        snprintf(to, size, "%s", value);
    return to;
}
