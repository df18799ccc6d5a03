#include "services/runtime/settings.h"
#include "tests/unit/rig.h"

static const struct leat_setting rows[] = {
    {.name = "mill.stones", .type = LEAT_SET_INT, .value = "2", .min = 1, .max = 8, .help = "."},
    {.name = "mill.batch_bytes",
     .type = LEAT_SET_BYTES,
     .value = "64KB",
     .min = 1024,
     .max = 16 << 20,
     .reloadable = true,
     .help = "."},
    {.name = "mill.pause", .type = LEAT_SET_DURATION, .value = "5s", .help = "."},
    {.name = "mill.share", .type = LEAT_SET_REAL, .value = "0.5", .min = 0, .max = 1, .help = "."},
    {.name = "mill.open", .type = LEAT_SET_BOOL, .value = "yes", .help = "."},
    {.name = "mill.grain",
     .type = LEAT_SET_CHOICE,
     .value = "rye",
     .choices = "rye oat",
     .help = "."},
    {.name = "mill.name", .type = LEAT_SET_STRING, .value = "", .reloadable = true, .help = "."},
    {0},
};
static const struct leat_setting other[] = {
    {.name = "store.key", .type = LEAT_SET_STRING, .value = "", .secret = true, .help = "."},
    {.name = "store.pin", .type = LEAT_SET_INT, .value = "0", .secret = true, .help = "."},
    {0},
};
static const struct leat_setting *const tables[] = {rows, other, NULL};

struct desk {
    struct leat_settings *settings;
    struct leat_error err;
    char *folder;
};

static int desk_setup(void **state)
{
    struct desk *self = calloc(1, sizeof *self);
    self->settings = leat_settings_new(tables);
    self->folder = rig_folder();
    *state = self;
    return 0;
}

static int desk_teardown(void **state)
{
    struct desk *self = *state;
    leat_settings_destroy(&self->settings);
    unlink(rig_path(self->folder, "f"));
    rmdir(self->folder);
    free(self->folder);
    free(self);
    return 0;
}

static bool assign(struct desk *self, const char *assignment)
{
    self->err.text[0] = '\0';
    return leat_settings_assign(self->settings, assignment, LEAT_FROM_COMMAND_LINE, &self->err);
}

static bool load(struct desk *self, const char *text, size_t size)
{
    const char *path = rig_path(self->folder, "f");
    self->err.text[0] = '\0';
    rig_write(path, text, size);
    return leat_settings_file(self->settings, path, &self->err);
}

static bool load_text(struct desk *self, const char *text)
{
    return load(self, text, strlen(text));
}

#define assert_said(self, part)                                                                    \
    do {                                                                                           \
        if (!strstr((self)->err.text, part))                                                       \
            fail_msg("\"%s\" does not say \"%s\"", (self)->err.text, part);                        \
    } while (0)

static void every_row_has_its_default(void **state)
{
    struct desk *self = *state;
    assert_int_equal(leat_settings_int(self->settings, "mill.stones"), 2);
    assert_int_equal(leat_settings_int(self->settings, "mill.batch_bytes"), 65536);
    assert_int_equal(leat_settings_int(self->settings, "mill.pause"), 5000);
    assert_true(leat_settings_real(self->settings, "mill.share") == 0.5);
    assert_true(leat_settings_bool(self->settings, "mill.open"));
    assert_string_equal(leat_settings_str(self->settings, "mill.grain"), "rye");
    assert_int_equal(leat_settings_source(self->settings, "mill.name"), LEAT_FROM_DEFAULT);
    assert_false(leat_settings_has(self->settings, "mill.none"));
}

static void sizes_and_durations_have_units(void **state)
{
    struct desk *self = *state;
    static const struct {
        const char *text, *name;
        int64_t value;
    } good[] = {
        {"mill.batch_bytes=1024", "mill.batch_bytes", 1024},
        {"mill.batch_bytes=2KB", "mill.batch_bytes", 2048},
        {"mill.batch_bytes=1 mb", "mill.batch_bytes", 1 << 20},
        {"mill.batch_bytes=3MiB", "mill.batch_bytes", 3 << 20},
        {"mill.pause=250ms", "mill.pause", 250},
        {"mill.pause=2h", "mill.pause", 7200000},
        {"mill.pause=30d", "mill.pause", INT64_C(2592000000)},
        {"mill.pause=0", "mill.pause", 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(assign(self, good[i].text));
        assert_int_equal(leat_settings_int(self->settings, good[i].name), good[i].value);
    }
}

static void wrong_values_are_told_with_what_was_expected(void **state)
{
    struct desk *self = *state;
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"mill.stones=two", "mill.stones: expected a whole number, got \"two\""},
        {"mill.stones=0x2", "expected a whole number"},
        {"mill.stones=", "expected a whole number"},
        {"mill.stones=9", "must be from 1 to 8, got \"9\""},
        {"mill.stones=99999999999999999999", "expected a whole number"},
        {"mill.batch_bytes=12QB", "expected a size such as"},
        {"mill.batch_bytes=-1KB", "expected a size such as"},
        {"mill.batch_bytes=1GB", "must be from 1KB to 16MB"},
        {"mill.batch_bytes=99999999999TB", "expected a size such as"},
        {"mill.pause=5", "expected a duration such as"},
        {"mill.pause=5S", "expected a duration such as"},
        {"mill.share=nan", "expected a number"},
        {"mill.share=1.5", "must be from 0 to 1"},
        {"mill.open=maybe", "expected yes or no"},
        {"mill.grain=wheat", "expected one of: rye oat; got \"wheat\""},
        {"mill.grain=", "expected one of"},
        {"mill.name=a\nb", "control characters"},
        {"mill.name=\xff", "UTF-8"},
        {"mill.name", "expected NAME=VALUE"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(assign(self, bad[i].text));
        assert_said(self, bad[i].said);
        assert_said(self, "--set: ");
    }
    assert_int_equal(leat_settings_int(self->settings, "mill.stones"), 2);
}

static void misspelt_names_are_met_with_a_suggestion(void **state)
{
    struct desk *self = *state;
    assert_false(assign(self, "mill.stnoes=1"));
    assert_said(self, "unknown setting \"mill.stnoes\"; did you mean mill.stones?");
    assert_false(assign(self, "batch_bytes=1"));
    assert_said(self, "did you mean mill.batch_bytes?");
    assert_false(assign(self, "cache.batch_bytes=1"));
    assert_said(self, "did you mean mill.batch_bytes?");
    assert_false(assign(self, "weather=1"));
    assert_said(self, "unknown setting \"weather\"");
    assert_null(strstr(self->err.text, "did you mean"));
}

static void secrets_are_not_told(void **state)
{
    struct desk *self = *state;
    assert_false(assign(self, "store.pin=hunter2"));
    assert_null(strstr(self->err.text, "hunter2"));
    assert_said(self, "store.pin");
}

static void a_file_is_read_as_people_write_it(void **state)
{
    struct desk *self = *state;
    assert_true(load_text(self, "\xef\xbb\xbf# a comment\r\n"
                                "\r\n"
                                "  mill.stones = 4   # four\r\n"
                                "mill.name=\"a # b \\\"c\\\" \\\\ \"\n"
                                "store.key = post#gres\n"
                                "mill.open = off"));
    assert_int_equal(leat_settings_int(self->settings, "mill.stones"), 4);
    assert_string_equal(leat_settings_str(self->settings, "mill.name"), "a # b \"c\" \\ ");
    assert_string_equal(leat_settings_str(self->settings, "store.key"), "post#gres");
    assert_false(leat_settings_bool(self->settings, "mill.open"));
    assert_int_equal(leat_settings_source(self->settings, "mill.open"), LEAT_FROM_FILE);
}

static void errors_in_a_file_have_their_line(void **state)
{
    struct desk *self = *state;
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"\n\nmill.stones = many\n", "f:3: mill.stones: expected a whole number"},
        {"mill.stnoes = 1", "f:1: unknown setting \"mill.stnoes\"; did you mean"},
        {"\nmill", "f:2: expected NAME = VALUE"},
        {"= 3", "f:1: the name before"},
        {"[mill]\nstones = 3", "f:1: sections are not known"},
        {"mill.name = \"abc", "f:1: the closing quote is missing"},
        {"mill.name = \"abc\" d", "f:1: unexpected text after"},
        {"mill.stones = 3\nmill.name = x\nmill.stones = 4",
         "f:3: mill.stones is set a second time (first in line 1)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct leat_settings *fresh = leat_settings_new(tables);
        leat_settings_destroy(&self->settings);
        self->settings = fresh;
        assert_false(load_text(self, bad[i].text));
        assert_said(self, bad[i].said);
    }
}

static void what_is_no_settings_file_is_refused(void **state)
{
    struct desk *self = *state;
    assert_false(load(self, "mill.name = a\0b\n", 16));
    assert_said(self, "f:1: a NUL byte");

    char *large = malloc(2 << 20);
    memset(large, '#', 2 << 20);
    assert_false(load(self, large, 5000));
    assert_said(self, "f:1: the line is longer than 4096 bytes");
    assert_false(load(self, large, 2 << 20));
    assert_said(self, "larger than 1MB");
    memset(large, '\n', 1 << 20);
    assert_true(load(self, large, 1 << 20));
    free(large);

    assert_false(leat_settings_file(self->settings, self->folder, &self->err));
    assert_said(self, "is a folder");
    assert_false(leat_settings_file(self->settings, "/nowhere/x.conf", &self->err));
    assert_said(self, "/nowhere/x.conf: cannot open the settings file: No such file");
}

static void the_environment_is_read_and_checked(void **state)
{
    struct desk *self = *state;
    unsetenv("LEAT_BUILD"); /* the test runner's own */
    setenv("LEAT_MILL_BATCH_BYTES", "32KB", 1);
    setenv("LEAT_CONFIG", "/etc/leat.conf", 1);
    /* What a container scheduler adds for a service named leat-mill. */
    setenv("LEAT_MILL_SERVICE_HOST", "10.0.0.1", 1);
    setenv("LEAT_MILL_PORT", "tcp://10.0.0.1:5560", 1);
    setenv("LEAT_MILL_PORT_5560_TCP_ADDR", "10.0.0.1", 1);
    assert_true(leat_settings_environment(self->settings, &self->err));
    assert_int_equal(leat_settings_int(self->settings, "mill.batch_bytes"), 32768);

    setenv("LEAT_MILL_STONES", "lots", 1);
    assert_false(leat_settings_environment(self->settings, &self->err));
    assert_said(self, "LEAT_MILL_STONES: mill.stones: expected a whole number");
    unsetenv("LEAT_MILL_STONES");

    setenv("LEAT_MILL_STONE", "3", 1);
    assert_false(leat_settings_environment(self->settings, &self->err));
    assert_said(self, "LEAT_MILL_STONE is no setting; did you mean LEAT_MILL_STONES?");
    unsetenv("LEAT_MILL_STONE");
    unsetenv("LEAT_MILL_BATCH_BYTES");
}

static void a_dump_makes_the_same_settings_again(void **state)
{
    struct desk *self = *state;
    assert_true(assign(self, "mill.name=a = b # c"));
    assert_true(assign(self, "mill.pause=7m"));
    char *dump = leat_settings_dump(self->settings), *rest = dump;
    struct leat_settings *twin = leat_settings_new(tables);
    for (char *line = strtok_r(rest, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        assert_true(leat_settings_assign(twin, line, LEAT_FROM_PROGRAM, NULL));
    assert_string_equal(leat_settings_str(twin, "mill.name"), "a = b # c");
    assert_int_equal(leat_settings_int(twin, "mill.pause"), 420000);
    leat_settings_destroy(&twin);
    free(dump);
}

static void collect(void *arg, const char *name)
{
    strcat(arg, name);
    strcat(arg, " ");
}

static void a_reload_takes_what_is_reloadable_and_names_the_rest(void **state)
{
    struct desk *self = *state;
    char ignored[200] = "";
    struct leat_settings *fresh = leat_settings_copy(self->settings);
    assert_true(leat_settings_assign(fresh, "mill.batch_bytes=128KB", LEAT_FROM_PROGRAM, NULL));
    assert_true(leat_settings_assign(fresh, "mill.stones=3", LEAT_FROM_PROGRAM, NULL));
    leat_settings_reload(self->settings, fresh, collect, ignored);
    assert_string_equal(ignored, "mill.stones ");
    assert_int_equal(leat_settings_int(self->settings, "mill.batch_bytes"), 131072);
    assert_int_equal(leat_settings_int(self->settings, "mill.stones"), 2);
    leat_settings_destroy(&fresh);
}

struct walk {
    int n;
    char last[80];
};

static void step(void *arg, const struct leat_setting *row, const char *value, const char *where)
{
    struct walk *walk = arg;
    assert_true(strcmp(walk->last, row->name) < 0);
    snprintf(walk->last, sizeof walk->last, "%s", row->name);
    if (strcmp(row->name, "mill.stones") == 0) {
        assert_string_equal(value, "5");
        assert_string_equal(where, "--set");
    }
    walk->n++;
}

static void a_walk_meets_all_rows_by_name(void **state)
{
    struct desk *self = *state;
    struct walk walk = {0};
    assert_true(assign(self, "mill.stones=5"));
    leat_settings_each(self->settings, step, &walk);
    assert_int_equal(walk.n, 9);
}

int main(void)
{
#define DESK(test) cmocka_unit_test_setup_teardown(test, desk_setup, desk_teardown)
    const struct CMUnitTest tests[] = {
        DESK(every_row_has_its_default),
        DESK(sizes_and_durations_have_units),
        DESK(wrong_values_are_told_with_what_was_expected),
        DESK(misspelt_names_are_met_with_a_suggestion),
        DESK(secrets_are_not_told),
        DESK(a_file_is_read_as_people_write_it),
        DESK(errors_in_a_file_have_their_line),
        DESK(what_is_no_settings_file_is_refused),
        DESK(the_environment_is_read_and_checked),
        DESK(a_dump_makes_the_same_settings_again),
        DESK(a_reload_takes_what_is_reloadable_and_names_the_rest),
        DESK(a_walk_meets_all_rows_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
