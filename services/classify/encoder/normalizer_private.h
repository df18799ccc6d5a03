/* Inside the normalizer. */
#ifndef LEAT_ENCODER_NORMALIZER_PRIVATE_H
#define LEAT_ENCODER_NORMALIZER_PRIVATE_H

#include "services/classify/encoder/charsmap.h"
#include "services/classify/encoder/normal_form.h"
#include "services/classify/encoder/normalizer.h"
#include "services/classify/encoder/pattern.h"

enum normalizer_kind {
    NORMALIZER_BERT,
    NORMALIZER_FORM,
    NORMALIZER_LOWERCASE,
    NORMALIZER_STRIP,
    NORMALIZER_STRIP_ACCENTS,
    NORMALIZER_REPLACE,
    NORMALIZER_PREPEND,
    NORMALIZER_PRECOMPILED,
    NORMALIZER_NMT,
    NORMALIZER_BYTE_LEVEL,
};

struct normalizer_step {
    enum normalizer_kind kind;
    enum normal_form form;
    bool clean, chinese, accents, lower; /* BERT */
    bool left, right;                    /* STRIP */
    struct pattern pattern;              /* REPLACE */
    char *content;                       /* REPLACE, PREPEND; owned */
    size_t content_size;
    struct charsmap charsmap; /* PRECOMPILED */
};

/* One step of its kind: reads *text, and unless it has nothing to change writes `out` and sets
 * *text to it. False without memory. */
bool normalizer_bert(const struct normalizer *self, const struct normalizer_step *step,
                     struct normalizer_scratch *scratch, struct strand *text,
                     struct strand_buffer *out);

#endif
