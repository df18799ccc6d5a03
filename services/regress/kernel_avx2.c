#include "services/regress/kernel_window.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC target("avx2")

enum { GROUP_LANES = 4, GROUP_VECTORS = 1 };

#define GROUP_FIT     fit
#define group_sqrt(v) ((vector)_mm256_sqrt_pd((__m256d)(v)))

#include "services/regress/kernel_group.h"

const struct kernel_group kernel_group_avx2 = {"avx2", fit, GROUP_ROWS};
#endif
