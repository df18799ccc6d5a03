#include "services/flows/series/result.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static int put(void *self_, const char *data, size_t size)
{
    struct series_packing *self = self_;
    if (size > self->room - (size_t)(self->at - self->begin))
        abort(); /* the caller added more than it had announced */
    memcpy(self->at, data, size);
    self->at += size;
    return 0;
}

static void put_reals(struct series_packing *self, msgpack_packer *pk, const double *reals,
                      size_t n)
{
    msgpack_pack_bin(pk, n * sizeof *reals);
    if (n * sizeof *reals > self->room - (size_t)(self->at - self->begin))
        abort();
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &reals[i], sizeof bits);
        bits = htole64(bits);
        memcpy(self->at + 8 * i, &bits, sizeof bits);
    }
    self->at += n * sizeof *reals;
}

void series_pack_begin(struct series_packing *self, struct leat_batch *arena,
                       const struct series_windows *windows, uint32_t rows, uint32_t n_domains)
{
    size_t reals = (size_t)rows * (1 + windows->n * SERIES_METRICS) * n_domains;
    self->room = SERIES_RESULT_HEAD_MAX + reals * sizeof(double);
    self->begin = self->at = leat_batch_alloc(arena, self->room);
    msgpack_packer pk;
    msgpack_packer_init(&pk, self, put);
    msgpack_pack_array(&pk, 4);
    msgpack_pack_int(&pk, SERIES_RESULT_VERSION);
    msgpack_pack_uint32(&pk, rows);
    msgpack_pack_array(&pk, windows->n);
    for (size_t i = 0; i < windows->n; i++)
        msgpack_pack_uint32(&pk, (uint32_t)windows->items[i].rows);
    msgpack_pack_array(&pk, n_domains);
}

void series_pack_domain(struct series_packing *self, const char *name, const double *values,
                        size_t n_values, const double *figures, size_t n_figures)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, self, put);
    msgpack_pack_array(&pk, 3);
    msgpack_pack_str_with_body(&pk, name, strlen(name));
    put_reals(self, &pk, values, n_values);
    put_reals(self, &pk, figures, n_figures);
}

struct leat_span series_pack_end(const struct series_packing *self)
{
    return (struct leat_span){self->begin, (size_t)(self->at - self->begin)};
}

static bool to_uint(const msgpack_object *object, uint32_t *out)
{
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > UINT32_MAX)
        return false;
    *out = (uint32_t)object->via.u64;
    return true;
}

static bool to_array(const msgpack_object *object, size_t max, size_t *n)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > max)
        return false;
    *n = object->via.array.size;
    return true;
}

/* A bin of exactly n float64. */
static bool to_reals(const msgpack_object *object, size_t n, const uint8_t **out)
{
    if (object->type != MSGPACK_OBJECT_BIN || object->via.bin.size != n * sizeof(double))
        return false;
    *out = (const uint8_t *)object->via.bin.ptr;
    return true;
}

static bool read_windows(const msgpack_object *object, struct series_result *out)
{
    if (!to_array(object, SERIES_WINDOWS_MOST, &out->n_windows))
        return false;
    for (size_t i = 0; i < out->n_windows; i++)
        if (!to_uint(&object->via.array.ptr[i], &out->windows[i]))
            return false;
    return true;
}

static bool read_domains(const msgpack_object *object, struct series_result *out)
{
    size_t figures = out->n_windows * SERIES_METRICS * (size_t)out->rows;
    if (!to_array(object, SERIES_NAMES_MOST, &out->n_domains))
        return false;
    for (size_t i = 0; i < out->n_domains; i++) {
        const msgpack_object *domain = &object->via.array.ptr[i];
        const msgpack_object *field = domain->via.array.ptr;
        size_t n;
        if (!to_array(domain, 3, &n) || n != 3 || field[0].type != MSGPACK_OBJECT_STR ||
            !to_reals(&field[1], out->rows, &out->domains[i].values) ||
            !to_reals(&field[2], figures, &out->domains[i].figures))
            return false;
        out->domains[i].name =
            (struct leat_span){(const uint8_t *)field[0].via.str.ptr, field[0].via.str.size};
    }
    return true;
}

bool series_result_read(struct leat_span packed, msgpack_zone *zone, struct series_result *out,
                        struct leat_error *err)
{
    msgpack_object object;
    uint32_t version;
    *out = (struct series_result){0};
    if (!leat_wire_unpack(packed, zone, &object, err))
        return leat_fail_in(err, "result of a block");
    if (object.type != MSGPACK_OBJECT_ARRAY || object.via.array.size != 4)
        return leat_fail(err, "result of a block: not an array of 4 values");
    const msgpack_object *field = object.via.array.ptr;
    if (!to_uint(&field[0], &version) || version != SERIES_RESULT_VERSION)
        return leat_fail(err, "result of a block: not of version %d", SERIES_RESULT_VERSION);
    if (!to_uint(&field[1], &out->rows) || !read_windows(&field[2], out) ||
        !read_domains(&field[3], out))
        return leat_fail(err, "result of a block: a value of the wrong type or size");
    return true;
}
