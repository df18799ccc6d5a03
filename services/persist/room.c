#include "services/persist/room.h"

#include "services/runtime/log.h"

#include <stdlib.h>

void *room_for(void *items, size_t *room, size_t need, size_t size)
{
    if (need <= *room)
        return items;
    size_t more = *room ? *room : 64;
    while (more < need)
        more *= 2;
    void *moved = reallocarray(items, more, size);
    if (!moved) {
        leat_log(LEAT_ERR, "persist", "out_of_memory", LEAT_I("bytes", more * size));
        _Exit(EXIT_FAILURE);
    }
    *room = more;
    return moved;
}
