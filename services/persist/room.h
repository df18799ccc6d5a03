/* Arrays that grow and are used again: persist's working memory, kept from one transaction to the
 * next. */
#ifndef LEAT_PERSIST_ROOM_H
#define LEAT_PERSIST_ROOM_H

#include <stddef.h>

/* Gives `items` (an array with room for *room items of `size` bytes) room for at least `need`, by
 * doubling; returns it, moved perhaps. Memory that cannot be had ends the process: what was taken
 * comes again from the journal. */
void *room_for(void *items, size_t *room, size_t need, size_t size);

#endif
