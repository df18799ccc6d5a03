/* UTF-8 by the character, for text that is known to be valid. */
#ifndef LEAT_ENCODER_UTF8_H
#define LEAT_ENCODER_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_MOST = 4 };

/* Reads the character that begins at `s`; returns its size. */
static inline size_t utf8_read(const char *s, uint32_t *c)
{
    const unsigned char *b = (const unsigned char *)s;
    if (b[0] < 0x80) {
        *c = b[0];
        return 1;
    }
    if (b[0] < 0xe0) {
        *c = (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
        return 2;
    }
    if (b[0] < 0xf0) {
        *c = (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
        return 3;
    }
    *c = (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
    return 4;
}

/* The size of the character that begins with this byte. */
static inline size_t utf8_size(char first)
{
    unsigned char b = (unsigned char)first;
    return b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

/* The character that ends before `s`; `s` is not the beginning of the text. */
static inline const char *utf8_before(const char *s, uint32_t *c)
{
    do
        s--;
    while (((unsigned char)*s & 0xc0) == 0x80);
    utf8_read(s, c);
    return s;
}

/* Writes up to UTF8_MOST bytes; returns how many. */
static inline size_t utf8_write(char *s, uint32_t c)
{
    if (c < 0x80) {
        s[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        s[0] = (char)(0xc0 | c >> 6);
        s[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        s[0] = (char)(0xe0 | c >> 12);
        s[1] = (char)(0x80 | (c >> 6 & 0x3f));
        s[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    s[0] = (char)(0xf0 | c >> 18);
    s[1] = (char)(0x80 | (c >> 12 & 0x3f));
    s[2] = (char)(0x80 | (c >> 6 & 0x3f));
    s[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

#endif
