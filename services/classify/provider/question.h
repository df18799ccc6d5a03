/* What an endpoint of embeddings is asked: {"model": ..., "input": ["...", ...]} and the like. */
#ifndef LEAT_PROVIDER_QUESTION_H
#define LEAT_PROVIDER_QUESTION_H

#include "proto/wire.h"

/* The body of a request for `n` texts, which are UTF-8. `dimensions` 0: what the model gives;
 * `encoding`: "float" or "base64". malloc'd; NULL when memory is out. */
char *question_make(const char *model, const char *encoding, size_t dimensions,
                    const struct leat_span *texts, size_t n);

#endif
