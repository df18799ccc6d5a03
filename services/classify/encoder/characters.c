#include "services/classify/encoder/characters.h"

#include "services/classify/encoder/characters_table.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { PAGE = 256, RUNS = sizeof characters_runs / sizeof *characters_runs };

/* Fills a page from the run that is open at its first character on; returns the run open at its
 * end. */
static size_t page_fill(size_t run, uint32_t first, uint16_t kinds[PAGE])
{
    for (uint32_t i = 0; i < PAGE; i++) {
        while (run + 1 < RUNS && characters_runs[run + 1] >> 8 <= first + i)
            run++;
        kinds[i] = characters_kinds[characters_runs[run] & 0xff];
    }
    return run;
}

bool characters_open(struct characters *self, struct leat_error *err)
{
    enum { TOTAL = CHARACTERS_MOST / PAGE };
    uint16_t *kinds = malloc(TOTAL * PAGE * sizeof *kinds);
    size_t pages = 0, run = 0;
    self->kinds = NULL;
    if (!kinds)
        return leat_fail(err, "out of memory for character kinds");
    for (uint32_t i = 0; i < TOTAL; i++) {
        uint16_t *fresh = kinds + pages * PAGE;
        run = page_fill(run, i * PAGE, fresh);
        size_t same = 0;
        while (memcmp(kinds + same * PAGE, fresh, PAGE * sizeof *fresh) != 0)
            same++;
        self->page[i] = (uint16_t)same;
        pages += same == pages;
    }
    self->kinds = realloc(kinds, pages * PAGE * sizeof *kinds);
    if (!self->kinds)
        self->kinds = kinds; /* as large as it was */
    return true;
}

void characters_close(struct characters *self)
{
    free(self->kinds);
    self->kinds = NULL;
}

/* Letters whose lower-case form is younger than the Unicode data of Debian 12's utf8proc. */
static uint32_t lower_young(uint32_t c)
{
    switch (c) {
    case 0x1c89:
    case 0xa7cc:
    case 0xa7ce:
    case 0xa7d2:
    case 0xa7d4:
    case 0xa7da:
        return c + 1;
    case 0xa7cb:
        return 0x264;
    case 0xa7dc:
        return 0x19b;
    default:
        if (c >= 0x10d50 && c <= 0x10d65)
            return c + 0x20;
        return c >= 0x16ea0 && c <= 0x16eb8 ? c + 0x1b : c;
    }
}

size_t characters_lower(uint32_t c, uint32_t out[CHARACTERS_LOWER_MOST])
{
    if (c == 0x130) { /* the one full mapping that is longer than one character */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    out[0] = lower == c ? lower_young(c) : lower;
    return 1;
}

bool characters_chinese(uint32_t c)
{
    /* The gap before 0x2b920 is the reference's. */
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b81f) ||
           (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x2f800 && c <= 0x2fa1f);
}
