#include "services/classify/encoder/added_tokens.h"

#include <stdlib.h>

enum {
    TOKENS_MOST = 1 << 20,
    CONTENT_BYTES_MOST = 1024,
};

/* --- reading --------------------------------------------------------------------------------- */

static bool token_read(struct added_token *token, const struct spec *spec,
                       const struct spec_node *node)
{
    const char *content;
    long long id = -1;
    if (!json_is_object(node->json))
        return spec_fail(spec, &node->place, "expected an object");
    if (!spec_need_text(spec, node, "content", CONTENT_BYTES_MOST, &content) ||
        !spec_integer(spec, node, "id", 0, INT32_MAX - 1, &id) ||
        !spec_bool(spec, node, "special", &token->special))
        return false;
    if (*content == '\0')
        return spec_fail(spec, &node->place, "a token without content");
    token->normalized = !token->special;
    if (!spec_bool(spec, node, "single_word", &token->single_word) ||
        !spec_bool(spec, node, "lstrip", &token->lstrip) ||
        !spec_bool(spec, node, "rstrip", &token->rstrip) ||
        !spec_bool(spec, node, "normalized", &token->normalized))
        return false;
    token->id = (int32_t)id;
    token->size = strlen(content);
    token->content = strdup(content);
    return token->content || spec_fail(spec, &node->place, "out of memory");
}

/* `next` is what the reference counts on with: from the size of the vocabulary, or behind the
 * largest id of an added token when that is above it. */
static bool id_check(const struct added_token *token, const struct trie *vocabulary,
                     long long *next, const struct spec *spec, const struct spec_node *node)
{
    int32_t known = trie_find(vocabulary, token->content, token->size);
    long long right = known >= 0 ? known : *next;
    struct spec_node id = spec_member(node, "id");
    if (token->id != right)
        return spec_fail(spec, &id.place, "%d, but \"%.100s\" %s %lld", token->id, token->content,
                         known >= 0 ? "is in the vocabulary as" : "has to go on counting with",
                         right);
    if (token->id >= *next)
        *next = token->id + 1LL;
    return true;
}

static bool tokens_read(struct added_tokens *self, const struct trie *vocabulary, long long next,
                        const struct spec *spec, const struct spec_node *list)
{
    if (!json_is_array(list->json) || json_array_size(list->json) > TOKENS_MOST)
        return spec_fail(spec, &list->place, "expected an array of at most %d", TOKENS_MOST);
    size_t count = json_array_size(list->json);
    self->tokens = calloc(count + 1, sizeof *self->tokens);
    if (!self->tokens)
        return spec_fail(spec, &list->place, "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct spec_node node = spec_item(list, i);
        struct added_token *token = &self->tokens[self->count++];
        if (!token_read(token, spec, &node) || !id_check(token, vocabulary, &next, spec, &node))
            return false;
    }
    return true;
}

/* The keys of one set. Special tokens win over others of the same string, earlier ones over later
 * ones; of equal keys the last counts, so they go in the other way round. */
static size_t keys_of(const struct added_tokens *self, bool normalized, char *const *contents,
                      struct trie_key *keys)
{
    size_t count = 0;
    for (int special = 0; special < 2; special++)
        for (size_t i = self->count; i-- > 0;)
            if (self->tokens[i].normalized == normalized && self->tokens[i].special == special)
                keys[count++] = (struct trie_key){
                    .bytes = contents ? contents[i] : self->tokens[i].content,
                    .size = (uint32_t)strlen(contents ? contents[i] : self->tokens[i].content),
                    .value = (int32_t)i};
    return count;
}

static bool set_open(struct added_set *set, struct trie_key *keys, size_t count,
                     struct leat_error *err)
{
    for (size_t i = 0; i < count; i++)
        set->first[(unsigned char)keys[i].bytes[0]] = true;
    set->any = count > 0;
    return trie_open(&set->trie, keys, count, err);
}

/* contents[i]: what becomes of token i when it is normalized. */
static bool contents_normalize(const struct added_tokens *self, const struct normalizer *normalizer,
                               char **contents, const struct spec *spec,
                               const struct spec_node *list)
{
    struct normalizer_scratch scratch = {0};
    bool good = true;
    for (size_t i = 0; i < self->count && good; i++) {
        const struct added_token *token = &self->tokens[i];
        struct strand text = {.bytes = token->content, .size = token->size};
        struct spec_node node = spec_item(list, i);
        if (!token->normalized)
            continue;
        good = normalizer_apply(normalizer, &scratch, &text) &&
               (contents[i] = strndup(text.bytes ? text.bytes : "", text.size));
        if (!good)
            spec_fail(spec, &node.place, "out of memory");
        else if (*contents[i] == '\0')
            good = spec_fail(spec, &node.place, "nothing is left of \"%.100s\" normalized",
                             token->content);
    }
    normalizer_scratch_close(&scratch);
    return good;
}

static bool sets_open(struct added_tokens *self, const struct normalizer *normalizer,
                      const struct spec *spec, const struct spec_node *list)
{
    char **contents = calloc(self->count + 1, sizeof *contents);
    struct trie_key *keys = malloc((self->count + 1) * sizeof *keys);
    bool good = contents && keys;
    if (!good)
        spec_fail(spec, &list->place, "out of memory");
    good = good && contents_normalize(self, normalizer, contents, spec, list) &&
           set_open(&self->raw, keys, keys_of(self, false, NULL, keys), spec->err) &&
           set_open(&self->normalized, keys, keys_of(self, true, contents, keys), spec->err);
    for (size_t i = 0; contents && i < self->count; i++)
        free(contents[i]);
    free(contents);
    free(keys);
    return good;
}

/* A content may be there once only. */
static bool doubles_check(const struct added_tokens *self, const struct spec *spec,
                          const struct spec_node *list)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct added_token *token = &self->tokens[i];
        int32_t raw =
            token->normalized ? -1 : trie_find(&self->raw.trie, token->content, token->size);
        struct spec_node node = spec_item(list, i);
        if (raw >= 0 && (size_t)raw != i)
            return spec_fail(spec, &node.place, "\"%.100s\" is there twice", token->content);
    }
    return true;
}

bool added_tokens_open(struct added_tokens *self, const struct characters *characters,
                       const struct trie *vocabulary, size_t vocabulary_size,
                       const struct normalizer *normalizer, const struct spec *spec,
                       const struct spec_node *node)
{
    *self = (struct added_tokens){.characters = characters};
    if (!node->json || json_array_size(node->json) == 0) {
        if (!node->json || json_is_array(node->json))
            return true;
    }
    if (tokens_read(self, vocabulary, (long long)vocabulary_size, spec, node) &&
        sets_open(self, normalizer, spec, node) && doubles_check(self, spec, node))
        return true;
    added_tokens_close(self);
    return false;
}

void added_tokens_close(struct added_tokens *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->tokens[i].content);
    free(self->tokens);
    trie_close(&self->raw.trie);
    trie_close(&self->normalized.trie);
    *self = (struct added_tokens){0};
}

int32_t added_tokens_find(const struct added_tokens *self, const char *content, size_t size)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->tokens[i].size == size && memcmp(self->tokens[i].content, content, size) == 0)
            return self->tokens[i].id;
    return -1;
}

/* --- finding --------------------------------------------------------------------------------- */

static bool word_before(const struct characters *characters, const char *text, size_t at)
{
    uint32_t c;
    if (at == 0)
        return false;
    utf8_before(text + at, &c);
    return characters_of(characters, c) & CHARACTER_WORD;
}

static bool word_behind(const struct characters *characters, const char *text, size_t size,
                        size_t at)
{
    uint32_t c;
    if (at == size)
        return false;
    utf8_read(text + at, &c);
    return characters_of(characters, c) & CHARACTER_WORD;
}

static size_t space_before(const struct characters *characters, const char *text, size_t at,
                           size_t least)
{
    uint32_t c;
    while (at > least) {
        const char *before = utf8_before(text + at, &c);
        if (!(characters_of(characters, c) & CHARACTER_SPACE))
            break;
        at = (size_t)(before - text);
    }
    return at;
}

static size_t space_behind(const struct characters *characters, const char *text, size_t size,
                           size_t at)
{
    uint32_t c;
    while (at < size) {
        size_t step = utf8_read(text + at, &c);
        if (!(characters_of(characters, c) & CHARACTER_SPACE))
            break;
        at += step;
    }
    return at;
}

bool added_set_next(const struct added_tokens *self, const struct added_set *set, const char *text,
                    size_t size, size_t done, size_t *from, struct added_match *match)
{
    if (!set->any)
        return false;
    for (size_t at = *from, length; at < size; at++) {
        if (!set->first[(unsigned char)text[at]])
            continue;
        int32_t number = trie_longest(&set->trie, TRIE_ROOT, text + at, size - at, &length);
        if (number < 0)
            continue;
        const struct added_token *token = &self->tokens[number];
        *match = (struct added_match){.start = at, .end = at + length, .id = token->id};
        if (token->single_word && (word_before(self->characters, text, at) ||
                                   word_behind(self->characters, text, size, at + length))) {
            at += length - 1; /* what was found is passed by, found or not */
            continue;
        }
        *from = at + length;
        if (token->lstrip)
            match->start = done < at ? space_before(self->characters, text, at, done) : done;
        if (token->rstrip)
            match->end = space_behind(self->characters, text, size, match->end);
        return true;
    }
    *from = size;
    return false;
}
