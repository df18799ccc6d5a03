enum { LANES = 4, TILE_FLOATS = 8 };

#define KERNELS_NAME  "plain"
#define KERNELS_TABLE encoder_kernels_plain
#include "services/classify/encoder/kernels_body.h"

size_t kernels_attend_floats(size_t length, size_t width)
{
    size_t padded = (length + 15) / 16 * 16;
    return width * padded + TILE_ROWS * padded + width;
}

void encoder_kernels_all(const struct encoder_kernels *out[ENCODER_KERNEL_SETS])
{
    size_t n = 0;
    out[n++] = &encoder_kernels_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        out[n++] = &encoder_kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        out[n++] = &encoder_kernels_avx512;
    if (out[n - 1] == &encoder_kernels_avx512 && __builtin_cpu_supports("avx512vnni"))
        out[n++] = &encoder_kernels_vnni;
#endif
    out[n] = NULL;
}

const struct encoder_kernels *encoder_kernels_choose(void)
{
    const struct encoder_kernels *sets[ENCODER_KERNEL_SETS];
    encoder_kernels_all(sets);
    size_t last = 0;
    while (sets[last + 1])
        last++;
    return sets[last];
}
