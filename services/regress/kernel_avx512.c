#include "services/regress/kernel_window.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC target("avx512f")

enum { GROUP_LANES = 8, GROUP_VECTORS = 1 };

#define GROUP_FIT     fit
#define group_sqrt(v) ((vector)_mm512_sqrt_pd((__m512d)(v)))

#include "services/regress/kernel_group.h"

const struct kernel_group kernel_group_avx512 = {"avx512", fit, GROUP_ROWS};
#endif
