#include "services/classify/encoder/huge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, PAGE = 2 << 20 };

void *huge_alloc(size_t items, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(items, size, &bytes))
        return NULL;
    size_t align = bytes >= PAGE ? PAGE : LINE;
    void *out = NULL;
    if (posix_memalign(&out, align, bytes > 0 ? bytes : 1) != 0)
        return NULL;
    /* Whole pages only: the rest of a last one would be for nothing. Advice may be refused. */
    if (bytes >= PAGE)
        madvise(out, bytes / PAGE * PAGE, MADV_HUGEPAGE);
    memset(out, 0, bytes);
    return out;
}
