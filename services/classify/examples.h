/* Labelled texts to train and measure on: a TSV file of text, label numbers, and maybe an id. */
#ifndef LEAT_CLASSIFY_EXAMPLES_H
#define LEAT_CLASSIFY_EXAMPLES_H

#include "proto/error.h"
#include "services/classify/card.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One text; bit l of `labels` says whether it has label l. */
struct example {
    const char *text;
    size_t size;
    uint64_t labels;
};

struct examples {
    struct example *items;
    size_t count;
    char *bytes; /* the file, in which the texts lie */
};

/* Reads lines of "text TAB label,label,... [TAB anything]", labels numbered from 0. A line that
 * is not like that, or whose text is empty, not UTF-8 or holds a NUL, is refused with its number.
 */
bool examples_read(const char *path, unsigned label_count, struct examples *examples,
                   struct leat_error *err);
void examples_close(struct examples *examples);

/* Reads the labels' names, one a line, into card->labels, with what each is folded to: from the
 * JSON file `map_path` ({"name": {"emotion": "joy", "sentiment": "positive"}, ...}), or, where that
 * is NULL, from a table that knows the 28 labels of GoEmotions. A label that is not there, a name
 * that the map has and the labels have not, or a value outside the sets is refused. */
bool examples_read_labels(const char *labels_path, const char *map_path, struct card *card,
                          struct leat_error *err);

#endif
