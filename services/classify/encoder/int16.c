#include "services/classify/encoder/int16.h"

#include "services/classify/encoder/huge.h"
#include "services/classify/encoder/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The largest sum of absolute weights in a chunk. */
static float heaviest_chunk(const float *weights, size_t inputs)
{
    float most = 0;
    for (size_t from = 0; from < inputs; from += INT16_CHUNK) {
        float sum = 0;
        for (size_t i = from; i < inputs && i < from + INT16_CHUNK; i++)
            sum += fabsf(weights[i]);
        most = sum > most ? sum : most;
    }
    return most;
}

/* Half a unit for each weight is left for rounding, and a little for the sums of floats. */
static float choose_scale(const struct encoder_kernels *kernels, const float *weights,
                          size_t inputs)
{
    float by_sum = heaviest_chunk(weights, inputs) * 1.001f / (INT16_SUM_MOST - INT16_CHUNK / 2);
    float by_size = kernels->largest(weights, inputs) / INT16_MAX;
    float scale = by_sum > by_size ? by_sum : by_size;
    return scale > 0 && isfinite(scale) ? scale : 1;
}

static void pack_output(struct int16_weights *self, size_t output, const int16_t *rounded)
{
    size_t panel = output / INT16_PANEL, column = output % INT16_PANEL;
    int16_t *to = self->panels + (panel * self->pairs * INT16_PANEL + column) * 2;
    for (size_t pair = 0; pair < self->pairs; pair++)
        memcpy(to + pair * INT16_PANEL * 2, rounded + pair * 2, 2 * sizeof *to);
}

bool int16_pack(struct int16_weights *self, const struct encoder_kernels *kernels, size_t inputs,
                size_t outputs, const float *weights, const float *bias, struct leat_error *err)
{
    size_t padded = (outputs + INT16_PANEL - 1) / INT16_PANEL * INT16_PANEL;
    *self = (struct int16_weights){.inputs = inputs, .outputs = outputs, .pairs = (inputs + 1) / 2};
    self->panels = huge_alloc(padded * self->pairs * 2, sizeof *self->panels);
    self->scale = huge_alloc(padded, sizeof *self->scale);
    self->bias = huge_alloc(padded, sizeof *self->bias);
    int16_t *rounded = huge_alloc(self->pairs * 2, sizeof *rounded);
    bool good = self->panels && self->scale && self->bias && rounded;
    for (size_t o = 0; good && o < outputs; o++) {
        const float *row = weights + o * inputs;
        self->scale[o] = choose_scale(kernels, row, inputs);
        self->bias[o] = bias[o];
        kernels->to_int16(row, 1 / self->scale[o], rounded, inputs);
        pack_output(self, o, rounded);
    }
    free(rounded);
    if (!good)
        int16_close(self);
    return good || leat_fail(err, "out of memory");
}

void int16_close(struct int16_weights *self)
{
    free(self->panels);
    free(self->scale);
    free(self->bias);
    *self = (struct int16_weights){0};
}
