#include "services/classify/shipped.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool shipped_path(const char *name, char *path, size_t size, struct leat_error *err)
{
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return leat_fail(err, "cannot tell where this program is: /proc/self/exe: %s",
                         strerror(errno));
    program[n] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(program, '/');
        if (slash)
            *slash = 0;
    }
    if (snprintf(path, size, "%s/share/leat/%s", program, name) >= (int)size)
        return leat_fail(err, "the path of %s is too long", name);
    return true;
}
