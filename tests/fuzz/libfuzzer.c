/* The program that libFuzzer drives: it is linked under the names of all targets (build/fuzz/bin),
 * and runs the one it is called by. */
#include "services/runtime/log.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    const char *slash = strrchr((*argv)[0], '/');
    const char *name = slash ? slash + 1 : (*argv)[0];
    target = fuzz_target_find(name);
    if (!target) {
        fprintf(stderr, "%s: there is no fuzz target of this name\n", name);
        exit(2);
    }
    leat_log_set_level(LEAT_ERR + 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target->run((struct leat_span){data, size});
    return 0;
}
