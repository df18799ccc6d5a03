/* A model's folder as the Hugging Face hub serves it, opened in one precision: config.json and
 * model.safetensors. */
#ifndef LEAT_ENCODER_CHECKPOINT_H
#define LEAT_ENCODER_CHECKPOINT_H

#include "services/classify/encoder/forward.h"

struct checkpoint;

/* NULL with the reason, which names the file. */
struct checkpoint *checkpoint_open(const char *folder, enum encoder_precision precision,
                                   struct leat_error *err);
void checkpoint_close(struct checkpoint **self);

/* Lives as long as the checkpoint. */
const struct forward_model *checkpoint_model(const struct checkpoint *self);

/* XXH3-128 of the weights' file. What config.json says of it is in the model. False when memory is
 * out. */
bool checkpoint_hash(const struct checkpoint *self, uint8_t out[16]);

/* "f32", "bf16", "int16", "int8". */
const char *encoder_precision_name(enum encoder_precision precision);

/* What `name` asks for: a precision, or "auto", which is "bf16" where that is faster than floats.
 * "bf16" asks for 16 bits: bfloat16 where the processor multiplies it at full speed (AMX, or AMD's
 * AVX-512 BF16), else 16-bit integers where it has AVX-512 VNNI, whose rounding is finer. False
 * with the reason when there is no such name, or the processor cannot: int8 needs AVX-512 VNNI, as
 * oneDNN's products of bytes may overflow without it. */
bool encoder_precision_choose(const char *name, enum encoder_precision *out,
                              struct leat_error *err);

/* What multiplies most of the model: "int16 avx512 vnni", "oneDNN brg:avx512_core". */
const char *checkpoint_kernel(const struct checkpoint *self);

#endif
