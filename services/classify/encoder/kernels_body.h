/* The kernels, written once for vectors of LANES floats; every file that includes this gives them
 * to the compiler for another instruction set, and a name (KERNELS_TABLE, KERNELS_NAME). */
#include "services/classify/encoder/kernels.h"

#include <math.h>
#include <string.h>

typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
typedef int32_t ivector __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(4)));
typedef uint16_t hvector __attribute__((vector_size(LANES * sizeof(uint16_t)), aligned(2)));
typedef uint8_t bvector __attribute__((vector_size(LANES), aligned(1)));

#define INLINE static inline __attribute__((always_inline))

INLINE vector splat(float value)
{
    return value - (vector){0};
}

INLINE vector load(const float *from)
{
    return *(const vector *)from;
}

INLINE void store(float *to, vector value)
{
    *(vector *)to = value;
}

/* The first n < LANES of a vector, the others 0. */
INLINE vector load_some(const float *from, size_t n)
{
    float part[LANES] = {0};
    memcpy(part, from, n * sizeof *from);
    return load(part);
}

INLINE void store_some(float *to, vector value, size_t n)
{
    float part[LANES];
    store(part, value);
    memcpy(to, part, n * sizeof *to);
}

/* What one instruction does and the compiler does not find by itself. */
#ifdef KERNELS_AVX512
INLINE vector larger(vector a, vector b)
{
    return (vector)_mm512_max_ps((__m512)a, (__m512)b);
}

INLINE vector smaller(vector a, vector b)
{
    return (vector)_mm512_min_ps((__m512)a, (__m512)b);
}

INLINE bvector low_bytes(ivector a)
{
    return (bvector)_mm512_cvtepi32_epi8((__m512i)a);
}

INLINE hvector low_halves(ivector a)
{
    return (hvector)_mm512_cvtepi32_epi16((__m512i)a);
}

INLINE float total(vector a)
{
    return _mm512_reduce_add_ps((__m512)a);
}

INLINE float most_of(vector a)
{
    return _mm512_reduce_max_ps((__m512)a);
}

/* 1 / a, to the last bit or two: a division takes three times as long. */
INLINE vector reciprocal(vector a)
{
    vector guess = (vector)_mm512_rcp14_ps((__m512)a);
    return guess * (2 - a * guess);
}
#else
INLINE float total(vector a)
{
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++)
        sum += a[lane];
    return sum;
}

INLINE float most_of(vector a)
{
    float most = a[0];
    for (int lane = 1; lane < LANES; lane++)
        most = a[lane] > most ? a[lane] : most;
    return most;
}

INLINE vector reciprocal(vector a)
{
    return 1 / a;
}

INLINE vector choose(ivector mask, vector yes, vector no)
{
    return (vector)(((ivector)yes & mask) | ((ivector)no & ~mask));
}

INLINE vector larger(vector a, vector b)
{
    return choose(a > b, a, b);
}

INLINE vector smaller(vector a, vector b)
{
    return choose(a < b, a, b);
}

INLINE bvector low_bytes(ivector a)
{
    return __builtin_convertvector(a, bvector);
}

INLINE hvector low_halves(ivector a)
{
    return __builtin_convertvector(a, hvector);
}
#endif

/* e^x to about 2 units in the last place: x = n ln 2 + r, |r| <= ln 2 / 2, e^r by its series to
 * the sixth power. Arguments are taken as in [-87, 88], where e^x is a normal number. */
INLINE vector exponential(vector x)
{
    const float magic = 0x1.8p23f; /* adding it rounds to a whole number */
    x = smaller(larger(x, splat(-87)), splat(88));
    vector shifted = x * 0x1.715476p0f + magic;
    vector n = shifted - magic;
    vector r = x - n * 0x1.62e4p-1f - n * 0x1.7f7d1cp-20f; /* ln 2 in two parts */
    vector p = 1.0f / 720 * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1;
    p = p * r + 1;
    ivector power = (__builtin_convertvector(n, ivector) + 127) << 23;
    return p * (vector)power;
}

/* erf by formula 7.1.26 of Abramowitz and Stegun, error at most 1.5e-7. */
INLINE vector error_function(vector x)
{
    ivector sign = (ivector)x & INT32_MIN;
    vector z = (vector)((ivector)x & INT32_MAX);
    vector t = reciprocal(1 + 0.3275911f * z);
    vector p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = (p * t + 0.254829592f) * t;
    return (vector)((ivector)(1 - p * exponential(-z * z)) | sign);
}

INLINE vector activated(vector x, enum encoder_activation activation)
{
    if (activation == ENCODER_RELU)
        return larger(x, splat(0));
    if (activation == ENCODER_GELU)
        return 0.5f * x * (1 + error_function(x * 0.70710678f));
    vector u = 0.79788456f * (x + 0.044715f * x * x * x);
    /* (1 + tanh u) / 2 is the logistic function of 2u. */
    return x * reciprocal(1 + exponential(-2 * u));
}

INLINE void activate_with(float *row, enum encoder_activation activation, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(row + i, activated(load(row + i), activation));
    if (i < n)
        store_some(row + i, activated(load_some(row + i, n - i), activation), n - i);
}

static void activate(float *row, enum encoder_activation activation, size_t n)
{
    if (activation == ENCODER_GELU)
        activate_with(row, ENCODER_GELU, n);
    else if (activation == ENCODER_GELU_TANH)
        activate_with(row, ENCODER_GELU_TANH, n);
    else
        activate_with(row, ENCODER_RELU, n);
}

static void layer_norm(float *row, const float *added, const float *gain, const float *bias,
                       float epsilon, size_t n)
{
    size_t vectors = n - n % LANES;
    vector sums = {0}, squares = {0};
    float sum = 0, square = 0;
    for (size_t i = 0; i < vectors; i += LANES) {
        vector x = load(row + i);
        if (added)
            x += load(added + i);
        store(row + i, x);
        sums += x;
    }
    for (size_t i = vectors; i < n; i++) {
        row[i] += added ? added[i] : 0;
        sum += row[i];
    }
    float mean = (sum + total(sums)) / (float)n;
    for (size_t i = 0; i < vectors; i += LANES) {
        vector x = load(row + i) - mean;
        squares += x * x;
    }
    for (size_t i = vectors; i < n; i++)
        square += (row[i] - mean) * (row[i] - mean);
    float factor = 1 / sqrtf((square + total(squares)) / (float)n + epsilon);
    for (size_t i = 0; i < vectors; i += LANES)
        store(row + i, (load(row + i) - mean) * factor * load(gain + i) + load(bias + i));
    for (size_t i = vectors; i < n; i++)
        row[i] = (row[i] - mean) * factor * gain[i] + bias[i];
}

static void to_bf16(const float *row, uint16_t *out, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        ivector bits = (ivector)load(row + i);
        bits += 0x7fff + (bits >> 16 & 1);
        *(hvector *)(out + i) = low_halves(bits >> 16);
    }
    for (; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, row + i, sizeof bits);
        out[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

/* Of the row and 0. Four maxima at once do not wait for each other. */
static void find_range(const float *row, size_t n, float *low, float *high)
{
    enum { CHAINS = 4 };
    vector lows[CHAINS] = {0}, highs[CHAINS] = {0};
    size_t i = 0;
    for (; i + CHAINS * LANES <= n; i += CHAINS * LANES)
#pragma GCC unroll 4
        for (size_t c = 0; c < CHAINS; c++) {
            vector x = load(row + i + c * LANES);
            lows[c] = larger(lows[c], -x);
            highs[c] = larger(highs[c], x);
        }
    for (; i < n; i += LANES) {
        vector x = n - i < LANES ? load_some(row + i, n - i) : load(row + i);
        lows[0] = larger(lows[0], -x);
        highs[0] = larger(highs[0], x);
    }
    *low = -most_of(larger(larger(lows[0], lows[1]), larger(lows[2], lows[3])));
    *high = most_of(larger(larger(highs[0], highs[1]), larger(highs[2], highs[3])));
}

/* To the nearest byte: adding 1.5 * 2^23 leaves it in the last bits. */
INLINE bvector rounded(vector x)
{
    x = smaller(larger(x, splat(0)), splat(255)) + 0x1.8p23f;
    return low_bytes((ivector)x);
}

static struct kernels_scale to_bytes(const float *row, uint8_t *out, size_t n)
{
    float low, high;
    find_range(row, n, &low, &high);
    struct kernels_scale scale = {.scale = (high - low) / 255};
    if (!(scale.scale > 0)) {
        memset(out, 0, n);
        return (struct kernels_scale){.scale = 1};
    }
    float factor = 1 / scale.scale;
    scale.zero = nearbyintf(-low * factor);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        *(bvector *)(out + i) = rounded(load(row + i) * factor + scale.zero);
    if (i < n) {
        bvector rest = rounded(load_some(row + i, n - i) * factor + scale.zero);
        memcpy(out + i, &rest, n - i);
    }
    return scale;
}

static void from_bytes(float *row, struct kernels_scale row_scale, struct kernels_outputs outputs,
                       size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vector x = load(row + i) - row_scale.zero * load(outputs.sum + i);
        store(row + i, x * (row_scale.scale * load(outputs.scale + i)) + load(outputs.bias + i));
    }
    for (; i < n; i++)
        row[i] = (row[i] - row_scale.zero * outputs.sum[i]) * (row_scale.scale * outputs.scale[i]) +
                 outputs.bias[i];
}

static float dot(const float *a, const float *b, size_t n)
{
    vector sums = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sums += load(a + i) * load(b + i);
    if (i < n)
        sums += load_some(a + i, n - i) * load_some(b + i, n - i);
    return total(sums);
}

static void add(float *sum, const float *row, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(sum + i, load(sum + i) + load(row + i));
    for (; i < n; i++)
        sum[i] += row[i];
}

#include "services/classify/encoder/kernels_int16.h"

enum { TILE_ROWS = 4, TILE_VECTORS = TILE_FLOATS / LANES };

/* TILE_ROWS rows times TILE_FLOATS columns (or as many vectors of them as there are) of a * b, the
 * accumulators in registers. */
INLINE void tile(const float *const a[TILE_ROWS], const float *b, size_t b_stride,
                 float *const out[TILE_ROWS], size_t depth, int vectors)
{
    vector sum[TILE_ROWS][TILE_VECTORS] = {0};
    for (size_t k = 0; k < depth; k++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            vector x = load(b + k * b_stride + v * LANES);
#pragma GCC unroll 4
            for (int r = 0; r < TILE_ROWS; r++)
                sum[r][v] += a[r][k] * x;
        }
#pragma GCC unroll 4
    for (int r = 0; r < TILE_ROWS; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            store(out[r] + v * LANES, sum[r][v]);
}

/* TILE_ROWS rows of a * b with n columns, a multiple of 16. */
static void product(const float *const a[TILE_ROWS], const float *b, size_t b_stride,
                    float *const out[TILE_ROWS], size_t depth, size_t n)
{
    float *to[TILE_ROWS];
    memcpy(to, out, sizeof to);
    size_t column = 0;
    for (; column + TILE_FLOATS <= n; column += TILE_FLOATS) {
        tile(a, b + column, b_stride, to, depth, TILE_VECTORS);
        for (int r = 0; r < TILE_ROWS; r++)
            to[r] += TILE_FLOATS;
    }
    for (; column + 2 * LANES <= n; column += 2 * LANES) {
        tile(a, b + column, b_stride, to, depth, 2);
        for (int r = 0; r < TILE_ROWS; r++)
            to[r] += 2 * LANES;
    }
    for (; column < n; column += LANES) {
        tile(a, b + column, b_stride, to, depth, 1);
        for (int r = 0; r < TILE_ROWS; r++)
            to[r] += LANES;
    }
}

/* Minus infinity in all lanes but the first n. */
INLINE vector first_lanes(vector x, size_t n)
{
    static const int32_t lanes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ivector keep = *(const ivector *)lanes < (int32_t)n;
    return (vector)(((ivector)x & keep) | ((ivector)splat(-INFINITY) & ~keep));
}

/* Weights in place of scores. Columns from n on become e^-87 of the largest: nothing. Rows go
 * together because each step waits for the one before. */
static void soften(float *const score[TILE_ROWS], size_t n, size_t padded, float scale)
{
    float top[TILE_ROWS], factor[TILE_ROWS];
    vector sums[TILE_ROWS] = {0};
    for (int r = 0; r < TILE_ROWS; r++) {
        vector most = splat(-INFINITY);
        for (size_t i = 0; i < padded; i += LANES) {
            if (i + LANES > n)
                store(score[r] + i, first_lanes(load(score[r] + i), i < n ? n - i : 0));
            most = larger(most, load(score[r] + i));
        }
        top[r] = most_of(most);
    }
    for (size_t i = 0; i < padded; i += LANES)
#pragma GCC unroll 4
        for (int r = 0; r < TILE_ROWS; r++) {
            vector e = exponential((load(score[r] + i) - top[r]) * scale);
            store(score[r] + i, e);
            sums[r] += e;
        }
    for (int r = 0; r < TILE_ROWS; r++)
        factor[r] = 1 / total(sums[r]);
    for (int r = 0; r < TILE_ROWS; r++)
        for (size_t i = 0; i < padded; i += LANES)
            store(score[r] + i, load(score[r] + i) * factor[r]);
}

/* One head: its keys are turned so that a row of scores is a sum of rows. Rows beyond the last are
 * computed as the last once more, and stay in the scratch. */
static void attend_head(const struct kernels_heads *heads, size_t head, float *out, float *scratch)
{
    size_t length = heads->length, width = heads->width, padded = (length + 15) / 16 * 16;
    size_t out_stride = heads->heads * width;
    float *turned = scratch, *scores = turned + width * padded;
    float *spare = scores + TILE_ROWS * padded;
    memset(turned, 0, width * padded * sizeof *turned);
    for (size_t row = 0; row < length; row++)
        for (size_t i = 0; i < width; i++)
            turned[i * padded + row] = heads->key[row * heads->stride + head * width + i];
    for (size_t row = 0; row < length; row += TILE_ROWS) {
        const float *query[TILE_ROWS], *weights[TILE_ROWS];
        float *score[TILE_ROWS], *to[TILE_ROWS];
        for (size_t r = 0; r < TILE_ROWS; r++) {
            size_t from = row + r < length ? row + r : length - 1;
            query[r] = heads->query + from * heads->stride + head * width;
            weights[r] = score[r] = scores + r * padded;
            to[r] = row + r < length ? out + from * out_stride + head * width : spare;
        }
        product(query, turned, padded, score, width, padded);
        soften(score, length, padded, heads->scale);
        product(weights, heads->value + head * width, heads->stride, to, length, width);
    }
}

static void attend(const struct kernels_heads *heads, float *out, float *scratch)
{
    for (size_t head = 0; head < heads->heads; head++)
        attend_head(heads, head, out, scratch);
}

const struct encoder_kernels KERNELS_TABLE = {
    KERNELS_NAME, layer_norm,     activate, to_bf16, to_bytes, from_bytes,
    to_int16,     multiply_int16, attend,   largest, dot,      add,
};
