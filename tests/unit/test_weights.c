#include "services/classify/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static double influence(const char *source, const char *platform, bool verified, uint64_t reach)
{
    struct weights_options options;
    weights_options_init(&options);
    return weights_influence(&options, source, source ? strlen(source) : 0, platform,
                             platform ? strlen(platform) : 0, verified, reach);
}

/* The numbers must be the very doubles that the decimals are. */
static void assert_same(double is, double ought)
{
    if (is != ought)
        fail_msg("is %.17g, ought to be %.17g", is, ought);
}

static void influence_is_what_the_contract_says(void **state)
{
    (void)state;
    assert_same(influence("presidency_statement", NULL, true, 0), 5.0);
    assert_same(influence("national_media", NULL, false, 10000), 4.4);
    assert_same(influence("twitter", NULL, true, 100000), 1.95);
    assert_same(influence("twitter", NULL, false, 9999), 1.0);
    assert_same(influence("youtube", NULL, true, 12000), 3.3);
    assert_same(influence("rss", NULL, false, 250000), 3.9);
}

static void confidence_is_what_the_contract_says(void **state)
{
    (void)state;
    assert_same(weights_confidence(-0.8, 0.7), 0.75);
    assert_same(weights_confidence(0.45, 0.454), 0.452);
}

static void every_shipped_source_has_its_base(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        double base;
    } expected[] = {
        {"presidency_statement", 5},
        {"national_media", 4},
        {"verified_influencer", 3},
        {"regional_media", 2},
        {"citizen_post", 1},
        {"news", 4},
        {"rss", 3},
        {"youtube", 2},
        {"twitter", 1},
        {"facebook", 1},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_same(influence(expected[i].source, NULL, false, 0), expected[i].base);
}

static void the_platform_counts_only_when_there_is_no_source_type(void **state)
{
    (void)state;
    assert_same(influence(NULL, "youtube", false, 0), 2);
    assert_same(influence("", "youtube", false, 0), 2);
    assert_same(influence("rss", "youtube", false, 0), 3);
    assert_same(influence("podcast", "youtube", false, 0), 1);
    assert_same(influence(NULL, NULL, false, 0), 1);
    assert_same(influence(NULL, NULL, true, 1000000), 1.95);
}

static void the_case_of_a_source_does_not_matter(void **state)
{
    (void)state;
    assert_same(influence("National_Media", NULL, false, 0), 4);
    assert_same(influence(NULL, "YOUTUBE", false, 0), 2);
    assert_same(influence("new", NULL, false, 0), 1);
    assert_same(influence("news2", NULL, false, 0), 1);
}

static void reach_is_bounded_from_below_inclusively(void **state)
{
    (void)state;
    assert_same(influence("youtube", NULL, false, 9999), 2);
    assert_same(influence("youtube", NULL, false, 10000), 2.2);
    assert_same(influence("youtube", NULL, false, 99999), 2.2);
    assert_same(influence("youtube", NULL, false, 100000), 2.6);
    assert_same(influence("youtube", NULL, false, UINT64_MAX), 2.6);
}

static void influence_never_leaves_its_bounds(void **state)
{
    (void)state;
    assert_same(influence("presidency_statement", NULL, true, 1000000), 5);
    struct weights_options options;
    weights_options_init(&options);
    options.unknown_base = 0.1;
    assert_same(weights_influence(&options, NULL, 0, NULL, 0, false, 0), 1);
    options.least = 0;
    assert_same(weights_influence(&options, NULL, 0, NULL, 0, false, 0), 0.1);
}

static void halves_are_halves_in_decimal(void **state)
{
    (void)state;
    assert_same(weights_round(1.005, 2), 1.01);
    assert_same(weights_round(2.675, 2), 2.68);
    assert_same(weights_round(1.95, 2), 1.95);
    assert_same(weights_round(0.0005, 3), 0.001);
    assert_same(weights_round(-1.005, 2), -1.01);
    assert_same(weights_round(1.0049999, 2), 1.0);
    assert_same(weights_round(0.4525, 3), 0.453);
    assert_same(weights_round(-0.0001, 3), 0);
    assert_false(signbit(weights_round(-0.0001, 3)));
    assert_same(weights_confidence(0.451, 0.454), 0.453);
}

static void confidence_takes_any_number(void **state)
{
    (void)state;
    assert_same(weights_confidence(NAN, 0.5), 0.25);
    assert_same(weights_confidence(-7, INFINITY), 1);
    assert_same(weights_confidence(0.5, -3), 0.25);
    assert_same(weights_confidence(0, 0), 0);
}

static void a_list_of_bases_replaces_the_shipped_one(void **state)
{
    (void)state;
    struct weights_options options;
    struct leat_error err;
    weights_options_init(&options);
    assert_true(weights_parse_bases(&options, " Blog = 2.5, my-feed.2=0 ,x=1000", &err));
    assert_int_equal(options.base_count, 3);
    assert_same(weights_influence(&options, "blog", 4, NULL, 0, false, 0), 2.5);
    assert_same(weights_influence(&options, "BLOG", 4, NULL, 0, false, 0), 2.5);
    assert_same(weights_influence(&options, "my-feed.2", 9, NULL, 0, false, 0), 1);
    assert_same(weights_influence(&options, "x", 1, NULL, 0, false, 0), 5);
    assert_same(weights_influence(&options, "news", 4, NULL, 0, false, 0), 1);
    assert_true(weights_parse_bases(&options, "  ", &err));
    assert_int_equal(options.base_count, 0);
}

static void a_bad_list_of_bases_is_told_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *list, *reason;
    } wrong[] = {
        {"news", "\"news\" must be name=value"},
        {"news=4,", "\"\" must be name=value"},
        {"news=4,,rss=3", "\"\" must be name=value"},
        {"news=4; rss=3", "\"news=4; rss=3\": the value must be a number from 0 to 1000"},
        {"rss=2, news = four", "\"news = four\": the value must be a number from 0 to 1000"},
        {"news=", "\"news=\": the value must be"},
        {"news=-1", "the value must be"},
        {"news=1e3", "the value must be"},
        {"news=1.2.3", "the value must be"},
        {"news=1001", "the value must be"},
        {"news=nan", "the value must be"},
        {"=4", "the name must be 1 to 63 letters"},
        {"my news=4", "the name must be"},
        {"n\xc3\xa9ws=4", "the name must be"},
        {"news=4,rss=3,News=2", "\"News=2\": that name was given before"},
    };
    struct weights_options options;
    weights_options_init(&options);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct leat_error err;
        assert_false(weights_parse_bases(&options, wrong[i].list, &err));
        if (!strstr(err.text, wrong[i].reason))
            fail_msg("\"%s\" gave: %s", wrong[i].list, err.text);
        assert_int_equal(options.base_count, 10);
    }
}

static void too_many_or_too_long_bases_are_refused(void **state)
{
    (void)state;
    char list[1024] = "";
    for (int i = 0; i <= WEIGHTS_BASES_MAX; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%ss%d=1", i ? "," : "", i);
    struct weights_options options;
    struct leat_error err;
    weights_options_init(&options);
    assert_false(weights_parse_bases(&options, list, &err));
    assert_string_equal(err.text, "more than 64 pairs");

    memset(list, 'a', WEIGHTS_NAME_MAX);
    strcpy(list + WEIGHTS_NAME_MAX, "=1");
    assert_true(weights_parse_bases(&options, list, &err));
    memset(list, 'a', WEIGHTS_NAME_MAX + 1);
    strcpy(list + WEIGHTS_NAME_MAX + 1, "=1");
    assert_false(weights_parse_bases(&options, list, &err));
}

static void options_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    struct weights_options options;
    struct leat_error err;
    weights_options_init(&options);
    assert_true(weights_options_check(&options, &err));
    options.verified_factor = NAN;
    assert_false(weights_options_check(&options, &err));
    assert_string_equal(err.text, "factor of a verified author: must be a number from 0 to 1000");
    weights_options_init(&options);
    options.least = 6;
    assert_false(weights_options_check(&options, &err));
    weights_options_init(&options);
    options.middle_reach = 200000;
    assert_false(weights_options_check(&options, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(influence_is_what_the_contract_says),
        cmocka_unit_test(confidence_is_what_the_contract_says),
        cmocka_unit_test(every_shipped_source_has_its_base),
        cmocka_unit_test(the_platform_counts_only_when_there_is_no_source_type),
        cmocka_unit_test(the_case_of_a_source_does_not_matter),
        cmocka_unit_test(reach_is_bounded_from_below_inclusively),
        cmocka_unit_test(influence_never_leaves_its_bounds),
        cmocka_unit_test(halves_are_halves_in_decimal),
        cmocka_unit_test(confidence_takes_any_number),
        cmocka_unit_test(a_list_of_bases_replaces_the_shipped_one),
        cmocka_unit_test(a_bad_list_of_bases_is_told_and_changes_nothing),
        cmocka_unit_test(too_many_or_too_long_bases_are_refused),
        cmocka_unit_test(options_that_contradict_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
