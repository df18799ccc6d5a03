/* The memory of the last results. */
#include "services/classify/recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A key whose slot follows from its number. */
static void make_key(uint32_t i, uint8_t key[LEAT_CACHE_KEY_SIZE])
{
    memset(key, 0, LEAT_CACHE_KEY_SIZE);
    memcpy(key, &i, sizeof i);
}

static void put(struct recent *recent, uint32_t i, const char *text, size_t size)
{
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    make_key(i, key);
    recent_put(recent, key, (struct leat_span){(const uint8_t *)text, size});
}

static struct leat_span find(struct recent *recent, uint32_t i)
{
    uint8_t key[LEAT_CACHE_KEY_SIZE];
    make_key(i, key);
    return recent_find(recent, key);
}

static void what_was_put_is_found_until_it_is_written_over(void **state)
{
    (void)state;
    enum { SIZE = 1000, RESULT = 150, HELD = SIZE / RESULT };
    struct recent *recent = recent_open(SIZE);
    char text[RESULT];
    assert_non_null(recent);
    assert_int_equal(find(recent, 0).size, 0);
    for (uint32_t i = 0; i < 500; i++) {
        memset(text, 'a' + (int)(i % 26), sizeof text);
        put(recent, i, text, RESULT);
        for (uint32_t k = i < 20 ? 0 : i - 20; k <= i; k++) {
            struct leat_span found = find(recent, k);
            assert_true(found.size == 0 || found.size == RESULT);
            if (i - k < HELD - 1)
                assert_int_equal(found.size, RESULT);
            if (i - k >= HELD)
                assert_int_equal(found.size, 0);
            for (size_t c = 0; c < found.size; c++)
                assert_int_equal(found.data[c], 'a' + k % 26);
        }
    }
    recent_close(&recent);
    assert_null(recent);
}

static void results_of_any_size_do_no_harm(void **state)
{
    (void)state;
    struct recent *recent = recent_open(64);
    char text[65];
    memset(text, 'x', sizeof text);
    for (uint32_t i = 0; i < 1000; i++) {
        put(recent, i, text, i % 66);
        size_t expected = i % 66 <= 64 ? i % 66 : 0;
        assert_int_equal(find(recent, i).size, expected);
    }
    recent_close(&recent);
}

static void the_latest_of_one_row_are_kept(void **state)
{
    (void)state;
    struct recent *recent = recent_open(1 << 20);
    for (uint32_t i = 0; i < 6; i++)
        put(recent, 5 + (i << 20), "result", i + 1);
    put(recent, 5 + (3 << 20), "again", 5); /* in its own place */
    assert_int_equal(find(recent, 5).size, 0);
    assert_int_equal(find(recent, 5 + (1 << 20)).size, 0);
    assert_int_equal(find(recent, 5 + (2 << 20)).size, 3);
    assert_int_equal(find(recent, 5 + (3 << 20)).size, 5);
    assert_int_equal(find(recent, 5 + (5 << 20)).size, 6);
    recent_close(&recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_until_it_is_written_over),
        cmocka_unit_test(results_of_any_size_do_no_harm),
        cmocka_unit_test(the_latest_of_one_row_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
