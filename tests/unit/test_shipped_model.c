/* The model in the tree: small, described, and sensible about plain sentences. */
#include "services/classify/emotion.h"
#include "services/classify/linear.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MODEL "services/classify/models/default.model"
#define CARD  "services/classify/models/default.json"

static struct linear *model;
static struct linear_scratch *scratch;

static void the_file_is_at_most_ten_megabytes(void **state)
{
    (void)state;
    struct stat about;
    assert_int_equal(stat(MODEL, &about), 0);
    assert_true(about.st_size <= 10 * 1000 * 1000);
}

static void the_card_says_what_it_is_and_how_good(void **state)
{
    (void)state;
    const struct card *card = linear_card(model);
    assert_int_equal(card->label_count, 28);
    assert_non_null(strstr(card->data_name, "GoEmotions"));
    assert_string_equal(card->data_license, "CC BY 4.0");
    assert_true(card->quality.macro_f1 >= 0.46f);
    assert_true(card->quality.reported_macro_f1 >= 0.57f);
}

/* The contract for the 28 labels, each by its eight. */
static void labels_are_folded_as_promised(void **state)
{
    (void)state;
    static const char *const folded[EMOTION_COUNT] = {
        "anger annoyance disapproval",
        "disgust",
        "fear nervousness",
        "joy amusement excitement love optimism relief pride desire",
        "sadness disappointment embarrassment grief remorse",
        "surprise realization confusion curiosity",
        "admiration approval caring gratitude",
        "neutral",
    };
    const struct card *card = linear_card(model);
    unsigned seen = 0;
    for (unsigned e = 0; e < EMOTION_COUNT; e++) {
        char names[128];
        strcpy(names, folded[e]);
        char *rest = NULL;
        for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
            int label = card_find(card, name);
            assert_true(label >= 0);
            assert_int_equal(linear_emotions(model)[label], e);
            seen++;
        }
    }
    assert_int_equal(seen, card->label_count);
}

struct answer {
    enum emotion emotion;
    enum sentiment sentiment;
    struct emotion_found found[CARD_LABELS_MOST];
    size_t count;
};

static struct answer ask(const char *text)
{
    struct linear_scores scores;
    struct answer answer;
    uint32_t share[EMOTION_COUNT];
    size_t labels = linear_card(model)->label_count;
    const float *thresholds = linear_thresholds(model);
    linear_score(model, scratch, text, strlen(text), &scores);
    emotion_distribution(scores.label, thresholds, linear_emotions(model), labels, share);
    uint32_t all = 0;
    for (int e = 0; e < EMOTION_COUNT; e++)
        all += share[e];
    assert_int_equal(all, EMOTION_WHOLE);
    answer.emotion = emotion_label(share);
    answer.count = emotion_list(scores.label, thresholds, labels, answer.found);
    double score = sentiment_score((double)scores.sentiment[SENTIMENT_POSITIVE],
                                   (double)scores.sentiment[SENTIMENT_NEGATIVE]);
    answer.sentiment = sentiment_label(score, -0.2, 0.2);
    return answer;
}

static void plain_sentences_get_plain_answers(void **state)
{
    (void)state;
    const struct {
        const char *text, *label;
        enum emotion emotion;
        enum sentiment sentiment;
    } cases[] = {
        {"Thank you so much, this made my day!", "gratitude", EMOTION_TRUST, SENTIMENT_POSITIVE},
        {"I love this place", "love", EMOTION_JOY, SENTIMENT_POSITIVE},
        {"I am so angry about the water cuts", "anger", EMOTION_ANGER, SENTIMENT_NEGATIVE},
        {"I'm scared of what happens next", "fear", EMOTION_FEAR, SENTIMENT_NEGATIVE},
        {"This is disgusting, rats in the kitchen", "disgust", EMOTION_DISGUST, SENTIMENT_NEGATIVE},
        {"I'm so sorry, I feel sad for them", "sadness", EMOTION_SADNESS, SENTIMENT_NEGATIVE},
        {"Wow, I'm surprised!", "surprise", EMOTION_SURPRISE, SENTIMENT_NEUTRAL},
        {"The minister promised to build 12 schools by 2027.", "neutral", EMOTION_NEUTRAL,
         SENTIMENT_NEUTRAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer = ask(cases[i].text);
        int label = card_find(linear_card(model), cases[i].label);
        bool found = false;
        for (size_t k = 0; k < answer.count; k++)
            found = found || answer.found[k].label == (unsigned)label;
        if (!found || answer.emotion != cases[i].emotion || answer.sentiment != cases[i].sentiment)
            fail_msg("\"%s\": %s is%s found, emotion %s, sentiment %s", cases[i].text,
                     cases[i].label, found ? "" : " not", emotion_name(answer.emotion),
                     sentiment_name(answer.sentiment));
    }
}

static void case_does_not_change_the_answer(void **state)
{
    (void)state;
    struct linear_scores a = {0}, b = {0};
    linear_score(model, scratch, "what a lovely day", 17, &a);
    linear_score(model, scratch, "WHAT A LOVELY DAY", 17, &b);
    assert_memory_equal(&a, &b, sizeof a);
}

static int set_up(void **state)
{
    (void)state;
    struct leat_error err = {""};
    model = linear_open(MODEL, CARD, &err);
    scratch = model ? linear_scratch_open(model, &err) : NULL;
    if (!scratch)
        print_error("%s\n", err.text);
    return scratch ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    linear_scratch_close(&scratch);
    linear_close(&model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_at_most_ten_megabytes),
        cmocka_unit_test(the_card_says_what_it_is_and_how_good),
        cmocka_unit_test(labels_are_folded_as_promised),
        cmocka_unit_test(plain_sentences_get_plain_answers),
        cmocka_unit_test(case_does_not_change_the_answer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
