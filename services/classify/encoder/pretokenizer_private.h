/* Inside the pre-tokenizer. */
#ifndef LEAT_ENCODER_PRETOKENIZER_PRIVATE_H
#define LEAT_ENCODER_PRETOKENIZER_PRIVATE_H

#include "services/classify/encoder/pattern.h"
#include "services/classify/encoder/pretokenizer.h"

enum pretokenizer_kind {
    PRETOKENIZER_BERT,
    PRETOKENIZER_BYTE_LEVEL,
    PRETOKENIZER_METASPACE,
    PRETOKENIZER_FLAGS,   /* cuts at single characters with one of `flags` */
    PRETOKENIZER_WORDS,   /* Whitespace: runs of \w, and of neither \w nor \s */
    PRETOKENIZER_PATTERN, /* cuts at matches */
};

/* What becomes of the places that are cut at. */
enum pretokenizer_behavior {
    BEHAVIOR_REMOVED,
    BEHAVIOR_ISOLATED,
    BEHAVIOR_MERGED_WITH_PREVIOUS,
    BEHAVIOR_MERGED_WITH_NEXT,
    BEHAVIOR_CONTIGUOUS, /* neighbouring ones are one piece */
};

enum pretokenizer_prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct pretokenizer_step {
    enum pretokenizer_kind kind;
    enum pretokenizer_behavior behavior; /* FLAGS, PATTERN */
    enum pretokenizer_prepend prepend;   /* METASPACE */
    bool prefix_space;                   /* BYTE_LEVEL */
    bool cut;                            /* BYTE_LEVEL: use_regex; METASPACE: split */
    bool inverted;                       /* PATTERN: cuts at what does not match */
    unsigned flags;                      /* FLAGS */
    char replacement[UTF8_MOST + 1];     /* METASPACE */
    struct pattern pattern;              /* PATTERN */
};

#endif
