/* Answers of providers of embeddings. What a whole provider may do is tried in
 * tests/e2e/test_provider.py. */
#include "services/classify/provider/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void vectors_come_in_the_order_of_the_texts(void **state)
{
    (void)state;
    static const char json[] = "{\"data\": [{\"index\": 1, \"embedding\": [0, 2]},"
                               " {\"index\": 0, \"embedding\": [3, 4]}]}";
    struct leat_error err;
    float vectors[4];
    struct answer *answer = answer_open(json, strlen(json), 2, 0, 8, &err);
    assert_non_null(answer);
    assert_int_equal(answer_width(answer), 2);
    assert_true(answer_take(answer, vectors, &err));
    const float want[] = {0.6f, 0.8f, 0, 1};
    for (size_t i = 0; i < 4; i++)
        assert_true(vectors[i] > want[i] - 1e-6f && vectors[i] < want[i] + 1e-6f);
    answer_close(&answer);
}

/* It would take forty times its bytes. */
static void an_answer_of_countless_little_values_is_not_even_read(void **state)
{
    (void)state;
    static const char *const values[] = {"[],", "{},", "0,"};
    enum { MANY = 1000000 };
    for (size_t v = 0; v < 3; v++) {
        size_t each = strlen(values[v]), size = 0;
        char *json = malloc(16 + MANY * each);
        assert_non_null(json);
        size += (size_t)sprintf(json, "{\"data\":[");
        for (size_t i = 0; i < MANY; i++, size += each)
            memcpy(json + size, values[v], each);
        memcpy(json + size, "0]}", 3);
        struct leat_error err = {.text = ""};
        assert_null(answer_open(json, size + 3, 2, 0, 4096, &err));
        assert_non_null(strstr(err.text, "more values"));
        free(json);
    }
}

static void a_complaint_that_repeats_a_secret_is_not_told(void **state)
{
    (void)state;
    static const char json[] = "{\"error\": {\"message\": \"no key is s\\u0065cret\"}}";
    char said[160];
    answer_complaint(json, strlen(json), "", said);
    assert_string_equal(said, "no key is secret");
    answer_complaint(json, strlen(json), "secret", said);
    assert_string_equal(said, "");
}

static void a_complaint_is_harmless_to_whoever_shows_it(void **state)
{
    (void)state;
    static const char json[] =
        "{\"message\": \"a\\n\\u001b[31m\\u007f\\u009b\\u202eb \\u00e9\\u200d\"}";
    char said[160], long_one[400];
    answer_complaint(json, strlen(json), "", said);
    assert_string_equal(said, "a  [31m   b \xc3\xa9\xe2\x80\x8d");
    for (int spaces = 0; spaces < 3; spaces++) {
        sprintf(long_one, "{\"message\": \"%*s", spaces, "");
        for (int i = 0; i < 60; i++)
            strcat(long_one, "\xe2\x82\xac");
        strcat(long_one, "\"}");
        answer_complaint(long_one, strlen(long_one), "", said);
        assert_int_equal(strlen(said), spaces + (159 - spaces) / 3 * 3); /* no half characters */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_come_in_the_order_of_the_texts),
        cmocka_unit_test(an_answer_of_countless_little_values_is_not_even_read),
        cmocka_unit_test(a_complaint_that_repeats_a_secret_is_not_told),
        cmocka_unit_test(a_complaint_is_harmless_to_whoever_shows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
