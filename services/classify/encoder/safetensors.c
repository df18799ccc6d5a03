#include "services/classify/encoder/safetensors.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    HEADER_MOST = 25 << 20, /* a large model's is some hundred KB */
    HASH_CHUNK = 8 << 20,
};

struct safetensors {
    const uint8_t *map;
    size_t size;
    const uint8_t *data; /* behind the header */
    uint64_t data_size;
    json_t *header; /* owns the names */
    struct safetensors_tensor *tensors;
    size_t count;
};

static bool map_file(struct safetensors *self, const char *path, struct leat_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0) {
        leat_fail(err, "%s", strerror(errno));
    } else if (!S_ISREG(about.st_mode) || about.st_size < 10) {
        leat_fail(err, "expected a safetensors file of at least 10 bytes");
    } else {
        void *map = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            leat_fail(err, "cannot be mapped: %s", strerror(errno));
        } else {
            self->map = map;
            self->size = (size_t)about.st_size;
        }
    }
    if (fd >= 0)
        close(fd);
    return self->map != NULL;
}

/* Bits of an element; 0: a type that the format does not have. */
static unsigned element_bits(const char *dtype, enum safetensors_type *type)
{
    static const struct {
        const char *name;
        unsigned bits;
        enum safetensors_type type;
    } known[] = {
        {"F32", 32, SAFETENSORS_F32},      {"F16", 16, SAFETENSORS_F16},
        {"BF16", 16, SAFETENSORS_BF16},    {"F64", 64, SAFETENSORS_OTHER},
        {"I64", 64, SAFETENSORS_OTHER},    {"U64", 64, SAFETENSORS_OTHER},
        {"I32", 32, SAFETENSORS_OTHER},    {"U32", 32, SAFETENSORS_OTHER},
        {"I16", 16, SAFETENSORS_OTHER},    {"U16", 16, SAFETENSORS_OTHER},
        {"I8", 8, SAFETENSORS_OTHER},      {"U8", 8, SAFETENSORS_OTHER},
        {"F8_E4M3", 8, SAFETENSORS_OTHER}, {"F8_E5M2", 8, SAFETENSORS_OTHER},
        {"BOOL", 8, SAFETENSORS_OTHER},
    };
    for (size_t i = 0; dtype && i < sizeof known / sizeof *known; i++)
        if (strcmp(dtype, known[i].name) == 0) {
            *type = known[i].type;
            return known[i].bits;
        }
    return 0;
}

static bool whole(const json_t *value, uint64_t *out)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0)
        return false;
    *out = (uint64_t)number;
    return true;
}

static bool read_shape(const json_t *shape, unsigned bits, struct safetensors_tensor *out,
                       struct leat_error *err)
{
    out->rank = json_array_size(shape);
    if (!json_is_array(shape) || out->rank > SAFETENSORS_RANK_MOST)
        return leat_fail(err, "shape: expected an array of at most %d sizes",
                         SAFETENSORS_RANK_MOST);
    uint64_t bytes = bits / 8;
    for (size_t i = 0; i < out->rank; i++)
        if (!whole(json_array_get(shape, i), &out->shape[i]) ||
            __builtin_mul_overflow(bytes, out->shape[i], &bytes))
            return leat_fail(err, "shape: expected sizes that a file can have");
    out->size = bytes;
    return true;
}

static bool read_tensor(const struct safetensors *self, const char *name, const json_t *value,
                        struct safetensors_tensor *out, struct leat_error *err)
{
    out->name = name;
    unsigned bits = element_bits(json_string_value(json_object_get(value, "dtype")), &out->type);
    if (bits == 0)
        return leat_fail(err, "dtype: expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U64, "
                              "U32, U16, U8, F8_E4M3, F8_E5M2, BOOL");
    if (!read_shape(json_object_get(value, "shape"), bits, out, err))
        return false;
    const json_t *offsets = json_object_get(value, "data_offsets");
    uint64_t begin, end;
    if (json_array_size(offsets) != 2 || !whole(json_array_get(offsets, 0), &begin) ||
        !whole(json_array_get(offsets, 1), &end) || begin > end || end > self->data_size)
        return leat_fail(err, "data_offsets: expected a begin and an end in the %llu bytes of data",
                         (unsigned long long)self->data_size);
    if (end - begin != out->size)
        return leat_fail(err, "data_offsets: expected %llu bytes, as dtype and shape say",
                         (unsigned long long)out->size);
    out->data = self->data + begin;
    return true;
}

static int by_data(const void *a_, const void *b_)
{
    const struct safetensors_tensor *a = a_, *b = b_;
    if (a->data != b->data)
        return a->data < b->data ? -1 : 1;
    return a->size < b->size ? -1 : a->size > b->size;
}

/* Ensures: every byte of data belongs to exactly one tensor. */
static bool check_coverage(const struct safetensors *self, struct leat_error *err)
{
    const uint8_t *at = self->data;
    for (size_t i = 0; i < self->count; i++) {
        const struct safetensors_tensor *tensor = &self->tensors[i];
        if (tensor->data != at)
            return leat_fail(err, "%s: data_offsets: expected it to begin where another ends",
                             tensor->name);
        at += tensor->size;
    }
    if (at != self->map + self->size)
        return leat_fail(err, "expected the file to end with its last tensor");
    return true;
}

static bool read_header(struct safetensors *self, struct leat_error *err)
{
    uint64_t length;
    memcpy(&length, self->map, sizeof length);
    length = le64toh(length);
    if (length < 2 || length > HEADER_MOST || length > self->size - 8)
        return leat_fail(err, "expected the first 8 bytes to be the length of a header inside the "
                              "file: it is cut short, or no safetensors file");
    self->data = self->map + 8 + length;
    self->data_size = self->size - 8 - length;
    json_error_t where;
    self->header =
        json_loadb((const char *)self->map + 8, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (!self->header)
        return leat_fail(err, "header, byte %d: %s", where.position, where.text);
    if (!json_is_object(self->header))
        return leat_fail(err, "header: expected a JSON object");
    self->tensors = calloc(json_object_size(self->header) + 1, sizeof *self->tensors);
    if (!self->tensors)
        return leat_fail(err, "out of memory");
    const char *name;
    json_t *value;
    json_object_foreach(self->header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!read_tensor(self, name, value, &self->tensors[self->count], err))
            return leat_fail_in(err, "header: %.200s", name);
        self->count++;
    }
    qsort(self->tensors, self->count, sizeof *self->tensors, by_data);
    return check_coverage(self, err);
}

struct safetensors *safetensors_open(const char *path, struct leat_error *err)
{
    struct safetensors *self = calloc(1, sizeof *self);
    bool good = self ? map_file(self, path, err) && read_header(self, err)
                     : leat_fail(err, "out of memory");
    if (!good) {
        safetensors_close(&self);
        leat_fail_in(err, "%s", path);
    }
    return self;
}

void safetensors_close(struct safetensors **self_)
{
    struct safetensors *self = *self_;
    if (!self)
        return;
    json_decref(self->header);
    free(self->tensors);
    if (self->map)
        munmap((void *)self->map, self->size);
    free(self);
    *self_ = NULL;
}

size_t safetensors_count(const struct safetensors *self)
{
    return self->count;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *self, size_t index)
{
    return &self->tensors[index];
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->tensors[i].name, name) == 0)
            return &self->tensors[i];
    return NULL;
}

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 0) { /* zero, or a number too small for the exponent: fraction * 2^-24 */
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    if (exponent == 31)
        return of_bits(sign | 0x7f800000 | fraction << 13);
    return of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

void safetensors_row(const struct safetensors_tensor *tensor, size_t row, size_t width, float *out)
{
    if (tensor->type == SAFETENSORS_F32) {
        memcpy(out, tensor->data + row * width * sizeof *out, width * sizeof *out);
        return;
    }
    const uint8_t *from = tensor->data + row * width * sizeof(uint16_t);
    for (size_t i = 0; i < width; i++) {
        uint16_t bits;
        memcpy(&bits, from + i * sizeof bits, sizeof bits);
        out[i] = tensor->type == SAFETENSORS_BF16 ? of_bits((uint32_t)bits << 16) : of_half(bits);
    }
}

bool safetensors_hash(const struct safetensors *self, uint8_t out[16])
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return false;
    XXH3_128bits_reset(state);
    for (size_t from = 0; from < self->size; from += HASH_CHUNK) {
        size_t left = self->size - from;
        XXH3_128bits_update(state, self->map + from, left < HASH_CHUNK ? left : HASH_CHUNK);
        safetensors_forget_pages(self);
    }
    XXH128_canonicalFromHash((XXH128_canonical_t *)out, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return true;
}

void safetensors_forget_pages(const struct safetensors *self)
{
    madvise((void *)self->map, self->size, MADV_DONTNEED);
}
