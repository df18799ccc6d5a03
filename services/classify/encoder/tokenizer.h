/* Text to the numbers that an encoder reads, exactly as Hugging Face's `tokenizers` library does
 * from the same tokenizer.json.
 *
 * A text goes through: the added tokens that are looked for in raw text; the normalizer; the added
 * tokens that are looked for in normalized text; the pre-tokenizer; the model (WordPiece, BPE or
 * Unigram); truncation; the post-processor, which puts special tokens around it. What a file asks
 * for and is not known here is refused when it is opened, with its place and its name.
 *
 * Ids equal those of tokenizers 0.23.2 (tests/tokenizer/compare says how that is checked). Where
 * libraries' Unicode versions differ, characters are taken as the reference takes them, see
 * characters.h and normal_form.h; grapheme clusters, which only Precompiled looks at, are those of
 * utf8proc (Unicode 15 in Debian 12) against the reference's 16: no difference is known that
 * reaches an id. */
#ifndef LEAT_ENCODER_TOKENIZER_H
#define LEAT_ENCODER_TOKENIZER_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKENIZER_FILE_BYTES_MOST = 128 << 20,
    TOKENIZER_TOKENS_MOST = 4 << 20,
    TOKENIZER_TOKEN_BYTES_MOST = 4096,
};

struct tokenizer;
struct tokenizer_scratch;

/* Reads and checks a tokenizer.json. Read-only afterwards: threads may share it. NULL: the reason
 * names the file, the place in it and what is wrong there. */
struct tokenizer *tokenizer_open(const char *path, struct leat_error *err);

/* The same from memory; `name` is what reasons call it. */
struct tokenizer *tokenizer_parse(const char *json, size_t size, const char *name,
                                  struct leat_error *err);

/* Frees and sets to NULL; does nothing if it is NULL already. */
void tokenizer_close(struct tokenizer **self);

/* What encoding needs besides, one a thread. It grows with the longest text seen and is then used
 * again: no allocation per text. */
struct tokenizer_scratch *tokenizer_scratch_open(const struct tokenizer *tokenizer,
                                                 struct leat_error *err);
void tokenizer_scratch_close(struct tokenizer_scratch **self);

/* Writes the ids of a text to `ids`, which has room for `max_tokens`, and returns how many. Special
 * tokens of the post-processor are among them; when there are more, the text's own tokens are cut
 * (at their end, or at the beginning if the file's truncation says so) until all fits, and
 * *truncated is true. `truncated` may be NULL.
 *
 * The text is UTF-8 and may be empty; bytes that are not UTF-8 count as U+FFFD each (the reference
 * never sees such text). If max_tokens is less than tokenizer_specials, only the first of them are
 * written. Returns 0 if there is nothing, or when memory cannot be had. */
size_t tokenizer_encode(const struct tokenizer *self, struct tokenizer_scratch *scratch,
                        const char *text, size_t size, size_t max_tokens, int32_t *ids,
                        bool *truncated);

/* One more than the largest id that it can give: rows that an embedding table must have. */
int32_t tokenizer_ids(const struct tokenizer *self);

/* Ids that the post-processor puts around each text. */
size_t tokenizer_specials(const struct tokenizer *self);

/* The id to pad with: that of the file's "padding", else of the token [PAD] or <pad>; -1: none. */
int32_t tokenizer_pad(const struct tokenizer *self);

/* The id of a token by its content, e.g. "[CLS]"; -1: there is none. */
int32_t tokenizer_find(const struct tokenizer *self, const char *token);

/* The file's truncation.max_length; 0: it has none. Callers decide whether to heed it. */
size_t tokenizer_max_length(const struct tokenizer *self);

#endif
