/* The inner loop of scoring: a weighted sum of rows of bytes. Every variant gives the same sums. */
#ifndef LEAT_CLASSIFY_LINEAR_KERNEL_H
#define LEAT_CLASSIFY_LINEAR_KERNEL_H

#include "services/classify/features.h"

#include <stddef.h>
#include <stdint.h>

enum { LINEAR_BLOCK = 32 }; /* columns that are summed at once */

/* sum[c] = sum over i of x[i] * table[list->items[i].row * stride + c], c below LINEAR_BLOCK.
 * The caller sees to it that no partial sum leaves 32 bits. */
typedef void linear_kernel(const int8_t *table, size_t stride, const struct features_list *list,
                           const int16_t *x, int32_t sum[LINEAR_BLOCK]);

linear_kernel linear_kernel_plain;

/* The fastest this processor can run. */
linear_kernel *linear_kernel_choose(void);

#endif
