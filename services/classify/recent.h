/* The results of the last texts, in memory, by their cache keys. A batch that is slow to compute is
 * sent again before it is through, and its copies come here: they need not be computed again.
 *
 * Results lie in a ring of bytes, where the oldest are written over, and are found by a table that
 * has few places for keys that fall on the same row: now and then one is forgotten early. */
#ifndef LEAT_CLASSIFY_RECENT_H
#define LEAT_CLASSIFY_RECENT_H

#include "services/flows/fill.h"

struct recent;

/* `bytes` of results, and about a tenth more. NULL when memory is out. */
struct recent *recent_open(size_t bytes);
void recent_close(struct recent **self);

void recent_put(struct recent *self, const uint8_t key[LEAT_CACHE_KEY_SIZE],
                struct leat_span result);

/* Valid until the next put; size 0: there is none. */
struct leat_span recent_find(const struct recent *self, const uint8_t key[LEAT_CACHE_KEY_SIZE]);

#endif
