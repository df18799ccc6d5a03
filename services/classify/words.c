#include "services/classify/words.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

enum {
    /* How many marks are looked past to find the character they belong to: more than any language
     * stacks, and a bound on the work that a text of nothing but marks can cause. */
    MARKS_MAX = 32,
};

enum join {
    JOIN_NOTHING,
    JOIN_LETTER, /* and digits: the rules treat them alike once dots and commas join nothing */
    JOIN_CONNECTOR,
    JOIN_KATAKANA,
    JOIN_MARK,
};

struct range {
    utf8proc_int32_t first, last;
};

/* Scripts whose letters are words of their own: Hiragana, Han, and those of South-East Asia. */
static const struct range ALONE[] = {
    {0x0E01, 0x0E4E},   {0x0E81, 0x0EDF},   {0x1000, 0x109F}, {0x1780, 0x17DD}, {0x1950, 0x19DF},
    {0x1A20, 0x1AAD},   {0x2E80, 0x2FDF},   {0x3005, 0x3007}, {0x3021, 0x3029}, {0x3041, 0x309F},
    {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA9E0, 0xA9FF}, {0xAA60, 0xAADF}, {0xF900, 0xFAFF},
    {0x1B001, 0x1B11F}, {0x20000, 0x3FFFF},
};

static const struct range KATAKANA[] = {
    {0x3031, 0x3035}, {0x309B, 0x309C}, {0x30A0, 0x30FA}, {0x30FC, 0x30FF},
    {0x31F0, 0x31FF}, {0x32D0, 0x32FE}, {0x3300, 0x3357}, {0xFF66, 0xFF9F},
};

static bool in_ranges(const struct range *ranges, size_t count, utf8proc_int32_t code)
{
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

static bool ascii_word(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' ||
           (byte >= 'A' && byte <= 'Z');
}

static enum join letter_join(utf8proc_int32_t code)
{
    if (code < 0x0E01)
        return JOIN_LETTER;
    if (in_ranges(KATAKANA, sizeof KATAKANA / sizeof *KATAKANA, code))
        return JOIN_KATAKANA;
    return in_ranges(ALONE, sizeof ALONE / sizeof *ALONE, code) ? JOIN_NOTHING : JOIN_LETTER;
}

static enum join join_of(utf8proc_int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
        return letter_join(code);
    case UTF8PROC_CATEGORY_ND:
        return JOIN_LETTER;
    case UTF8PROC_CATEGORY_PC:
        return JOIN_CONNECTOR;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return JOIN_MARK;
    case UTF8PROC_CATEGORY_CF: /* the zero width space is one by category, yet it parts words */
        return code == 0x200B ? JOIN_NOTHING : JOIN_MARK;
    default: /* symbols, but for the two voicing marks of Katakana */
        return code == 0x309B || code == 0x309C ? JOIN_KATAKANA : JOIN_NOTHING;
    }
}

static enum join join_after(const char *text, size_t size, size_t at)
{
    utf8proc_int32_t code;
    utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
    return code < 0 ? JOIN_NOTHING : join_of(code);
}

/* What the character that ends at `at` joins: that of the character its marks belong to. */
static enum join join_before(const char *text, size_t at)
{
    for (int marks = 0; at > 0 && marks <= MARKS_MAX; marks++) {
        size_t start = at - 1;
        while (start > 0 && at - start < 4 && ((unsigned char)text[start] & 0xC0) == 0x80)
            start--;
        enum join join = join_after(text, at, start);
        if (join != JOIN_MARK)
            return join;
        at = start;
    }
    return JOIN_NOTHING;
}

bool words_boundary(const char *text, size_t size, size_t at)
{
    if (at == 0 || at >= size)
        return true;
    unsigned char before = (unsigned char)text[at - 1], after = (unsigned char)text[at];
    if ((before | after) < 0x80)
        return !(ascii_word(before) && ascii_word(after));

    enum join next = join_after(text, size, at);
    if (next == JOIN_NOTHING)
        return true;
    if (next == JOIN_MARK)
        return before == '\n' || before == '\r';
    enum join last = join_before(text, at);
    if (last == JOIN_NOTHING || last == JOIN_MARK)
        return true;
    if (last == JOIN_CONNECTOR || next == JOIN_CONNECTOR)
        return false;
    return (last == JOIN_KATAKANA) != (next == JOIN_KATAKANA);
}

bool words_ascii(const char *text, size_t size)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    uint64_t seen = 0, word;
    size_t i = 0;
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, text + i, sizeof word);
        seen |= word;
    }
    for (; i < size; i++)
        seen |= (unsigned char)text[i];
    return !(seen & high_bits);
}

static utf8proc_int32_t plain(utf8proc_int32_t code)
{
    switch (code) {
    case 0x2018: /* single quotation marks and the letter that stands for an apostrophe */
    case 0x2019:
    case 0x02BC:
        return '\'';
    case 0x2028: /* line and paragraph separator, next line */
    case 0x2029:
    case 0x0085:
        return ' ';
    default:
        return utf8proc_category(code) == UTF8PROC_CATEGORY_ZS ? ' ' : code;
    }
}

/* Folds one character that is not ASCII; at most three come out of it. */
static size_t fold_character(utf8proc_int32_t code, char *out)
{
    utf8proc_int32_t folded[4];
    int last_class = 0;
    utf8proc_ssize_t count =
        utf8proc_decompose_char(plain(code), folded, 4, UTF8PROC_CASEFOLD, &last_class);
    size_t written = 0;
    for (utf8proc_ssize_t i = 0; i < count && i < 4; i++)
        written += (size_t)utf8proc_encode_char(folded[i], (utf8proc_uint8_t *)out + written);
    return written;
}

size_t words_fold(const char *text, size_t size, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < size;) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x80) {
            bool upper = byte >= 'A' && byte <= 'Z', space = byte >= '\t' && byte <= '\r';
            out[written++] = space ? ' ' : (char)(upper ? byte - 'A' + 'a' : byte);
            i++;
            continue;
        }
        utf8proc_int32_t code;
        utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                   (utf8proc_ssize_t)(size - i), &code);
        if (length <= 0) {
            out[written++] = text[i++];
            continue;
        }
        written += fold_character(code, out + written);
        i += (size_t)length;
    }
    return written;
}
