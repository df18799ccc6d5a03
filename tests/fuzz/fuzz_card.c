/* A model's card: refused with its place, or read; and then it is written and, as far as six
 * decimals can say it, read the same. */
#include "services/classify/card.h"
#include "tests/fuzz/targets.h"

#include <math.h>
#include <string.h>

static void check_same(const struct card *a, const struct card *b)
{
    FUZZ_CHECK(strcmp(a->name, b->name) == 0 && strcmp(a->version, b->version) == 0);
    FUZZ_CHECK(strcmp(a->model_hash, b->model_hash) == 0);
    FUZZ_CHECK(a->label_count == b->label_count);
    for (unsigned i = 0; i < a->label_count; i++) {
        const struct card_label *x = &a->labels[i], *y = &b->labels[i];
        FUZZ_CHECK(strcmp(x->name, y->name) == 0 && x->emotion == y->emotion);
        FUZZ_CHECK(x->sentiment == y->sentiment && fabsf(x->threshold - y->threshold) < 1e-5f);
        FUZZ_CHECK(card_find(a, x->name) == (int)i);
    }
}

void fuzz_card(struct leat_span input)
{
    static struct card first, second;
    struct leat_error err = {.text = ""};
    const char *path = fuzz_file(0, input);
    bool good = card_read(path, &first, &err);
    FUZZ_CHECK(good || strstr(err.text, path));
    if (!good)
        return;
    FUZZ_CHECK(first.label_count >= 1 && first.label_count <= CARD_LABELS_MOST);
    const char *again = fuzz_file(1, (struct leat_span){NULL, 0});
    FUZZ_CHECK(card_write(again, &first, &err));
    if (card_read(again, &second, &err)) /* a threshold may round to 0 or 1 */
        check_same(&first, &second);
}
