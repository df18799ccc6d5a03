#include "services/classify/encoder/pattern.h"

#include "services/classify/encoder/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { PATTERN_BYTES_MOST = 256, REPEAT_MOST = 1000 };

const struct pattern pattern_gpt2 = {.kind = PATTERN_GPT2};

static const struct {
    const char *regex;
    struct pattern pattern;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     {.kind = PATTERN_GPT2}},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     {.kind = PATTERN_CL100K, .most = 3}},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     {.kind = PATTERN_CL100K, .most = 1}},
};

static const struct {
    const char *regex;
    unsigned flags;
    bool inverted;
} classes[] = {
    {"\\s", CHARACTER_SPACE, false},     {"\\S", CHARACTER_SPACE, true},
    {"\\d", CHARACTER_DECIMAL, false},   {"\\p{L}", CHARACTER_LETTER, false},
    {"\\p{N}", CHARACTER_NUMBER, false},
};

/* --- reading a regular expression ----------------------------------------------------------- */

/* One character that stands for itself, escaped or not; returns how many bytes of the expression
 * that took, 0 when it is no such character. */
static size_t plain_read(const char *regex, uint32_t *c)
{
    if (*regex == '\0' || strchr(".^$*+?()[]{}|", *regex))
        return 0;
    if (*regex != '\\')
        return utf8_read(regex, c);
    switch (regex[1]) {
    case 'n':
        *c = '\n';
        return 2;
    case 'r':
        *c = '\r';
        return 2;
    case 't':
        *c = '\t';
        return 2;
    default:
        if (regex[1] == '\0' || !strchr(".^$*+?()[]{}|\\/-'\"`", regex[1]))
            return 0;
        *c = (unsigned char)regex[1];
        return 2;
    }
}

/* "", "+", "{n}", "{n,}", "{n,m}", to the end. */
static bool repeat_read(const char *regex, size_t *least, size_t *most)
{
    *least = *most = 1;
    if (*regex == '\0')
        return true;
    if (strcmp(regex, "+") == 0) {
        *most = SIZE_MAX;
        return true;
    }
    if (*regex++ != '{' || *regex < '0' || *regex > '9')
        return false;
    char *end;
    *least = *most = strtoul(regex, &end, 10);
    if (*end == ',' && end[1] == '}') {
        *most = SIZE_MAX;
        end++;
    } else if (*end == ',' && end[1] >= '0' && end[1] <= '9') {
        *most = strtoul(end + 1, &end, 10);
    }
    return strcmp(end, "}") == 0 && *least >= 1 && *least <= REPEAT_MOST && *most >= *least;
}

static bool run_read(struct pattern *self, const char *regex)
{
    self->kind = PATTERN_RUN;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t length = strlen(classes[i].regex);
        if (strncmp(regex, classes[i].regex, length) != 0)
            continue;
        self->flags = classes[i].flags;
        self->inverted = classes[i].inverted;
        return repeat_read(regex + length, &self->least, &self->most);
    }
    size_t length = plain_read(regex, &self->character);
    return length > 0 && self->character > 0 &&
           repeat_read(regex + length, &self->least, &self->most);
}

static bool literal_read(struct pattern *self, const char *regex, struct leat_error *err)
{
    char *text = malloc(strlen(regex) + UTF8_MOST);
    if (!text)
        return leat_fail(err, "out of memory");
    size_t size = 0, step = 0;
    uint32_t c;
    for (; *regex && (step = plain_read(regex, &c)) > 0; regex += step)
        size += utf8_write(text + size, c);
    if (*regex || size == 0) {
        free(text);
        return leat_fail(err, "not a regular expression that is known here");
    }
    *self = (struct pattern){.kind = PATTERN_LITERAL, .literal = text, .literal_size = size};
    return true;
}

static bool regex_read(struct pattern *self, const char *regex, struct leat_error *err)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(regex, known[i].regex) == 0) {
            *self = known[i].pattern;
            return true;
        }
    }
    return run_read(self, regex) || literal_read(self, regex, err);
}

bool pattern_open(struct pattern *self, const struct spec *spec, const struct spec_node *node)
{
    const char *string = NULL, *regex = NULL;
    struct leat_error why;
    *self = (struct pattern){0};
    if (!node->json || !json_is_object(node->json))
        return spec_fail(spec, &node->place, "expected {\"String\": ...} or {\"Regex\": ...}");
    if (!spec_text(spec, node, "String", PATTERN_BYTES_MOST, &string) ||
        !spec_text(spec, node, "Regex", PATTERN_BYTES_MOST, &regex))
        return false;
    if (!string == !regex || *(string ? string : regex) == '\0')
        return spec_fail(spec, &node->place,
                         "expected {\"String\": ...} or {\"Regex\": ...}, not empty");
    if (regex)
        return regex_read(self, regex, &why) ||
               spec_fail(spec, &node->place, "\"%.200s\": %s", regex, why.text);
    self->kind = PATTERN_LITERAL;
    self->literal_size = strlen(string);
    self->literal = strdup(string);
    return self->literal || spec_fail(spec, &node->place, "out of memory");
}

void pattern_close(struct pattern *self)
{
    free(self->literal);
    *self = (struct pattern){0};
}

/* --- matching -------------------------------------------------------------------------------- */

/* A text being matched. */
struct subject {
    const struct characters *characters;
    const char *text;
    size_t size;
};

/* The flags of the character at `at` and its size; nothing at the end. */
static unsigned look(const struct subject *self, size_t at, size_t *step)
{
    uint32_t c;
    if (at >= self->size) {
        *step = 0;
        return 0;
    }
    *step = utf8_read(self->text + at, &c);
    return characters_of(self->characters, c);
}

/* Where the run of characters ends that have any of `flags` (or, inverted, none). */
static size_t run_end(const struct subject *self, size_t at, unsigned flags, bool inverted)
{
    size_t step;
    for (unsigned found = look(self, at, &step); step > 0 && !(found & flags) == inverted;
         found = look(self, at, &step))
        at += step;
    return at;
}

/* \s+(?!\S)|\s+ : white space, but the last of several is left to the word behind it. */
static size_t space_end(const struct subject *self, size_t at)
{
    size_t end = run_end(self, at, CHARACTER_SPACE, false), first = utf8_size(self->text[at]);
    if (end == self->size || end == at + first)
        return end;
    uint32_t last;
    return (size_t)(utf8_before(self->text + end, &last) - self->text);
}

/* 's 't 're 've 'm 'll 'd; `folded`: in upper case as well, and with the long s. 0: none. */
static size_t contraction_end(const struct subject *self, size_t at, bool folded)
{
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    const char *text = self->text + at + 1;
    size_t left = self->size - at - 1;
    if (self->text[at] != '\'')
        return 0;
    if (folded && left >= 2 && memcmp(text, "\xc5\xbf", 2) == 0)
        return at + 3;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t length = strlen(endings[i]), k = 0;
        while (k < length && k < left &&
               (text[k] == endings[i][k] || (folded && text[k] == endings[i][k] - 'a' + 'A')))
            k++;
        if (k == length)
            return at + 1 + length;
    }
    return 0;
}

static size_t gpt2_end(const struct subject *self, size_t at)
{
    enum { OTHER = CHARACTER_SPACE | CHARACTER_LETTER | CHARACTER_NUMBER };
    size_t step, end = contraction_end(self, at, false);
    if (end > 0)
        return end;
    size_t word = at + (self->text[at] == ' ');
    unsigned flags = look(self, word, &step);
    if (step == 0 || flags & CHARACTER_SPACE)
        return space_end(self, at);
    if (flags & CHARACTER_LETTER)
        return run_end(self, word, CHARACTER_LETTER, false);
    if (flags & CHARACTER_NUMBER)
        return run_end(self, word, CHARACTER_NUMBER, false);
    return run_end(self, word, OTHER, true);
}

static bool newline(char c)
{
    return c == '\r' || c == '\n';
}

/* \s*[\r\n]+ : white space up to its last newline; 0 when there is none in it. */
static size_t newline_end(const struct subject *self, size_t at)
{
    size_t end = run_end(self, at, CHARACTER_SPACE, false);
    while (end > at && !newline(self->text[end - 1]))
        end--;
    return end > at ? end : 0;
}

static size_t digits_end(const struct subject *self, size_t at, size_t most)
{
    size_t step;
    for (size_t n = 0; n < most && look(self, at, &step) & CHARACTER_NUMBER; n++)
        at += step;
    return at;
}

static size_t cl100k_end(const struct subject *self, size_t at, size_t digits)
{
    enum { OTHER = CHARACTER_SPACE | CHARACTER_LETTER | CHARACTER_NUMBER };
    size_t step, next, end = contraction_end(self, at, true);
    if (end > 0)
        return end;
    unsigned flags = look(self, at, &step);
    if (flags & CHARACTER_LETTER)
        return run_end(self, at, CHARACTER_LETTER, false);
    if (flags & CHARACTER_NUMBER)
        return digits_end(self, at, digits);
    unsigned after = look(self, at + step, &next);
    if (!newline(self->text[at]) && next > 0 && after & CHARACTER_LETTER)
        return run_end(self, at + step, CHARACTER_LETTER, false);
    size_t word = at + (self->text[at] == ' ');
    end = run_end(self, word, OTHER, true);
    if (end > word) {
        while (end < self->size && newline(self->text[end]))
            end++;
        return end;
    }
    end = newline_end(self, at);
    return end > 0 ? end : space_end(self, at);
}

static bool literal_next(const struct pattern *self, const struct subject *subject, size_t from,
                         size_t *start, size_t *end)
{
    const char *found =
        memmem(subject->text + from, subject->size - from, self->literal, self->literal_size);
    if (!found)
        return false;
    *start = (size_t)(found - subject->text);
    *end = *start + self->literal_size;
    return true;
}

static bool run_next(const struct pattern *self, const struct subject *subject, size_t from,
                     size_t *start, size_t *end)
{
    size_t count = 0, at = from;
    *start = from;
    while (at < subject->size && count < self->most) {
        uint32_t c;
        size_t step = utf8_read(subject->text + at, &c);
        bool inside = self->character ? c == self->character
                                      : !(characters_of(subject->characters, c) & self->flags) ==
                                            self->inverted;
        at += step;
        if (inside) {
            count++;
            *end = at;
        } else if (count >= self->least) {
            break;
        } else {
            count = 0;
            *start = at;
        }
    }
    return count >= self->least;
}

bool pattern_next(const struct pattern *self, const struct characters *characters, const char *text,
                  size_t size, size_t from, size_t *start, size_t *end)
{
    const struct subject subject = {.characters = characters, .text = text, .size = size};
    if (from >= size)
        return false;
    *start = from;
    switch (self->kind) {
    case PATTERN_GPT2:
        *end = gpt2_end(&subject, from);
        return true;
    case PATTERN_CL100K:
        *end = cl100k_end(&subject, from, self->most);
        return true;
    case PATTERN_RUN:
        return run_next(self, &subject, from, start, end);
    case PATTERN_LITERAL:
        break;
    }
    return literal_next(self, &subject, from, start, end);
}
