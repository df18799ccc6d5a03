#include "services/leat/mask.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char stars[] = "******";

/* A piece of a text. */
struct piece {
    size_t at, length;
};

/* scheme://user:PASSWORD@host. Everything up to the last @ is the user's part: a password may hold
 * one that nobody escaped. */
static bool find_in_url(const char *address, struct piece *out)
{
    const char *user = strstr(address, "://");
    if (!user)
        return false;
    user += 3;
    const char *end = memrchr(user, '@', strcspn(user, "?#"));
    const char *colon = end ? memchr(user, ':', (size_t)(end - user)) : NULL;
    if (!colon || end == colon + 1)
        return false;
    *out = (struct piece){(size_t)(colon + 1 - address), (size_t)(end - colon - 1)};
    return true;
}

/* password=PASSWORD, in a connection text or behind a URL's question mark; a value with spaces is
 * in single quotes. */
static bool find_in_words(const char *address, struct piece *out)
{
    const char *word = strstr(address, "password");
    if (!word)
        return false;
    word += strlen("password");
    word += strspn(word, " ");
    if (*word != '=')
        return false;
    word++;
    word += strspn(word, " ");
    size_t length;
    if (*word == '\'') {
        length = 1;
        while (word[length] && word[length] != '\'')
            length += word[length] == '\\' && word[length + 1] ? 2 : 1;
        length += word[length] == '\'';
    } else {
        length = strcspn(word, strstr(address, "://") ? "&" : " ");
    }
    *out = (struct piece){(size_t)(word - address), length};
    return length > 0;
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
static bool find_in_query(const char *address, struct piece *out)
{
    const char *at = strstr(address, "://") ? strchr(address, '?') : NULL;
    while (at) {
        const char *name = at + 1;
        size_t size = strcspn(name, "=&#");
        *out = (struct piece){(size_t)(name + size + 1 - address), 0};
        if (name[size] == '=' && names_key(name, size)) {
            out->length = strcspn(name + size + 1, "&#");
            return out->length > 0;
        }
        at = strchr(name, '&');
    }
    return false;
}

const char *mask_address(const char *address, char *to, size_t size)
{
    struct piece url, words;
    char first[8192];
    const char *text = address;
    if (find_in_url(address, &url)) {
        snprintf(first, sizeof first, "%.*s%s%s", (int)url.at, address, stars,
                 address + url.at + url.length);
        text = first;
    }
    if (find_in_words(text, &words) || find_in_query(text, &words))
        snprintf(to, size, "%.*s%s%s", (int)words.at, text, stars, text + words.at + words.length);
    else
        snprintf(to, size, "%s", text);
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
