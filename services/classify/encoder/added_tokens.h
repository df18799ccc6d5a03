/* Tokens that are found in a text before anything else is done with it: the "added_tokens" of a
 * tokenizer.json. Those with `normalized` are found in the normalized text, the others in the text
 * as it came. */
#ifndef LEAT_ENCODER_ADDED_TOKENS_H
#define LEAT_ENCODER_ADDED_TOKENS_H

#include "services/classify/encoder/characters.h"
#include "services/classify/encoder/normalizer.h"
#include "services/classify/encoder/spec.h"
#include "services/classify/encoder/strand.h"
#include "services/classify/encoder/trie.h"

#include <stdbool.h>

struct added_token {
    char *content;
    size_t size;
    int32_t id;
    bool single_word;    /* only where no \w stands before or behind it */
    bool lstrip, rstrip; /* takes the white space before, behind it with it */
    bool normalized, special;
};

/* Those to be found in one sort of text. */
struct added_set {
    struct trie trie; /* their strings, to numbers of tokens */
    bool first[256];  /* bytes that one begins with */
    bool any;
};

/* Read-only once open. */
struct added_tokens {
    const struct characters *characters; /* borrowed */
    struct added_token *tokens;
    size_t count;
    struct added_set raw, normalized;
};

/* Reads them. Ids must be those of the vocabulary where it has the token, and else go on counting
 * from `vocabulary_size`, as the reference assigns them. `node` may be absent. */
bool added_tokens_open(struct added_tokens *self, const struct characters *characters,
                       const struct trie *vocabulary, size_t vocabulary_size,
                       const struct normalizer *normalizer, const struct spec *spec,
                       const struct spec_node *node);
void added_tokens_close(struct added_tokens *self);

/* The id of the token, -1 when it is none of these. */
int32_t added_tokens_find(const struct added_tokens *self, const char *content, size_t size);

/* Where a token was found, with the white space that it takes. Nothing, when all of it was white
 * space that an earlier token had taken: then it does not count. */
struct added_match {
    size_t start, end;
    int32_t id;
};

/* The next token, leftmost and of these the longest, in text[*from..size). `done`: so much has been
 * given to earlier ones. Sets *from to where to go on. False: there is none. */
bool added_set_next(const struct added_tokens *self, const struct added_set *set, const char *text,
                    size_t size, size_t done, size_t *from, struct added_match *match);

#endif
