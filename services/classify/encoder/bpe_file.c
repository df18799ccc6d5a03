#include "services/classify/encoder/bpe.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    AFFIX_BYTES_MOST = 64,
    MERGES_MOST = 8 << 20,
};

static size_t slot(const struct bpe *self, uint64_t pair)
{
    uint64_t hash = pair * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash >> 32) & self->mask;
    while (self->merges[at].pair != UINT64_MAX && self->merges[at].pair != pair)
        at = (at + 1) & self->mask;
    return at;
}

/* "left right", or ["left", "right"] as newer files have it. Borrowed. */
static bool pair_read(const struct spec *spec, const struct spec_node *node, const char **left,
                      size_t *left_size, const char **right)
{
    if (json_is_string(node->json)) {
        *left = json_string_value(node->json);
        const char *space = strchr(*left, ' ');
        if (space && !strchr(space + 1, ' ')) {
            *left_size = (size_t)(space - *left);
            *right = space + 1;
            return true;
        }
    } else if (json_array_size(node->json) == 2) {
        const json_t *first = json_array_get(node->json, 0),
                     *second = json_array_get(node->json, 1);
        if (json_is_string(first) && json_is_string(second)) {
            *left = json_string_value(first);
            *left_size = strlen(*left);
            *right = json_string_value(second);
            return true;
        }
    }
    return spec_fail(spec, &node->place, "expected \"left right\" or [\"left\", \"right\"]");
}

static bool merge_read(struct bpe *self, const struct spec *spec, const struct spec_node *list,
                       size_t rank, struct strand_buffer *work)
{
    struct spec_node node = spec_item(list, rank);
    const char *left = "", *right = "";
    size_t left_size = 0, prefix = strlen(self->prefix);
    if (!pair_read(spec, &node, &left, &left_size, &right))
        return false;
    int32_t left_id = trie_find(self->tokens, left, left_size);
    int32_t right_id = trie_find(self->tokens, right, strlen(right));
    if (left_id < 0 || right_id < 0)
        return spec_fail(spec, &node.place, "\"%.*s\" is not in the vocabulary",
                         left_id < 0 ? (int)left_size : (int)strlen(right),
                         left_id < 0 ? left : right);
    if (strlen(right) < prefix)
        return spec_fail(spec, &node.place, "\"%s\" is shorter than the prefix of what goes on",
                         right);
    work->size = 0;
    if (!strand_put(work, left, left_size) ||
        !strand_put(work, right + prefix, strlen(right) - prefix))
        return spec_fail(spec, &node.place, "out of memory");
    int32_t id = trie_find(self->tokens, work->bytes, work->size);
    if (id < 0)
        return spec_fail(spec, &node.place, "\"%.*s\" is not in the vocabulary", (int)work->size,
                         work->bytes);
    uint64_t pair = (uint64_t)(uint32_t)left_id << 32 | (uint32_t)right_id;
    /* Of a pair that is there twice the later place counts, as in the reference. */
    self->merges[slot(self, pair)] =
        (struct bpe_merge){.pair = pair, .rank = (uint32_t)rank, .id = id};
    return true;
}

static bool merges_read(struct bpe *self, const struct spec *spec, const struct spec_node *model)
{
    struct spec_node list;
    if (!spec_need_array(spec, model, "merges", MERGES_MOST, &list))
        return false;
    size_t count = json_array_size(list.json), places = 16;
    while (places < 2 * count)
        places *= 2;
    self->merges = malloc(places * sizeof *self->merges);
    if (!self->merges)
        return spec_fail(spec, &list.place, "out of memory");
    self->mask = places - 1;
    for (size_t i = 0; i < places; i++)
        self->merges[i].pair = UINT64_MAX;
    struct strand_buffer work = {0};
    bool good = true;
    for (size_t i = 0; i < count && good; i++)
        good = merge_read(self, spec, &list, i, &work);
    free(work.bytes);
    return good;
}

static bool options_read(struct bpe *self, const struct spec *spec, const struct spec_node *model)
{
    const char *unknown = NULL, *prefix = "", *suffix = "";
    if (!spec_text(spec, model, "unk_token", 256, &unknown) ||
        !spec_text(spec, model, "continuing_subword_prefix", AFFIX_BYTES_MOST, &prefix) ||
        !spec_text(spec, model, "end_of_word_suffix", AFFIX_BYTES_MOST, &suffix) ||
        !spec_bool(spec, model, "fuse_unk", &self->fuse_unknown) ||
        !spec_bool(spec, model, "byte_fallback", &self->byte_fallback) ||
        !spec_bool(spec, model, "ignore_merges", &self->ignore_merges))
        return false;
    struct spec_node dropout = spec_member(model, "dropout");
    if (dropout.json && (!json_is_number(dropout.json) || json_number_value(dropout.json) != 0))
        return spec_fail(spec, &dropout.place,
                         "expected null or 0: with dropout a text has no one answer");
    struct spec_node place = spec_member(model, "unk_token");
    if (unknown && (self->unknown = trie_find(self->tokens, unknown, strlen(unknown))) < 0)
        return spec_fail(spec, &place.place, "\"%s\" is not in the vocabulary", unknown);
    self->prefix = strdup(prefix);
    self->suffix = strdup(suffix);
    return (self->prefix && self->suffix) || spec_fail(spec, &model->place, "out of memory");
}

bool bpe_open(struct bpe *self, const struct trie *tokens, const struct spec *spec,
              const struct spec_node *model)
{
    *self = (struct bpe){.tokens = tokens, .unknown = -1};
    if (!options_read(self, spec, model) || !merges_read(self, spec, model))
        return false;
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        self->bytes[b] = trie_find(tokens, name, strlen(name));
    }
    for (uint32_t c = 0; c < BPE_DIRECT; c++) {
        char bytes[UTF8_MOST];
        size_t size = utf8_write(bytes, c);
        self->direct[c] = trie_find(tokens, bytes, size);
    }
    return true;
}

void bpe_close(struct bpe *self)
{
    free(self->merges);
    free(self->prefix);
    free(self->suffix);
    *self = (struct bpe){0};
}
