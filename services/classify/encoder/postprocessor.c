#include "services/classify/encoder/postprocessor.h"

#include <string.h>

enum { PARTS_MOST = 64 };

static bool id_read(int32_t ids, const struct spec *spec, const struct spec_node *node,
                    int32_t *out)
{
    long long id = json_integer_value(node->json);
    if (!json_is_integer(node->json) || id < 0 || id >= ids)
        return spec_fail(spec, &node->place, "expected an id below %d", ids);
    *out = (int32_t)id;
    return true;
}

/* Outermost first: what a later processor puts around goes outside. */
static bool put_before(struct postprocessor *self, int32_t id, size_t at, const struct spec *spec,
                       const struct spec_node *node)
{
    if (self->n_before == POSTPROCESSOR_MOST)
        return spec_fail(spec, &node->place, "more than %d ids", POSTPROCESSOR_MOST);
    memmove(self->before + at + 1, self->before + at, (self->n_before - at) * sizeof *self->before);
    self->before[at] = id;
    self->n_before++;
    return true;
}

static bool put_behind(struct postprocessor *self, int32_t id, const struct spec *spec,
                       const struct spec_node *node)
{
    if (self->n_behind == POSTPROCESSOR_MOST)
        return spec_fail(spec, &node->place, "more than %d ids", POSTPROCESSOR_MOST);
    self->behind[self->n_behind++] = id;
    return true;
}

/* BertProcessing and RobertaProcessing: {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}. */
static bool pair_read(struct postprocessor *self, int32_t ids, const struct spec *spec,
                      const struct spec_node *node)
{
    struct spec_node cls, sep;
    int32_t first = -1, last = -1;
    if (!spec_need_array(spec, node, "cls", 2, &cls) ||
        !spec_need_array(spec, node, "sep", 2, &sep))
        return false;
    struct spec_node first_id = spec_item(&cls, 1), last_id = spec_item(&sep, 1);
    return id_read(ids, spec, &first_id, &first) && id_read(ids, spec, &last_id, &last) &&
           put_before(self, first, 0, spec, node) && put_behind(self, last, spec, node);
}

/* A special token of the template: maybe several ids. */
static bool special_read(struct postprocessor *self, int32_t ids, const struct spec *spec,
                         const struct spec_node *node, const struct spec_node *specials,
                         const char *name, bool behind, size_t *at)
{
    struct spec_node special = spec_member(specials, name), list;
    if (!json_is_object(special.json))
        return spec_fail(spec, &node->place, "\"%.100s\" is not among special_tokens", name);
    if (!spec_need_array(spec, &special, "ids", POSTPROCESSOR_MOST, &list))
        return false;
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct spec_node item = spec_item(&list, i);
        int32_t id = -1;
        if (!id_read(ids, spec, &item, &id) ||
            !(behind ? put_behind(self, id, spec, node)
                     : put_before(self, id, (*at)++, spec, node)))
            return false;
    }
    return true;
}

static bool part_read(struct postprocessor *self, int32_t ids, const struct spec *spec,
                      const struct spec_node *part, const struct spec_node *specials, bool *text,
                      size_t *at)
{
    struct spec_node sequence = spec_member(part, "Sequence");
    struct spec_node special = spec_member(part, "SpecialToken");
    const char *name;
    if (sequence.json) {
        if (!spec_need_text(spec, &sequence, "id", 64, &name))
            return false;
        if (strcmp(name, "A") != 0 || *text)
            return spec_fail(spec, &part->place, "expected the sequence \"A\" once");
        *text = true;
        return true;
    }
    return spec_need_text(spec, &special, "id", 1024, &name) &&
           special_read(self, ids, spec, part, specials, name, *text, at);
}

static bool template_read(struct postprocessor *self, int32_t ids, const struct spec *spec,
                          const struct spec_node *node)
{
    struct spec_node list, specials;
    bool text = false;
    size_t at = 0;
    if (!spec_need_array(spec, node, "single", PARTS_MOST, &list) ||
        !spec_need_object(spec, node, "special_tokens", 1 << 20, &specials))
        return false;
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct spec_node part = spec_item(&list, i);
        if (!part_read(self, ids, spec, &part, &specials, &text, &at))
            return false;
    }
    return text || spec_fail(spec, &list.place, "expected the sequence \"A\" once");
}

/* Who reads a processor, and below which all ids are. */
struct reader {
    struct postprocessor *to;
    int32_t ids;
};

static bool processor_read(void *reader_, const struct spec *spec, const struct spec_node *node,
                           const char *type)
{
    struct reader *reader = reader_;
    if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
        return pair_read(reader->to, reader->ids, spec, node);
    if (strcmp(type, "TemplateProcessing") == 0)
        return template_read(reader->to, reader->ids, spec, node);
    return strcmp(type, "ByteLevel") == 0 || /* moves offsets only */
           spec_fail(spec, &node->place, "a post-processor \"%.64s\" is not supported", type);
}

bool postprocessor_open(struct postprocessor *self, int32_t ids, const struct spec *spec,
                        const struct spec_node *node)
{
    struct reader reader = {self, ids};
    const struct spec_steps steps = {"processors", PARTS_MOST, &reader, processor_read};
    *self = (struct postprocessor){0};
    return !node->json || spec_read_steps(spec, node, &steps);
}
