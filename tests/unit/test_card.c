/* The card: what is written is read again, and what is wrong is named by its place. */
#include "services/classify/card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/leat-card-XXXXXX";
static char path[64];

static const char good[] =
    "{\"name\": \"n\", \"version\": \"1\", \"kind\": \"linear\", \"language\": \"en\",\n"
    " \"description\": \"d\", \"model\": {\"hash\": \"0123456789abcdef0123456789abcdef\"},\n"
    " \"training\": {\"data\": \"d\", \"source\": \"s\", \"license\": \"l\", \"recipe\": \"r\",\n"
    "  \"texts\": 7},\n"
    " \"quality\": {\"on\": \"o\", \"macro_f1\": 0.5},\n"
    " \"labels\": [{\"name\": \"a\", \"threshold\": 0.25, \"emotion\": \"joy\",\n"
    "   \"sentiment\": \"positive\"}, {\"name\": \"b\", \"threshold\": 0.75,\n"
    "   \"emotion\": \"neutral\", \"sentiment\": \"neutral\", \"texts\": 3}]}\n";

static void put(const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The good card with the first `from` replaced by `to`. */
static void put_changed(const char *from, const char *to)
{
    char text[2 * sizeof good];
    const char *at = strstr(good, from);
    assert_non_null(at);
    int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    assert_true(n > 0 && (size_t)n < sizeof text);
    put(text, (size_t)n);
}

static void assert_refused(const char *place, const char *expected)
{
    static struct card card;
    struct leat_error err = {""};
    assert_false(card_read(path, &card, &err));
    if (!strstr(err.text, path) || !strstr(err.text, place) || !strstr(err.text, expected))
        fail_msg("\"%s\" does not say %s, %s and %s", err.text, path, place, expected);
}

static void a_good_card_is_read(void **state)
{
    (void)state;
    static struct card card;
    struct leat_error err = {""};
    put(good, sizeof good - 1);
    assert_true(card_read(path, &card, &err));
    assert_string_equal(card.name, "n");
    assert_int_equal(card.label_count, 2);
    assert_true(card.labels[0].threshold == 0.25f);
    assert_int_equal(card.labels[0].emotion, EMOTION_JOY);
    assert_int_equal(card.labels[1].sentiment, SENTIMENT_NEUTRAL);
    assert_int_equal(card.labels[1].texts, 3);
    assert_int_equal(card_find(&card, "b"), 1);
    assert_int_equal(card_find(&card, "c"), -1);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static struct card card, again;
    struct leat_error err = {""};
    put(good, sizeof good - 1);
    assert_true(card_read(path, &card, &err));
    snprintf(card.recipe, sizeof card.recipe, "\"quoted\" \xc3\xa9 \n");
    card.labels[0].threshold = 0.123457f;
    assert_true(card_write(path, &card, &err));
    assert_true(card_read(path, &again, &err));
    assert_true(again.content_low != card.content_low);
    again.content_low = card.content_low;
    again.content_high = card.content_high;
    assert_memory_equal(&card, &again, sizeof card);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    const struct {
        const char *from, *to, *place, *expected;
    } cases[] = {
        {"\"kind\": \"linear\"", "\"kind\": \"encoder\"", "kind", "\"linear\""},
        {"\"name\": \"n\"", "\"name\": 1", "name", "a string"},
        {"\"version\": \"1\"", "\"version\": \"\"", "version", "a string"},
        {"\"labels\"", "\"label\"", "labels", "an array of 1 to 60"},
        {"\"name\": \"b\"", "\"nam\": \"b\"", "labels[1].name", "a string"},
        {"\"name\": \"b\"", "\"name\": \"a\"", "labels[1].name", "another name"},
        {"0.25", "0", "labels[0].threshold", "above 0 and below 1"},
        {"0.75", "1.0", "labels[1].threshold", "above 0 and below 1"},
        {"0.75", "\"0.75\"", "labels[1].threshold", "a number"},
        {"\"joy\"", "\"bliss\"", "labels[0].emotion", "one of anger"},
        {"\"positive\"", "\"good\"", "labels[0].sentiment", "one of positive"},
        {"\"texts\": 3", "\"texts\": -3", "labels[1].texts", "not negative"},
        {"\"model\"", "\"file\"", "model", "an object"},
        {"abcdef\"}", "abcdeF\"}", "model.hash", "32 hexadecimal"},
        {"\"hash\": \"0", "\"hash\": \"", "model.hash", "32 hexadecimal"},
        {"\"license\": \"l\", ", "", "training.license", "a string"},
        {"\"macro_f1\": 0.5", "\"macro_f1\": 1.5", "quality.macro_f1", "from 0 to 1"},
        {"[{", "[3, {", "labels[0]", "an object"},
        {"\"version\"", "\"name\"", "line 1", "duplicate"},
        {"]}", "]", "line", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_changed(cases[i].from, cases[i].to);
        assert_refused(cases[i].place, cases[i].expected);
    }
}

static void what_is_no_card_is_refused(void **state)
{
    (void)state;
    put("", 0);
    assert_refused("line 1", "");
    put("[]", 2);
    assert_refused("expected", "object");
    put("\0\xff{}", 4);
    assert_refused("line 1", "");
    unlink(path);
    assert_refused("", "No such file");
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/card.json", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_card_is_read),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(what_is_no_card_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
