/* Examples as the sparse vectors that scoring will see, in liblinear's form. */
#ifndef LEAT_CLASSIFY_VECTORS_H
#define LEAT_CLASSIFY_VECTORS_H

#include "proto/error.h"
#include "services/classify/examples.h"
#include "services/classify/features.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feature_node; /* liblinear's: index from 1, value; ended by index -1 */

struct vectors {
    struct feature_node **rows; /* one an example; each ends with the constant 1 for the bias */
    size_t count;
    struct feature_node *nodes; /* where the rows lie */
    size_t size;                /* nodes in all */
};

/* Columns of a vector: the rows of both tables, then the constant. */
size_t vectors_width(const struct features_shape *shape);

/* Codes of inverse document frequency, one a row of a table, as the model file holds them:
 * ln((1 + n) / (1 + texts with it)) + 1, 255 for what no text has. `idf[f]` has room for a
 * table. */
bool vectors_idf(const struct examples *examples, const struct features_shape *shape,
                 uint8_t *const idf[FEATURES_FAMILIES], struct leat_error *err);

bool vectors_build(const struct examples *examples, const struct features_shape *shape,
                   uint8_t *const idf[FEATURES_FAMILIES], struct vectors *vectors,
                   struct leat_error *err);
void vectors_close(struct vectors *vectors);

#endif
