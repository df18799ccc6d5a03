#include "services/classify/encoder/normal_form.h"

#include <utf8proc.h>

enum {
    DECOMPOSED_MOST = 18, /* of one character: U+FDFA */
    VIRAMA_AA = 0x11930,  /* 11935 11930 compose to 11938 since Unicode 13 */
};

bool normal_form_already(enum normal_form form, const char *bytes, size_t size)
{
    /* Below U+0300 everything is in form C: bytes below 0xcc. */
    unsigned char below = form == NORMAL_FORM_C ? 0xcc : 0x80;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)bytes[i] >= below)
            return false;
    return true;
}

/* Characters whose decomposition is younger than the reference's data. */
static bool decomposes_late(uint32_t c)
{
    return c == 0x32ff || (c >= 0xa7f2 && c <= 0xa7f4) || c == 0xab69 ||
           (c >= 0x10781 && c <= 0x107ba) || c == 0x11938 || (c >= 0x1e030 && c <= 0x1e06d) ||
           c == 0x1f16c || (c >= 0x1fbf0 && c <= 0x1fbf9);
}

static bool decompose(bool compatibly, const struct runes *runes, struct runes *work, size_t *head)
{
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    if (compatibly)
        options |= UTF8PROC_COMPAT;
    work->count = 0;
    size_t head_after = 0;
    for (size_t i = 0; i < runes->count; i++) {
        uint32_t c = runes->items[i];
        utf8proc_int32_t parts[DECOMPOSED_MOST];
        utf8proc_ssize_t n = 1;
        if (c < 0x80 || decomposes_late(c))
            parts[0] = (utf8proc_int32_t)c;
        else
            n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, DECOMPOSED_MOST, options, NULL);
        if (n < 0 || n > DECOMPOSED_MOST) {
            parts[0] = (utf8proc_int32_t)c;
            n = 1;
        }
        for (utf8proc_ssize_t k = 0; k < n; k++)
            if (!runes_add(work, (uint32_t)parts[k]))
                return false;
        if (i < *head)
            head_after = work->count;
    }
    *head = head_after;
    return true;
}

static unsigned combining_class(const struct characters *characters, uint32_t c)
{
    if (c < 0x300 || characters_of(characters, c) & CHARACTER_UNORDERED)
        return 0;
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* Sorts a run of marks by class, equal ones as they stand. Counted, so that a text of nothing but
 * marks takes no longer than any other. */
static bool run_order(const struct characters *characters, uint32_t *run, size_t count,
                      struct runes *work)
{
    size_t starts[257] = {0};
    work->count = 0;
    for (size_t i = 0; i < count; i++) {
        starts[combining_class(characters, run[i]) + 1]++;
        if (!runes_add(work, run[i]))
            return false;
    }
    for (size_t k = 1; k < 257; k++)
        starts[k] += starts[k - 1];
    for (size_t i = 0; i < count; i++)
        run[starts[combining_class(characters, work->items[i])]++] = work->items[i];
    return true;
}

static bool order(const struct characters *characters, struct runes *runes, struct runes *work)
{
    for (size_t i = 0; i < runes->count; i++) {
        size_t begin = i;
        while (i < runes->count && combining_class(characters, runes->items[i]) > 0)
            i++;
        if (i - begin > 1 && !run_order(characters, runes->items + begin, i - begin, work))
            return false;
    }
    return true;
}

static size_t compose_part(uint32_t *items, size_t count)
{
    utf8proc_ssize_t left = utf8proc_normalize_utf32(
        (utf8proc_int32_t *)items, (utf8proc_ssize_t)count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    return left < 0 ? count : (size_t)left;
}

/* Composes in place; nothing composes across what the reference takes for a starter of its own. */
static void compose(const struct characters *characters, struct runes *runes)
{
    size_t to = 0;
    for (size_t i = 0; i < runes->count;) {
        size_t begin = i++;
        while (i < runes->count && runes->items[i] != VIRAMA_AA &&
               (runes->items[i] < 0x300 ||
                !(characters_of(characters, runes->items[i]) & CHARACTER_UNORDERED) ||
                utf8proc_get_property((utf8proc_int32_t)runes->items[i])->combining_class == 0))
            i++;
        size_t count = compose_part(runes->items + begin, i - begin);
        memmove(runes->items + to, runes->items + begin, count * sizeof *runes->items);
        to += count;
    }
    runes->count = to;
}

/* How many are left of the first `head` when they are composed alone. */
static size_t head_composed(const struct runes *runes, size_t head)
{
    uint32_t copy[DECOMPOSED_MOST];
    if (head > DECOMPOSED_MOST || head > runes->count)
        return head > 0;
    memcpy(copy, runes->items, head * sizeof *copy);
    return compose_part(copy, head);
}

bool normal_form(const struct characters *characters, enum normal_form form, struct runes *runes,
                 struct runes *work, size_t *head)
{
    bool compatibly = form == NORMAL_FORM_KD || form == NORMAL_FORM_KC;
    if (!decompose(compatibly, runes, work, head) || !order(characters, work, runes))
        return false;
    struct runes done = *work;
    *work = *runes;
    *runes = done;
    if (form == NORMAL_FORM_C || form == NORMAL_FORM_KC) {
        *head = head_composed(runes, *head);
        compose(characters, runes);
    }
    return true;
}
