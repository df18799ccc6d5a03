/* Every input in tests/fuzz/corpus once through its target: what was found stays found. From the
 * root of the tree, as all tests run. */
#include "services/runtime/log.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TARGETS_MOST = 64, INPUT_MOST = 1 << 20 };

/* In a block of its very size, so that reading past it is seen. */
static void run_file(const struct fuzz_target *target, const char *path)
{
    static uint8_t bytes[INPUT_MOST];
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    target->run((struct leat_span){exact, size});
    free(exact);
}

static void run_corpus(void **state)
{
    const struct fuzz_target *target = *state;
    char path[512];
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", target->name);
    DIR *dir = opendir(path);
    struct dirent *entry;
    int n = 0;
    if (!dir)
        fail_msg("%s is missing", path);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", target->name, entry->d_name);
        run_file(target, path);
        n++;
    }
    closedir(dir);
    assert_true(n > 0);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[TARGETS_MOST];
    static char names[TARGETS_MOST][64];
    size_t n = 0;
    leat_log_set_level(LEAT_ERR + 1);
    /* TARGET FILE: that input alone, to see what it does. */
    if (argc == 3 && fuzz_target_find(argv[1])) {
        run_file(fuzz_target_find(argv[1]), argv[2]);
        return 0;
    }
    for (const struct fuzz_target *target = fuzz_targets; target->name; target++, n++) {
        snprintf(names[n], sizeof names[n], "no_input_harms_%s", target->name);
        tests[n] = (struct CMUnitTest){
            .name = names[n], .test_func = run_corpus, .initial_state = (void *)(uintptr_t)target};
    }
    return _cmocka_run_group_tests("corpus", tests, n, NULL, NULL);
}
