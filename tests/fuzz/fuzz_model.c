/* A linear model's file. The first byte says how the rest is meant: as the file itself (which its
 * checksum refuses, nearly always), or as the shape and numbers of a file that linear_file_write
 * makes, so that numbers of all sorts get to scoring. Probabilities are probabilities then. */
#include "services/classify/linear.h"
#include "services/classify/linear_file.h"
#include "tests/fuzz/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BITS_MOST = 8, FLOATS_MOST = (CARD_LABELS_MOST + 8) * (1 + FEATURES_FAMILIES) };

/* A card for as many labels as the file has, with its checksum. */
static const char *card_for(const struct linear_head *head)
{
    static struct card card;
    struct leat_error err;
    card = (struct card){.name = "fuzz",
                         .version = "1",
                         .description = "-",
                         .language = "en",
                         .data_name = "-",
                         .data_source = "-",
                         .data_license = "-",
                         .recipe = "-",
                         .label_count = head->labels,
                         .quality = {.on = "-"}};
    linear_file_hash(head, card.model_hash);
    for (unsigned i = 0; i < head->labels; i++) {
        snprintf(card.labels[i].name, sizeof card.labels[i].name, "label%u", i);
        card.labels[i].threshold = 0.5f;
        card.labels[i].emotion = (uint8_t)(i % EMOTION_COUNT);
        card.labels[i].sentiment = (uint8_t)(i % SENTIMENT_COUNT);
    }
    const char *path = fuzz_file(1, (struct leat_span){NULL, 0});
    FUZZ_CHECK(card_write(path, &card, &err));
    return path;
}

static void score(const struct linear *model, struct leat_span text)
{
    struct leat_error err;
    struct linear_scores scores;
    struct linear_scratch *scratch = linear_scratch_open(model, &err);
    FUZZ_CHECK(scratch != NULL);
    linear_score(model, scratch, (const char *)text.data, text.size, &scores);
    double sum = 0;
    for (unsigned i = 0; i < linear_card(model)->label_count; i++)
        FUZZ_CHECK(scores.label[i] >= 0 && scores.label[i] <= 1);
    for (int i = 0; i < SENTIMENT_COUNT; i++) {
        FUZZ_CHECK(scores.sentiment[i] >= 0 && scores.sentiment[i] <= 1);
        sum += (double)scores.sentiment[i];
    }
    FUZZ_CHECK(sum > 0.999 && sum < 1.001);
    linear_scratch_close(&scratch);
}

static void open_and_score(const char *path, struct leat_span text)
{
    struct leat_error err = {.text = ""};
    struct linear_file file;
    if (!linear_file_open(path, &file, &err)) {
        FUZZ_CHECK(strncmp(err.text, "model file ", 11) == 0);
        return;
    }
    const char *card = card_for(file.head);
    linear_file_close(&file);
    struct linear *model = linear_open(path, card, &err);
    FUZZ_CHECK(model != NULL);
    score(model, text);
    linear_close(&model);
}

/* Rows of a table: the bytes of the input, over and over. */
static int8_t *table(const struct linear_head *head, int family, struct leat_span from)
{
    size_t size = ((size_t)1 << head->bits[family]) * linear_file_stride(head->labels);
    int8_t *rows = malloc(size);
    for (size_t i = 0; i < size; i++)
        rows[i] = from.size ? (int8_t)from.data[i % from.size] : 0;
    return rows;
}

static const char *made(struct leat_span input)
{
    float floats[FLOATS_MOST] = {0};
    struct leat_error err;
    struct linear_head head = {.labels = 1u + fuzz_u8(&input) % CARD_LABELS_MOST,
                               .read_bytes = FEATURES_READ_LEAST + fuzz_u8(&input)};
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        head.bits[f] = FEATURES_BITS_LEAST + fuzz_u8(&input) % (BITS_MOST - FEATURES_BITS_LEAST);
    size_t most = (head.labels + SENTIMENT_COUNT) * (1 + FEATURES_FAMILIES) * sizeof *floats;
    struct leat_span numbers = fuzz_bytes(&input, most);
    memcpy(floats, numbers.data, numbers.size);
    int8_t *rows[FEATURES_FAMILIES];
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        rows[f] = table(&head, f, input);
    const char *path = fuzz_file(0, (struct leat_span){NULL, 0});
    FUZZ_CHECK(linear_file_write(path, &head, floats, (const int8_t *const *)rows, &err));
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        free(rows[f]);
    return path;
}

void fuzz_model(struct leat_span input)
{
    struct leat_span text = input;
    bool as_it_is = fuzz_u8(&input) % 4 == 0;
    open_and_score(as_it_is ? fuzz_file(0, input) : made(input), text);
}
