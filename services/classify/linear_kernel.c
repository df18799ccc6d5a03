#include "services/classify/linear_kernel.h"

#include <stdbool.h>
#include <string.h>

void linear_kernel_plain(const int8_t *table, size_t stride, const struct features_list *list,
                         const int16_t *x, int32_t sum[LINEAR_BLOCK])
{
    int32_t sums[LINEAR_BLOCK] = {0};
    for (size_t i = 0; i < list->size; i++) {
        const int8_t *row = table + list->items[i].row * stride;
        for (int c = 0; c < LINEAR_BLOCK; c++)
            sums[c] += row[c] * x[i];
    }
    memcpy(sum, sums, sizeof sums);
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Two rows at a time: their bytes are interleaved, widened to 16 bits, and each pair is multiplied
 * by the pair of x and summed in one instruction. The compiler does not find this by itself. */
__attribute__((target("avx2"))) static void kernel_avx2(const int8_t *table, size_t stride,
                                                        const struct features_list *list,
                                                        const int16_t *x, int32_t sum[LINEAR_BLOCK])
{
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                       _mm256_setzero_si256()};
    for (size_t i = 0; i < list->size; i += 2) {
        bool pair = i + 1 < list->size;
        const int8_t *first = table + list->items[i].row * stride;
        const int8_t *second = pair ? table + list->items[i + 1].row * stride : first;
        uint32_t factors = (uint16_t)x[i] | (pair ? (uint32_t)(uint16_t)x[i + 1] << 16 : 0);
        __m256i factor = _mm256_set1_epi32((int)factors);
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)first);
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)second);
        __m256i low = _mm256_unpacklo_epi8(a, b);  /* columns 0-7, 16-23 */
        __m256i high = _mm256_unpackhi_epi8(a, b); /* columns 8-15, 24-31 */
        __m128i bytes[4] = {_mm256_castsi256_si128(low), _mm256_castsi256_si128(high),
                            _mm256_extracti128_si256(low, 1), _mm256_extracti128_si256(high, 1)};
        for (int g = 0; g < 4; g++)
            sums[g] = _mm256_add_epi32(sums[g],
                                       _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes[g]), factor));
    }
    memcpy(sum, sums, sizeof sums);
}
#endif

linear_kernel *linear_kernel_choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        return kernel_avx2;
#endif
    return linear_kernel_plain;
}
