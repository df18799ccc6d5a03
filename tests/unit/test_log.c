#include "services/runtime/log.h"
#include "tests/unit/rig.h"

#include <fcntl.h>

/* Stderr goes into a pipe for the length of a test. */
struct ear {
    int before, ends[2];
    char text[20000];
};

static int ear_setup(void **state)
{
    struct ear *self = calloc(1, sizeof *self);
    assert_int_equal(pipe2(self->ends, O_NONBLOCK), 0);
    self->before = dup(STDERR_FILENO);
    dup2(self->ends[1], STDERR_FILENO);
    leat_log_set_level(LEAT_INFO);
    *state = self;
    return 0;
}

static int ear_teardown(void **state)
{
    struct ear *self = *state;
    dup2(self->before, STDERR_FILENO);
    close(self->before);
    close(self->ends[0]);
    close(self->ends[1]);
    free(self);
    return 0;
}

/* What was logged, without the time at its beginning. */
static const char *ear_hear(struct ear *self)
{
    ssize_t size = read(self->ends[0], self->text, sizeof self->text - 1);
    self->text[size < 0 ? 0 : size] = '\0';
    const char *blank = strchr(self->text, ' ');
    return blank ? blank + 1 : self->text;
}

static void an_event_is_one_line_of_keys_and_values(void **state)
{
    struct ear *self = *state;
    leat_log(LEAT_INFO, "mill", "opened", LEAT_S("path", "/x"), LEAT_I("n", -5), LEAT_F("r", 0.25));
    assert_string_equal(ear_hear(self), "level=info stage=mill event=opened path=/x n=-5 r=0.25\n");
    int year, month, day, hour, minute, second, micro;
    assert_int_equal(sscanf(self->text, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ ", &year, &month, &day, &hour,
                            &minute, &second, &micro),
                     7);
    leat_log(LEAT_WARN, "mill", "bare");
    assert_string_equal(ear_hear(self), "level=warn stage=mill event=bare\n");
}

static void any_bytes_may_be_logged(void **state)
{
    struct ear *self = *state;
    leat_log(LEAT_ERR, "m", "e", LEAT_S("a", "two words"), LEAT_S("b", ""), LEAT_S("c", "x=\"y\""),
             LEAT_SN("d", "a\0b\nc\x1b", 6), LEAT_S("e", "gr\xc3\xbc\xc3\x9f"),
             LEAT_S("f", "\xff\xfe"), LEAT_S("g", NULL));
    assert_string_equal(ear_hear(self),
                        "level=error stage=m event=e a=\"two words\" b=\"\" "
                        "c=\"x=\\\"y\\\"\" d=\"a\\x00b\\nc\\x1b\" e=gr\xc3\xbc\xc3\x9f "
                        "f=\"\\xff\\xfe\" g=\n");
}

static void long_values_and_lines_are_cut(void **state)
{
    struct ear *self = *state;
    char value[5000];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    leat_log(LEAT_INFO, "m", "e", LEAT_S("a", value));
    const char *line = ear_hear(self);
    assert_true(strlen(line) < 1100);
    assert_non_null(strstr(line, "xxx...\"\n"));
    leat_log(LEAT_INFO, "m", "e", LEAT_S("a", value), LEAT_S("b", value), LEAT_S("c", value),
             LEAT_S("d", value), LEAT_S("e", value));
    ear_hear(self);
    assert_int_equal(strlen(self->text), 4096);
    assert_int_equal(self->text[4095], '\n');
}

static void events_below_the_level_are_not_written(void **state)
{
    struct ear *self = *state;
    enum leat_log_level level;
    leat_log(LEAT_DEBUG, "m", "quiet");
    assert_string_equal(ear_hear(self), "");
    assert_true(leat_log_level_parse("debug", &level));
    leat_log_set_level(level);
    leat_log(LEAT_DEBUG, "m", "loud");
    assert_non_null(strstr(ear_hear(self), "loud"));
    assert_false(leat_log_level_parse("verbose", &level));
}

static void a_site_speaks_once_a_second(void **state)
{
    (void)state;
    struct leat_log_site site = {0};
    uint64_t suppressed = 99;
    assert_true(leat_log_allow(&site, &suppressed));
    assert_int_equal(suppressed, 0);
    for (int i = 0; i < 10; i++)
        assert_false(leat_log_allow(&site, &suppressed));
    site.last_ms -= 1000;
    assert_true(leat_log_allow(&site, &suppressed));
    assert_int_equal(suppressed, 10);
}

int main(void)
{
#define EAR(test) cmocka_unit_test_setup_teardown(test, ear_setup, ear_teardown)
    const struct CMUnitTest tests[] = {
        EAR(an_event_is_one_line_of_keys_and_values),
        EAR(any_bytes_may_be_logged),
        EAR(long_values_and_lines_are_cut),
        EAR(events_below_the_level_are_not_written),
        cmocka_unit_test(a_site_speaks_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
