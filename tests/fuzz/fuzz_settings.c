/* The settings file: refused with its place, or taken; and then said again, assignment by
 * assignment, the values are the same. */
#include "services/tables.h"
#include "tests/fuzz/targets.h"

#include <stdlib.h>
#include <string.h>

static void check_row(void *arg, const struct leat_setting *row, const char *value,
                      const char *where)
{
    const struct leat_settings *again = arg;
    FUZZ_CHECK(strcmp(leat_settings_str(again, row->name), value) == 0);
    FUZZ_CHECK(where[0] != '\0');
}

static void check_again(const struct leat_settings *settings)
{
    struct leat_settings *again = leat_settings_new(leat_tables);
    struct leat_error err;
    char *lines = leat_settings_dump(settings), *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        FUZZ_CHECK(leat_settings_assign(again, line, LEAT_FROM_PROGRAM, &err));
    leat_settings_each(settings, check_row, again);
    free(lines);
    leat_settings_destroy(&again);
}

void fuzz_settings(struct leat_span input)
{
    struct leat_settings *settings = leat_settings_new(leat_tables);
    struct leat_error err = {.text = ""};
    const char *path = fuzz_file(0, input);
    if (leat_settings_file(settings, path, &err))
        check_again(settings);
    else
        FUZZ_CHECK(strncmp(err.text, path, strlen(path)) == 0);
    leat_settings_destroy(&settings);
}
