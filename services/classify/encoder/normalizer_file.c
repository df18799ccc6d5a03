#include "services/classify/encoder/normalizer_private.h"

#include <stdlib.h>

enum {
    STEPS_MOST = 32,
    CONTENT_BYTES_MOST = 64, /* of a replacement: a text grows by no more than that a match */
};

static bool bert_read(struct normalizer_step *step, const struct spec *spec,
                      const struct spec_node *node)
{
    step->clean = step->chinese = step->lower = true;
    if (!spec_bool(spec, node, "clean_text", &step->clean) ||
        !spec_bool(spec, node, "handle_chinese_chars", &step->chinese) ||
        !spec_bool(spec, node, "lowercase", &step->lower))
        return false;
    step->accents = step->lower; /* what null means */
    return spec_bool(spec, node, "strip_accents", &step->accents);
}

static bool strip_read(struct normalizer_step *step, const struct spec *spec,
                       const struct spec_node *node)
{
    step->left = step->right = true;
    return spec_bool(spec, node, "strip_left", &step->left) &&
           spec_bool(spec, node, "strip_right", &step->right);
}

static bool content_read(struct normalizer_step *step, const struct spec *spec,
                         const struct spec_node *node, const char *key)
{
    const char *text;
    if (!spec_need_text(spec, node, key, CONTENT_BYTES_MOST, &text))
        return false;
    step->content_size = strlen(text);
    step->content = strdup(text);
    return step->content || spec_fail(spec, &node->place, "out of memory");
}

static bool replace_read(struct normalizer_step *step, const struct spec *spec,
                         const struct spec_node *node)
{
    struct spec_node pattern = spec_member(node, "pattern");
    return pattern_open(&step->pattern, spec, &pattern) &&
           content_read(step, spec, node, "content");
}

static bool prepend_read(struct normalizer_step *step, const struct spec *spec,
                         const struct spec_node *node)
{
    return content_read(step, spec, node, "prepend");
}

static bool precompiled_read(struct normalizer_step *step, const struct spec *spec,
                             const struct spec_node *node)
{
    const char *text;
    struct leat_error why;
    struct spec_node map = spec_member(node, "precompiled_charsmap");
    if (!spec_need_text(spec, node, "precompiled_charsmap", CHARSMAP_BYTES_MOST, &text))
        return false;
    return charsmap_open(&step->charsmap, text, json_string_length(map.json), &why) ||
           spec_fail(spec, &map.place, "%s", why.text);
}

static const struct {
    const char *type;
    enum normalizer_kind kind;
    enum normal_form form;
    bool (*read)(struct normalizer_step *step, const struct spec *spec,
                 const struct spec_node *node);
} types[] = {
    {"BertNormalizer", NORMALIZER_BERT, 0, bert_read},
    {"NFC", NORMALIZER_FORM, NORMAL_FORM_C, NULL},
    {"NFD", NORMALIZER_FORM, NORMAL_FORM_D, NULL},
    {"NFKC", NORMALIZER_FORM, NORMAL_FORM_KC, NULL},
    {"NFKD", NORMALIZER_FORM, NORMAL_FORM_KD, NULL},
    {"Lowercase", NORMALIZER_LOWERCASE, 0, NULL},
    {"Strip", NORMALIZER_STRIP, 0, strip_read},
    {"StripAccents", NORMALIZER_STRIP_ACCENTS, 0, NULL},
    {"Replace", NORMALIZER_REPLACE, 0, replace_read},
    {"Prepend", NORMALIZER_PREPEND, 0, prepend_read},
    {"Precompiled", NORMALIZER_PRECOMPILED, 0, precompiled_read},
    {"Nmt", NORMALIZER_NMT, 0, NULL},
    {"ByteLevel", NORMALIZER_BYTE_LEVEL, 0, NULL},
};

static bool step_read(void *self_, const struct spec *spec, const struct spec_node *node,
                      const char *type)
{
    struct normalizer *self = self_;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i].type) != 0)
            continue;
        if (self->count == STEPS_MOST)
            return spec_fail(spec, &node->place, "more than %d steps", STEPS_MOST);
        struct normalizer_step *step = &self->steps[self->count++];
        *step = (struct normalizer_step){.kind = types[i].kind, .form = types[i].form};
        return !types[i].read || types[i].read(step, spec, node);
    }
    return spec_fail(spec, &node->place, "a normalizer \"%.64s\" is not supported", type);
}

bool normalizer_open(struct normalizer *self, const struct characters *characters,
                     const struct spec *spec, const struct spec_node *node)
{
    *self = (struct normalizer){.characters = characters};
    if (!node->json)
        return true;
    self->steps = calloc(STEPS_MOST, sizeof *self->steps);
    if (!self->steps)
        return spec_fail(spec, &node->place, "out of memory");
    const struct spec_steps steps = {"normalizers", STEPS_MOST, self, step_read};
    if (spec_read_steps(spec, node, &steps))
        return true;
    normalizer_close(self);
    return false;
}

void normalizer_close(struct normalizer *self)
{
    for (size_t i = 0; i < self->count; i++) {
        pattern_close(&self->steps[i].pattern);
        charsmap_close(&self->steps[i].charsmap);
        free(self->steps[i].content);
    }
    free(self->steps);
    *self = (struct normalizer){0};
}
