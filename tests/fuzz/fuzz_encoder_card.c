/* What an encoder's labels stand for: refused with its place, or read; and then it is written and,
 * as far as six decimals can say it, read the same. */
#include "services/classify/encoder_card.h"
#include "tests/fuzz/targets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct encoder_config config = {.labels = 3,
                                             .label = {"joy", "LABEL_1", "na\xc3\xafve"}};

static void put(const char *path, struct leat_span bytes)
{
    FILE *file = fopen(path, "wbe");
    FUZZ_CHECK(file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size);
    FUZZ_CHECK(fclose(file) == 0);
}

static void check_same(const struct card *a, const struct card *b)
{
    FUZZ_CHECK(strcmp(a->name, b->name) == 0 && strcmp(a->version, b->version) == 0);
    FUZZ_CHECK(a->label_count == config.labels && b->label_count == config.labels);
    for (unsigned i = 0; i < a->label_count; i++) {
        const struct card_label *x = &a->labels[i], *y = &b->labels[i];
        FUZZ_CHECK(strcmp(x->name, config.label[i]) == 0 && strcmp(x->name, y->name) == 0);
        FUZZ_CHECK(x->emotion <= EMOTION_COUNT && x->emotion == y->emotion);
        FUZZ_CHECK(x->sentiment <= SENTIMENT_COUNT && x->sentiment == y->sentiment);
        FUZZ_CHECK(x->threshold > 0 && x->threshold < 1);
        FUZZ_CHECK(fabsf(x->threshold - y->threshold) < 1e-5f);
    }
}

void fuzz_encoder_card(struct leat_span input)
{
    static struct card first, second;
    struct leat_error err = {.text = ""};
    char path[64];
    const char *folder = fuzz_folder();
    snprintf(path, sizeof path, "%s/" ENCODER_CARD_FILE, folder);
    put(path, input);
    bool good = encoder_card_read(folder, &config, &first, &err);
    FUZZ_CHECK(good || strncmp(err.text, "model card ", 11) == 0);
    if (!good)
        return;
    FUZZ_CHECK(encoder_card_read(folder, &config, &second, &err));
    FUZZ_CHECK(first.content_low == second.content_low);
    FUZZ_CHECK(first.content_high == second.content_high);
    FUZZ_CHECK(encoder_card_write(path, &first, &err));
    if (encoder_card_read(folder, &config, &second, &err)) /* a threshold may round to 0 or 1 */
        check_same(&first, &second);
}
