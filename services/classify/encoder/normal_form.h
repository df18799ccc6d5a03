/* Unicode normal forms over arrays of characters, as the reference implementation has them. */
#ifndef LEAT_ENCODER_NORMAL_FORM_H
#define LEAT_ENCODER_NORMAL_FORM_H

#include "services/classify/encoder/characters.h"
#include "services/classify/encoder/strand.h"

#include <stdbool.h>

enum normal_form { NORMAL_FORM_D, NORMAL_FORM_KD, NORMAL_FORM_C, NORMAL_FORM_KC };

/* Brings `runes` to the form; `work` is another array, whose content is lost. `head`: the first so
 * many belong to the text's first character, before and after. False without memory.
 *
 * The reference's data is that of Unicode 12.0: decompositions that came later are not made, and
 * marks that came later are of combining class 0. This follows it for all that Unicode 15 knows
 * (Debian 12's utf8proc); with a younger utf8proc, the few characters with decompositions of their
 * own that came after may differ. */
bool normal_form(const struct characters *characters, enum normal_form form, struct runes *runes,
                 struct runes *work, size_t *head);

/* True when text of these bytes is surely in the form already. */
bool normal_form_already(enum normal_form form, const char *bytes, size_t size);

#endif
