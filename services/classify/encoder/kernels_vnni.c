#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")

enum { LANES = 16, TILE_FLOATS = 64 };

#define KERNELS_AVX512
#define KERNELS_VNNI
#define KERNELS_NAME  "avx512 vnni"
#define KERNELS_TABLE encoder_kernels_vnni
#include "services/classify/encoder/kernels_body.h"
#endif
