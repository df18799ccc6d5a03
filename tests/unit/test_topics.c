#include "services/classify/topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

/* One topic, t, with the members given behind key, name, description and category. */
#define TOPIC(key, rest)                                                                           \
    "{\"key\": \"" key "\", \"name\": \"N\", \"description\": \"D\", \"category\": \"C\", " rest "}"
#define FILE_OF(topics) "{\"topics\": [" topics "]}"
#define ONE(rest)       FILE_OF(TOPIC("t", rest))

#define TEN     "\"aa1\",\"aa2\",\"aa3\",\"aa4\",\"aa5\",\"aa6\",\"aa7\",\"aa8\",\"aa9\",\"ab0\""
#define TWELVE  TEN ",\"ab1\",\"ab2\""
#define FIFTEEN TWELVE ",\"ab3\",\"ab4\",\"ab5\""

static struct topics *parse(const char *json, const struct topics_options *options)
{
    struct leat_error err;
    struct topics *topics = topics_parse(json, strlen(json), "test.json", options, &err);
    if (!topics)
        fail_msg("%s", err.text);
    return topics;
}

/* Scores one text by a file; the keys of the matches are gone afterwards. */
static size_t score_with(const char *json, const struct topics_options *options, const char *text,
                         const float *embedding, struct topics_match *matches)
{
    struct topics *topics = parse(json, options);
    struct topics_scratch *scratch = topics_scratch_open(topics);
    size_t count = topics_score(topics, scratch, text, strlen(text), embedding, matches);
    topics_scratch_close(&scratch);
    assert_null(scratch);
    topics_scratch_close(&scratch);
    topics_close(&topics);
    assert_null(topics);
    topics_close(&topics);
    return count;
}

/* k of the one topic of a file, to `decimals`; nothing is too small to be kept. */
static double keyword_score(const char *json, const char *text)
{
    struct topics_options options;
    topics_options_init(&options);
    options.keep_from = 0;
    struct topics_match matches[TOPICS_MOST];
    size_t count = score_with(json, &options, text, NULL, matches);
    return count ? matches[0].keyword_score : 0;
}

static void assert_near(double is, double ought, double by)
{
    if (!(fabs(is - ought) <= by))
        fail_msg("is %.9g, ought to be %.9g", is, ought);
}

static void plain_lists_score_as_the_contract_says(void **state)
{
    (void)state;
    assert_near(keyword_score(ONE("\"keywords\": [" FIFTEEN "]"), "so aa1."), 0.0879, 6e-4);
    assert_near(keyword_score(ONE("\"keywords\": [" FIFTEEN "]"), "aa1, aa2!"), 0.1845, 6e-4);
    assert_near(keyword_score(ONE("\"keywords\": [" TWELVE "]"), "xaa1"), 0.0833, 6e-4);
    assert_near(keyword_score(ONE("\"keywords\": [" TWELVE "]"), "aa1"), 0.1099, 6e-4);
    assert_near(keyword_score(ONE("\"keywords\": [" TWELVE "]"), "aa1 aa2 aa3"), 0.3572, 6e-4);
    assert_near(keyword_score(ONE("\"keywords\": [" TEN "]"), "aa1 aa2 aa3x"), 0.4030, 6e-4);
    assert_near(keyword_score(ONE("\"keywords\": [" TEN "]"), TEN), 1, 0);
    assert_near(keyword_score(ONE("\"keywords\": [" TEN "]"), "nothing"), 0, 0);
}

static void a_keyword_counts_once_and_whole_beats_partial(void **state)
{
    (void)state;
    const char *json = ONE("\"keywords\": [" TWELVE "]");
    double whole = keyword_score(json, "aa1");
    assert_near(keyword_score(json, "aa1 aa1 aa1"), whole, 0);
    assert_near(keyword_score(json, "xaa1x aa1"), whole, 0);
    assert_near(keyword_score(json, "aa1 xaa1x"), whole, 0);
    assert_near(keyword_score(json, "aa1x xaa1"), 0.083, 1e-9);
}

static void punctuation_and_case_do_not_spoil_a_match(void **state)
{
    (void)state;
    const char *json = ONE("\"keywords\": [\"Tax Reform\", \"\\u00e9lections\"]");
    double whole = keyword_score(json, "tax reform");
    assert_near(whole, 0.659, 1e-9);
    assert_near(keyword_score(json, "(TAX\nREFORM)!"), whole, 0);
    assert_near(keyword_score(json, "\xe2\x80\x9cTax\xc2\xa0reform\xe2\x80\x9d\xe2\x80\xa6"), whole,
                0);
    assert_near(keyword_score(json, "les \xc3\x89LECTIONS."), whole, 0);
    assert_near(keyword_score(json, "l\xe2\x80\x99\xc3\xa9lections"), whole, 0);
    assert_near(keyword_score(json, "tax reforms"), 0.5, 0);
    assert_near(keyword_score(json, "tax reform\xc3\xa9"), 0.5, 0);
}

static void keywords_of_any_script_are_found(void **state)
{
    (void)state;
    const char *json = ONE("\"keywords\": [\"\xe7\xb5\x8c\xe6\xb8\x88\", "
                           "\"\xd0\xa6\xd0\x95\xd0\x9d\xd0\xab\", \"\xe2\x9a\xbd\"]");
    assert_near(keyword_score(json, "\xe6\x97\xa5\xe6\x9c\xac\xe7\xb5\x8c\xe6\xb8\x88\xe3\x81\xae"),
                0.439, 1e-9);
    assert_near(keyword_score(json, "\xd0\xa6\xd0\xb5\xd0\xbd\xd1\x8b!"), 0.439, 1e-9);
    assert_near(keyword_score(json, "goal\xe2\x9a\xbdgoal"), 0.439, 1e-9);
}

static void match_says_which_occurrences_count(void **state)
{
    (void)state;
    const char *anywhere = ONE("\"keywords\": [\"elect\"], \"match\": \"anywhere\"");
    const char *start = ONE("\"keywords\": [\"elect\"], \"match\": \"start\"");
    const char *whole = ONE("\"keywords\": [\"elect\"], \"match\": \"whole\"");
    assert_near(keyword_score(anywhere, "selection"), 1, 0);
    assert_near(keyword_score(start, "selection"), 0, 0);
    assert_near(keyword_score(start, "selection, elections"), 1, 0);
    assert_near(keyword_score(whole, "elections"), 0, 0);
    assert_near(keyword_score(whole, "elections, elect"), 1, 0);
}

static void the_best_group_counts_unless_all_are_required(void **state)
{
    (void)state;
#define GROUPS                                                                                     \
    "\"keyword_groups\": [{\"or\": [\"aa\", \"bb\", \"cc\", \"dd\"]}, {\"and\": [\"ee\", "         \
    "\"ff\"]}]"
    const char *any = ONE(GROUPS);
    assert_near(keyword_score(any, "aa"), 0.25, 0);
    assert_near(keyword_score(any, "aa bb xcc"), 0.75, 0);
    assert_near(keyword_score(any, "aa ee"), 0.25, 0);
    assert_near(keyword_score(any, "ee"), 0, 0);
    assert_near(keyword_score(any, "aa ee ff"), 1, 0);
    const char *all = ONE(GROUPS ", \"require_all_groups\": true");
    assert_near(keyword_score(all, "aa bb cc dd ee"), 0, 0);
    assert_near(keyword_score(all, "ee ff"), 0, 0);
    assert_near(keyword_score(all, "ee ff aa"), 0.625, 0);
    const char *both = ONE("\"keywords\": [\"zz\"], " GROUPS);
    assert_near(keyword_score(both, "zz"), 0, 0);
    assert_near(keyword_score(both, "aa"), 0.25, 0);
}

static void embedding_scores_combine_as_the_contract_says(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
        float e;
        double k, c;
    } cases[] = {
        {ONE("\"keywords\": [" FIFTEEN "]"), "aa1 aa2", 0.448f, .184, .394},
        {ONE("\"keywords\": [" FIFTEEN "]"), "nothing", 0.58f, 0, .365},
        {ONE("\"keyword_groups\": [{\"or\": [" TEN "]}]"), "aa1 aa2 aa3 aa4 aa5 aa6 aa7", 0.45f, .7,
         .664},
        {ONE("\"keywords\": [" TWELVE "]"), "aa1", 0.35f, .11, .254},
        {ONE("\"keywords\": [\"aa\"]"), "aa", 1.0f, 1, 1},
        {ONE("\"keywords\": [\"aa\"]"), "aa", 7.0f, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct topics_match match[TOPICS_MOST];
        assert_int_equal(score_with(cases[i].json, NULL, cases[i].text, &cases[i].e, match), 1);
        assert_near(match[0].keyword_score, cases[i].k, 1e-9);
        assert_near(match[0].embedding_score, fmin((double)cases[i].e, 1), 1e-6);
        assert_near(match[0].confidence, cases[i].c, 1e-9);
    }
}

static void a_weak_embedding_score_alone_is_nothing(void **state)
{
    (void)state;
    struct topics_options options;
    topics_options_init(&options);
    options.keep_from = 0;
    const char *json = ONE("\"keywords\": [\"aa\"]");
    struct topics_match match[TOPICS_MOST];
    float weak[] = {0.24f, -0.9f, NAN};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(score_with(json, &options, "nothing", &weak[i], match), 0);
    assert_int_equal(score_with(json, &options, "aa", &weak[2], match), 1);
    assert_near(match[0].confidence, 0.42, 1e-9);
    assert_near(match[0].embedding_score, 0, 0);
}

/* A file of topics given as pairs of key and keywords. */
static const char *file_of(const char *const (*topics)[2], size_t count)
{
    static char json[4096];
    size_t used = (size_t)snprintf(json, sizeof json, "{\"topics\": [");
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(json + used, sizeof json - used,
                                 "%s" TOPIC("%s", "\"keywords\": [%s]"), i ? "," : "", topics[i][0],
                                 topics[i][1]);
    snprintf(json + used, sizeof json - used, "]}");
    return json;
}

static void the_best_five_are_kept_in_order(void **state)
{
    (void)state;
    static const char *const lists[][2] = {
        {"g", "\"aa\", \"bb\""},
        {"f", "\"aa\""},
        {"e", "\"aa\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\""},
        {"d", "\"aa\", \"bb\""},
        {"c", "\"aa\""},
        {"b", "\"aa\", \"bb\", \"cc\""},
        {"a", "\"aa\", \"bb\", \"cc\", \"dd\""},
    };
    const char *json = file_of(lists, sizeof lists / sizeof *lists);
    struct topics *topics = parse(json, NULL);
    struct topics_scratch *scratch = topics_scratch_open(topics);
    struct topics_match match[TOPICS_MOST];
    /* The same text over and over: nothing of one text may be left for the next. */
    for (int round = 0; round < 3; round++) {
        assert_int_equal(topics_score(topics, scratch, "aa", 2, NULL, match), 5);
        const char *const keys[] = {"c", "f", "d", "g", "b"};
        const size_t indices[] = {4, 1, 3, 0, 5};
        for (size_t i = 0; i < 5; i++) {
            assert_string_equal(match[i].key, keys[i]);
            assert_int_equal(match[i].index, indices[i]);
        }
        assert_near(match[0].confidence, 1, 0);
        assert_near(match[4].confidence, 0.439, 1e-9);
        assert_int_equal(topics_score(topics, scratch, "nothing", 7, NULL, match), 0);
        assert_int_equal(topics_score(topics, scratch, "", 0, NULL, match), 0);
    }
    topics_scratch_close(&scratch);
    topics_close(&topics);
}

static void what_is_below_the_least_confidence_is_dropped(void **state)
{
    (void)state;
    struct topics_match match[TOPICS_MOST];
    const char *fifth = ONE("\"keyword_groups\": [{\"or\": [\"a\", \"b\", \"c\", \"d\", \"e\"]}]");
    assert_int_equal(score_with(fifth, NULL, "a", NULL, match), 1);
    assert_near(match[0].confidence, 0.2, 0);
    assert_int_equal(score_with(ONE("\"keywords\": [" TEN "]"), NULL, "aa1", NULL, match), 0);
}

static void every_number_can_be_set(void **state)
{
    (void)state;
    struct topics_options options;
    topics_options_init(&options);
    options.whole_value = 2;
    options.partial_value = 0.5;
    options.boost_above = 1000;
    options.most = 1;
    struct topics_match match[TOPICS_MOST];
    static const char *const lists[][2] = {
        {"a", TEN},
        {"b", "\"aa1\", \"x1\", \"x2\", \"x3\""},
    };
    const char *json = file_of(lists, 2);
    assert_int_equal(score_with(json, &options, "aa1 aa2x", NULL, match), 1);
    assert_int_equal(match[0].index, 1);
    assert_near(match[0].confidence, 0.5, 1e-9);

    struct leat_error err;
    assert_true(topics_options_check(&options, &err));
    options.most = TOPICS_MOST + 1;
    assert_null(topics_parse(json, strlen(json), "test.json", &options, &err));
    assert_string_equal(err.text, "most topics of a text: must be 1 to 16");
    topics_options_init(&options);
    options.boost_divisor = 0;
    assert_false(topics_options_check(&options, &err));
    topics_options_init(&options);
    options.keep_from = NAN;
    assert_false(topics_options_check(&options, &err));
    assert_string_equal(err.text, "least confidence: must be a number from 0 to 1");
}

static void bytes_that_are_not_utf8_are_passed_over(void **state)
{
    (void)state;
    assert_near(keyword_score(ONE("\"keywords\": [\"aa\"]"), "\xff\xfe aa \xc3"), 1, 0);
    assert_near(keyword_score(ONE("\"keywords\": [\"\\u00e9\"]"), "\xc3"), 0, 0);
}

static void what_the_file_says_can_be_asked(void **state)
{
    (void)state;
    const char *json = "{\"topics\": [{\"key\": \"k\", \"name\": \"Na\", \"description\": \"De\","
                       "\"category\": \"Ca\", \"keywords\": [\"w\"]}]}";
    struct topics *topics = parse(json, NULL);
    assert_int_equal(topics_count(topics), 1);
    assert_string_equal(topics_key(topics, 0), "k");
    assert_string_equal(topics_name(topics, 0), "Na");
    assert_string_equal(topics_description(topics, 0), "De");
    assert_string_equal(topics_category(topics, 0), "Ca");
    struct topics *same = parse(json, NULL), *other = parse(ONE("\"keywords\": [\"w\"]"), NULL);
    assert_true(topics_hash(topics) == topics_hash(same));
    assert_true(topics_hash(topics) != topics_hash(other));
    topics_close(&topics);
    topics_close(&same);
    topics_close(&other);
}

static const char *repeated(const char *item, size_t times)
{
    static char out[200000];
    out[0] = '\0';
    char *end = out;
    for (size_t i = 0; i < times; i++)
        end += sprintf(end, item, i);
    return out;
}

static void refused(const char *json, const char *reason)
{
    struct leat_error err;
    struct topics *topics = topics_parse(json, strlen(json), "topics.json", NULL, &err);
    if (topics)
        fail_msg("taken, though: %s", reason);
    if (!strstr(err.text, reason) || strncmp(err.text, "topics.json: ", 13) != 0)
        fail_msg("\"%s\" was said instead of \"%s\"", err.text, reason);
}

static void a_broken_file_is_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *json, *reason;
    } broken[] = {
        {"", "line 1, column 0: '[' or '{' expected near end of file"},
        {"{\"topics\": [\n{\"key\": }]}", "line 2, column 9: "},
        {"{\"topics\":\n1, \"topics\": 2}", "duplicate object key"},
        {"{\"topics\": [\"\xff\"]}", "line 1, column 13: "},
        {"[]", "line 1: must be an object, not an array"},
        {"\n{}", "line 2: \"topics\" is missing"},
        {"{\n\"topics\": [], \"topic\": 1}", "line 2: topic: unknown key; there may be topics"},
        {"{\"topics\": {}}", "line 1: topics: must be an array of topics, not an object"},
        {"{\"topics\": []}", "topics: must have 1 to 10000 topics, not 0"},
        {"{\"topics\": [\n\n7]}", "line 3: topics[0]: must be an object, not a number"},
        {"{\"topics\": [\n{\"key\": \"a\"}]}", "line 2: topics[0]: \"name\" is missing"},
        {FILE_OF(TOPIC("a", "\"keywords\": [\"x\"]") ",\n" TOPIC("b", "\"keywords\":\n[\"x\", 1]")),
         "line 3: topics[1].keywords[1]: must be a string, not a number"},
        {FILE_OF(TOPIC("a", "\"keywords\": [\"x\"]") ",\n" TOPIC("a", "\"keywords\": [\"x\"]")),
         "line 2: topics[1].key: \"a\" is the key of topics[0] already"},
        {ONE("\"keywords\": [\"x\"], \"weight\": 3"),
         "topics[0].weight: unknown key; there may be key, name, description, category, keywords, "
         "keyword_groups, require_all_groups, match"},
        {ONE("\"keywords\": []"), "topics[0].keywords: must have 1 to 500 keywords, not 0"},
        {ONE("\"keywords\": \"x\""), "topics[0].keywords: must be an array of keywords, not a str"},
        {ONE("\"keywords\": [\"\"]"), "topics[0].keywords[0]: must not be empty"},
        {ONE("\"keywords\": [\" x\"]"), "must not have white space around it or doubled inside"},
        {ONE("\"keywords\": [\"x\\u00a0\"]"), "must not have white space around it"},
        {ONE("\"keywords\": [\"x  y\"]"), "must not have white space around it or doubled inside"},
        {ONE("\"keywords\": [\"x\\ty\"]"), "keywords[0]: must not contain control characters"},
        {ONE("\"keywords\": [\"x\\u0000y\"]"), "NUL"},
        {ONE("\"keywords\": [\"...\"]"), "must have a letter, digit or symbol"},
        {ONE("\"keywords\": [\"Tax\", \"b\", \"TAX\"]"),
         "topics[0].keywords[2]: \"TAX\" is in this list already, at [0]"},
        {ONE("\"match\": \"start\""), "topics[0]: \"keywords\" is missing"},
        {ONE("\"keywords\": [\"x\"], \"match\": \"some\""),
         "topics[0].match: must be \"anywhere\", \"start\" or \"whole\""},
        {ONE("\"keywords\": [\"x\"], \"match\": 1"), "topics[0].match: must be \"anywhere\""},
        {ONE("\"keywords\": [\"x\"], \"require_all_groups\": true"),
         "topics[0].require_all_groups: there is no \"keyword_groups\""},
        {ONE("\"keyword_groups\": [{\"or\": [\"x\"]}], \"require_all_groups\": \"yes\""),
         "topics[0].require_all_groups: must be true or false, not a string"},
        {ONE("\"keyword_groups\": []"), "topics[0].keyword_groups: must have 1 to 64 groups"},
        {ONE("\"keyword_groups\": [[\"x\"]]"), "topics[0].keyword_groups[0]: must be an object"},
        {ONE("\"keyword_groups\": [{}]"),
         "keyword_groups[0]: must have one key, \"or\" or \"and\""},
        {ONE("\"keyword_groups\": [{\"or\": [\"x\"], \"and\": [\"y\"]}]"), "must have one key"},
        {ONE("\"keyword_groups\": [{\"or\": [\"x\"]}, {\"xor\": [\"y\"]}]"),
         "topics[0].keyword_groups[1].xor: unknown key; there may be or, and"},
        {ONE("\"keyword_groups\": [{\"and\": [\"x\", null]}]"),
         "topics[0].keyword_groups[0].and[1]: must be a string, not null"},
        {ONE("\"keywords\": [7], \"keyword_groups\": [{\"or\": [\"x\"]}]"),
         "topics[0].keywords[0]: must be a string"},
        {FILE_OF(TOPIC("a b", "\"keywords\": [\"x\"]")),
         "topics[0].key: must be of letters, digits, '_', '-' and '.'"},
        {FILE_OF(TOPIC("", "\"keywords\": [\"x\"]")), "topics[0].key: must not be empty"},
        {"{\"topics\": [{\"key\": 3}]}", "topics[0].key: must be a string, not a number"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        refused(broken[i].json, broken[i].reason);
}

static void what_is_too_long_or_too_many_is_refused(void **state)
{
    (void)state;
    static char json[220000];
    snprintf(json, sizeof json, ONE("\"keywords\": [\"%s\"]"), repeated("x", 129));
    refused(json, "topics[0].keywords[0]: must have at most 128 bytes, not 129");
    snprintf(json, sizeof json, ONE("\"keywords\": [\"x\"%s]"), repeated(", \"k%zu\"", 500));
    refused(json, "topics[0].keywords: must have 1 to 500 keywords, not 501");
    snprintf(json, sizeof json, ONE("\"keyword_groups\": [{\"or\": [\"x\"]}%s]"),
             repeated(", {\"or\": [\"k%zu\"]}", 64));
    refused(json, "topics[0].keyword_groups: must have 1 to 64 groups, not 65");
    snprintf(json, sizeof json, "{\"topics\": [{\"key\": \"%s\"}]}", repeated("k", 65));
    refused(json, "topics[0].key: must have at most 64 bytes, not 65");
    snprintf(json, sizeof json, "{\"topics\": [0%s]}", repeated(",0", 10000));
    refused(json, "topics: must have 1 to 10000 topics, not 10001");

    size_t size = 4 * 1024 * 1024 + 1;
    char *huge = malloc(size + 1);
    memset(huge, ' ', size);
    huge[size] = '\0';
    refused(huge, "must have at most 4194304 bytes, not 4194305");
    free(huge);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct leat_error err;
    assert_null(topics_open("/nowhere/topics.json", NULL, &err));
    assert_string_equal(err.text, "/nowhere/topics.json: No such file or directory");
    assert_null(topics_open("/", NULL, &err));
    assert_string_equal(err.text, "/: Is a directory");
}

/* Any prefix, and any byte changed: a reason or a file that is fine, never more. */
static void a_damaged_file_does_no_harm(void **state)
{
    (void)state;
    const char *json = FILE_OF(TOPIC("a", "\"keywords\": [\"x y\", \"\\u00e9\"]") ",\n" TOPIC(
        "b", "\"keyword_groups\": [{\"or\": [\"x\"]}, {\"and\": [\"y\"]}], \"match\": \"start\""));
    size_t size = strlen(json);
    char *damaged = malloc(size);
    struct leat_error err;
    for (size_t cut = 0; cut < size; cut++)
        assert_null(topics_parse(json, cut, "t", NULL, &err));
    const char bytes[] = "\"{}[]:,\\ x0\xff";
    for (size_t at = 0; at < size; at++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            memcpy(damaged, json, size);
            damaged[at] = bytes[i];
            struct topics *topics = topics_parse(damaged, size, "t", NULL, &err);
            topics_close(&topics);
        }
    }
    free(damaged);
}

static void the_shipped_file_is_good(void **state)
{
    (void)state;
    struct leat_error err;
    struct topics *topics = topics_open("services/classify/topics.json", NULL, &err);
    if (!topics)
        fail_msg("%s", err.text);
    assert_true(topics_count(topics) >= 20);
    static const struct {
        const char *text, *topic; /* NULL: none */
    } expected[] = {
        {"Inflation is eating my salary alive", "inflation"},
        {"They raised petrol prices AGAIN overnight.", "energy"},
        {"The supreme court ruled on Monday that the law stands.", "justice"},
        {"Hospitals are running out of beds and nurses", "health"},
        {"Rent is up 20%, I can't find an apartment anywhere", "housing"},
        {"polling stations close at 8, go vote!", "elections"},
        {"what a selection of warm awards, lovely train-ing", NULL},
        {"I love my cat", NULL},
    };
    struct topics_scratch *scratch = topics_scratch_open(topics);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct topics_match match[TOPICS_MOST];
        size_t count =
            topics_score(topics, scratch, expected[i].text, strlen(expected[i].text), NULL, match);
        const char *best = count ? match[0].key : "none";
        const char *ought = expected[i].topic ? expected[i].topic : "none";
        if (strcmp(best, ought) != 0)
            fail_msg("\"%s\" is about %s, not %s", expected[i].text, best, ought);
    }
    topics_scratch_close(&scratch);
    topics_close(&topics);
}

static void the_sample_texts_touch_every_shipped_topic(void **state)
{
    (void)state;
    struct topics *topics = topics_open("services/classify/topics.json", NULL, NULL);
    FILE *sample = fopen("tests/data/sample/texts.ndjson", "rb");
    assert_non_null(topics);
    assert_non_null(sample);
    struct topics_scratch *scratch = topics_scratch_open(topics);
    size_t *touched = calloc(topics_count(topics), sizeof *touched);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, sample) > 0) {
        struct topics_match match[TOPICS_MOST];
        json_t *record = json_loads(line, 0, NULL);
        const char *text = json_string_value(json_object_get(record, "text"));
        size_t count = text ? topics_score(topics, scratch, text, strlen(text), NULL, match) : 0;
        for (size_t i = 0; i < count; i++)
            touched[match[i].index]++;
        json_decref(record);
    }
    for (size_t i = 0; i < topics_count(topics); i++)
        if (!touched[i])
            fail_msg("no sample text is about %s", topics_key(topics, i));
    free(line);
    free(touched);
    fclose(sample);
    topics_scratch_close(&scratch);
    topics_close(&topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lists_score_as_the_contract_says),
        cmocka_unit_test(a_keyword_counts_once_and_whole_beats_partial),
        cmocka_unit_test(punctuation_and_case_do_not_spoil_a_match),
        cmocka_unit_test(keywords_of_any_script_are_found),
        cmocka_unit_test(match_says_which_occurrences_count),
        cmocka_unit_test(the_best_group_counts_unless_all_are_required),
        cmocka_unit_test(embedding_scores_combine_as_the_contract_says),
        cmocka_unit_test(a_weak_embedding_score_alone_is_nothing),
        cmocka_unit_test(the_best_five_are_kept_in_order),
        cmocka_unit_test(what_is_below_the_least_confidence_is_dropped),
        cmocka_unit_test(every_number_can_be_set),
        cmocka_unit_test(bytes_that_are_not_utf8_are_passed_over),
        cmocka_unit_test(what_the_file_says_can_be_asked),
        cmocka_unit_test(a_broken_file_is_refused_with_the_place),
        cmocka_unit_test(what_is_too_long_or_too_many_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(a_damaged_file_does_no_harm),
        cmocka_unit_test(the_shipped_file_is_good),
        cmocka_unit_test(the_sample_texts_touch_every_shipped_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
