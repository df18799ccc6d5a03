/* Times and UUIDs as text. */
#ifndef LEAT_PERSIST_ISO_H
#define LEAT_PERSIST_ISO_H

#include <stddef.h>
#include <stdint.h>

enum {
    ISO_TIME_MAX = 40, /* bytes that a time takes at most; 27 for years 0 to 9999 */
    ISO_UUID_SIZE = 36,
};

/* µs since 1970 as 2026-01-31T12:00:00.123456Z; returns the length, and writes no NUL. Any value
 * may be given; years beyond 0 to 9999 have a sign and more digits. */
size_t iso_time(int64_t us, char to[ISO_TIME_MAX]);

/* 16 bytes as 8-4-4-4-12 small hexadecimal digits; no NUL. */
void iso_uuid(const uint8_t bytes[16], char to[ISO_UUID_SIZE]);

#endif
