#include "services/classify/encoder/normalizer_private.h"

/* What becomes of an ASCII character; -1: it is left out. */
static int ascii_normalize(const struct normalizer_step *step, unsigned char c)
{
    if (step->clean) {
        if (c == '\t' || c == '\n' || c == '\r')
            return ' ';
        if (c < ' ' || c == 0x7f)
            return -1;
    }
    return step->lower && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool ascii(struct strand text)
{
    unsigned char all = 0;
    for (size_t i = 0; i < text.size; i++)
        all |= (unsigned char)text.bytes[i];
    return all < 0x80;
}

static bool ascii_apply(const struct normalizer_step *step, struct strand *text,
                        struct strand_buffer *out)
{
    out->size = out->head = 0;
    if (!strand_reserve(out, text->size))
        return false;
    for (size_t i = 0; i < text->size; i++) {
        int c = ascii_normalize(step, (unsigned char)text->bytes[i]);
        if (c >= 0)
            out->bytes[out->size++] = (char)c;
        if (i < text->head)
            out->head = out->size;
    }
    *text = strand_of(out);
    return true;
}

/* Cleaned, and with spaces around what is Chinese. */
static bool read_runes(const struct normalizer *self, const struct normalizer_step *step,
                       struct strand text, struct runes *runes, size_t *head)
{
    runes->count = *head = 0;
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t at = i;
        i += utf8_read(text.bytes + i, &c);
        if (step->clean) {
            unsigned kind = characters_of(self->characters, c);
            if (kind & CHARACTER_REMOVED)
                continue;
            if (kind & CHARACTER_SPACE)
                c = ' ';
        }
        bool chinese = step->chinese && characters_chinese(c);
        if ((chinese && !runes_add(runes, ' ')) || !runes_add(runes, c) ||
            (chinese && !runes_add(runes, ' ')))
            return false;
        if (at < text.head)
            *head = runes->count;
    }
    return true;
}

static void strip_accents(const struct characters *characters, struct runes *runes, size_t *head)
{
    size_t to = 0, head_after = 0;
    for (size_t i = 0; i < runes->count; i++) {
        if (!(characters_of(characters, runes->items[i]) & CHARACTER_ACCENT))
            runes->items[to++] = runes->items[i];
        if (i < *head)
            head_after = to;
    }
    runes->count = to;
    *head = head_after;
}

static bool write_runes(const struct runes *runes, size_t head, bool lower,
                        struct strand_buffer *out)
{
    out->size = out->head = 0;
    for (size_t i = 0; i < runes->count; i++) {
        uint32_t c[CHARACTERS_LOWER_MOST] = {runes->items[i]};
        size_t n = lower ? characters_lower(runes->items[i], c) : 1;
        for (size_t k = 0; k < n; k++)
            if (!strand_put_point(out, c[k]))
                return false;
        if (i < head)
            out->head = out->size;
    }
    return true;
}

bool normalizer_bert(const struct normalizer *self, const struct normalizer_step *step,
                     struct normalizer_scratch *scratch, struct strand *text,
                     struct strand_buffer *out)
{
    size_t head;
    if (ascii(*text))
        return ascii_apply(step, text, out);
    if (!read_runes(self, step, *text, &scratch->runes, &head))
        return false;
    if (step->accents) {
        if (!normal_form(self->characters, NORMAL_FORM_D, &scratch->runes, &scratch->work, &head))
            return false;
        strip_accents(self->characters, &scratch->runes, &head);
    }
    if (!write_runes(&scratch->runes, head, step->lower, out))
        return false;
    *text = strand_of(out);
    return true;
}
