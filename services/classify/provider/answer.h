/* What an endpoint of embeddings answers with, checked before anything of it is believed:
 *
 *   {"data": [{"index": 0, "embedding": [0.1, -0.2]}, ...], "usage": {"total_tokens": 8}}
 *
 * One item for each text, in any order, each index once. An embedding is an array of numbers, or a
 * string of base64 with float32, little-endian; all have as many numbers. */
#ifndef LEAT_PROVIDER_ANSWER_H
#define LEAT_PROVIDER_ANSWER_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

struct answer;

/* Reads an answer for `n` texts. `width`: how many numbers an embedding must have; 0: any from 1 to
 * `widest`. NULL with the reason. */
struct answer *answer_open(const char *json, size_t size, size_t n, size_t width, size_t widest,
                           struct leat_error *err);
void answer_close(struct answer **self);

size_t answer_width(const struct answer *self);

/* Tokens that the provider says it has read; 0: it did not say. */
uint64_t answer_tokens(const struct answer *self);

/* Writes n x width floats in the order of the texts, each embedding brought to length 1. False when
 * one has a number that is not finite, or is all zeros. */
bool answer_take(const struct answer *self, float *out, struct leat_error *err);

/* What an answer that is an error says of itself ({"error": {"message": "..."}} and the like): its
 * beginning, one line of UTF-8; "" when it says nothing, or when `secret` (unless that is "")
 * stands anywhere in it. */
void answer_complaint(const char *json, size_t size, const char *secret, char out[160]);

#endif
