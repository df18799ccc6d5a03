/* leat model: what a model's folder holds, and how good and fast it is. */
#include "services/classify/encoder/encoder.h"
#include "services/classify/encoder_card.h"
#include "services/classify/examples.h"
#include "services/classify/model.h"
#include "services/leat/commands.h"
#include "services/leat/options.h"
#include "services/runtime/clock.h"
#include "services/runtime/service.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct manual_option model_options[] = {
    {"--force", NULL, "inspect: replace a card that is there by a new one."},
    {"--precision", "NAME",
     "What a BERT-family model is computed in: auto, f32, bf16, int16 or int8. Default: auto."},
    {"--threads", "NUMBER", "Threads to compute it with. Default: one for each processor."},
    {"--batch-tokens", "NUMBER", "Tokens that a thread computes at once. Default: 512."},
    {NULL, NULL, NULL},
};

static const struct manual_section model_sections[] = {
    {"Inspect",
     "Opens the folder of a BERT-family classifier (config.json, tokenizer.json, "
     "model.safetensors), checks all of it, says what it is, and writes leat-card.json into it if "
     "there is none: what each label stands for, as an emotion and as a sentiment, and the "
     "probability from which on a text has it. What the labels' names do not tell is null there: "
     "edit it. A card that is there is checked."},
    {"Check",
     "Puts labelled texts through the model (a folder, or the file of a linear one) and compares: "
     "F1 of each label, their mean, what is taken for what most often, how many texts a second "
     "that "
     "is, and how much memory it took. A line of TEXTS.tsv is a text, a tab, and the numbers of "
     "its labels separated by "
     "commas, in the order of the model's labels; what follows a second tab is ignored."},
    {"To use the model", "  leat run --set classify.model=DIR"},
    {"Exit status", "  0  all is well\n"
                    "  1  the model or a file is not what it should be\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat model inspect distilroberta-emotion\n"
                 "  leat model check distilroberta-emotion test.tsv --precision int8"},
    {NULL, NULL},
};

const struct manual model_manual = {
    .name = "model",
    .summary = "look at a model, and measure it",
    .synopsis = "inspect DIR [OPTION]...\ncheck MODEL TEXTS.tsv [OPTION]...",
    .description = "Tells what is in the folder of a BERT-family classifier as the Hugging Face "
                   "hub serves it, or how good and fast a model is on labelled texts.",
    .options = model_options,
    .sections = model_sections,
};

enum { CONFUSIONS_SHOWN = 10, TEXTS_AT_ONCE = 4096 };

static bool read_options(const struct options *options, struct model_options *out,
                         struct leat_error *err)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads = processors > 0 ? (uint64_t)processors : 1, tokens = 512;
    if (!options_count(options, "--threads", 1, 1024, &threads, err) ||
        !options_count(options, "--batch-tokens", 16, 65536, &tokens, err))
        return false;
    *out = (struct model_options){
        .path = options->operands[1],
        .precision =
            options_has(options, "--precision") ? options_value(options, "--precision") : "auto",
        .threads = (unsigned)threads,
        .batch_tokens = (size_t)tokens,
    };
    enum encoder_precision precision;
    return encoder_precision_choose(out->precision, &precision, err) ||
           leat_fail_in(err, "--precision");
}

static void show_shape(const struct render *to, const struct encoder_config *config)
{
    static const char *const names[] = {
        [ENCODER_BERT] = "BERT",
        [ENCODER_DISTILBERT] = "DistilBERT",
        [ENCODER_ROBERTA] = "RoBERTa",
    };
    char count[32];
    render_print(to, RENDER_BOLD, "%s", names[config->architecture]);
    fprintf(to->out,
            ": %zu layers, %zu wide, %zu heads, %zu inner; %s tokens, at most %zu a text\n",
            config->layers, config->hidden, config->heads, config->inner,
            render_count(config->vocabulary, count), config->max_tokens);
    fprintf(to->out, "%zu labels, %s\n\n", config->labels,
            config->independent ? "each by itself (sigmoid)" : "of which it chooses one (softmax)");
}

static void show_labels(const struct render *to, const struct card *card)
{
    render_print(to, RENDER_BOLD, "%-24s  %9s  %-10s  %s\n", "label", "threshold", "emotion",
                 "sentiment");
    for (unsigned i = 0; i < card->label_count; i++) {
        const struct card_label *label = &card->labels[i];
        const char *emotion = emotion_name((enum emotion)label->emotion);
        const char *sentiment = sentiment_name((enum sentiment)label->sentiment);
        render_line(to, render_span(label->name), 24, true);
        fprintf(to->out, "  %9.3f  %-10s  %s\n", (double)label->threshold, *emotion ? emotion : "-",
                *sentiment ? sentiment : "-");
    }
}

static bool inspect(const struct options *options, const struct model_options *how,
                    struct leat_error *err)
{
    struct render to;
    render_init(&to, stdout);
    struct encoder_options encoder_how = {.threads = how->threads,
                                          .batch_tokens = how->batch_tokens};
    struct encoder *encoder = NULL;
    if (!encoder_precision_choose(how->precision, &encoder_how.precision, err) ||
        !(encoder = encoder_open(how->path, &encoder_how, err)))
        return false;
    const struct encoder_config *config = encoder_config(encoder);
    char path[PATH_MAX];
    struct card card;
    bool good = snprintf(path, sizeof path, "%s/" ENCODER_CARD_FILE, how->path) < PATH_MAX ||
                leat_fail(err, "%s: the path is too long", how->path);
    bool make = good && (options_has(options, "--force") || access(path, F_OK) != 0);
    if (make) {
        encoder_card_guess(how->path, config, &card);
        good = encoder_card_write(path, &card, err);
    } else if (good) {
        good = encoder_card_read(how->path, config, &card, err);
    }
    if (good) {
        show_shape(&to, config);
        show_labels(&to, &card);
        printf("\n%s %s\n", make ? "Wrote" : "Read", path);
    }
    encoder_close(&encoder);
    return good;
}

/* Counts of a check; `taken` is gold x predicted, of each text's best. */
struct outcome {
    unsigned hit[CARD_LABELS_MOST], missed[CARD_LABELS_MOST], wrong[CARD_LABELS_MOST];
    unsigned taken[CARD_LABELS_MOST][CARD_LABELS_MOST];
    size_t texts, exact;
    double seconds;
};

static void count_text(const struct model *model, const struct model_text *text, uint64_t gold,
                       struct outcome *out)
{
    struct emotion_found found[CARD_LABELS_MOST];
    size_t n = model_list(model, text->label, found);
    unsigned labels = model_card(model)->label_count, best = 0;
    uint64_t given = 0;
    for (size_t i = 0; i < n; i++)
        given |= 1ULL << found[i].label;
    for (unsigned i = 0; i < labels; i++) {
        bool is = gold >> i & 1, said = given >> i & 1;
        out->hit[i] += is && said;
        out->missed[i] += is && !said;
        out->wrong[i] += !is && said;
        best = text->label[i] > text->label[best] ? i : best;
    }
    out->texts++;
    out->exact += gold >> best & 1;
    if (gold)
        out->taken[__builtin_ctzll(gold)][best] += !(gold >> best & 1);
}

static bool run_check(struct model *model, const struct examples *examples, struct outcome *out,
                      struct leat_error *err)
{
    struct model_text *texts = calloc(TEXTS_AT_ONCE, sizeof *texts);
    if (!texts)
        return leat_fail(err, "out of memory");
    bool good = true;
    for (size_t done = 0; good && done < examples->count; done += TEXTS_AT_ONCE) {
        size_t n = examples->count - done < TEXTS_AT_ONCE ? examples->count - done : TEXTS_AT_ONCE;
        for (size_t i = 0; i < n; i++)
            texts[i] = (struct model_text){.text = examples->items[done + i].text,
                                           .size = examples->items[done + i].size};
        int64_t begin = leat_monotonic_us();
        good = model_run(model, texts, n, err);
        out->seconds += (double)(leat_monotonic_us() - begin) / 1e6;
        for (size_t i = 0; good && i < n; i++)
            count_text(model, &texts[i], examples->items[done + i].labels, out);
    }
    free(texts);
    return good;
}

static double f1(const struct outcome *outcome, unsigned label)
{
    double twice = 2.0 * outcome->hit[label];
    double all = twice + outcome->missed[label] + outcome->wrong[label];
    return all > 0 ? twice / all : 0;
}

static void show_confusions(const struct render *to, const struct card *card,
                            struct outcome *outcome)
{
    for (int shown = 0; shown < CONFUSIONS_SHOWN; shown++) {
        unsigned gold = 0, said = 0;
        for (unsigned i = 0; i < card->label_count; i++)
            for (unsigned k = 0; k < card->label_count; k++)
                if (outcome->taken[i][k] > outcome->taken[gold][said]) {
                    gold = i;
                    said = k;
                }
        if (outcome->taken[gold][said] == 0)
            return;
        if (shown == 0)
            render_print(to, RENDER_BOLD, "\n%-24s  %-24s  %s\n", "label", "taken for", "times");
        render_line(to, render_span(card->labels[gold].name), 24, true);
        fputs("  ", to->out);
        render_line(to, render_span(card->labels[said].name), 24, true);
        fprintf(to->out, "  %5u\n", outcome->taken[gold][said]);
        outcome->taken[gold][said] = 0;
    }
}

static void show_outcome(const struct model *model, struct outcome *outcome)
{
    const struct card *card = model_card(model);
    struct render to;
    render_init(&to, stdout);
    char count[32];
    double sum = 0;
    render_print(&to, RENDER_BOLD, "%-24s  %8s  %9s  %6s  %5s\n", "label", "texts", "precision",
                 "recall", "F1");
    for (unsigned i = 0; i < card->label_count; i++) {
        unsigned is = outcome->hit[i] + outcome->missed[i];
        unsigned said = outcome->hit[i] + outcome->wrong[i];
        render_line(&to, render_span(card->labels[i].name), 24, true);
        printf("  %8u  %9.3f  %6.3f  ", is, said ? (double)outcome->hit[i] / said : 0,
               is ? (double)outcome->hit[i] / is : 0);
        render_print(&to, RENDER_BOLD, "%5.3f\n", f1(outcome, i));
        sum += f1(outcome, i);
    }
    show_confusions(&to, card, outcome);
    printf("\nmacro-F1 %.4f; the best label is right in %.2f %% of %s texts\n",
           sum / card->label_count, 100.0 * (double)outcome->exact / (double)outcome->texts,
           render_count(outcome->texts, count));
    struct model_stats stats = model_stats(model);
    printf("%.0f texts/s", (double)outcome->texts / outcome->seconds);
    if (stats.tokens > 0)
        printf(", %.0f tokens/s, %.1f %% padding", (double)stats.tokens / outcome->seconds,
               100.0 * (1 - (double)stats.tokens / (double)stats.rows));
    printf(", by %s\n", model_kernel(model));
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        printf("%ld MB of memory at most\n", (used.ru_maxrss + 1023) / 1024);
}

static bool check(const char *texts_path, const struct model_options *how, struct leat_error *err)
{
    struct model *model = model_open(how, err);
    struct examples examples = {0};
    struct outcome *outcome = calloc(1, sizeof *outcome);
    bool good = model && outcome &&
                examples_read(texts_path, model_card(model)->label_count, &examples, err) &&
                run_check(model, &examples, outcome, err);
    if (good)
        show_outcome(model, outcome);
    else if (!outcome)
        leat_fail(err, "out of memory");
    examples_close(&examples);
    model_close(&model);
    free(outcome);
    return good;
}

/* Two words, or three: "inspect DIR", "check MODEL TEXTS". */
static bool read_words(const struct options *options, bool *inspecting, struct leat_error *err)
{
    const char *what = options->n_operands > 0 ? options->operands[0] : "";
    *inspecting = strcmp(what, "inspect") == 0;
    if (*inspecting && options->n_operands == 2)
        return true;
    if (strcmp(what, "check") == 0 && options->n_operands == 3)
        return true;
    return leat_fail(err, "expected 'inspect DIR' or 'check MODEL TEXTS.tsv'");
}

int command_model(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &model_manual, argc, argv, &err)) {
        render_complain("leat model", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    bool inspecting;
    struct model_options how;
    int status = LEAT_EXIT_OK;
    if (!read_words(&options, &inspecting, &err) || !read_options(&options, &how, &err))
        status = LEAT_EXIT_USAGE;
    else if (!(inspecting ? inspect(&options, &how, &err) : check(options.operands[2], &how, &err)))
        status = LEAT_EXIT_FAILED;
    if (status != LEAT_EXIT_OK)
        render_complain("leat model", "%s", err.text);
    options_end(&options);
    return status;
}
