#include "services/classify/encoder/pretokenizer_private.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_MOST = 32 };

/* A member that is one of several words; what is not there leaves *out as it was. */
static bool word_read(const struct spec *spec, const struct spec_node *node, const char *key,
                      const char *const *words, size_t count, unsigned *out)
{
    const char *text = NULL;
    struct spec_node member = spec_member(node, key);
    if (!spec_text(spec, node, key, 64, &text))
        return false;
    if (!text)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (unsigned)i;
            return true;
        }
    }
    return spec_fail(spec, &member.place, "\"%s\" is not supported", text);
}

static bool behavior_read(struct pretokenizer_step *step, const struct spec *spec,
                          const struct spec_node *node)
{
    static const char *const words[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    unsigned behavior = BEHAVIOR_ISOLATED;
    bool good = word_read(spec, node, "behavior", words, 5, &behavior);
    step->behavior = (enum pretokenizer_behavior)behavior;
    return good;
}

static bool byte_level_read(struct pretokenizer_step *step, const struct spec *spec,
                            const struct spec_node *node)
{
    step->prefix_space = step->cut = true;
    return spec_bool(spec, node, "add_prefix_space", &step->prefix_space) &&
           spec_bool(spec, node, "use_regex", &step->cut);
}

static bool metaspace_read(struct pretokenizer_step *step, const struct spec *spec,
                           const struct spec_node *node)
{
    static const char *const words[] = {"always", "first", "never"};
    unsigned prepend = PREPEND_ALWAYS;
    bool prefix = true;
    const char *replacement;
    step->cut = true;
    if (!spec_character(spec, node, "replacement", &replacement) ||
        !word_read(spec, node, "prepend_scheme", words, 3, &prepend) ||
        !spec_bool(spec, node, "add_prefix_space", &prefix) ||
        !spec_bool(spec, node, "split", &step->cut))
        return false;
    /* add_prefix_space is what files before prepend_scheme have. */
    if (!prefix && prepend == PREPEND_FIRST)
        return spec_fail(spec, &node->place,
                         "add_prefix_space false and prepend_scheme \"first\" contradict");
    step->prepend = prefix ? (enum pretokenizer_prepend)prepend : PREPEND_NEVER;
    strcpy(step->replacement, replacement);
    return true;
}

static bool digits_read(struct pretokenizer_step *step, const struct spec *spec,
                        const struct spec_node *node)
{
    bool alone = false;
    if (!spec_bool(spec, node, "individual_digits", &alone))
        return false;
    step->behavior = alone ? BEHAVIOR_ISOLATED : BEHAVIOR_CONTIGUOUS;
    return true;
}

static bool delimiter_read(struct pretokenizer_step *step, const struct spec *spec,
                           const struct spec_node *node)
{
    const char *delimiter;
    if (!spec_character(spec, node, "delimiter", &delimiter))
        return false;
    step->pattern = (struct pattern){
        .kind = PATTERN_LITERAL, .literal = strdup(delimiter), .literal_size = strlen(delimiter)};
    return step->pattern.literal || spec_fail(spec, &node->place, "out of memory");
}

static bool split_read(struct pretokenizer_step *step, const struct spec *spec,
                       const struct spec_node *node)
{
    struct spec_node pattern = spec_member(node, "pattern");
    return pattern_open(&step->pattern, spec, &pattern) && behavior_read(step, spec, node) &&
           spec_bool(spec, node, "invert", &step->inverted);
}

static const struct {
    const char *type;
    enum pretokenizer_kind kind;
    enum pretokenizer_behavior behavior;
    unsigned flags;
    bool (*read)(struct pretokenizer_step *step, const struct spec *spec,
                 const struct spec_node *node);
} types[] = {
    {"BertPreTokenizer", PRETOKENIZER_BERT, 0, 0, NULL},
    {"ByteLevel", PRETOKENIZER_BYTE_LEVEL, 0, 0, byte_level_read},
    {"CharDelimiterSplit", PRETOKENIZER_PATTERN, BEHAVIOR_REMOVED, 0, delimiter_read},
    {"Digits", PRETOKENIZER_FLAGS, 0, CHARACTER_NUMERIC, digits_read},
    {"Metaspace", PRETOKENIZER_METASPACE, 0, 0, metaspace_read},
    {"Punctuation", PRETOKENIZER_FLAGS, 0, CHARACTER_PUNCTUATION, behavior_read},
    {"Split", PRETOKENIZER_PATTERN, 0, 0, split_read},
    {"Whitespace", PRETOKENIZER_WORDS, 0, 0, NULL},
    {"WhitespaceSplit", PRETOKENIZER_FLAGS, BEHAVIOR_REMOVED, CHARACTER_SPACE, NULL},
};

static bool step_read(void *self_, const struct spec *spec, const struct spec_node *node,
                      const char *type)
{
    struct pretokenizer *self = self_;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i].type) != 0)
            continue;
        if (self->count == STEPS_MOST)
            return spec_fail(spec, &node->place, "more than %d steps", STEPS_MOST);
        struct pretokenizer_step *step = &self->steps[self->count++];
        *step = (struct pretokenizer_step){
            .kind = types[i].kind, .behavior = types[i].behavior, .flags = types[i].flags};
        return !types[i].read || types[i].read(step, spec, node);
    }
    return spec_fail(spec, &node->place, "a pre-tokenizer \"%.64s\" is not supported", type);
}

bool pretokenizer_open(struct pretokenizer *self, const struct characters *characters,
                       const struct spec *spec, const struct spec_node *node)
{
    *self = (struct pretokenizer){.characters = characters};
    if (!node->json)
        return true;
    self->steps = calloc(STEPS_MOST, sizeof *self->steps);
    if (!self->steps)
        return spec_fail(spec, &node->place, "out of memory");
    const struct spec_steps steps = {"pretokenizers", STEPS_MOST, self, step_read};
    if (spec_read_steps(spec, node, &steps))
        return true;
    pretokenizer_close(self);
    return false;
}

void pretokenizer_close(struct pretokenizer *self)
{
    for (size_t i = 0; i < self->count; i++)
        pattern_close(&self->steps[i].pattern);
    free(self->steps);
    *self = (struct pretokenizer){0};
}
