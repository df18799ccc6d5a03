/* A file of tensors. The first byte says how the rest is meant: as the file itself, or as the size
 * of its data and its header, whose length is then right. Refused with the file's name, or read:
 * then the tensors are the bytes behind the header, one after another, each as large as its shape
 * says, and whoever reads them again finds the same. */
#include "services/classify/encoder/safetensors.h"
#include "tests/fuzz/targets.h"

#include <endian.h>
#include <math.h>
#include <string.h>

enum { FILE_MOST = 1 << 17, ROWS_MOST = 4, WIDTH_MOST = 256 };

static unsigned element_bytes(const struct safetensors_tensor *tensor)
{
    return tensor->type == SAFETENSORS_F32 ? 4 : 2;
}

/* What the bits stand for, by the definition of the type. */
static void check_number(enum safetensors_type type, const uint8_t *at, float value)
{
    uint32_t bits = 0, whole;
    memcpy(&bits, at, type == SAFETENSORS_F32 ? 4 : 2);
    memcpy(&whole, &value, sizeof whole);
    if (type != SAFETENSORS_F16) {
        FUZZ_CHECK(whole == (type == SAFETENSORS_F32 ? bits : bits << 16));
        return;
    }
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    FUZZ_CHECK(!signbit(value) == !(bits & 0x8000));
    if (exponent == 31)
        FUZZ_CHECK(fraction ? isnan(value) : isinf(value));
    else
        FUZZ_CHECK(fabsf(value) == ldexpf((float)(fraction + (exponent ? 1024 : 0)),
                                          (exponent ? exponent : 1) - 25));
}

static void check_rows(const struct safetensors_tensor *tensor)
{
    float row[WIDTH_MOST];
    uint64_t width = tensor->rank > 0 ? tensor->shape[tensor->rank - 1] : 1;
    if (tensor->type == SAFETENSORS_OTHER || width == 0 || width > WIDTH_MOST)
        return;
    uint64_t rows = tensor->size / element_bytes(tensor) / width;
    for (uint64_t i = 0; i < rows && i < ROWS_MOST; i++) {
        uint64_t at = i < ROWS_MOST / 2 ? i : rows - 1 - (i - ROWS_MOST / 2);
        safetensors_row(tensor, at, width, row);
        for (uint64_t n = 0; n < width; n++)
            check_number(tensor->type, tensor->data + (at * width + n) * element_bytes(tensor),
                         row[n]);
    }
}

static void check_shape(const struct safetensors_tensor *tensor)
{
    uint64_t elements = 1;
    FUZZ_CHECK(tensor->rank <= SAFETENSORS_RANK_MOST);
    for (size_t i = 0; i < tensor->rank; i++)
        FUZZ_CHECK(!__builtin_mul_overflow(elements, tensor->shape[i], &elements));
    if (tensor->type != SAFETENSORS_OTHER)
        FUZZ_CHECK(tensor->size == elements * element_bytes(tensor));
    else
        FUZZ_CHECK(elements ? tensor->size >= elements && tensor->size % elements == 0
                            : tensor->size == 0);
}

static void check_tensors(const struct safetensors *file, struct leat_span data)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_tensor *tensor = safetensors_at(file, i);
        struct leat_span bytes = fuzz_bytes(&data, tensor->size);
        FUZZ_CHECK(fuzz_same(bytes, (struct leat_span){tensor->data, tensor->size}));
        FUZZ_CHECK(safetensors_find(file, tensor->name) == tensor);
        check_shape(tensor);
        check_rows(tensor);
    }
    FUZZ_CHECK(data.size == 0);
}

static void check_same(const struct safetensors *a, const struct safetensors *b)
{
    uint8_t hashes[2][16];
    FUZZ_CHECK(safetensors_hash(a, hashes[0]) && safetensors_hash(b, hashes[1]));
    FUZZ_CHECK(memcmp(hashes[0], hashes[1], sizeof hashes[0]) == 0);
    FUZZ_CHECK(safetensors_count(a) == safetensors_count(b));
    for (size_t i = 0; i < safetensors_count(a); i++) {
        const struct safetensors_tensor *x = safetensors_at(a, i);
        const struct safetensors_tensor *y = safetensors_find(b, x->name);
        FUZZ_CHECK(y && x->type == y->type && x->rank == y->rank);
        FUZZ_CHECK(memcmp(x->shape, y->shape, x->rank * sizeof *x->shape) == 0);
        FUZZ_CHECK(
            fuzz_same((struct leat_span){x->data, x->size}, (struct leat_span){y->data, y->size}));
    }
}

/* Header and data: the input, over and over. */
static struct leat_span made(struct leat_span input)
{
    static uint8_t file[FILE_MOST];
    size_t data = fuzz_u16(&input);
    uint64_t length = htole64(input.size);
    if (sizeof length + input.size + data > sizeof file)
        data = 0;
    memcpy(file, &length, sizeof length);
    if (input.size)
        memcpy(file + sizeof length, input.data, input.size);
    for (size_t i = 0; i < data; i++)
        file[sizeof length + input.size + i] = input.size ? input.data[i % input.size] : 0;
    return (struct leat_span){file, sizeof length + input.size + data};
}

void fuzz_safetensors(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    struct leat_span bytes = fuzz_u8(&input) % 4 == 0 ? input : made(input);
    const char *path = fuzz_file(0, bytes);
    struct safetensors *file = safetensors_open(path, &err);
    FUZZ_CHECK(file || strncmp(err.text, path, strlen(path)) == 0);
    if (!file)
        return;
    uint64_t length;
    memcpy(&length, bytes.data, sizeof length);
    fuzz_bytes(&bytes, sizeof length + le64toh(length));
    check_tensors(file, bytes);
    struct safetensors *again = safetensors_open(path, &err);
    FUZZ_CHECK(again != NULL);
    check_same(file, again);
    safetensors_close(&again);
    safetensors_close(&file);
}
