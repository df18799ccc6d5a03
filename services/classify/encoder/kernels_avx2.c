#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC target("avx2,fma")

enum { LANES = 8, TILE_FLOATS = 16 };

#define KERNELS_AVX2
#define KERNELS_NAME  "avx2"
#define KERNELS_TABLE encoder_kernels_avx2
#include "services/classify/encoder/kernels_body.h"
#endif
