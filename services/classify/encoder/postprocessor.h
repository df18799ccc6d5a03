/* What is put around a text's tokens: the "post_processor" of a tokenizer.json. */
#ifndef LEAT_ENCODER_POSTPROCESSOR_H
#define LEAT_ENCODER_POSTPROCESSOR_H

#include "services/classify/encoder/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POSTPROCESSOR_MOST = 32 /* ids on either side */ };

struct postprocessor {
    int32_t before[POSTPROCESSOR_MOST], behind[POSTPROCESSOR_MOST];
    size_t n_before, n_behind;
};

/* Reads BertProcessing, RobertaProcessing, TemplateProcessing (its template for one text),
 * ByteLevel and Sequence; refuses any other. Ids must be below `ids`. `node` may be absent. */
bool postprocessor_open(struct postprocessor *self, int32_t ids, const struct spec *spec,
                        const struct spec_node *node);

#endif
