/* What `leat train` learns from. The first byte chooses: texts with their labels, the names of
 * labels, or names and a map of what they stand for. Refused with the file and the line, or taken;
 * and then texts are text, and labels are those that there are. */
#include "services/classify/examples.h"
#include "tests/fuzz/targets.h"

#include <string.h>

static void check_texts(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    struct examples examples;
    unsigned labels = 1u + fuzz_u8(&input) % CARD_LABELS_MOST;
    const char *path = fuzz_file(0, input);
    if (!examples_read(path, labels, &examples, &err)) {
        FUZZ_CHECK(strncmp(err.text, path, strlen(path)) == 0);
        FUZZ_CHECK(!examples.items && !examples.bytes);
        return;
    }
    FUZZ_CHECK(examples.count > 0);
    for (size_t i = 0; i < examples.count; i++) {
        const struct example *it = &examples.items[i];
        FUZZ_CHECK(it->size > 0 && it->labels && it->labels >> labels == 0);
        FUZZ_CHECK(leat_wire_text_ok((struct leat_span){(const uint8_t *)it->text, it->size}));
        FUZZ_CHECK(!memchr(it->text, '\n', it->size) && !memchr(it->text, '\0', it->size));
    }
    examples_close(&examples);
}

static void check_labels(struct leat_span input, bool mapped)
{
    static struct card card;
    struct leat_error err = {.text = ""};
    struct leat_span names = mapped ? fuzz_bytes(&input, fuzz_u8(&input)) : input;
    const char *path = fuzz_file(0, names), *map = mapped ? fuzz_file(1, input) : NULL;
    card.label_count = 0;
    if (!examples_read_labels(path, map, &card, &err)) {
        FUZZ_CHECK(err.text[0] != '\0');
        return;
    }
    FUZZ_CHECK(card.label_count >= 1 && card.label_count <= CARD_LABELS_MOST);
    for (unsigned i = 0; i < card.label_count; i++) {
        const struct card_label *label = &card.labels[i];
        FUZZ_CHECK(label->name[0] && leat_wire_text_ok(fuzz_text(label->name)));
        FUZZ_CHECK(card_find(&card, label->name) == (int)i);
        FUZZ_CHECK(label->emotion < EMOTION_COUNT && label->sentiment < SENTIMENT_COUNT);
    }
}

void fuzz_examples(struct leat_span input)
{
    uint8_t kind = fuzz_u8(&input) % 4;
    if (kind < 2)
        check_texts(input);
    else
        check_labels(input, kind == 3);
}
