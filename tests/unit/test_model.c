/* Models of both kinds behind one face, and what is found with them. The encoder is a small one
 * with random weights (tests/encoder/make_fixtures): what it finds means nothing, that it is found
 * the same way every time is the point. */
#include "services/classify/classify.h"
#include "services/classify/encoder_card.h"
#include "services/classify/finder.h"
#include "services/classify/meanings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WHOLE "tests/data/encoder/whole"

static struct leat_settings *settings_with(const char *const *assignments)
{
    static const struct leat_setting *tables[2]; /* must outlive the settings */
    tables[0] = classify_service.settings;
    struct leat_settings *settings = leat_settings_new(tables);
    struct leat_error err;
    for (; *assignments; assignments++)
        if (!leat_settings_assign(settings, *assignments, LEAT_FROM_COMMAND_LINE, &err))
            fail_msg("%s", err.text);
    return settings;
}

#define SETTINGS(...) settings_with((const char *const[]){__VA_ARGS__, NULL})

static struct finder *open_finder(struct leat_settings *settings)
{
    struct leat_error err;
    struct finder *finder = finder_open(settings, NULL, &err);
    leat_settings_destroy(&settings);
    if (!finder)
        fail_msg("%s", err.text);
    return finder;
}

static void refused(struct leat_settings *settings, const char *reason)
{
    struct leat_error err = {""};
    struct finder *finder = finder_open(settings, NULL, &err);
    leat_settings_destroy(&settings);
    assert_null(finder);
    if (!strstr(err.text, reason))
        fail_msg("expected \"%s\" in: %s", reason, err.text);
}

static const char *const sample[] = {
    "I am so glad that you came!",
    "This is awful, I hate it.",
    "water",
    "The budget, the hospital and the school: taxes again, and again, and again, until nobody who "
    "reads this text to its end knows any more what it was about, except that it was far too long "
    "for thirty-two tokens",
    " ",
};
enum { SAMPLE = sizeof sample / sizeof *sample };

struct copy {
    struct text_result result;
    char emotion[32], first[64];
};

static void keep(void *context, size_t index, const struct text_result *result,
                 const struct finder_why *why)
{
    assert_null(why);
    struct copy *copy = (struct copy *)context + index;
    copy->result = *result;
    snprintf(copy->emotion, sizeof copy->emotion, "%.*s", (int)result->emotion_label.size,
             (const char *)result->emotion_label.data);
    snprintf(copy->first, sizeof copy->first, "%.*s",
             result->n_emotions ? (int)result->emotions[0].label.size : 0,
             result->n_emotions ? (const char *)result->emotions[0].label.data : "");
}

static void run(struct finder *finder, struct copy out[SAMPLE])
{
    struct leat_span texts[SAMPLE];
    struct leat_error err = {""};
    for (size_t i = 0; i < SAMPLE; i++)
        texts[i] = (struct leat_span){(const uint8_t *)sample[i], strlen(sample[i])};
    if (!finder_run(finder, texts, SAMPLE, true, keep, out, &err))
        fail_msg("%s", err.text);
}

static void an_encoder_folder_classifies(void **state)
{
    (void)state;
    struct finder *finder = open_finder(SETTINGS("classify.model=" WHOLE, "classify.threads=2"));
    struct copy found[SAMPLE];
    run(finder, found);
    for (size_t i = 0; i < SAMPLE; i++) {
        const struct text_result *result = &found[i].result;
        uint32_t sum = 0, largest = 0;
        for (int e = 0; e < TEXT_EMOTIONS; e++) {
            sum += result->distribution[e];
            largest = result->distribution[e] > largest ? result->distribution[e] : largest;
        }
        assert_int_equal(sum, EMOTION_WHOLE);
        assert_true(result->sentiment_score >= -1 && result->sentiment_score <= 1);
        /* It chooses one of all: the best label is always listed, and is what is reported. */
        assert_true(result->n_emotions >= 1);
        assert_string_equal(found[i].first, found[i].emotion);
        assert_int_equal(result->emotions[0].probability / 10, largest / 10);
        assert_int_equal(result->truncated, i == 3);
    }
    assert_string_equal(finder_model_name(finder), "whole 1");
    assert_true(finder_stats(finder).tokens > SAMPLE);
    finder_close(&finder);
}

static void a_text_gets_the_same_alone_and_among_others(void **state)
{
    (void)state;
    struct finder *finder = open_finder(
        SETTINGS("classify.model=" WHOLE, "classify.threads=3", "classify.batch_tokens=16"));
    struct copy together[SAMPLE];
    run(finder, together);
    for (size_t i = 0; i < SAMPLE; i++) {
        struct leat_span text = {(const uint8_t *)sample[i], strlen(sample[i])};
        struct copy alone;
        struct leat_error err;
        assert_true(finder_run(finder, &text, 1, true, keep, &alone, &err));
        assert_true(fabs(alone.result.sentiment_score - together[i].result.sentiment_score) < 1e-5);
        assert_string_equal(alone.emotion, together[i].emotion);
    }
    finder_close(&finder);
}

static void embeddings_find_topics_when_they_are_asked_to(void **state)
{
    (void)state;
    struct finder *finder =
        open_finder(SETTINGS("classify.model=" WHOLE, "topics.embeddings=yes", "topics.keep_from=0",
                             "classify.topics=services/classify/topics.json"));
    struct copy found[SAMPLE];
    run(finder, found);
    size_t scored = 0;
    for (size_t i = 0; i < SAMPLE; i++)
        for (size_t t = 0; t < found[i].result.n_topics; t++) {
            double score = found[i].result.topics[t].embedding_score;
            assert_true(score >= 0 && score <= 1);
            scored += score > 0;
        }
    assert_true(scored > 0);
    finder_close(&finder);
}

static void keep_length(void *context, size_t index, const struct text_result *result,
                        const struct finder_why *why)
{
    assert_null(why);
    double sum = 0;
    for (size_t i = 0; i < result->embedding.size; i += sizeof(float)) {
        float value;
        memcpy(&value, result->embedding.data + i, sizeof value);
        sum += (double)value * (double)value;
    }
    ((double *)context)[index] = sum;
}

static void embeddings_are_in_the_result_when_they_are_to_be_stored(void **state)
{
    (void)state;
    struct finder *finder = open_finder(SETTINGS("classify.model=" WHOLE, "embeddings.store=yes"));
    struct leat_span text = {(const uint8_t *)sample[0], strlen(sample[0])};
    struct leat_error err;
    struct copy found;
    double length = 0;
    assert_true(finder_run(finder, &text, 1, true, keep, &found, &err));
    assert_int_equal(found.result.embedding.size, 16 * sizeof(float));
    assert_true(found.result.n_topics == 0 || isnan(found.result.topics[0].embedding_score));
    assert_true(finder_run(finder, &text, 1, true, keep_length, &length, &err));
    assert_true(fabs(length - 1) < 1e-5);
    finder_close(&finder);
}

static bool count_watch(void *owner)
{
    return ++*(int *)owner < 4;
}

static void note_index(void *context, size_t index, const struct text_result *result,
                       const struct finder_why *why)
{
    (void)result, (void)why;
    *(size_t *)context = index;
}

static void a_slow_model_says_that_it_goes_on_and_can_be_stopped(void **state)
{
    (void)state;
    enum { MANY = 3 * 1024 + 1 };
    static struct leat_span texts[MANY];
    struct leat_settings *settings = SETTINGS("classify.model=" WHOLE);
    struct leat_error err = {""};
    int asked = 0;
    size_t last = 0;
    const struct provider_watch watch = {.owner = &asked, .goes_on = count_watch};
    struct finder *finder = finder_open(settings, &watch, &err);
    leat_settings_destroy(&settings);
    assert_non_null(finder);
    for (size_t i = 0; i < MANY; i++)
        texts[i] = (struct leat_span){(const uint8_t *)"water", 5};
    assert_false(finder_run(finder, texts, MANY, true, note_index, &last, &err));
    assert_string_equal(err.text, "told to stop");
    assert_int_equal(asked, 4);
    assert_int_equal(last, MANY - 2);
    finder_close(&finder);
}

static void fingerprint(struct leat_settings *settings, uint8_t out[LEAT_FINGERPRINT_SIZE])
{
    struct finder *finder = open_finder(settings);
    finder_fingerprint(finder, out);
    finder_close(&finder);
}

static void whatever_changes_results_changes_the_fingerprint(void **state)
{
    (void)state;
    uint8_t first[16], other[16];
    fingerprint(SETTINGS("classify.model=" WHOLE, "classify.precision=f32"), first);
    fingerprint(SETTINGS("classify.model=" WHOLE, "classify.precision=f32", "classify.threads=1"),
                other);
    assert_memory_equal(first, other, 16);
    struct leat_settings *changed[] = {
        SETTINGS("classify.model=" WHOLE, "classify.precision=bf16"),
        SETTINGS("classify.model=" WHOLE, "classify.precision=f32", "topics.embeddings=yes"),
        SETTINGS("classify.model=" WHOLE, "classify.precision=f32", "embeddings.store=yes"),
        SETTINGS("classify.model=" WHOLE, "classify.precision=f32", "topics.keep_from=0.3"),
        SETTINGS("classify.model=" WHOLE, "classify.precision=f32", "topics.embedding_floor=0.3"),
        SETTINGS("classify.model=" WHOLE, "classify.precision=f32", "topics.most=4"),
        SETTINGS("classify.model=" WHOLE, "classify.precision=f32", "classify.sentiment_upper=0.3"),
        SETTINGS("classify.emotion_model=" WHOLE, "classify.precision=f32"),
        SETTINGS("classify.sentiment_model=" WHOLE, "classify.precision=f32"),
    };
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        fingerprint(changed[i], other);
        assert_memory_not_equal(first, other, 16);
    }
}

static void emotion_and_sentiment_may_come_from_two_models(void **state)
{
    (void)state;
    struct copy shipped[SAMPLE], encoder[SAMPLE], both[SAMPLE];
    struct finder *finder = open_finder(SETTINGS("classify.announce=1s"));
    run(finder, shipped);
    finder_close(&finder);
    finder = open_finder(SETTINGS("classify.model=" WHOLE));
    run(finder, encoder);
    finder_close(&finder);
    finder = open_finder(SETTINGS("classify.emotion_model=" WHOLE));
    run(finder, both);
    assert_non_null(strstr(finder_model_name(finder), "whole 1 + "));
    finder_close(&finder);
    for (size_t i = 0; i < SAMPLE; i++) {
        assert_string_equal(both[i].emotion, encoder[i].emotion);
        assert_true(both[i].result.sentiment_score == shipped[i].result.sentiment_score);
    }
}

/* A copy of the folder with links to its files, to put other files into. */
static void copy_folder(char folder[64])
{
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    char here[2048], from[4096], to[4096];
    strcpy(folder, "/tmp/leat-test-model-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_non_null(getcwd(here, sizeof here));
    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s/" WHOLE "/%s", here, names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        assert_int_equal(symlink(from, to), 0);
    }
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void remove_folder(const char *folder)
{
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors",
                                        ENCODER_CARD_FILE};
    char path[128];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void keep_vector(void *context, size_t index, const struct text_result *result,
                        const struct finder_why *why)
{
    assert_null(why);
    assert_int_equal(result->embedding.size, 16 * sizeof(float));
    memcpy((float *)context + 16 * index, result->embedding.data, result->embedding.size);
}

/* A topic's vector is that of its name and description, and its score the cosine. */
static void a_topic_s_embedding_score_is_the_cosine_with_its_name_and_description(void **state)
{
    (void)state;
    static const char *const texts[] = {"rents in the town went up",
                                        "Homes What they cost and who builds them.",
                                        "Work Wages and strikes."};
    char folder[64], setting[128];
    strcpy(folder, "/tmp/leat-test-model-XXXXXX");
    assert_non_null(mkdtemp(folder));
    put(folder, ENCODER_CARD_FILE,
        "{\"topics\": [{\"key\": \"homes\", \"name\": \"Homes\", \"category\": \"c\","
        " \"description\": \"What they cost and who builds them.\", \"keywords\": [\"zz\"]},"
        " {\"key\": \"work\", \"name\": \"Work\", \"category\": \"c\","
        " \"description\": \"Wages and strikes.\", \"keywords\": [\"zz\"]}]}");
    snprintf(setting, sizeof setting, "classify.topics=%s/" ENCODER_CARD_FILE, folder);
    struct finder *finder = open_finder(SETTINGS("classify.model=" WHOLE, "topics.embeddings=yes",
                                                 "embeddings.store=yes", "topics.keep_from=0",
                                                 "topics.embedding_floor=0", setting));
    struct leat_span spans[3];
    struct leat_error err;
    float vectors[3][16];
    struct copy found;
    for (size_t i = 0; i < 3; i++)
        spans[i] = (struct leat_span){(const uint8_t *)texts[i], strlen(texts[i])};
    assert_true(finder_run(finder, spans, 3, true, keep_vector, vectors, &err));
    assert_true(finder_run(finder, spans, 1, true, keep, &found, &err));
    size_t checked = 0;
    for (size_t t = 0; t < found.result.n_topics; t++) {
        size_t topic = leat_wire_is(found.result.topics[t].topic, "homes") ? 1 : 2;
        double cosine = 0;
        for (size_t i = 0; i < 16; i++)
            cosine += (double)vectors[0][i] * (double)vectors[topic][i];
        assert_true(fabs(found.result.topics[t].embedding_score - fmax(cosine, 0)) < 6e-4);
        assert_true(fabs(found.result.topics[t].confidence -
                         0.6 * cosine * (cosine > 0.5 ? 1.05 : 1)) < 2e-3);
        checked++;
    }
    assert_true(checked > 0);
    finder_close(&finder);
    remove_folder(folder);
}

static const struct encoder_config *config(void)
{
    static struct encoder_config read;
    struct leat_error err;
    assert_true(encoder_config_read(WHOLE "/config.json", &read, &err));
    return &read;
}

static void a_card_that_was_written_is_read_and_heeded(void **state)
{
    (void)state;
    char folder[64], path[128], setting[128];
    copy_folder(folder);
    snprintf(path, sizeof path, "%s/" ENCODER_CARD_FILE, folder);
    snprintf(setting, sizeof setting, "classify.model=%s", folder);
    struct card card, again;
    struct leat_error err = {""};
    encoder_card_guess(folder, config(), &card);
    for (unsigned i = 0; i < card.label_count; i++) /* everything is joy */
        card.labels[i].emotion = EMOTION_JOY;
    card.labels[2].sentiment = SENTIMENT_COUNT;
    strcpy(card.name, "joyful");
    assert_true(encoder_card_write(path, &card, &err));
    if (!encoder_card_read(folder, config(), &again, &err))
        fail_msg("%s", err.text);
    assert_string_equal(again.name, "joyful");
    for (unsigned i = 0; i < card.label_count; i++) {
        assert_int_equal(again.labels[i].emotion, EMOTION_JOY);
        assert_int_equal(again.labels[i].sentiment, card.labels[i].sentiment);
    }
    struct finder *finder = open_finder(SETTINGS(setting));
    struct copy found[SAMPLE];
    run(finder, found);
    assert_string_equal(finder_model_name(finder), "joyful 1");
    for (size_t i = 0; i < SAMPLE; i++)
        assert_int_equal(found[i].result.distribution[EMOTION_JOY], EMOTION_WHOLE);
    finder_close(&finder);
    remove_folder(folder);
}

static void a_card_that_is_wrong_is_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *card, *reason;
    } wrong[] = {
        {"{", "line 1"},
        {"[]", "expected a JSON object"},
        {"{\"kind\": \"linear\"}", "kind: expected \"encoder\""},
        {"{\"kind\": \"encoder\", \"name\": \"\"}", "name: expected a string"},
        {"{\"kind\": \"encoder\", \"name\": \"a\", \"version\": \"1\", \"labels\": []}",
         "labels: expected an array with one object for each of the model's 7 labels"},
        {"{\"kind\": \"encoder\", \"name\": \"a\", \"version\": \"1\", \"labels\": [{\"name\": "
         "\"rage\"}, 1, 1, 1, 1, 1, 1]}",
         "labels[0].name: expected a label of config.json"},
        {"{\"kind\": \"encoder\", \"name\": \"a\", \"version\": \"1\", \"labels\": [{\"name\": "
         "\"anger\", \"emotion\": \"rage\", \"sentiment\": null}, 1, 1, 1, 1, 1, 1]}",
         "labels[0]: emotion: expected null or one of anger"},
        {"{\"kind\": \"encoder\", \"name\": \"a\", \"version\": \"1\", \"labels\": [{\"name\": "
         "\"anger\", \"emotion\": null, \"sentiment\": null, \"threshold\": 2}, 1, 1, 1, 1, 1, 1]}",
         "labels[0]: threshold: expected a number above 0 and below 1"},
    };
    char folder[64];
    copy_folder(folder);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct card card;
        struct leat_error err = {""};
        put(folder, ENCODER_CARD_FILE, wrong[i].card);
        assert_false(encoder_card_read(folder, config(), &card, &err));
        if (!strstr(err.text, wrong[i].reason) || !strstr(err.text, folder))
            fail_msg("expected \"%s\" in: %s", wrong[i].reason, err.text);
    }
    remove_folder(folder);
}

static void labels_without_meaning_need_a_card(void **state)
{
    (void)state;
    struct encoder_config nameless = *config();
    strcpy(nameless.label[3], "LABEL_3");
    struct card card;
    struct leat_error err = {""};
    assert_false(encoder_card_read(WHOLE, &nameless, &card, &err));
    assert_non_null(strstr(err.text, "leat model inspect " WHOLE));
    struct meaning meaning;
    assert_true(meaning_find("POSITIVE", &meaning));
    assert_int_equal(meaning.sentiment, SENTIMENT_POSITIVE);
    assert_int_equal(meaning.emotion, EMOTION_COUNT);
    assert_false(meaning_find("LABEL_0", &meaning));
}

static void settings_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refused(SETTINGS("classify.model=/nowhere/at-all.model"), "setting classify.model: ");
    refused(SETTINGS("classify.model=tests/data/encoder/bert"), "tokenizer.json");
    refused(SETTINGS("topics.embeddings=yes"), "setting topics.embeddings");
    refused(SETTINGS("embeddings.store=yes"), "setting embeddings.store");
    refused(SETTINGS("classify.sentiment_lower=0.5"), "classify.sentiment_lower must be below");
    char folder[64], setting[128];
    copy_folder(folder);
    snprintf(setting, sizeof setting, "classify.emotion_model=%s", folder);
    struct card card;
    char path[128];
    struct leat_error err;
    encoder_card_guess(folder, config(), &card);
    for (unsigned i = 0; i < card.label_count; i++)
        card.labels[i].emotion = EMOTION_COUNT;
    snprintf(path, sizeof path, "%s/" ENCODER_CARD_FILE, folder);
    assert_true(encoder_card_write(path, &card, &err));
    refused(SETTINGS(setting), "no label of the model stands for an emotion");
    put(folder, "tokenizer.json", "{}");
    refused(SETTINGS(setting), "tokenizer.json");
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encoder_folder_classifies),
        cmocka_unit_test(a_text_gets_the_same_alone_and_among_others),
        cmocka_unit_test(embeddings_find_topics_when_they_are_asked_to),
        cmocka_unit_test(a_topic_s_embedding_score_is_the_cosine_with_its_name_and_description),
        cmocka_unit_test(embeddings_are_in_the_result_when_they_are_to_be_stored),
        cmocka_unit_test(a_slow_model_says_that_it_goes_on_and_can_be_stopped),
        cmocka_unit_test(whatever_changes_results_changes_the_fingerprint),
        cmocka_unit_test(emotion_and_sentiment_may_come_from_two_models),
        cmocka_unit_test(a_card_that_was_written_is_read_and_heeded),
        cmocka_unit_test(a_card_that_is_wrong_is_refused_with_the_place),
        cmocka_unit_test(labels_without_meaning_need_a_card),
        cmocka_unit_test(settings_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
