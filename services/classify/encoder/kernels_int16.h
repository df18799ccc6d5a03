/* Products of 16-bit integers: the part of kernels_body.h that is about them. Files that define
 * KERNELS_VNNI, KERNELS_AVX512 or KERNELS_AVX2 have instructions for it. */

typedef int32_t pair __attribute__((may_alias, aligned(2))); /* two 16-bit integers */
typedef int32_t pvector
    __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(2), may_alias));

/* Rows and vectors of outputs whose sums fit into registers at once. */
#ifdef KERNELS_AVX512
enum { SHORT_ROWS = 12, SHORT_VECTORS = 2 };
#else
enum { SHORT_ROWS = 4, SHORT_VECTORS = 2 };
#endif
enum { SHORT_COLUMNS = SHORT_VECTORS * LANES, SHORT_LEAST = 4, SHORT_LINE = 64 };

/* sum + the products of both pairs of each lane, added up */
INLINE ivector add_pairs(ivector sum, ivector a, ivector b)
{
#if defined(KERNELS_VNNI)
    return (ivector)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(KERNELS_AVX512)
    return sum + (ivector)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(KERNELS_AVX2)
    return sum + (ivector)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return sum + (a >> 16) * (b >> 16) + (a << 16 >> 16) * (b << 16 >> 16);
#endif
}

/* What is not a number, and what is beyond an int16, becomes one that is not meant. */
static void to_int16(const float *row, float factor, int16_t *out, size_t n)
{
    const float magic = 0x1.8p23f; /* adding it leaves the nearest whole number in the last bits */
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        *(hvector *)(out + i) = low_halves((ivector)(load(row + i) * factor + magic));
    if (i < n) {
        hvector rest = low_halves((ivector)(load_some(row + i, n - i) * factor + magic));
        memcpy(out + i, &rest, (n - i) * sizeof *out);
    }
    if (n % 2)
        out[n] = 0;
}

static float largest(const float *row, size_t n)
{
    float low, high;
    find_range(row, n, &low, &high);
    return -low > high ? -low : high;
}

/* The sums of `rows` rows and SHORT_COLUMNS outputs over one chunk of pairs, times the
 * rows' scales, which are `chunks` apart. `ahead` is fetched into the cache on the way, a line for
 * each pair; NULL: nothing. */
INLINE void sum_chunk(const int16_t *in, size_t stride, const int16_t *panel, size_t pairs,
                      const char *ahead, const float *scales, size_t chunks, bool first,
                      vector out[SHORT_ROWS][SHORT_VECTORS], int rows)
{
    size_t step = ahead ? SHORT_LINE : 0;
    ivector sum[SHORT_ROWS][SHORT_VECTORS] = {0};
    for (size_t k = 0; k < pairs; k++) {
        __builtin_prefetch(ahead + k * step, 0, 2);
        ivector weight[SHORT_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < SHORT_VECTORS; v++)
            weight[v] = *(const pvector *)(panel + (k * INT16_PANEL + (size_t)(v * LANES)) * 2);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            ivector value = *(const pair *)(in + (size_t)r * stride + k * 2) - (ivector){0};
#pragma GCC unroll 4
            for (int v = 0; v < SHORT_VECTORS; v++)
                sum[r][v] = add_pairs(sum[r][v], weight[v], value);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < SHORT_VECTORS; v++) {
            vector part = __builtin_convertvector(sum[r][v], vector) * scales[(size_t)r * chunks];
            out[r][v] = first ? part : out[r][v] + part;
        }
}

/* One tile of the result: `rows` rows, SHORT_COLUMNS outputs from `column` on. */
INLINE void short_tile(const struct int16_weights *weights, size_t column, const int16_t *in,
                       const float *scales, const char *ahead, float *out, int rows)
{
    vector sums[SHORT_ROWS][SHORT_VECTORS];
    size_t stride = weights->pairs * 2, chunk = INT16_CHUNK / 2;
    size_t chunks = int16_chunks(weights->inputs);
    const int16_t *panel =
        weights->panels +
        (column / INT16_PANEL * weights->pairs * INT16_PANEL + column % INT16_PANEL) * 2;
    for (size_t from = 0; from < weights->pairs; from += chunk) {
        size_t pairs = weights->pairs - from < chunk ? weights->pairs - from : chunk;
        sum_chunk(in + from * 2, stride, panel + from * INT16_PANEL * 2, pairs,
                  ahead ? ahead + from * SHORT_LINE : NULL, scales + from / chunk, chunks,
                  from == 0, sums, rows);
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < SHORT_VECTORS; v++) {
            size_t at = column + (size_t)(v * LANES);
            float *to = out + (size_t)r * weights->outputs + at;
            vector value = sums[r][v] * load(weights->scale + at) + load(weights->bias + at);
            if (at + LANES <= weights->outputs)
                store(to, value);
            else if (at < weights->outputs)
                store_some(to, value, weights->outputs - at);
        }
}

/* A panel's weights are read again for every tile of rows, from the nearest caches, but they come
 * there from memory: so the first tiles of one panel fetch the next one, each a line for each pair.
 */
static const char *fetched_ahead(const struct int16_weights *weights, size_t column, size_t tile)
{
    size_t pairs = weights->pairs, lines = INT16_PANEL * 2 * sizeof(int16_t) / SHORT_LINE;
    size_t next = (column / INT16_PANEL + 1) * INT16_PANEL;
    if (tile >= lines || next >= weights->outputs)
        return NULL;
    return (const char *)(weights->panels + next * pairs * 2) + tile * pairs * SHORT_LINE;
}

static void multiply_int16(const struct int16_weights *weights, const int16_t *in,
                           const float *scales, size_t rows, float *out)
{
    size_t chunks = int16_chunks(weights->inputs);
    for (size_t column = 0; column < weights->outputs; column += SHORT_COLUMNS)
        for (size_t row = 0, tile = 0; row < rows; tile++) {
            const char *ahead = fetched_ahead(weights, column, tile);
            const int16_t *from = in + row * weights->pairs * 2;
            const float *scale = scales + row * chunks;
            float *to = out + row * weights->outputs;
            size_t left = rows - row;
            if (SHORT_ROWS >= 12 && left > 8) {
                short_tile(weights, column, from, scale, ahead, to, SHORT_ROWS);
                row += SHORT_ROWS;
            } else if (SHORT_ROWS >= 8 && left > 4) {
                short_tile(weights, column, from, scale, ahead, to, SHORT_ROWS / 3 * 2);
                row += SHORT_ROWS / 3 * 2;
            } else {
                short_tile(weights, column, from, scale, ahead, to, SHORT_LEAST);
                row += SHORT_LEAST;
            }
        }
}
