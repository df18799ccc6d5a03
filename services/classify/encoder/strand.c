#include "services/classify/encoder/strand.h"

#include <stdlib.h>

void *strand_grow(void *items, size_t *room, size_t count, size_t more, size_t each)
{
    if (more > STRAND_BYTES_MOST / each || count + more > STRAND_BYTES_MOST / each)
        return NULL;
    size_t wanted = 2 * (count + more) < 64 ? 64 : 2 * (count + more);
    void *moved = realloc(items, wanted * each);
    if (moved)
        *room = wanted;
    return moved;
}
