/* What encoders compute besides oneDNN's products, in every instruction set that this processor
 * has. */
#include "services/classify/encoder/kernels.h"
#include "tests/unit/arrays.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Every instruction set against the plain one, on rows of all lengths around a vector's. */
static void all_instruction_sets_compute_the_same(void **state)
{
    (void)state;
    const struct encoder_kernels *sets[ENCODER_KERNEL_SETS];
    encoder_kernels_all(sets);
    enum { N = 70 };
    for (size_t s = 1; sets[s]; s++)
        for (size_t n = 1; n <= N; n++) {
            float row[2][N], other[N], gain[N], bias[N];
            uint16_t halves[2][N];
            uint8_t bytes[2][N];
            for (size_t i = 0; i < N; i++) {
                other[i] = sinf((float)(i * n));
                gain[i] = 1 + 0.1f * cosf((float)i);
                bias[i] = 0.01f * (float)i;
            }
            for (size_t k = 0; k < 2; k++) {
                const struct encoder_kernels *set = sets[k ? s : 0];
                for (size_t i = 0; i < N; i++)
                    row[k][i] = 4 * sinf((float)i + (float)n);
                set->layer_norm(row[k], other, gain, bias, 1e-5f, n);
                set->activate(row[k], (enum encoder_activation)(n % 3), n);
                set->to_bf16(row[k], halves[k], n);
                struct kernels_scale scale = set->to_bytes(other, bytes[k], n);
                set->from_bytes(row[k], scale, (struct kernels_outputs){gain, other, bias}, n);
                set->add(row[k], other, n);
            }
            assert_true(arrays_difference(row[0], row[1], N) < 1e-4);
            for (size_t i = 0; i < n; i++)
                assert_true(abs(halves[0][i] - halves[1][i]) <= 1 &&
                            abs(bytes[0][i] - bytes[1][i]) <= 1);
            float a = sets[0]->dot(row[0], other, n), b = sets[s]->dot(row[0], other, n);
            assert_true(fabsf(a - b) < 1e-3f);
        }
}

/* What attention is, in doubles: one row of one head. */
static void attend_plainly(const struct kernels_heads *heads, size_t head, size_t row, double *out)
{
    double weight[64], most = -INFINITY, sum = 0;
    const float *query = heads->query + row * heads->stride + head * heads->width;
    for (size_t k = 0; k < heads->length; k++) {
        const float *key = heads->key + k * heads->stride + head * heads->width;
        weight[k] = 0;
        for (size_t i = 0; i < heads->width; i++)
            weight[k] += (double)query[i] * (double)key[i] * (double)heads->scale;
        most = weight[k] > most ? weight[k] : most;
    }
    for (size_t k = 0; k < heads->length; k++)
        sum += weight[k] = exp(weight[k] - most);
    for (size_t i = 0; i < heads->width; i++) {
        out[i] = 0;
        for (size_t k = 0; k < heads->length; k++)
            out[i] +=
                weight[k] / sum * (double)heads->value[k * heads->stride + head * heads->width + i];
    }
}

static void check_attention(const struct encoder_kernels *set, size_t length, size_t width)
{
    enum { HEADS = 2 };
    size_t columns = HEADS * width, stride = 3 * columns;
    float *qkv = arrays_make(length * stride, sizeof(float)),
          *out = arrays_make(length * columns, sizeof(float));
    float *scratch = arrays_make(kernels_attend_floats(length, width), sizeof(float));
    double want[64];
    for (size_t i = 0; i < length * stride; i++)
        qkv[i] = 3 * sinf((float)(i * i % 9973)) - 2; /* scores far below 0, too */
    for (size_t i = 0; i < length; i++)
        for (size_t k = 0; k < columns; k++)
            qkv[i * stride + k] *= k % 2 ? 1.0f : -1.0f;
    struct kernels_heads heads = {qkv,   qkv + columns, qkv + 2 * columns, stride, length, HEADS,
                                  width, 0.25f};
    set->attend(&heads, out, scratch);
    for (size_t row = 0; row < length; row++)
        for (size_t head = 0; head < HEADS; head++) {
            attend_plainly(&heads, head, row, want);
            for (size_t i = 0; i < width; i++)
                if (!(fabs((double)out[row * columns + head * width + i] - want[i]) < 1e-4))
                    fail_msg("%s: %zu tokens, heads of %zu: row %zu is wrong", set->name, length,
                             width, row);
        }
    free(qkv);
    free(out);
    free(scratch);
}

static void attention_is_right_at_every_length_in_every_instruction_set(void **state)
{
    (void)state;
    const struct encoder_kernels *sets[ENCODER_KERNEL_SETS];
    encoder_kernels_all(sets);
    for (size_t s = 0; sets[s]; s++)
        for (size_t length = 1; length <= 64; length++)
            for (size_t width = 16; width <= 64; width += 16)
                check_attention(sets[s], length, width);
}

static void a_row_in_bytes_is_off_by_half_a_step_at_most(void **state)
{
    (void)state;
    const struct encoder_kernels *kernels = encoder_kernels_choose();
    float rows[][3] = {{-1, 0, 3}, {5, 6, 7}, {-7, -6, -5}, {0, 0, 0}, {1e-30f, 0, -1e-30f}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        uint8_t bytes[3];
        struct kernels_scale scale = kernels->to_bytes(rows[r], bytes, 3);
        for (size_t i = 0; i < 3; i++)
            assert_true(fabsf(scale.scale * ((float)bytes[i] - scale.zero) - rows[r][i]) <=
                        scale.scale * 1.01f);
    }
}

/* A product of 16-bit integers, every instruction set against doubles: off by no more than half a
 * step of each number that was rounded. `sign` 0: random numbers, else all as large as can be. */
static void check_int16(size_t inputs, size_t outputs, int sign)
{
    enum { ROWS = 28 };
    size_t even = inputs + inputs % 2;
    float *weights = arrays_make(inputs * outputs, sizeof(float)),
          *bias = arrays_make(outputs, sizeof(float));
    float *rows = arrays_make(ROWS * inputs, sizeof(float)),
          *out = arrays_make(ROWS * outputs, sizeof(float));
    int16_t *rounded = arrays_make(ROWS * even, sizeof *rounded);
    size_t chunks = int16_chunks(inputs);
    float *scales = arrays_make(ROWS * chunks, sizeof *scales);
    for (size_t i = 0; i < inputs * outputs; i++)
        weights[i] = sign ? (float)sign : sinf((float)(i * i % 9973));
    for (size_t i = 0; i < ROWS * inputs; i++)
        rows[i] = sign ? 3 : 5 * cosf((float)(i * i % 7919)) + (i % 100 == 0 ? 40.0f : 0.0f);
    for (size_t o = 0; o < outputs; o++)
        bias[o] = (float)o;
    const struct encoder_kernels *sets[ENCODER_KERNEL_SETS];
    encoder_kernels_all(sets);
    for (size_t s = 0; sets[s]; s++) {
        struct leat_error err;
        struct int16_weights packed;
        assert_true(int16_pack(&packed, sets[s], inputs, outputs, weights, bias, &err));
        for (size_t r = 0; r < ROWS; r++)
            for (size_t from = 0; from < inputs; from += INT16_CHUNK) {
                const float *row = rows + r * inputs + from;
                size_t n = inputs - from < INT16_CHUNK ? inputs - from : INT16_CHUNK;
                float most = sets[s]->largest(row, n);
                scales[r * chunks + from / INT16_CHUNK] = most / INT16_ROW_MOST;
                sets[s]->to_int16(row, INT16_ROW_MOST / most, rounded + r * even + from, n);
            }
        sets[s]->multiply_int16(&packed, rounded, scales, ROWS, out);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t o = 0; o < outputs; o++) {
                double want = bias[o], bound = 0;
                for (size_t i = 0; i < inputs; i++) {
                    double a = rows[r * inputs + i], w = weights[o * inputs + i];
                    double step = scales[r * chunks + i / INT16_CHUNK];
                    want += a * w;
                    bound += fabs(a * w) * 1e-6 + 0.51 * fabs(w) * step +
                             0.51 * (fabs(a) + step) * (double)packed.scale[o];
                }
                double difference = fabs((double)out[r * outputs + o] - want);
                if (!(difference <= bound + 1e-5))
                    fail_msg("%s, %zu inputs: %g and not %g", sets[s]->name, inputs,
                             (double)out[r * outputs + o], want);
            }
        int16_close(&packed);
    }
    free(weights);
    free(bias);
    free(rows);
    free(out);
    free(rounded);
    free(scales);
}

static void products_of_16_bit_integers_are_off_by_their_rounding_at_most(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},    {2, 31},   {7, 33},    {30, 64},
                                      {255, 40}, {256, 96}, {257, 100}, {1100, 36}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_int16(sizes[i][0], sizes[i][1], 0);
}

static void no_sum_of_16_bit_integers_overflows(void **state)
{
    (void)state;
    for (size_t inputs = 254; inputs <= 514; inputs += 65) {
        check_int16(inputs, 32, 1);
        check_int16(inputs, 32, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_instruction_sets_compute_the_same),
        cmocka_unit_test(attention_is_right_at_every_length_in_every_instruction_set),
        cmocka_unit_test(a_row_in_bytes_is_off_by_half_a_step_at_most),
        cmocka_unit_test(products_of_16_bit_integers_are_off_by_their_rounding_at_most),
        cmocka_unit_test(no_sum_of_16_bit_integers_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
