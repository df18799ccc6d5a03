#include "services/classify/encoder/byte_level.h"
#include "services/classify/encoder/normalizer_private.h"

#include <stdlib.h>

static bool form_apply(const struct normalizer *self, const struct normalizer_step *step,
                       struct normalizer_scratch *scratch, struct strand *text,
                       struct strand_buffer *out)
{
    struct runes *runes = &scratch->runes;
    size_t head = 0;
    if (normal_form_already(step->form, text->bytes, text->size))
        return true;
    runes->count = 0;
    for (size_t i = 0; i < text->size;) {
        uint32_t c;
        head += i < text->head;
        i += utf8_read(text->bytes + i, &c);
        if (!runes_add(runes, c))
            return false;
    }
    if (!normal_form(self->characters, step->form, runes, &scratch->work, &head))
        return false;
    out->size = out->head = 0;
    for (size_t i = 0; i < runes->count; i++) {
        if (!strand_put_point(out, runes->items[i]))
            return false;
        if (i < head)
            out->head = out->size;
    }
    *text = strand_of(out);
    return true;
}

/* What becomes of a character by one of the steps that look at one at a time; returns how many
 * characters that is. */
static size_t character_apply(const struct normalizer *self, enum normalizer_kind kind, uint32_t c,
                              uint32_t out[CHARACTERS_LOWER_MOST])
{
    out[0] = c;
    if (kind == NORMALIZER_LOWERCASE)
        return characters_lower(c, out);
    if (kind == NORMALIZER_STRIP_ACCENTS)
        return !(characters_of(self->characters, c) & CHARACTER_MARK);
    /* The Nmt rules, of Google's neural machine translation: control characters go, what spaces
     * becomes a space. */
    if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f ||
        c == 0x9f)
        return 0;
    if (c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
        (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff ||
        c == 0xfffd)
        out[0] = ' ';
    return 1;
}

static bool characters_apply(const struct normalizer *self, enum normalizer_kind kind,
                             struct strand *text, struct strand_buffer *out)
{
    out->size = out->head = 0;
    for (size_t i = 0; i < text->size;) {
        uint32_t c, becomes[CHARACTERS_LOWER_MOST];
        size_t at = i;
        i += utf8_read(text->bytes + i, &c);
        size_t n = character_apply(self, kind, c, becomes);
        for (size_t k = 0; k < n; k++)
            if (!strand_put_point(out, becomes[k]))
                return false;
        if (at < text->head)
            out->head = out->size;
    }
    *text = strand_of(out);
    return true;
}

static bool bytes_apply(struct strand *text, struct strand_buffer *out)
{
    out->size = out->head = 0;
    for (size_t i = 0; i < text->size; i++) {
        if (!strand_put_point(out, byte_level_character((unsigned char)text->bytes[i])))
            return false;
        if (i < text->head)
            out->head = out->size;
    }
    *text = strand_of(out);
    return true;
}

static void strip(const struct normalizer *self, const struct normalizer_step *step,
                  struct strand *text)
{
    uint32_t c;
    while (step->left && text->size > 0) {
        size_t size = utf8_read(text->bytes, &c);
        if (!(characters_of(self->characters, c) & CHARACTER_SPACE))
            break;
        text->bytes += size;
        text->size -= size;
        text->head -= text->head < size ? text->head : size;
    }
    while (step->right && text->size > 0) {
        const char *last = utf8_before(text->bytes + text->size, &c);
        if (!(characters_of(self->characters, c) & CHARACTER_SPACE))
            break;
        text->size = (size_t)(last - text->bytes);
    }
    text->head = text->head < text->size ? text->head : text->size;
}

static bool replace_apply(const struct normalizer *self, const struct normalizer_step *step,
                          struct strand *text, struct strand_buffer *out)
{
    size_t start, end, at = 0;
    out->size = out->head = 0;
    while (
        pattern_next(&step->pattern, self->characters, text->bytes, text->size, at, &start, &end)) {
        if (!strand_put(out, text->bytes + at, start - at))
            return false;
        if (start <= text->head)
            out->head = out->size;
        else if (at < text->head)
            out->head = out->size - (start - text->head);
        if (!strand_put(out, step->content, step->content_size))
            return false;
        if (end <= text->head)
            out->head = out->size;
        at = end;
    }
    if (at == 0)
        return true;
    if (at < text->head)
        out->head = out->size + text->head - at;
    if (!strand_put(out, text->bytes + at, text->size - at))
        return false;
    *text = strand_of(out);
    return true;
}

static bool prepend_apply(const struct normalizer_step *step, struct strand *text,
                          struct strand_buffer *out)
{
    if (text->size == 0)
        return true;
    out->size = 0;
    if (!strand_put(out, step->content, step->content_size) ||
        !strand_put(out, text->bytes, text->size))
        return false;
    out->head = text->head > 0 ? step->content_size + text->head : 0;
    *text = strand_of(out);
    return true;
}

static bool step_apply(const struct normalizer *self, const struct normalizer_step *step,
                       struct normalizer_scratch *scratch, struct strand *text,
                       struct strand_buffer *out)
{
    switch (step->kind) {
    case NORMALIZER_BERT:
        return normalizer_bert(self, step, scratch, text, out);
    case NORMALIZER_FORM:
        return form_apply(self, step, scratch, text, out);
    case NORMALIZER_STRIP:
        strip(self, step, text);
        return true;
    case NORMALIZER_REPLACE:
        return replace_apply(self, step, text, out);
    case NORMALIZER_PREPEND:
        return prepend_apply(step, text, out);
    case NORMALIZER_PRECOMPILED:
        if (!charsmap_apply(&step->charsmap, *text, out))
            return false;
        *text = strand_of(out);
        return true;
    case NORMALIZER_BYTE_LEVEL:
        return bytes_apply(text, out);
    case NORMALIZER_LOWERCASE:
    case NORMALIZER_STRIP_ACCENTS:
    case NORMALIZER_NMT:
        break;
    }
    return characters_apply(self, step->kind, text, out);
}

bool normalizer_apply(const struct normalizer *self, struct normalizer_scratch *scratch,
                      struct strand *text)
{
    struct strand_buffer *out = &scratch->text[0], *other = &scratch->text[1];
    bool first = text->first;
    for (size_t i = 0; i < self->count; i++) {
        if (!step_apply(self, &self->steps[i], scratch, text, out))
            return false;
        text->first = first;
        if (text->bytes == out->bytes) { /* written: else it lies where it lay */
            struct strand_buffer *used = out;
            out = other;
            other = used;
        }
    }
    return true;
}

void normalizer_scratch_close(struct normalizer_scratch *scratch)
{
    free(scratch->text[0].bytes);
    free(scratch->text[1].bytes);
    free(scratch->runes.items);
    free(scratch->work.items);
    *scratch = (struct normalizer_scratch){0};
}
