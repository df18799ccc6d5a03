/* An encoder's config.json: refused with the file's name, or read; and then sizes are those that
 * an encoder can have, and its labels make a card that can be written and read. */
#include "services/classify/encoder_card.h"
#include "tests/fuzz/targets.h"

#include <stdio.h>
#include <string.h>

static void check_sizes(const struct encoder_config *config)
{
    FUZZ_CHECK(config->hidden > 0 && config->heads > 0 && config->hidden % config->heads == 0);
    FUZZ_CHECK(config->vocabulary > 0 && config->layers > 0 && config->inner > 0);
    FUZZ_CHECK(config->max_tokens >= 2);
    FUZZ_CHECK(config->first_position + config->max_tokens == config->positions);
    FUZZ_CHECK((config->types == 0) == (config->architecture == ENCODER_DISTILBERT));
    FUZZ_CHECK((config->first_position == 0) == (config->architecture != ENCODER_ROBERTA));
    FUZZ_CHECK(config->epsilon >= 0 && config->epsilon <= 0.1f);
    FUZZ_CHECK(config->labels >= 1 && config->labels <= ENCODER_LABELS_MOST);
    FUZZ_CHECK(config->independent || config->labels > 1);
    for (size_t i = 0; i < config->labels; i++)
        FUZZ_CHECK(strnlen(config->label[i], ENCODER_LABEL_BYTES) - 1 < ENCODER_LABEL_BYTES - 1);
}

static void check_same(const struct encoder_config *a, const struct encoder_config *b)
{
    FUZZ_CHECK(a->architecture == b->architecture && a->activation == b->activation);
    FUZZ_CHECK(a->vocabulary == b->vocabulary && a->hidden == b->hidden);
    FUZZ_CHECK(a->layers == b->layers && a->heads == b->heads && a->inner == b->inner);
    FUZZ_CHECK(a->positions == b->positions && a->first_position == b->first_position);
    FUZZ_CHECK(a->types == b->types && a->epsilon == b->epsilon);
    FUZZ_CHECK(a->independent == b->independent && a->labels == b->labels);
    FUZZ_CHECK(memcmp(a->label, b->label, sizeof a->label) == 0);
}

/* As `leat model inspect` writes one. */
static void check_card(const struct encoder_config *config)
{
    static struct card guessed, read;
    struct leat_error err;
    char path[64];
    const char *folder = fuzz_folder();
    snprintf(path, sizeof path, "%s/" ENCODER_CARD_FILE, folder);
    encoder_card_guess(folder, config, &guessed);
    FUZZ_CHECK(encoder_card_write(path, &guessed, &err));
    FUZZ_CHECK(encoder_card_read(folder, config, &read, &err));
    FUZZ_CHECK(strcmp(guessed.name, read.name) == 0 && guessed.label_count == read.label_count);
    for (unsigned i = 0; i < read.label_count; i++) {
        const struct card_label *x = &guessed.labels[i], *y = &read.labels[i];
        FUZZ_CHECK(strcmp(x->name, config->label[i]) == 0 && strcmp(x->name, y->name) == 0);
        FUZZ_CHECK(x->emotion == y->emotion && x->sentiment == y->sentiment);
    }
}

void fuzz_config(struct leat_span input)
{
    static struct encoder_config first, second;
    struct leat_error err = {.text = ""};
    const char *path = fuzz_file(0, input);
    bool good = encoder_config_read(path, &first, &err);
    FUZZ_CHECK(good || strncmp(err.text, path, strlen(path)) == 0);
    if (!good)
        return;
    check_sizes(&first);
    FUZZ_CHECK(encoder_config_read(path, &second, &err));
    check_same(&first, &second);
    check_card(&first);
}
