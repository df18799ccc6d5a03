#include "services/classify/encoder/wordpiece.h"

enum { TEXT_MOST = 256 };

bool wordpiece_open(struct wordpiece *self, const struct trie *tokens, const struct spec *spec,
                    const struct spec_node *model)
{
    const char *unknown = "[UNK]", *prefix = "##";
    long long most = 100;
    *self = (struct wordpiece){.tokens = tokens};
    if (!spec_text(spec, model, "unk_token", TEXT_MOST, &unknown) ||
        !spec_text(spec, model, "continuing_subword_prefix", TEXT_MOST, &prefix) ||
        !spec_integer(spec, model, "max_input_chars_per_word", 0, INT32_MAX, &most))
        return false;
    struct spec_node place = spec_member(model, "unk_token");
    self->unknown = trie_find(tokens, unknown, strlen(unknown));
    self->going_on = trie_walk(tokens, TRIE_ROOT, prefix, strlen(prefix));
    self->characters_most = (size_t)most;
    return self->unknown >= 0 ||
           spec_fail(spec, &place.place, "\"%s\" is not in the vocabulary", unknown);
}

static bool longer(const char *word, size_t size, size_t most)
{
    if (size <= most)
        return false;
    size_t characters = 0;
    for (size_t i = 0; i < size; i++)
        characters += ((unsigned char)word[i] & 0xc0) != 0x80;
    return characters > most;
}

bool wordpiece_encode(const struct wordpiece *self, const char *word, size_t size, struct ids *ids)
{
    size_t before = ids->count;
    if (longer(word, size, self->characters_most))
        return ids_add(ids, self->unknown);
    /* Whether the word comes out is known at its end only: the bound is lifted until then. */
    size_t most = ids->most;
    ids->most = SIZE_MAX;
    int32_t node = TRIE_ROOT;
    for (size_t at = 0; at < size && !ids->failed;) {
        size_t length;
        int32_t id =
            node < 0 ? -1 : trie_longest(self->tokens, node, word + at, size - at, &length);
        if (id < 0) {
            ids->count = before;
            ids_add(ids, self->unknown);
            break;
        }
        ids_add(ids, id);
        at += length;
        node = self->going_on;
    }
    ids->most = most;
    if (ids->count > most) {
        ids->count = most;
        ids->over = true;
    }
    return !ids->over && !ids->failed;
}
