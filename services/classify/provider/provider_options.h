/* The settings of a provider. */
#ifndef LEAT_PROVIDER_PROVIDER_OPTIONS_H
#define LEAT_PROVIDER_PROVIDER_OPTIONS_H

#include "services/runtime/settings.h"

enum { PROVIDER_KEY_BYTES = 1024, PROVIDER_NAME_BYTES = 1024 };

struct provider_options {
    char url[PROVIDER_NAME_BYTES];
    char model[PROVIDER_NAME_BYTES];
    char key[PROVIDER_KEY_BYTES + 1]; /* "": none */
    char encoding[8];                 /* float or base64 */
    size_t dimensions;                /* 0: what the model gives */
    size_t most_texts, most_bytes;    /* of a request */
    size_t text_bytes;                /* of a text, at most; the rest is left out */
    int64_t timeout_ms, give_up_ms;
};

/* Reads the settings embeddings.*, and the key from its file. */
bool provider_options_read(const struct leat_settings *settings, struct provider_options *out,
                           struct leat_error *err);

#endif
