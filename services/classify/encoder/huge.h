/* Memory that is read or written again and again from end to end: weights, and what goes from layer
 * to layer. Large pieces lie in huge pages where the system has them (transparent_hugepage madvise
 * or always): walking through them costs an address look-up every 2 MB instead of every 4 KB, which
 * makes products with weights up to a fifth faster. */
#ifndef LEAT_ENCODER_HUGE_H
#define LEAT_ENCODER_HUGE_H

#include <stddef.h>

/* Zeroed, aligned to 64 bytes at least; NULL: out of memory. To be freed by free. */
void *huge_alloc(size_t items, size_t size);

#endif
