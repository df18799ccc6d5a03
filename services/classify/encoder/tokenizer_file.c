#include "services/classify/encoder/tokenizer_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* --- vocabularies ---------------------------------------------------------------------------- */

/* The keys for the trie, and which ids are taken. */
struct gathering {
    struct trie_key *keys;
    size_t count;
    unsigned char *taken; /* a bit an id */
    int32_t ids;
};

static bool gathering_open(struct gathering *self, size_t count, const struct spec *spec,
                           const struct json_place *place)
{
    *self = (struct gathering){.keys = malloc((count + 1) * sizeof *self->keys),
                               .taken = calloc(TOKENIZER_TOKENS_MOST / 8, 1)};
    return (self->keys && self->taken) || spec_fail(spec, place, "out of memory");
}

static void gathering_close(struct gathering *self)
{
    free(self->keys);
    free(self->taken);
}

static bool gather(struct gathering *self, const char *token, size_t size, long long id,
                   const struct spec *spec, const struct json_place *place)
{
    if (size > TOKENIZER_TOKEN_BYTES_MOST)
        return spec_fail(spec, place, "a token of more than %d bytes", TOKENIZER_TOKEN_BYTES_MOST);
    if (id < 0 || id >= TOKENIZER_TOKENS_MOST)
        return spec_fail(spec, place, "expected an id from 0 to %d", TOKENIZER_TOKENS_MOST - 1);
    if (self->taken[id / 8] & 1u << id % 8)
        return spec_fail(spec, place, "the id %lld is another token's already", id);
    self->taken[id / 8] |= (unsigned char)(1u << id % 8);
    self->ids = id >= self->ids ? (int32_t)id + 1 : self->ids;
    self->keys[self->count++] =
        (struct trie_key){.bytes = token, .size = (uint32_t)size, .value = (int32_t)id};
    return true;
}

/* {"token": id, ...} */
static bool map_gather(struct gathering *self, const struct spec *spec,
                       const struct spec_node *vocabulary)
{
    const char *token;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)vocabulary->json, token, value)
    {
        struct json_place place = json_place_key(&vocabulary->place, token);
        if (!json_is_integer(value))
            return spec_fail(spec, &place, "expected an integer");
        if (!gather(self, token, strlen(token), json_integer_value(value), spec, &place))
            return false;
    }
    return true;
}

/* [["token", score], ...]; its place is its id. Of a token that is there twice the later counts. */
static bool list_gather(struct gathering *self, const struct spec *spec,
                        const struct spec_node *vocabulary)
{
    for (size_t i = 0; i < json_array_size(vocabulary->json); i++) {
        struct spec_node item = spec_item(vocabulary, i);
        const json_t *token = json_array_get(item.json, 0);
        if (json_array_size(item.json) != 2 || !json_is_string(token) ||
            !json_is_number(json_array_get(item.json, 1)))
            return spec_fail(spec, &item.place, "expected [\"token\", score]");
        if (!gather(self, json_string_value(token), json_string_length(token), (long long)i, spec,
                    &item.place))
            return false;
    }
    return true;
}

static bool vocabulary_read(struct tokenizer *self, const struct spec *spec,
                            const struct spec_node *vocabulary)
{
    struct gathering gathering;
    bool list = json_is_array(vocabulary->json);
    size_t count = list ? json_array_size(vocabulary->json) : json_object_size(vocabulary->json);
    if (count == 0 || count > TOKENIZER_TOKENS_MOST)
        return spec_fail(spec, &vocabulary->place, "expected 1 to %d tokens, not %zu",
                         TOKENIZER_TOKENS_MOST, count);
    bool good = gathering_open(&gathering, count, spec, &vocabulary->place) &&
                (list ? list_gather : map_gather)(&gathering, spec, vocabulary) &&
                trie_open(&self->tokens, gathering.keys, gathering.count, spec->err);
    self->vocabulary_size = count;
    self->ids = gathering.ids;
    gathering_close(&gathering);
    return good;
}

/* --- the model ------------------------------------------------------------------------------- */

/* Older files do not say what their model is; then it is told by what it has. */
static const char *model_type(const struct spec_node *model)
{
    if (json_array_size(json_object_get(model->json, "merges")) > 0)
        return "BPE";
    if (json_is_array(json_object_get(model->json, "vocab")))
        return "Unigram";
    return json_object_get(model->json, "max_input_chars_per_word") ? "WordPiece" : "";
}

static bool model_read(struct tokenizer *self, const struct spec *spec,
                       const struct spec_node *root)
{
    struct spec_node model, vocabulary;
    if (!spec_need_object(spec, root, "model", 64, &model))
        return false;
    const char *type = model_type(&model);
    if (!spec_text(spec, &model, "type", SIZE_MAX, &type))
        return false;
    bool unigram = strcmp(type, "Unigram") == 0, bpe = strcmp(type, "BPE") == 0;
    if (!unigram && !bpe && strcmp(type, "WordPiece") != 0)
        return spec_fail(spec, &model.place, "a model \"%.64s\" is not supported", type);
    if (!(unigram ? spec_need_array : spec_need_object)(spec, &model, "vocab",
                                                        TOKENIZER_TOKENS_MOST, &vocabulary) ||
        !vocabulary_read(self, spec, &vocabulary))
        return false;
    self->kind = unigram ? MODEL_UNIGRAM : bpe ? MODEL_BPE : MODEL_WORDPIECE;
    if (unigram)
        return unigram_open(&self->unigram, &self->tokens, spec, &model, &vocabulary);
    if (bpe)
        return bpe_open(&self->bpe, &self->tokens, spec, &model);
    return wordpiece_open(&self->wordpiece, &self->tokens, spec, &model);
}

/* --- what is around it ----------------------------------------------------------------------- */

static bool truncation_read(struct tokenizer *self, const struct spec *spec,
                            const struct spec_node *root)
{
    struct spec_node truncation = spec_member(root, "truncation");
    const char *direction = "Right";
    long long most = 0;
    if (!truncation.json)
        return true;
    if (!json_is_object(truncation.json))
        return spec_fail(spec, &truncation.place, "expected an object");
    if (!spec_text(spec, &truncation, "direction", 16, &direction) ||
        !spec_integer(spec, &truncation, "max_length", 0, INT32_MAX, &most))
        return false;
    self->max_length = (size_t)most;
    self->cut_left = strcmp(direction, "Left") == 0;
    struct spec_node place = spec_member(&truncation, "direction");
    return self->cut_left || strcmp(direction, "Right") == 0 ||
           spec_fail(spec, &place.place, "\"%s\" is not supported", direction);
}

static bool padding_read(struct tokenizer *self, const struct spec *spec,
                         const struct spec_node *root)
{
    struct spec_node padding = spec_member(root, "padding");
    long long pad = tokenizer_find(self, "[PAD]");
    if (pad < 0)
        pad = tokenizer_find(self, "<pad>");
    if (padding.json && !json_is_object(padding.json))
        return spec_fail(spec, &padding.place, "expected an object");
    if (padding.json && !spec_integer(spec, &padding, "pad_id", 0, self->ids - 1, &pad))
        return false;
    self->pad = (int32_t)pad;
    return true;
}

static bool added_read(struct tokenizer *self, const struct spec *spec,
                       const struct spec_node *root)
{
    struct spec_node added = spec_member(root, "added_tokens");
    if (!added_tokens_open(&self->added, &self->characters, &self->tokens, self->vocabulary_size,
                           &self->normalizer, spec, &added))
        return false;
    for (size_t i = 0; i < self->added.count; i++)
        if (self->added.tokens[i].id >= self->ids)
            self->ids = self->added.tokens[i].id + 1;
    return true;
}

bool tokenizer_read(struct tokenizer *self, const struct spec *spec, const struct spec_node *root)
{
    struct spec_node normalizer = spec_member(root, "normalizer");
    struct spec_node pretokenizer = spec_member(root, "pre_tokenizer");
    struct spec_node postprocessor = spec_member(root, "post_processor");
    if (!json_is_object(root->json))
        return spec_fail(spec, &root->place, "expected an object");
    return characters_open(&self->characters, spec->err) && model_read(self, spec, root) &&
           normalizer_open(&self->normalizer, &self->characters, spec, &normalizer) &&
           pretokenizer_open(&self->pretokenizer, &self->characters, spec, &pretokenizer) &&
           added_read(self, spec, root) &&
           postprocessor_open(&self->postprocessor, self->ids, spec, &postprocessor) &&
           truncation_read(self, spec, root) && padding_read(self, spec, root);
}

/* --- files ----------------------------------------------------------------------------------- */

struct tokenizer *tokenizer_parse(const char *json, size_t size, const char *name,
                                  struct leat_error *err)
{
    json_error_t why;
    const struct spec spec = {.name = name, .err = err};
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &why);
    if (!root) {
        leat_fail(err, "%s: line %d: %s", name, why.line, why.text);
        return NULL;
    }
    const struct spec_node node = {.json = root};
    struct tokenizer *self = calloc(1, sizeof *self);
    if (!self)
        leat_fail(err, "%s: out of memory", name);
    else if (!tokenizer_read(self, &spec, &node))
        tokenizer_close(&self);
    json_decref(root);
    return self;
}

static char *file_read(const char *path, size_t *size, struct leat_error *err)
{
    struct stat about;
    char *bytes = NULL;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &about) != 0)
        leat_fail(err, "%s: %m", path);
    else if (!S_ISREG(about.st_mode) || about.st_size > TOKENIZER_FILE_BYTES_MOST)
        leat_fail(err, "%s: expected a file of at most %d MiB", path,
                  TOKENIZER_FILE_BYTES_MOST >> 20);
    else if (!(bytes = malloc((size_t)about.st_size + 1)))
        leat_fail(err, "%s: out of memory", path);
    else
        *size = fread(bytes, 1, (size_t)about.st_size, file);
    if (file)
        fclose(file);
    return bytes;
}

struct tokenizer *tokenizer_open(const char *path, struct leat_error *err)
{
    size_t size;
    char *bytes = file_read(path, &size, err);
    if (!bytes)
        return NULL;
    struct tokenizer *self = tokenizer_parse(bytes, size, path, err);
    free(bytes);
    return self;
}
