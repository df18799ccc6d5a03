#include "services/classify/encoder/checkpoint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct checkpoint {
    struct safetensors *file;
    struct matmul_engine *engine;
    struct forward_model model;
};

static bool path_in(const char *folder, const char *name, char out[PATH_MAX],
                    struct leat_error *err)
{
    return snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX ||
           leat_fail(err, "%s: the path is too long", folder);
}

static bool open_parts(struct checkpoint *self, const char *folder, struct leat_error *err)
{
    char config[PATH_MAX], weights[PATH_MAX];
    struct forward_model *model = &self->model;
    if (!path_in(folder, "config.json", config, err) ||
        !path_in(folder, "model.safetensors", weights, err) ||
        !encoder_config_read(config, &model->config, err) ||
        !(self->file = safetensors_open(weights, err)))
        return false;
    model->kernels = encoder_kernels_choose();
    if (!(self->engine = matmul_engine_open(model->kernels, err)))
        return false;
    model->engine = self->engine;
    if (!parameters_open(&model->parameters, self->engine, &model->config, self->file,
                         model->precision, err))
        return leat_fail_in(err, "%s", weights);
    safetensors_forget_pages(self->file);
    return true;
}

struct checkpoint *checkpoint_open(const char *folder, enum encoder_precision precision,
                                   struct leat_error *err)
{
    struct checkpoint *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->model.precision = precision;
    if (!open_parts(self, folder, err))
        checkpoint_close(&self);
    return self;
}

void checkpoint_close(struct checkpoint **self_)
{
    struct checkpoint *self = *self_;
    if (!self)
        return;
    parameters_close(&self->model.parameters, &self->model.config);
    matmul_engine_close(&self->engine);
    safetensors_close(&self->file);
    free(self);
    *self_ = NULL;
}

const struct forward_model *checkpoint_model(const struct checkpoint *self)
{
    return &self->model;
}

bool checkpoint_hash(const struct checkpoint *self, uint8_t out[16])
{
    return safetensors_hash(self->file, out);
}

static const char *const names[] = {
    [ENCODER_F32] = "f32",
    [ENCODER_BF16] = "bf16",
    [ENCODER_INT16] = "int16",
    [ENCODER_INT8] = "int8",
};

const char *encoder_precision_name(enum encoder_precision precision)
{
    return names[precision];
}

static bool has_vnni(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

static bool has_fast_bf16(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1)) /* AMX-BF16 */
        return true;
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd");
#else
    return false;
#endif
}

/* The fastest 16-bit numbers; floats where there are none that are faster. */
static enum encoder_precision fastest(enum encoder_precision otherwise)
{
    if (has_fast_bf16())
        return ENCODER_BF16;
    return has_vnni() ? ENCODER_INT16 : otherwise;
}

bool encoder_precision_choose(const char *name, enum encoder_precision *out, struct leat_error *err)
{
    if (strcmp(name, "auto") == 0) {
        *out = fastest(ENCODER_F32);
        return true;
    }
    for (enum encoder_precision i = 0; i < ENCODER_PRECISIONS; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = i == ENCODER_BF16 ? fastest(ENCODER_BF16) : i;
            return i != ENCODER_INT8 || has_vnni() ||
                   leat_fail(err, "int8 needs a processor with AVX-512 VNNI");
        }
    return leat_fail(err, "expected one of auto, f32, bf16, int16, int8");
}

const char *checkpoint_kernel(const struct checkpoint *self)
{
    return matmul_kernel(self->model.parameters.shapes[PARAMETERS_INNER]);
}
