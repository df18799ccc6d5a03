#include "services/classify/linear_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char magic[8] = {'l', 'e', 'a', 't', '-', 'l', 'i', 'n'};

enum { BYTE_ORDER_MARK = 0x01020304, ALIGN = 64 };

_Static_assert(sizeof(struct linear_head) == 64, "the head is 64 bytes");

size_t linear_file_stride(size_t labels)
{
    size_t used = labels + SENTIMENT_COUNT + 1;
    return (used + LINEAR_BLOCK - 1) / LINEAR_BLOCK * LINEAR_BLOCK;
}

static size_t float_count(const struct linear_head *head)
{
    return (size_t)head->outputs * (1 + FEATURES_FAMILIES);
}

static size_t float_room(const struct linear_head *head)
{
    size_t bytes = float_count(head) * sizeof(float);
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t table_bytes(const struct linear_head *head, int family)
{
    return ((size_t)1 << head->bits[family]) * head->stride;
}

/* The head's numbers must be in range before this is asked. */
static uint64_t expected_bytes(const struct linear_head *head)
{
    return sizeof *head + float_room(head) + table_bytes(head, FEATURES_WORDS) +
           table_bytes(head, FEATURES_GRAMS);
}

static void hash_update(XXH3_state_t *state, const struct linear_head *head, const void *rest,
                        size_t size)
{
    struct linear_head plain = *head;
    memset(plain.hash, 0, sizeof plain.hash);
    XXH3_128bits_update(state, &plain, sizeof plain);
    XXH3_128bits_update(state, rest, size);
}

static bool check_head(const struct linear_head *head, uint64_t size, struct leat_error *err)
{
    if (size < sizeof *head)
        return leat_fail(err, "expected at least %zu bytes, found %" PRIu64, sizeof *head, size);
    if (memcmp(head->magic, magic, sizeof magic) != 0)
        return leat_fail(err, "expected a linear model, which starts with \"leat-lin\"");
    if (head->byte_order != BYTE_ORDER_MARK)
        return leat_fail(err, "expected a file of this machine's byte order");
    if (head->format != LINEAR_FORMAT)
        return leat_fail(err, "expected format %d, found %u", LINEAR_FORMAT, head->format);
    if (head->labels < 1 || head->labels > CARD_LABELS_MOST)
        return leat_fail(err, "expected 1 to %d labels, found %u", CARD_LABELS_MOST, head->labels);
    if (head->outputs != head->labels + SENTIMENT_COUNT)
        return leat_fail(err, "expected %u outputs, found %u", head->labels + SENTIMENT_COUNT,
                         head->outputs);
    if (head->stride != linear_file_stride(head->labels))
        return leat_fail(err, "expected rows of %zu bytes, found %u",
                         linear_file_stride(head->labels), head->stride);
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        if (head->bits[f] < FEATURES_BITS_LEAST || head->bits[f] > FEATURES_BITS_MOST)
            return leat_fail(err, "expected tables of 2^%d to 2^%d rows, found 2^%u",
                             FEATURES_BITS_LEAST, FEATURES_BITS_MOST, head->bits[f]);
    if (head->read_bytes < FEATURES_READ_LEAST || head->read_bytes > FEATURES_READ_MOST)
        return leat_fail(err, "expected it to read %d to %d bytes of a text, found %u",
                         FEATURES_READ_LEAST, FEATURES_READ_MOST, head->read_bytes);
    if (head->file_bytes != expected_bytes(head) || size != head->file_bytes)
        return leat_fail(err, "expected %" PRIu64 " bytes, found %" PRIu64, expected_bytes(head),
                         size);
    return true;
}

static bool check_content(const struct linear_head *head, struct leat_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return leat_fail(err, "out of memory");
    XXH3_128bits_reset(state);
    hash_update(state, head, head + 1, (size_t)head->file_bytes - sizeof *head);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    if (hash.low64 != head->hash[0] || hash.high64 != head->hash[1])
        return leat_fail(err, "its checksum is wrong: the file is damaged");
    const float *floats = (const float *)(head + 1);
    for (size_t i = 0; i < float_count(head); i++)
        if (!isfinite(floats[i]))
            return leat_fail(err, "expected finite numbers, number %zu is not", i);
    return true;
}

static bool map(const char *path, const void **bytes, size_t *size, struct leat_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return leat_fail(err, "%s", strerror(errno));
    struct stat about;
    bool good = fstat(fd, &about) == 0;
    if (!good)
        leat_fail(err, "%s", strerror(errno));
    else if (!S_ISREG(about.st_mode) || about.st_size <= 0)
        good = leat_fail(err, "expected a file that is not empty");
    if (good) {
        *size = (size_t)about.st_size;
        void *at = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED)
            good = leat_fail(err, "it cannot be mapped: %s", strerror(errno));
        else
            *bytes = at;
    }
    close(fd);
    return good;
}

bool linear_file_open(const char *path, struct linear_file *file, struct leat_error *err)
{
    *file = (struct linear_file){0};
    const void *bytes = NULL;
    size_t size = 0;
    if (!map(path, &bytes, &size, err))
        return leat_fail_in(err, "model file %s", path);
    file->head = bytes;
    file->bytes = size;
    if (!check_head(file->head, size, err) || !check_content(file->head, err)) {
        linear_file_close(file);
        return leat_fail_in(err, "model file %s", path);
    }
    const float *floats = (const float *)(file->head + 1);
    const int8_t *rows = (const int8_t *)(file->head + 1) + float_room(file->head);
    file->bias = floats;
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        file->scale[f] = floats + (size_t)file->head->outputs * (size_t)(f + 1);
        file->rows[f] = rows;
        rows += table_bytes(file->head, f);
    }
    return true;
}

void linear_file_close(struct linear_file *file)
{
    if (file->head)
        munmap((void *)(uintptr_t)file->head, file->bytes);
    *file = (struct linear_file){0};
}

static bool seal(struct linear_head *head, const float *floats, const void *zeros, size_t pad,
                 const int8_t *const rows[FEATURES_FAMILIES], struct leat_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return leat_fail(err, "out of memory");
    XXH3_128bits_reset(state);
    hash_update(state, head, floats, float_count(head) * sizeof *floats);
    XXH3_128bits_update(state, zeros, pad);
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        XXH3_128bits_update(state, rows[f], table_bytes(head, f));
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    head->hash[0] = hash.low64;
    head->hash[1] = hash.high64;
    XXH3_freeState(state);
    return true;
}

bool linear_file_write(const char *path, struct linear_head *head, const float *floats,
                       const int8_t *const rows[FEATURES_FAMILIES], struct leat_error *err)
{
    memcpy(head->magic, magic, sizeof magic);
    head->format = LINEAR_FORMAT;
    head->byte_order = BYTE_ORDER_MARK;
    head->outputs = head->labels + SENTIMENT_COUNT;
    head->stride = (uint32_t)linear_file_stride(head->labels);
    head->file_bytes = expected_bytes(head);
    static const char zeros[ALIGN];
    size_t pad = float_room(head) - float_count(head) * sizeof *floats;
    if (!check_head(head, head->file_bytes, err) || !seal(head, floats, zeros, pad, rows, err))
        return leat_fail_in(err, "model file %s", path);

    FILE *out = fopen(path, "wbe");
    bool good = out && fwrite(head, sizeof *head, 1, out) == 1 &&
                fwrite(floats, sizeof *floats, float_count(head), out) == float_count(head) &&
                fwrite(zeros, 1, pad, out) == pad;
    for (int f = 0; good && f < FEATURES_FAMILIES; f++)
        good = fwrite(rows[f], 1, table_bytes(head, f), out) == table_bytes(head, f);
    good = good && fflush(out) == 0 && fsync(fileno(out)) == 0;
    int reason = errno;
    if (out && fclose(out) != 0 && good) {
        reason = errno;
        good = false;
    }
    return good ? true
                : leat_fail(err, "model file %s cannot be written: %s", path, strerror(reason));
}

void linear_file_hash(const struct linear_head *head, char text[CARD_HASH_BYTES])
{
    snprintf(text, CARD_HASH_BYTES, "%016" PRIx64 "%016" PRIx64, head->hash[1], head->hash[0]);
}
