/* Tokenizers: the ids of the reference implementation, whatever the text; and what a file must not
 * be is refused with its place. The files and what the reference makes of texts with them are in
 * tests/data/tokenizer, made by tests/tokenizer. */
#include "services/classify/encoder/tokenizer.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA "tests/data/tokenizer/"

enum { IDS_MOST = 1 << 17 };

/* --- against the reference ------------------------------------------------------------------- */

static json_t *expected;

static int expected_load(void **state)
{
    (void)state;
    json_error_t why;
    expected = json_load_file(DATA "expected.json", JSON_ALLOW_NUL, &why);
    return expected ? 0 : -1;
}

static int expected_free(void **state)
{
    (void)state;
    json_decref(expected);
    return 0;
}

/* A tokenizer and what goes with it. */
struct rig {
    struct tokenizer *tokenizer;
    struct tokenizer_scratch *scratch;
    int32_t ids[IDS_MOST];
    bool cut;
};

static struct rig *rig_open(const char *name)
{
    struct leat_error err = {""};
    char path[128];
    struct rig *rig = malloc(sizeof *rig);
    assert_non_null(rig);
    snprintf(path, sizeof path, DATA "%s", name);
    rig->tokenizer = tokenizer_open(path, &err);
    if (!rig->tokenizer)
        fail_msg("%s", err.text);
    rig->scratch = tokenizer_scratch_open(rig->tokenizer, &err);
    assert_non_null(rig->scratch);
    return rig;
}

static void rig_close(struct rig *rig)
{
    tokenizer_scratch_close(&rig->scratch);
    tokenizer_close(&rig->tokenizer);
    free(rig);
}

static size_t encode(struct rig *rig, const char *text, size_t size, size_t most)
{
    return tokenizer_encode(rig->tokenizer, rig->scratch, text, size, most, rig->ids, &rig->cut);
}

/* In a block of its very size, so that reading past it is seen. */
static bool same(struct rig *rig, const json_t *text, size_t most, const json_t *ids)
{
    size_t size = json_string_length(text);
    char *exact = malloc(size ? size : 1);
    memcpy(exact, json_string_value(text), size);
    size_t n = encode(rig, exact, size, most);
    free(exact);
    if (n != json_array_size(ids))
        return false;
    for (size_t i = 0; i < n; i++)
        if (rig->ids[i] != json_integer_value(json_array_get(ids, i)))
            return false;
    return true;
}

static void check_file(const char *name, const json_t *of)
{
    struct rig *rig = rig_open(name);
    const json_t *texts = json_object_get(expected, "texts");
    const json_t *whole = json_object_get(of, "whole"), *cut = json_object_get(of, "cut");
    size_t most = (size_t)json_integer_value(json_object_get(expected, "cut_at"));
    assert_true(json_array_size(whole) > 100 && json_array_size(whole) == json_array_size(texts));
    assert_true(json_array_size(cut) > 10);
    for (size_t i = 0; i < json_array_size(whole); i++) {
        const json_t *text = json_array_get(texts, i);
        if (!same(rig, text, IDS_MOST, json_array_get(whole, i)) || rig->cut)
            fail_msg("%s: text %zu: \"%s\"", name, i, json_string_value(text));
    }
    for (size_t i = 0; i < json_array_size(cut); i++) {
        const json_t *text = json_array_get(texts, i), *one = json_array_get(cut, i);
        if (!same(rig, text, most, json_array_get(one, 0)) ||
            rig->cut != json_is_true(json_array_get(one, 1)))
            fail_msg("%s: text %zu cut: \"%s\"", name, i, json_string_value(text));
    }
    rig_close(rig);
}

static void ids_are_those_of_the_reference(void **state)
{
    (void)state;
    const char *name;
    json_t *of;
    size_t files = 0;
    json_object_foreach(json_object_get(expected, "files"), name, of)
    {
        check_file(name, of);
        files++;
    }
    assert_int_equal(files, 7);
}

struct sharer {
    pthread_t thread;
    const struct tokenizer *tokenizer;
    size_t wrong;
};

static void *share(void *argument)
{
    struct sharer *self = argument;
    struct leat_error err;
    struct tokenizer_scratch *scratch = tokenizer_scratch_open(self->tokenizer, &err);
    const json_t *texts = json_object_get(expected, "texts");
    const json_t *whole = json_object_get(
        json_object_get(json_object_get(expected, "files"), "roberta.json"), "whole");
    static _Thread_local int32_t ids[4096];
    for (size_t i = 0; scratch && i < json_array_size(texts); i++) {
        const json_t *text = json_array_get(texts, i), *right = json_array_get(whole, i);
        size_t n = tokenizer_encode(self->tokenizer, scratch, json_string_value(text),
                                    json_string_length(text), 4096, ids, NULL);
        bool good = n == json_array_size(right);
        for (size_t k = 0; good && k < n; k++)
            good = ids[k] == json_integer_value(json_array_get(right, k));
        self->wrong += !good;
    }
    self->wrong += scratch == NULL;
    tokenizer_scratch_close(&scratch);
    return NULL;
}

static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    struct rig *rig = rig_open("roberta.json");
    struct sharer sharers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        sharers[i] = (struct sharer){.tokenizer = rig->tokenizer};
        assert_int_equal(pthread_create(&sharers[i].thread, NULL, share, &sharers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(sharers[i].thread, NULL);
        assert_int_equal(sharers[i].wrong, 0);
    }
    rig_close(rig);
}

static void nothing_is_allocated_once_warm(void **state)
{
    (void)state;
    const char *name;
    json_t *of;
    const json_t *texts = json_object_get(expected, "texts");
    json_object_foreach(json_object_get(expected, "files"), name, of)
    {
        struct rig *rig = rig_open(name);
        size_t used = 0;
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < json_array_size(texts); i++) {
                const json_t *text = json_array_get(texts, i);
                encode(rig, json_string_value(text), json_string_length(text), IDS_MOST);
            }
            if (round > 0)
                assert_int_equal(mallinfo2().uordblks, used);
            used = mallinfo2().uordblks;
        }
        rig_close(rig);
    }
}

/* --- lengths and bytes ----------------------------------------------------------------------- */

static void special_tokens_always_fit(void **state)
{
    (void)state;
    struct rig *rig = rig_open("bert-uncased.json");
    const char *text = "it was a bright cold day in april and the clocks were striking";
    assert_int_equal(tokenizer_specials(rig->tokenizer), 2);
    for (size_t most = 2; most < 10; most++) {
        assert_int_equal(encode(rig, text, strlen(text), most), most);
        assert_true(rig->cut);
        assert_int_equal(rig->ids[0], tokenizer_find(rig->tokenizer, "[CLS]"));
        assert_int_equal(rig->ids[most - 1], tokenizer_find(rig->tokenizer, "[SEP]"));
    }
    assert_int_equal(encode(rig, text, strlen(text), 1), 1); /* no room: the first of them */
    assert_int_equal(encode(rig, text, strlen(text), 0), 0);
    assert_int_equal(encode(rig, "", 0, 2), 2);
    assert_false(rig->cut);
    rig_close(rig);
}

static void a_long_text_is_read_whole(void **state)
{
    (void)state;
    static const char *const names[] = {"bert-cased.json", "roberta.json", "llama2.json",
                                        "xlmr.json", "albert.json"};
    enum { SIZE = 1 << 16 };
    char *text = malloc(SIZE);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct rig *rig = rig_open(names[i]);
        memset(text, 'a', SIZE); /* one word */
        assert_true(encode(rig, text, SIZE, IDS_MOST) > 0);
        for (size_t k = 0; k < SIZE; k += 2)
            memcpy(text + k, "\xcc\x81", 2); /* nothing but marks */
        assert_true(encode(rig, text, SIZE, 512) > 0);
        for (size_t k = 0; k < SIZE; k += 4)
            memcpy(text + k, "\xcc\x81\xcc\xa3", 4); /* out of order */
        assert_true(encode(rig, text, SIZE, 512) > 0);
        rig_close(rig);
    }
    free(text);
}

static void broken_utf8_counts_as_replacement_characters(void **state)
{
    (void)state;
    static const struct {
        const char *broken, *whole;
    } cases[] = {
        {"a\xff b", "a\xef\xbf\xbd b"},
        {"\xc3", "\xef\xbf\xbd"},
        {"x\xe2\x82", "x\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80z", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3\xa9\x80\xc3\xa9", "\xc3\xa9\xef\xbf\xbd\xc3\xa9"},
    };
    static const char *const names[] = {"bert-cased.json", "roberta.json", "xlmr.json"};
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        struct rig *rig = rig_open(names[f]);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            int32_t right[64];
            size_t size = strlen(cases[i].broken);
            size_t n = encode(rig, cases[i].whole, strlen(cases[i].whole), 64);
            memcpy(right, rig->ids, n * sizeof *right);
            char *exact = malloc(size);
            memcpy(exact, cases[i].broken, size);
            assert_int_equal(encode(rig, exact, size, 64), n);
            assert_memory_equal(rig->ids, right, n * sizeof *right);
            free(exact);
        }
        rig_close(rig);
    }
}

static void ids_of_tokens_can_be_asked_for(void **state)
{
    (void)state;
    struct rig *bert = rig_open("bert-uncased.json"), *roberta = rig_open("roberta.json"),
               *llama = rig_open("llama2.json"), *cased = rig_open("bert-cased.json");
    assert_int_equal(tokenizer_pad(bert->tokenizer), 0);
    assert_int_equal(tokenizer_pad(roberta->tokenizer), 1);
    assert_int_equal(tokenizer_pad(llama->tokenizer), -1);
    assert_int_equal(tokenizer_find(bert->tokenizer, "[MASK]"), 4);
    assert_int_equal(tokenizer_find(roberta->tokenizer, "</s>"), 2);
    assert_int_equal(tokenizer_find(roberta->tokenizer, "no such token"), -1);
    assert_int_equal(tokenizer_find(cased->tokenizer, "[NEW]"),
                     tokenizer_ids(cased->tokenizer) - 1);
    assert_int_equal(tokenizer_max_length(cased->tokenizer), 64);
    assert_int_equal(tokenizer_max_length(bert->tokenizer), 0);
    rig_close(bert);
    rig_close(roberta);
    rig_close(llama);
    rig_close(cased);
}

/* --- files that are not right ---------------------------------------------------------------- */

static const char wordpiece[] =
    "{\"added_tokens\": [{\"id\": 1, \"content\": \"[CLS]\", \"special\": true}],"
    " \"normalizer\": {\"type\": \"BertNormalizer\"},"
    " \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},"
    " \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"[CLS]\", 1],"
    " \"sep\": [\"[SEP]\", 2]},"
    " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\","
    " \"vocab\": {\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2, \"a\": 3, \"##b\": 4}}}";

static const char bpe[] =
    "{\"model\": {\"type\": \"BPE\", \"unk_token\": null,"
    " \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"aab\": 3, \"ba\": 4, \"aba\": 5},"
    " \"merges\": [\"a b\", [\"a\", \"ab\"], \"b a\"]}}";

static const char unigram[] = "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0,"
                              " \"vocab\": [[\"<unk>\", 0], [\"a\", -1.5], [\"b\", -2]]}}";

/* `text` with the first `from` replaced by `to`. */
static char *changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    size_t size = strlen(text) + strlen(to) + 1;
    char *out = malloc(size);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static void assert_refused(const char *json, const char *place, const char *words)
{
    struct leat_error err = {""};
    struct tokenizer *tokenizer = tokenizer_parse(json, strlen(json), "t.json", &err);
    if (tokenizer)
        fail_msg("taken: %s", json);
    if (strncmp(err.text, "t.json: ", 8) != 0 || !strstr(err.text, place) ||
        !strstr(err.text, words))
        fail_msg("\"%s\" does not say %s and %s", err.text, place, words);
}

static void good_files_are_taken(void **state)
{
    (void)state;
    const char *const good[] = {wordpiece, bpe, unigram};
    for (size_t i = 0; i < 3; i++) {
        struct leat_error err = {""};
        struct tokenizer *tokenizer = tokenizer_parse(good[i], strlen(good[i]), "t.json", &err);
        if (!tokenizer)
            fail_msg("%s", err.text);
        tokenizer_close(&tokenizer);
        tokenizer_close(&tokenizer);
    }
}

static void what_is_wrong_is_named_by_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *file, *from, *to, *place, *words;
    } cases[] = {
        {wordpiece, "{\"added", "[{\"added", "line", ""},
        {wordpiece, "\"a\": 3", "\"a\": 4", "model.vocab", "another token's"},
        {wordpiece, "\"a\": 3", "\"a\": -1", "model.vocab.a", "id from 0"},
        {wordpiece, "\"a\": 3", "\"a\": 99999999999", "model.vocab.a", "id from 0"},
        {wordpiece, "\"a\": 3", "\"a\": 3.5", "model.vocab.a", "integer"},
        {wordpiece, "\"a\": 3", "\"a\": 3, \"a\": 5", "line", "duplicate"},
        {wordpiece, "\"##b\": 4", "\"##b\": \"4\"", "model.vocab.##b", "integer"},
        {wordpiece, "\"[UNK]\",", "\"<unk>\",", "model.unk_token", "not in the vocabulary"},
        {wordpiece, "\"[UNK]\",", "7,", "model.unk_token", "string"},
        {wordpiece, "\"WordPiece\"", "\"WordLevel\"", "model", "\"WordLevel\" is not supported"},
        {wordpiece, "\"WordPiece\"", "\"Unigram\"", "model.vocab", "array"},
        {wordpiece, "\"model\"", "\"models\"", "model", "object"},
        {wordpiece, "\"BertNormalizer\"", "\"Bert\"", "normalizer", "\"Bert\" is not supported"},
        {wordpiece, "\"BertNormalizer\"", "\"BertNormalizer\", \"lowercase\": 1",
         "normalizer.lowercase", "true or false"},
        {wordpiece, "{\"type\": \"BertNormalizer\"}", "[]", "normalizer", "object"},
        {wordpiece, "\"BertNormalizer\"", "\"Precompiled\"", "precompiled_charsmap", "string"},
        {wordpiece, "\"BertNormalizer\"", "\"Precompiled\", \"precompiled_charsmap\": \"a\"",
         "precompiled_charsmap", "base64"},
        {wordpiece, "\"BertNormalizer\"", "\"Precompiled\", \"precompiled_charsmap\": \"/////w==\"",
         "precompiled_charsmap", "does not fit"},
        {wordpiece, "\"BertNormalizer\"",
         "\"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Replace\","
         " \"pattern\": {\"Regex\": \"(a|b)*\"}, \"content\": \"\"}]",
         "normalizer.normalizers[1].pattern", "regular expression"},
        {wordpiece, "\"BertNormalizer\"",
         "\"Sequence\", \"normalizers\": [{\"type\": \"Sequence\", \"normalizers\": [{\"type\":"
         " \"Sequence\", \"normalizers\": []}]}]",
         "normalizer.normalizers[0].normalizers[0]", "too deep"},
        {wordpiece, "\"BertPreTokenizer\"", "\"UnicodeScripts\"", "pre_tokenizer",
         "\"UnicodeScripts\" is not supported"},
        {wordpiece, "\"BertPreTokenizer\"", "\"Metaspace\", \"replacement\": \"ab\"",
         "pre_tokenizer.replacement", "one character"},
        {wordpiece, "\"BertPreTokenizer\"",
         "\"Split\", \"pattern\": {\"String\": \"\"}, \"behavior\": \"Removed\"",
         "pre_tokenizer.pattern", "not empty"},
        {wordpiece, "\"BertPreTokenizer\"",
         "\"Split\", \"pattern\": {\"String\": \"x\"}, \"behavior\": \"Gone\"",
         "pre_tokenizer.behavior", "\"Gone\" is not supported"},
        {wordpiece, "\"BertProcessing\"", "\"Pair\"", "post_processor", "not supported"},
        {wordpiece, "[\"[SEP]\", 2]", "[\"[SEP]\", 5]", "post_processor.sep[1]", "below 5"},
        {wordpiece, "[\"[SEP]\", 2]", "\"[SEP]\"", "post_processor.sep", "array"},
        {wordpiece, "\"BertProcessing\"", "\"TemplateProcessing\"", "post_processor.single",
         "array"},
        {wordpiece, "\"BertProcessing\"",
         "\"TemplateProcessing\", \"special_tokens\": {}, \"single\": []", "post_processor.single",
         "\"A\" once"},
        {wordpiece, "\"BertProcessing\"",
         "\"TemplateProcessing\", \"special_tokens\": {}, \"single\": [{\"SpecialToken\":"
         " {\"id\": \"x\"}}]",
         "post_processor.single[0]", "special_tokens"},
        {wordpiece, "\"id\": 1", "\"id\": 2", "added_tokens[0].id", "vocabulary as 1"},
        {wordpiece, "[{\"id\": 1,", "[{\"id\": 7, \"content\": \"new\"}, {\"id\": 1,",
         "added_tokens[0].id", "counting with 5"},
        {wordpiece, "\"content\": \"[CLS]\"", "\"content\": \"\"", "added_tokens[0]", "content"},
        {wordpiece, "\"content\": \"[CLS]\"", "\"content\": 3", "added_tokens[0].content",
         "string"},
        {wordpiece, "[{\"id\": 1,", "[{\"id\": 5, \"content\": \"\\u0001\"}, {\"id\": 1,",
         "added_tokens[0]", "nothing is left"},
        {bpe, "\"a b\"", "\"a c\"", "model.merges[0]", "not in the vocabulary"},
        {bpe, "\"b a\"", "\"b b\"", "model.merges[2]", "not in the vocabulary"},
        {bpe, "\"a b\"", "\"a\"", "model.merges[0]", "left right"},
        {bpe, "\"a b\"", "\"a b a\"", "model.merges[0]", "left right"},
        {bpe, "\"a b\"", "[\"a\", 1]", "model.merges[0]", "left right"},
        {bpe, "\"merges\"", "\"merged\"", "model.merges", "array"},
        {bpe, "\"unk_token\": null", "\"unk_token\": \"?\"", "model.unk_token", "vocabulary"},
        {bpe, "\"unk_token\": null", "\"dropout\": 0.1", "model.dropout", "dropout"},
        {bpe, "{\"a\": 0,", "{\"\": 0,", "", "not in the vocabulary"},
        {unigram, "\"unk_id\": 0", "\"unk_id\": 3", "model.unk_id", "integer from 0 to 2"},
        {unigram, "\"unk_id\": 0", "\"unk_id\": null", "model.unk_id", "unknown token"},
        {unigram, "[\"a\", -1.5]", "[\"a\"]", "model.vocab[1]", "score"},
        {unigram, "[\"a\", -1.5]", "[1, -1.5]", "model.vocab[1]", "score"},
        {unigram, "{\"model\"", "{\"truncation\": {\"direction\": \"Up\"}, \"model\"",
         "truncation.direction", "\"Up\""},
        {unigram, "{\"model\"", "{\"padding\": {\"pad_id\": 3}, \"model\"", "padding.pad_id",
         "0 to 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *json = changed(cases[i].file, cases[i].from, cases[i].to);
        assert_refused(json, cases[i].place, cases[i].words);
        free(json);
    }
    assert_refused("[]", "t.json", "object");
    assert_refused("", "line", "");
}

static void a_file_cut_short_is_refused(void **state)
{
    (void)state;
    FILE *file = fopen(DATA "xlmr.json", "rb");
    static char bytes[1 << 20];
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    while (size > 0 && bytes[size - 1] != '}')
        size--;
    for (size_t left = 0; left < size; left += left < 2000 ? 37 : size / 11) {
        struct leat_error err = {""};
        char *exact = malloc(left ? left : 1);
        memcpy(exact, bytes, left);
        assert_null(tokenizer_parse(exact, left, "t.json", &err));
        assert_non_null(strstr(err.text, "t.json: "));
        free(exact);
    }
    struct leat_error err = {""};
    assert_null(tokenizer_open(DATA "missing.json", &err));
    assert_non_null(strstr(err.text, "missing.json"));
    assert_null(tokenizer_open(DATA, &err));
}

static void any_byte_of_the_charsmap_may_be_wrong(void **state)
{
    (void)state;
    json_error_t why;
    json_t *root = json_load_file(DATA "xlmr.json", 0, &why);
    assert_non_null(root);
    json_t *normalizer = json_object_get(root, "normalizer");
    char *map = strdup(json_string_value(json_object_get(normalizer, "precompiled_charsmap")));
    char *broken = strdup(map);
    json_t *texts = json_object_get(expected, "texts");
    size_t size = strlen(map), taken = 0;
    for (size_t i = 0; i < 40; i++) {
        for (size_t k = 0; k < 50; k++) /* the array and, towards the end, the strings */
            broken[(i * 7919 + k * 104729) % (size - 4)] = "AQgw7+/z"[(i + k) % 8];
        json_object_set_new(normalizer, "precompiled_charsmap", json_string(broken));
        char *json = json_dumps(root, JSON_COMPACT);
        struct leat_error err = {""};
        struct tokenizer *tokenizer = tokenizer_parse(json, strlen(json), "t.json", &err);
        free(json);
        if (tokenizer) { /* another table, but a sound one: texts come out somehow */
            struct tokenizer_scratch *scratch = tokenizer_scratch_open(tokenizer, &err);
            int32_t ids[256];
            for (size_t t = 0; t < 100; t++)
                tokenizer_encode(tokenizer, scratch, json_string_value(json_array_get(texts, t)),
                                 json_string_length(json_array_get(texts, t)), 256, ids, NULL);
            tokenizer_scratch_close(&scratch);
            taken++;
        }
        tokenizer_close(&tokenizer);
        memcpy(broken, map, size);
    }
    assert_true(taken < 40);
    free(broken);
    free(map);
    json_decref(root);
}

/* --- what the reference does that one would not think of -------------------------------------- */

static void assert_ids(const char *json, const char *text, const int32_t *right, size_t count)
{
    struct leat_error err = {""};
    int32_t ids[32];
    struct tokenizer *tokenizer = tokenizer_parse(json, strlen(json), "t.json", &err);
    if (!tokenizer)
        fail_msg("%s", err.text);
    struct tokenizer_scratch *scratch = tokenizer_scratch_open(tokenizer, &err);
    assert_int_equal(tokenizer_encode(tokenizer, scratch, text, strlen(text), 32, ids, NULL),
                     count);
    assert_memory_equal(ids, right, count * sizeof *ids);
    tokenizer_scratch_close(&scratch);
    tokenizer_close(&tokenizer);
}

static void merges_go_by_rank_then_leftmost(void **state)
{
    (void)state;
    assert_ids(bpe, "abab", (int32_t[]){2, 2}, 2);
    assert_ids(bpe, "aab", (int32_t[]){3}, 1);
    assert_ids(bpe, "ba", (int32_t[]){4}, 1);
    assert_ids(bpe, "bab", (int32_t[]){1, 2}, 2);
}

static void of_a_merge_given_twice_the_later_rank_counts(void **state)
{
    (void)state;
    char *json = changed(bpe, "\"b a\"]", "\"b a\", \"a b\"]");
    assert_ids(json, "bab", (int32_t[]){4, 1}, 2);
    free(json);
}

static void unknown_characters_without_a_token_are_left_out(void **state)
{
    (void)state;
    assert_ids(bpe, "axb", (int32_t[]){2}, 1);
    assert_ids(bpe, "x", NULL, 0);
}

static void unknown_neighbours_are_one_token(void **state)
{
    (void)state;
    assert_ids(unigram, "axyzb", (int32_t[]){1, 0, 2}, 3);
}

static void a_word_that_does_not_come_out_is_unknown(void **state)
{
    (void)state;
    assert_ids(wordpiece, "ab abc a, A", (int32_t[]){1, 3, 4, 0, 3, 0, 3, 2}, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_reference),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(nothing_is_allocated_once_warm),
        cmocka_unit_test(special_tokens_always_fit),
        cmocka_unit_test(a_long_text_is_read_whole),
        cmocka_unit_test(broken_utf8_counts_as_replacement_characters),
        cmocka_unit_test(ids_of_tokens_can_be_asked_for),
        cmocka_unit_test(good_files_are_taken),
        cmocka_unit_test(what_is_wrong_is_named_by_its_place),
        cmocka_unit_test(a_file_cut_short_is_refused),
        cmocka_unit_test(any_byte_of_the_charsmap_may_be_wrong),
        cmocka_unit_test(merges_go_by_rank_then_leftmost),
        cmocka_unit_test(of_a_merge_given_twice_the_later_rank_counts),
        cmocka_unit_test(unknown_characters_without_a_token_are_left_out),
        cmocka_unit_test(unknown_neighbours_are_one_token),
        cmocka_unit_test(a_word_that_does_not_come_out_is_unknown),
    };
    return cmocka_run_group_tests(tests, expected_load, expected_free);
}
