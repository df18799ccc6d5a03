/* Features: what is counted, what is folded, and where reading ends. */
#include "services/classify/features.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { READ = 64, ROOM = 4096 };

static const struct features_shape shape = {.bits = {20, 20}, .read_bytes = READ};

/* A copy of what one text gave, to be compared with another's. */
struct outcome {
    struct features_count items[FEATURES_FAMILIES][ROOM];
    size_t size[FEATURES_FAMILIES];
    size_t read;
};

static struct outcome extract(const char *text, size_t size)
{
    struct leat_error err;
    struct features *features = features_open(&shape, &err);
    assert_non_null(features);
    struct features_list list[FEATURES_FAMILIES];
    static struct outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    outcome.read = features_extract(features, text, size, list);
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        assert_true(list[f].size <= ROOM);
        outcome.size[f] = list[f].size;
        if (list[f].size)
            memcpy(outcome.items[f], list[f].items, list[f].size * sizeof list[f].items[0]);
    }
    features_close(&features);
    assert_null(features);
    features_close(&features);
    return outcome;
}

static struct outcome of(const char *text)
{
    return extract(text, strlen(text));
}

static bool same_features(const struct outcome *a, const struct outcome *b)
{
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        if (a->size[f] != b->size[f] ||
            memcmp(a->items[f], b->items[f], a->size[f] * sizeof a->items[f][0]) != 0)
            return false;
    return true;
}

static size_t total(const struct outcome *outcome, enum features_family family)
{
    size_t n = 0;
    for (size_t i = 0; i < outcome->size[family]; i++)
        n += outcome->items[family][i].count;
    return n;
}

static void assert_same(const char *a, const char *b)
{
    struct outcome x = of(a);
    struct outcome y = of(b);
    assert_true(same_features(&x, &y));
}

static void assert_different(const char *a, const char *b)
{
    struct outcome x = of(a);
    struct outcome y = of(b);
    assert_false(same_features(&x, &y));
}

static void words_and_their_neighbours_are_counted(void **state)
{
    (void)state;
    struct outcome one = of("one");
    assert_int_equal(total(&one, FEATURES_WORDS), 1);
    struct outcome three = of("one, two... three!");
    assert_int_equal(total(&three, FEATURES_WORDS), 3 + 2);
    assert_int_equal(three.items[FEATURES_WORDS][0].row, one.items[FEATURES_WORDS][0].row);
    struct outcome twice = of("one one");
    assert_int_equal(twice.size[FEATURES_WORDS], 2);
    assert_int_equal(twice.items[FEATURES_WORDS][0].count, 2);
}

static void grams_stay_inside_what_spaces_part(void **state)
{
    (void)state;
    /* " ab ": 3 pairs, 2 triples, 1 of four. */
    struct outcome one = of("ab");
    assert_int_equal(total(&one, FEATURES_GRAMS), 6);
    struct outcome two = of("ab cd");
    assert_int_equal(total(&two, FEATURES_GRAMS), 12);
    /* " abcdefg ": 8 + 7 + 6 + 5. */
    struct outcome longer = of("abcdefg");
    assert_int_equal(total(&longer, FEATURES_GRAMS), 26);
}

static void case_and_space_do_not_matter(void **state)
{
    (void)state;
    assert_same("Good MORNING", "good morning");
    assert_same("  good \t\r\n morning\n", "good morning");
    assert_same("ÄÖÜ ΣΟΦΟΣ ЖУК", "äöü σοφοσ жук");
    assert_same("STRASSE", "Straße");
    assert_same("a\xc2\xa0"
                "b",
                "a b");                                      /* no-break space */
    assert_same("it\xe2\x80\x99s", "it's");                  /* typographic apostrophe */
    assert_same("\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4"); /* heart, with and without selector */
}

static void order_and_letters_do_matter(void **state)
{
    (void)state;
    assert_different("dog bites man", "man bites dog");
    assert_different("cat", "act");
    assert_different("é", "e");
    assert_different("good", "good!");
}

static void nothing_gives_nothing(void **state)
{
    (void)state;
    const char *empty[] = {"", " ", "\n\t  "};
    for (size_t i = 0; i < 3; i++) {
        struct outcome outcome = of(empty[i]);
        assert_int_equal(outcome.size[FEATURES_WORDS], 0);
        assert_int_equal(outcome.size[FEATURES_GRAMS], 0);
    }
    struct outcome marks = of("!!");
    assert_int_equal(marks.size[FEATURES_WORDS], 0);
    assert_int_equal(total(&marks, FEATURES_GRAMS), 6);
}

static void a_long_text_is_cut_between_words(void **state)
{
    (void)state;
    char text[READ + 30];
    memset(text, 'a', sizeof text);
    text[READ - 10] = ' ';
    struct outcome cut = extract(text, sizeof text);
    assert_int_equal(cut.read, READ - 9);
    struct outcome same = extract(text, READ - 10);
    assert_true(same_features(&cut, &same));
    struct outcome whole = extract(text, READ);
    assert_int_equal(whole.read, READ);

    text[READ - 10] = 'a';
    text[READ] = ' '; /* the word ends where reading does: all of it counts */
    struct outcome exact = extract(text, sizeof text);
    assert_int_equal(exact.read, READ);
}

static void a_long_word_is_cut_between_characters(void **state)
{
    (void)state;
    char text[2 * READ];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 4 <= sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 4);
        struct outcome cut = extract(text, sizeof text - 4);
        assert_int_equal((cut.read - shift) % 4, 0);
        assert_true(cut.read > READ - 4 && cut.read <= READ);
    }
}

static void a_space_far_from_the_end_does_not_cut_there(void **state)
{
    (void)state;
    struct features_shape wide = {.bits = {10, 10}, .read_bytes = 1000};
    struct features *features = features_open(&wide, NULL);
    struct features_list list[FEATURES_FAMILIES];
    char text[2000];
    memset(text, 'a', sizeof text);
    text[1] = ' ';
    assert_int_equal(features_extract(features, text, sizeof text, list), 1000);
    text[900] = ' ';
    assert_int_equal(features_extract(features, text, sizeof text, list), 901);
    features_close(&features);
}

static void the_first_text_does_not_show_in_the_second(void **state)
{
    (void)state;
    struct features *features = features_open(&shape, NULL);
    struct features_list list[FEATURES_FAMILIES];
    const char *second = "short one";
    features_extract(features, "a long text with many words that fills many slots", 49, list);
    features_extract(features, second, strlen(second), list);
    struct outcome fresh = of(second);
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        assert_int_equal(list[f].size, fresh.size[f]);
        assert_memory_equal(list[f].items, fresh.items[f], list[f].size * sizeof *list[f].items);
    }
    features_close(&features);
}

static void any_bytes_are_taken(void **state)
{
    (void)state;
    struct features_shape wide = {.bits = {FEATURES_BITS_LEAST, 12}, .read_bytes = 200};
    struct features *features = features_open(&wide, NULL);
    struct features_list list[FEATURES_FAMILIES];
    srand(1);
    for (int round = 0; round < 3000; round++) {
        char text[260];
        size_t size = (size_t)rand() % sizeof text;
        for (size_t i = 0; i < size; i++)
            text[i] = (char)(round % 2 ? rand() : "\xce\x90 \xff"[rand() % 4]);
        size_t read = features_extract(features, text, size, list);
        assert_true(read <= size && read <= wide.read_bytes);
        for (int f = 0; f < FEATURES_FAMILIES; f++)
            for (size_t i = 0; i < list[f].size; i++)
                assert_true(list[f].items[i].row < 1u << wide.bits[f]);
        assert_true(list[0].size + list[1].size <= features_room(&wide));
    }
    features_close(&features);
}

static void rows_use_the_whole_table(void **state)
{
    (void)state;
    struct features_shape narrow = {.bits = {6, 6}, .read_bytes = 4096};
    struct features *features = features_open(&narrow, NULL);
    bool seen[FEATURES_FAMILIES][64] = {0};
    for (int n = 0; n < 2000; n++) {
        char text[32];
        int size = snprintf(text, sizeof text, "word%d", n * 7);
        struct features_list list[FEATURES_FAMILIES];
        features_extract(features, text, (size_t)size, list);
        for (int f = 0; f < FEATURES_FAMILIES; f++)
            for (size_t i = 0; i < list[f].size; i++)
                seen[f][list[f].items[i].row] = true;
    }
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        for (int row = 0; row < 64; row++)
            assert_true(seen[f][row]);
    features_close(&features);
}

static void a_shape_out_of_range_is_refused(void **state)
{
    (void)state;
    const struct features_shape wrong[] = {
        {.bits = {3, 16}, .read_bytes = 100},
        {.bits = {16, 23}, .read_bytes = 100},
        {.bits = {16, 16}, .read_bytes = 0},
        {.bits = {16, 16}, .read_bytes = (size_t)FEATURES_READ_MOST + 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct leat_error err = {""};
        assert_null(features_open(&wrong[i], &err));
        assert_non_null(strstr(err.text, "expected"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_their_neighbours_are_counted),
        cmocka_unit_test(grams_stay_inside_what_spaces_part),
        cmocka_unit_test(case_and_space_do_not_matter),
        cmocka_unit_test(order_and_letters_do_matter),
        cmocka_unit_test(nothing_gives_nothing),
        cmocka_unit_test(a_long_text_is_cut_between_words),
        cmocka_unit_test(a_long_word_is_cut_between_characters),
        cmocka_unit_test(a_space_far_from_the_end_does_not_cut_there),
        cmocka_unit_test(the_first_text_does_not_show_in_the_second),
        cmocka_unit_test(any_bytes_are_taken),
        cmocka_unit_test(rows_use_the_whole_table),
        cmocka_unit_test(a_shape_out_of_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
