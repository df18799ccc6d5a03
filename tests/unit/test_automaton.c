#include "services/classify/automaton.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    FOUND_MAX = 60000,
};

struct occurrence {
    size_t pattern, start, end;
};

struct found {
    size_t count;
    struct occurrence items[FOUND_MAX];
};

static void note(void *context, uint32_t pattern, size_t start, size_t end)
{
    struct found *found = context;
    assert_true(found->count < FOUND_MAX);
    found->items[found->count++] = (struct occurrence){pattern, start, end};
}

static struct automaton *build(const char *const *patterns, size_t count)
{
    struct leat_error err;
    struct automaton_builder *builder = automaton_builder_open(&err);
    assert_non_null(builder);
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        assert_true(
            automaton_builder_add(builder, patterns[i], strlen(patterns[i]), &number, &err));
        assert_int_equal(number, i);
    }
    struct automaton *automaton = automaton_build(builder, &err);
    assert_non_null(automaton);
    automaton_builder_close(&builder);
    assert_null(builder);
    automaton_builder_close(&builder);
    return automaton;
}

static void overlapping_patterns_are_all_found(void **state)
{
    (void)state;
    const char *const patterns[] = {"he", "she", "his", "hers"};
    struct automaton *automaton = build(patterns, 4);
    static struct found found;
    found.count = 0;
    automaton_scan(automaton, "ushers", 6, note, &found);
    assert_int_equal(found.count, 3);
    const struct occurrence expected[] = {{1, 1, 4}, {0, 2, 4}, {3, 2, 6}};
    assert_memory_equal(found.items, expected, sizeof expected);
    automaton_close(&automaton);
    assert_null(automaton);
    automaton_close(&automaton);
}

static void case_and_kind_of_white_space_do_not_matter(void **state)
{
    (void)state;
    const char *const patterns[] = {"Interest Rate", "z[", "@a"};
    struct automaton *automaton = build(patterns, 3);
    static struct found found;
    found.count = 0;
    const char text[] = "INTEREST\nrate interest\trate Z{ Z[ `a @A";
    automaton_scan(automaton, text, strlen(text), note, &found);
    assert_int_equal(found.count, 4);
    assert_int_equal(found.items[2].pattern, 1);
    assert_int_equal(found.items[2].start, 31);
    automaton_close(&automaton);
}

static void the_same_pattern_keeps_its_number(void **state)
{
    (void)state;
    struct leat_error err;
    struct automaton_builder *builder = automaton_builder_open(&err);
    uint32_t number;
    assert_true(automaton_builder_add(builder, "water", 5, &number, &err));
    assert_int_equal(number, 0);
    assert_true(automaton_builder_add(builder, "wat", 3, &number, &err));
    assert_int_equal(number, 1);
    assert_true(automaton_builder_add(builder, "WATER", 5, &number, &err));
    assert_int_equal(number, 0);
    assert_false(automaton_builder_add(builder, "", 0, &number, &err));
    struct automaton *automaton = automaton_build(builder, &err);
    automaton_builder_close(&builder);
    assert_int_equal(automaton_patterns(automaton), 2);
    assert_int_equal(automaton_states(automaton), 6);
    automaton_close(&automaton);
}

static void no_pattern_finds_nothing(void **state)
{
    (void)state;
    struct automaton *automaton = build(NULL, 0);
    static struct found found;
    found.count = 0;
    automaton_scan(automaton, "anything", 8, note, &found);
    automaton_scan(automaton, "", 0, note, &found);
    assert_int_equal(found.count, 0);
    automaton_close(&automaton);
}

static void any_byte_can_be_in_a_pattern(void **state)
{
    (void)state;
    struct leat_error err;
    struct automaton_builder *builder = automaton_builder_open(&err);
    uint32_t number;
    for (int byte = 0; byte < 256; byte++) {
        char pair[2] = {(char)byte, (char)(255 - byte)};
        assert_true(automaton_builder_add(builder, pair, 2, &number, &err));
    }
    struct automaton *automaton = automaton_build(builder, &err);
    automaton_builder_close(&builder);
    static struct found found;
    found.count = 0;
    for (int byte = 0; byte < 256; byte++) {
        char pair[2] = {(char)byte, (char)(255 - byte)};
        size_t before = found.count;
        automaton_scan(automaton, pair, 2, note, &found);
        assert_int_equal(found.count, before + 1);
    }
    automaton_close(&automaton);
}

/* What finds the same by searching for each pattern at each place. */
static size_t count_plainly(char (*patterns)[24], size_t count, const char *text, size_t size)
{
    size_t hits = 0;
    for (size_t at = 0; at < size; at++)
        for (size_t i = 0; i < count; i++) {
            size_t length = strlen(patterns[i]);
            hits += length <= size - at && memcmp(patterns[i], text + at, length) == 0;
        }
    return hits;
}

static void random_string(char *out, size_t size, unsigned letters)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (char)('a' + (unsigned)rand() % letters);
    out[size] = '\0';
}

/* `letters` different ones; the more patterns and letters, the more states beyond the dense ones.
 */
static void compare(size_t pattern_count, size_t longest, unsigned letters)
{
    static char patterns[8000][24];
    struct leat_error err;
    struct automaton_builder *builder = automaton_builder_open(&err);
    size_t count = 0;
    for (size_t i = 0; i < pattern_count; i++) {
        random_string(patterns[count], 1 + (size_t)rand() % longest, letters);
        uint32_t number;
        assert_true(automaton_builder_add(builder, patterns[count], strlen(patterns[count]),
                                          &number, &err));
        count += number == count;
    }
    assert_true(count > 0);
    struct automaton *automaton = automaton_build(builder, &err);
    automaton_builder_close(&builder);

    static char text[4001];
    random_string(text, 4000, letters);
    /* Whole patterns in the text, so that deep states are reached and left. */
    for (size_t at = 0; at + 24 < 4000; at += 40) {
        const char *pattern = patterns[(size_t)rand() % count];
        memcpy(text + at, pattern, strlen(pattern));
    }
    struct found *found = calloc(1, sizeof *found);
    automaton_scan(automaton, text, 4000, note, found);
    assert_int_equal(found->count, count_plainly(patterns, count, text, 4000));
    for (size_t i = 0; i < found->count; i++) {
        const struct occurrence *item = &found->items[i];
        size_t length = strlen(patterns[item->pattern]);
        assert_int_equal(item->end - item->start, length);
        assert_memory_equal(text + item->start, patterns[item->pattern], length);
    }
    free(found);
    automaton_close(&automaton);
}

static void it_finds_what_a_plain_search_finds(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 30; round++)
        compare(20, 6, 2);
    for (int round = 0; round < 10; round++)
        compare(300, 12, 4);
}

static void states_beyond_the_dense_ones_find_the_same(void **state)
{
    (void)state;
    srand(11);
    compare(8000, 23, 26);
    compare(8000, 23, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_patterns_are_all_found),
        cmocka_unit_test(case_and_kind_of_white_space_do_not_matter),
        cmocka_unit_test(the_same_pattern_keeps_its_number),
        cmocka_unit_test(no_pattern_finds_nothing),
        cmocka_unit_test(any_byte_can_be_in_a_pattern),
        cmocka_unit_test(it_finds_what_a_plain_search_finds),
        cmocka_unit_test(states_beyond_the_dense_ones_find_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
