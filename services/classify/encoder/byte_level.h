/* GPT-2's way to write any byte as a printable character: the printable ones of Latin-1 stand for
 * themselves, the others for U+0100 and up in their order. */
#ifndef LEAT_ENCODER_BYTE_LEVEL_H
#define LEAT_ENCODER_BYTE_LEVEL_H

#include <stdint.h>

/* The character that stands for a byte; below 0x144, so one or two bytes of UTF-8. */
static inline uint32_t byte_level_character(unsigned char b)
{
    if ((b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad))
        return b;
    if (b <= ' ')
        return 0x100u + b;
    return b == 0xad ? 0x143 : 0x100u + 33 + (b - 0x7fu);
}

#endif
