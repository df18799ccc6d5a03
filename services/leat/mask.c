#include "services/leat/mask.h"

#include <stdio.h>
#include <string.h>

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
    if (find_in_words(text, &words))
        snprintf(to, size, "%.*s%s%s", (int)words.at, text, stars, text + words.at + words.length);
    else
        snprintf(to, size, "%s", text);
    return to;
}

const char *mask_value(const struct leat_setting *row, const char *value, char *to, size_t size)
{
    bool address = strchr(value, ':') || strchr(value, '=');
    if (row->secret && *value && !address)
        snprintf(to, size, "%s", stars);
    else if (row->type == LEAT_SET_STRING)
        mask_address(value, to, size);
    else
        snprintf(to, size, "%s", value);
    return to;
}
