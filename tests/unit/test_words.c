#include "services/classify/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

static void assert_folds(const char *text, const char *expected)
{
    char out[256];
    size_t size = words_fold(text, strlen(text), out);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(out, expected, size);
}

static void folding_takes_case_away_in_every_script(void **state)
{
    (void)state;
    assert_folds("Hello WORLD", "hello world");
    assert_folds("ÉCONOMIE", "économie");
    assert_folds("Экономика ПЕНСИЯ", "экономика пенсия");
    assert_folds("ΠΑΙΔΕΙΑ Σίσυφος", "παιδεια σίσυφοσ");
    assert_folds("Straße STRASSE", "strasse strasse");
    assert_folds("経済 الاقتصاد", "経済 الاقتصاد");
}

static void folding_makes_apostrophes_and_spaces_plain(void **state)
{
    (void)state;
    assert_folds("women’s ‘rights’", "women's 'rights'");
    assert_folds("a\tb\nc\u00a0d\u3000e\u2009f", "a b c d e f");
}

static void folding_passes_bytes_that_are_not_utf8(void **state)
{
    (void)state;
    assert_folds("A\xff"
                 "B\xc3",
                 "a\xff"
                 "b\xc3");
    assert_folds("\xed\xa0\x80Z", "\xed\xa0\x80z");
}

static void folding_never_grows_beyond_its_bound(void **state)
{
    (void)state;
    for (utf8proc_int32_t code = 1; code < 0x110000; code++) {
        utf8proc_uint8_t bytes[4];
        if (code >= 0xD800 && code < 0xE000)
            continue;
        size_t size = (size_t)utf8proc_encode_char(code, bytes);
        char *out = malloc(size * WORDS_FOLD_GROWTH);
        assert_true(words_fold((const char *)bytes, size, out) <= size * WORDS_FOLD_GROWTH);
        free(out);
    }
}

static void only_bytes_below_128_are_ascii(void **state)
{
    (void)state;
    char text[40];
    memset(text, 'a', sizeof text);
    for (size_t size = 0; size <= sizeof text; size++)
        assert_true(words_ascii(text, size));
    for (size_t at = 0; at < sizeof text; at++) {
        text[at] = (char)0xc3;
        assert_false(words_ascii(text, sizeof text));
        assert_true(words_ascii(text, at));
        text[at] = 'a';
    }
}

/* '|' marks where a boundary must be; everywhere else between characters none may be. */
static void assert_boundaries(const char *marked)
{
    char text[256];
    bool expected[256] = {false};
    size_t size = 0;
    for (const char *c = marked; *c; c++) {
        if (*c == '|')
            expected[size] = true;
        else
            text[size++] = *c;
    }
    for (size_t at = 0; at <= size; at++) {
        bool inside = at < size && ((unsigned char)text[at] & 0xC0) == 0x80;
        if (!inside && words_boundary(text, size, at) != expected[at])
            fail_msg("\"%s\": boundary at byte %zu is %d", marked, at, !expected[at]);
    }
}

static void letters_digits_and_underscores_make_words(void **state)
{
    (void)state;
    assert_boundaries("|tax| |rate|");
    assert_boundaries("|covid19_wave|");
    assert_boundaries("|économie|,| |été|");
    assert_boundaries("|цены|!|");
    assert_boundaries("|물가|");
    assert_boundaries("||");
}

static void punctuation_does_not_spoil_a_word(void **state)
{
    (void)state;
    assert_boundaries("|(|tax|)|.|");
    assert_boundaries("|prices|.|Then|");
    assert_boundaries("|Iran|'|s|");
    assert_boundaries("|l|’|économie|");
    assert_boundaries("|#|votes|@|me|");
    assert_boundaries("|3|.|5|%|");
    assert_boundaries("|a|-|b|—|c|");
    assert_boundaries("|war|🙂|");
}

static void marks_belong_to_the_letter_before_them(void **state)
{
    (void)state;
    assert_boundaries("|e\u0301te\u0301| |x|");
    assert_boundaries("|हिन्दी| |में|");
    assert_boundaries("|a\u200db|");
    assert_boundaries("|a|\u200b|b|");
    assert_boundaries("|.\u0301|a|");
    assert_boundaries("|\u0301|a|");
    assert_boundaries("|\n|\u0301|a|");
}

static void scripts_without_spaces_have_words_of_one_letter(void **state)
{
    (void)state;
    assert_boundaries("|経|済|政|策|");
    assert_boundaries("|の|カメラ|を|");
    assert_boundaries("|ร|า|ค|า|");
    assert_boundaries("|カメラ_x|");
    assert_boundaries("|カメラ|abc|");
}

static void a_flood_of_marks_is_no_trap(void **state)
{
    (void)state;
    enum { MARKS = 20000 };
    char *text = malloc(MARKS * 2 + 2);
    size_t size = 0;
    text[size++] = 'a';
    for (int i = 0; i < MARKS; i++) {
        text[size++] = (char)0xcc;
        text[size++] = (char)0x81;
    }
    text[size++] = 'b';
    for (size_t at = 1; at < size; at += 2)
        words_boundary(text, size, at);
    assert_true(words_boundary(text, size, size - 1));
    free(text);
}

static void bytes_that_are_not_utf8_are_boundaries(void **state)
{
    (void)state;
    assert_true(words_boundary("a\xff"
                               "b",
                               3, 1));
    assert_true(words_boundary("a\xff"
                               "b",
                               3, 2));
    assert_true(words_boundary("\x80\x80\x80\x80\x80\x80z", 7, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_takes_case_away_in_every_script),
        cmocka_unit_test(folding_makes_apostrophes_and_spaces_plain),
        cmocka_unit_test(folding_passes_bytes_that_are_not_utf8),
        cmocka_unit_test(folding_never_grows_beyond_its_bound),
        cmocka_unit_test(only_bytes_below_128_are_ascii),
        cmocka_unit_test(letters_digits_and_underscores_make_words),
        cmocka_unit_test(punctuation_does_not_spoil_a_word),
        cmocka_unit_test(marks_belong_to_the_letter_before_them),
        cmocka_unit_test(scripts_without_spaces_have_words_of_one_letter),
        cmocka_unit_test(a_flood_of_marks_is_no_trap),
        cmocka_unit_test(bytes_that_are_not_utf8_are_boundaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
