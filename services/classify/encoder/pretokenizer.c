#include "services/classify/encoder/byte_level.h"
#include "services/classify/encoder/pretokenizer_private.h"

#include <stdlib.h>

/* --- cutting at matches ---------------------------------------------------------------------- */

/* Takes a piece's matches and the gaps between them, in order, and makes pieces of them. */
struct cutter {
    enum pretokenizer_behavior behavior;
    struct spans *out;
    size_t floor; /* spans before this one belong to earlier pieces */
    bool before;  /* what came last was a match */
    bool pending; /* MERGED_WITH_NEXT: a match that waits for what follows it */
    struct span waiting;
};

/* Makes the last piece reach to `end`. */
static bool span_extend(struct spans *out, size_t end)
{
    struct span *last = &out->items[out->count - 1];
    last->size = (uint32_t)end - last->start;
    return true;
}

/* A match joins what follows, unless that is a match, too. */
static bool cut_next(struct cutter *self, size_t start, size_t end, bool match)
{
    struct span waiting = self->waiting;
    bool pending = self->pending;
    self->pending = match;
    if (match) {
        self->waiting = (struct span){(uint32_t)start, (uint32_t)(end - start)};
        return !pending || spans_add(self->out, waiting.start, waiting.size);
    }
    return spans_add(self->out, pending ? waiting.start : start,
                     end - (pending ? waiting.start : start));
}

static bool cut(struct cutter *self, size_t start, size_t end, bool match)
{
    bool first = self->out->count == self->floor, before = self->before;
    self->before = match;
    switch (self->behavior) {
    case BEHAVIOR_REMOVED:
        return match || spans_add(self->out, start, end - start);
    case BEHAVIOR_ISOLATED:
        break;
    case BEHAVIOR_MERGED_WITH_PREVIOUS:
        if (match && !before && !first)
            return span_extend(self->out, end);
        break;
    case BEHAVIOR_CONTIGUOUS:
        if (match == before && !first)
            return span_extend(self->out, end);
        break;
    case BEHAVIOR_MERGED_WITH_NEXT:
        return cut_next(self, start, end, match);
    }
    return spans_add(self->out, start, end - start);
}

static bool cut_end(const struct cutter *self)
{
    return !self->pending || spans_add(self->out, self->waiting.start, self->waiting.size);
}

static bool piece_at_pattern(const struct pattern *pattern, bool inverted,
                             enum pretokenizer_behavior behavior,
                             const struct characters *characters, const char *text,
                             struct span piece, struct spans *out)
{
    struct cutter cutter = {.behavior = behavior, .out = out, .floor = out->count};
    size_t at = 0, start, end, base = piece.start;
    text += base;
    while (pattern_next(pattern, characters, text, piece.size, at, &start, &end)) {
        if ((start > at && !cut(&cutter, base + at, base + start, inverted)) ||
            !cut(&cutter, base + start, base + end, !inverted))
            return false;
        at = end;
    }
    if (at < piece.size && !cut(&cutter, base + at, base + piece.size, inverted))
        return false;
    return cut_end(&cutter);
}

static bool piece_at_flags(const struct characters *characters, unsigned flags,
                           enum pretokenizer_behavior behavior, const char *text, struct span piece,
                           struct spans *out)
{
    struct cutter cutter = {.behavior = behavior, .out = out, .floor = out->count};
    size_t end = (size_t)piece.start + piece.size, gap = piece.start;
    for (size_t at = piece.start; at < end;) {
        uint32_t c;
        size_t step = utf8_read(text + at, &c);
        if (characters_of(characters, c) & flags) {
            if ((at > gap && !cut(&cutter, gap, at, false)) || !cut(&cutter, at, at + step, true))
                return false;
            gap = at + step;
        }
        at += step;
    }
    return (gap == end || cut(&cutter, gap, end, false)) && cut_end(&cutter);
}

/* Words of one sort: separated by white space, which goes, and where the sort changes. `alone`: a
 * character of that flag is a piece by itself. */
static bool piece_to_words(const struct characters *characters, unsigned sort, unsigned alone,
                           const char *text, struct span piece, struct spans *out)
{
    size_t end = (size_t)piece.start + piece.size, begin = piece.start;
    unsigned before = 0;
    for (size_t at = piece.start; at < end;) {
        uint32_t c;
        size_t step = utf8_read(text + at, &c);
        unsigned kind = characters_of(characters, c);
        bool space = kind & CHARACTER_SPACE;
        if (space || kind & alone || (kind & sort) != before) {
            if (!spans_add(out, begin, at - begin))
                return false;
            begin = space ? at + step : at;
        }
        before = kind & alone ? alone : kind & sort;
        at += step;
    }
    return spans_add(out, begin, end - begin);
}

/* --- rewriting ------------------------------------------------------------------------------- */

/* Writes bytes; `head`: they stand for the text's first character. */
static bool rewrite(struct strand_buffer *out, const char *bytes, size_t size, bool head)
{
    if (!strand_put(out, bytes, size))
        return false;
    if (head)
        out->head = out->size;
    return true;
}

static bool metaspace_piece(const struct pretokenizer_step *step, const struct strand *text,
                            struct span piece, struct strand_buffer *out)
{
    const char *bytes = text->bytes + piece.start;
    size_t length = strlen(step->replacement);
    bool begins =
        *bytes == ' ' || (piece.size >= length && memcmp(bytes, step->replacement, length) == 0);
    bool head = piece.start < text->head;
    if (!begins && (step->prepend == PREPEND_ALWAYS || (step->prepend == PREPEND_FIRST && head)) &&
        !rewrite(out, step->replacement, length, head))
        return false;
    for (size_t i = 0; i < piece.size; i++) {
        bool space = bytes[i] == ' ';
        if (!rewrite(out, space ? step->replacement : bytes + i, space ? length : 1,
                     piece.start + i < text->head))
            return false;
    }
    return true;
}

static bool byte_level_piece(const struct pretokenizer_step *step, const struct strand *text,
                             struct span piece, struct strand_buffer *out)
{
    const char *bytes = text->bytes + piece.start;
    if (step->prefix_space && *bytes != ' ' && !rewrite(out, " ", 1, piece.start < text->head))
        return false;
    if (!strand_put(out, bytes, piece.size))
        return false;
    if (piece.start < text->head)
        out->head = out->size - piece.size +
                    (text->head - piece.start < piece.size ? text->head - piece.start : piece.size);
    return true;
}

/* Cuts the pieces as GPT-2 does and writes their bytes as characters. */
static bool bytes_cut(const struct pretokenizer *self, const struct pretokenizer_step *step,
                      const struct strand *text, const struct spans *pieces,
                      struct strand_buffer *out, struct spans *spans)
{
    out->size = out->head = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        size_t at = 0, start, end = 0, size = pieces->items[i].size;
        const char *bytes = text->bytes + pieces->items[i].start;
        if (!strand_reserve(out, 2 * size))
            return false;
        for (; at < size; at = end) {
            if (step->cut)
                pattern_next(&pattern_gpt2, self->characters, bytes, size, at, &start, &end);
            else
                end = size;
            size_t begin = out->size;
            for (size_t k = at; k < end; k++) {
                out->size += utf8_write(out->bytes + out->size,
                                        byte_level_character((unsigned char)bytes[k]));
                if (pieces->items[i].start + k < text->head)
                    out->head = out->size;
            }
            if (!spans_add(spans, begin, out->size - begin))
                return false;
        }
    }
    return true;
}

/* --- a step ---------------------------------------------------------------------------------- */

/* Where a step's pieces come from and go to. */
struct stage {
    const struct pretokenizer *self;
    const struct pretokenizer_step *step;
    struct strand *text;
    const struct spans *pieces;
    struct spans *spans;
};

/* Rewrites every piece; the pieces are those of the new text then. */
static bool pieces_rewrite(const struct stage *stage, struct strand_buffer *out,
                           bool (*piece)(const struct pretokenizer_step *step,
                                         const struct strand *text, struct span piece,
                                         struct strand_buffer *out))
{
    stage->spans->count = 0;
    out->size = out->head = 0;
    for (size_t i = 0; i < stage->pieces->count; i++) {
        size_t begin = out->size;
        if (!piece(stage->step, stage->text, stage->pieces->items[i], out) ||
            !spans_add(stage->spans, begin, out->size - begin))
            return false;
    }
    *stage->text = strand_of(out);
    return true;
}

static bool pieces_cut(const struct stage *stage)
{
    const struct pretokenizer_step *step = stage->step;
    const struct characters *characters = stage->self->characters;
    const char *text = stage->text->bytes;
    stage->spans->count = 0;
    for (size_t i = 0; i < stage->pieces->count; i++) {
        struct span piece = stage->pieces->items[i];
        bool good;
        if (step->kind == PRETOKENIZER_BERT)
            good = piece_to_words(characters, 0, CHARACTER_PUNCTUATION, text, piece, stage->spans);
        else if (step->kind == PRETOKENIZER_WORDS)
            good = piece_to_words(characters, CHARACTER_WORD, 0, text, piece, stage->spans);
        else if (step->kind == PRETOKENIZER_FLAGS)
            good =
                piece_at_flags(characters, step->flags, step->behavior, text, piece, stage->spans);
        else
            good = piece_at_pattern(&step->pattern, step->inverted, step->behavior, characters,
                                    text, piece, stage->spans);
        if (!good)
            return false;
    }
    return true;
}

/* Replaces spaces; then, maybe, cuts before each replacement. `other`: an array to work with. */
static bool metaspace_apply(struct stage *stage, struct strand_buffer *out, struct spans *other)
{
    if (!pieces_rewrite(stage, out, metaspace_piece))
        return false;
    if (!stage->step->cut)
        return true;
    struct pattern pattern = {.kind = PATTERN_LITERAL,
                              .literal = (char *)stage->step->replacement,
                              .literal_size = strlen(stage->step->replacement)};
    other->count = 0;
    for (size_t i = 0; i < stage->spans->count; i++)
        if (!piece_at_pattern(&pattern, false, BEHAVIOR_MERGED_WITH_NEXT, stage->self->characters,
                              stage->text->bytes, stage->spans->items[i], other))
            return false;
    struct spans done = *other;
    *other = *stage->spans;
    *stage->spans = done;
    return true;
}

/* Puts a space before pieces that want one, cuts them, and turns bytes into characters. */
static bool byte_level_apply(struct stage *stage, struct strand_buffer *spaced,
                             struct strand_buffer *out, struct spans *other)
{
    if (!pieces_rewrite(stage, spaced, byte_level_piece))
        return false;
    other->count = 0;
    if (!bytes_cut(stage->self, stage->step, stage->text, stage->spans, out, other))
        return false;
    struct spans done = *other;
    *other = *stage->spans;
    *stage->spans = done;
    *stage->text = strand_of(out);
    return true;
}

bool pretokenizer_apply(const struct pretokenizer *self, struct pretokenizer_scratch *scratch,
                        struct strand *text, const struct spans **spans)
{
    struct strand_buffer *texts = scratch->text;
    struct spans *pieces = &scratch->spans[0], *next = &scratch->spans[1];
    pieces->count = 0;
    if (!spans_add(pieces, 0, text->size))
        return false;
    for (size_t i = 0; i < self->count; i++) {
        struct stage stage = {self, &self->steps[i], text, pieces, next};
        bool good;
        /* The text never lies in texts[0] when a step begins. */
        if (stage.step->kind == PRETOKENIZER_METASPACE)
            good = metaspace_apply(&stage, &texts[0], pieces);
        else if (stage.step->kind == PRETOKENIZER_BYTE_LEVEL)
            good = byte_level_apply(&stage, &texts[0], &texts[1], pieces);
        else
            good = pieces_cut(&stage);
        if (!good)
            return false;
        struct spans *done = next;
        next = pieces;
        pieces = done;
        if (text->bytes == texts[0].bytes) {
            struct strand_buffer used = texts[0];
            texts[0] = texts[1];
            texts[1] = used;
        }
    }
    *spans = pieces;
    return true;
}

void pretokenizer_scratch_close(struct pretokenizer_scratch *scratch)
{
    for (int i = 0; i < 2; i++) {
        free(scratch->text[i].bytes);
        free(scratch->spans[i].items);
    }
    *scratch = (struct pretokenizer_scratch){0};
}
