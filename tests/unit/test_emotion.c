/* Sentiment and emotions from probabilities: what is reported adds up and agrees with itself. */
#include "services/classify/emotion.h"
#include "services/classify/sentiment.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names_are_found_and_others_are_not(void **state)
{
    (void)state;
    for (unsigned e = 0; e < EMOTION_COUNT; e++)
        assert_int_equal(emotion_find(emotion_name(e)), e);
    assert_int_equal(emotion_find("Joy"), EMOTION_COUNT);
    assert_string_equal(emotion_name(EMOTION_COUNT), "");
    for (unsigned s = 0; s < SENTIMENT_COUNT; s++)
        assert_int_equal(sentiment_find(sentiment_name(s)), s);
    assert_int_equal(sentiment_find(""), SENTIMENT_COUNT);
    assert_string_equal(sentiment_name(SENTIMENT_COUNT), "");
}

static void emotions_come_in_reporting_order(void **state)
{
    (void)state;
    const char *order[] = {"anger",   "disgust",  "fear",  "joy",
                           "sadness", "surprise", "trust", "neutral"};
    for (unsigned e = 0; e < EMOTION_COUNT; e++)
        assert_string_equal(emotion_name(e), order[e]);
}

static void the_score_is_the_difference_in_six_decimals(void **state)
{
    (void)state;
    assert_true(sentiment_score(0.75, 0.25) == 0.5);
    assert_true(sentiment_score(0.1234567, 0) == 0.123457);
    assert_true(sentiment_score(0, 1) == -1);
    assert_true(sentiment_score(1.5, 0) == 1);
    assert_true(sentiment_score(0, 1.5) == -1);
    assert_false(signbit(sentiment_score(0.3, 0.3000001)));
}

static void the_label_follows_from_the_score(void **state)
{
    (void)state;
    assert_int_equal(sentiment_label(0.2, -0.2, 0.2), SENTIMENT_POSITIVE);
    assert_int_equal(sentiment_label(0.199999, -0.2, 0.2), SENTIMENT_NEUTRAL);
    assert_int_equal(sentiment_label(-0.2, -0.2, 0.2), SENTIMENT_NEGATIVE);
    assert_int_equal(sentiment_label(-0.199999, -0.2, 0.2), SENTIMENT_NEUTRAL);
    assert_int_equal(sentiment_label(0, 0, 0.5), SENTIMENT_NEGATIVE);
}

static void labels_that_reach_their_threshold_are_listed_best_first(void **state)
{
    (void)state;
    const float p[] = {0.3f, 0.9f, 0.2f, 0.9f, 0.5f};
    const float t[] = {0.3f, 0.5f, 0.3f, 0.1f, 0.5000004f};
    struct emotion_found found[5];
    assert_int_equal(emotion_list(p, t, 5, found), 4);
    const unsigned order[] = {1, 3, 4, 0};
    const uint32_t micro[] = {900000, 900000, 500000, 300000};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(found[i].label, order[i]);
        assert_int_equal(found[i].probability, micro[i]);
    }
    assert_int_equal(emotion_list(p, t, 0, found), 0);
}

static uint32_t sum(const uint32_t share[EMOTION_COUNT])
{
    uint32_t all = 0;
    for (int e = 0; e < EMOTION_COUNT; e++)
        all += share[e];
    return all;
}

static void shares_always_sum_to_the_whole(void **state)
{
    (void)state;
    uint8_t map[28];
    float t[28], p[28];
    uint32_t share[EMOTION_COUNT];
    srand(1);
    for (int round = 0; round < 20000; round++) {
        size_t count = 1 + (size_t)rand() % 28;
        for (size_t i = 0; i < count; i++) {
            map[i] = (uint8_t)(rand() % EMOTION_COUNT);
            t[i] = (float)(1 + rand() % 999) / 1000;
            int power = rand() % 12;
            p[i] = (float)rand() / (float)RAND_MAX * powf(10, (float)-power);
        }
        emotion_distribution(p, t, map, count, share);
        assert_int_equal(sum(share), EMOTION_WHOLE);
    }
}

static void odd_probabilities_still_give_a_distribution(void **state)
{
    (void)state;
    const uint8_t map[] = {EMOTION_ANGER, EMOTION_JOY, EMOTION_NEUTRAL};
    const float t[] = {0.5f, 0.5f, 0.5f};
    const float cases[][3] = {{0, 0, 0}, {1, 1, 1}, {1, 0, 0}, {NAN, NAN, NAN}, {-1, 2, 0.5f}};
    uint32_t share[EMOTION_COUNT];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        emotion_distribution(cases[i], t, map, 3, share);
        assert_int_equal(sum(share), EMOTION_WHOLE);
    }
    emotion_distribution(cases[0], t, map, 3, share);
    assert_int_equal(share[EMOTION_NEUTRAL], EMOTION_WHOLE);
    emotion_distribution(NULL, NULL, NULL, 0, share);
    assert_int_equal(share[EMOTION_NEUTRAL], EMOTION_WHOLE);
}

static void equal_shares_give_what_is_left_in_reporting_order(void **state)
{
    (void)state;
    const uint8_t map[] = {EMOTION_TRUST, EMOTION_ANGER, EMOTION_FEAR};
    const float p[] = {0.25f, 0.25f, 0.25f};
    uint32_t share[EMOTION_COUNT];
    emotion_distribution(p, p, map, 3, share);
    assert_int_equal(share[EMOTION_ANGER], 333334);
    assert_int_equal(share[EMOTION_FEAR], 333333);
    assert_int_equal(share[EMOTION_TRUST], 333333);
}

static void a_rare_label_at_its_threshold_outweighs_an_everyday_neutral(void **state)
{
    (void)state;
    const uint8_t map[] = {EMOTION_NEUTRAL, EMOTION_SADNESS, EMOTION_JOY};
    const float t[] = {0.35f, 0.06f, 0.2f};
    const float p[] = {0.25f, 0.12f, 0.01f};
    uint32_t share[EMOTION_COUNT];
    emotion_distribution(p, t, map, 3, share);
    assert_int_equal(emotion_label(share), EMOTION_SADNESS);
}

static void a_small_largest_share_is_neutral(void **state)
{
    (void)state;
    uint32_t share[EMOTION_COUNT] = {199999, 150000, 150000, 150000, 150000, 100001, 100000, 0};
    assert_int_equal(emotion_label(share), EMOTION_NEUTRAL);
    share[EMOTION_ANGER]++;
    share[EMOTION_SURPRISE]--;
    assert_int_equal(emotion_label(share), EMOTION_ANGER);
    share[EMOTION_JOY] = share[EMOTION_ANGER];
    assert_int_equal(emotion_label(share), EMOTION_ANGER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_and_others_are_not),
        cmocka_unit_test(emotions_come_in_reporting_order),
        cmocka_unit_test(the_score_is_the_difference_in_six_decimals),
        cmocka_unit_test(the_label_follows_from_the_score),
        cmocka_unit_test(labels_that_reach_their_threshold_are_listed_best_first),
        cmocka_unit_test(shares_always_sum_to_the_whole),
        cmocka_unit_test(odd_probabilities_still_give_a_distribution),
        cmocka_unit_test(equal_shares_give_what_is_left_in_reporting_order),
        cmocka_unit_test(a_rare_label_at_its_threshold_outweighs_an_everyday_neutral),
        cmocka_unit_test(a_small_largest_share_is_neutral),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
