/* leat train: a linear model from labelled texts. */
#include "services/classify/card.h"
#include "services/classify/train.h"
#include "services/leat/commands.h"
#include "services/leat/options.h"
#include "services/runtime/service.h"

#include <sys/stat.h>

static const struct manual_option train_options[] = {
    {"--labels", "FILE", "The labels' names, one a line; the first is label 0. Required."},
    {"--output", "NAME",
     "Write NAME.model and NAME.json, the model and its card. What is there is replaced when "
     "all is done. Required."},
    {"--dev", "FILE",
     "Labelled texts that take no part in training: the card's figures are measured on them. "
     "Without it, on the training texts, each scored by regressions that did not see it."},
    {"--map", "FILE",
     "What the labels are folded to: a JSON object with a member for each label, {\"emotion\": E, "
     "\"sentiment\": S}. E is anger, disgust, fear, joy, sadness, surprise, trust or neutral; S "
     "is positive, negative or neutral. Not needed for the 28 labels of GoEmotions."},
    {"--name", "TEXT", "The model's name. Stored with every text it classifies. Default: linear."},
    {"--model-version", "TEXT", "Its version. Default: 1."},
    {"--description", "TEXT", "What it does, in a sentence, for the card."},
    {"--language", "TEXT", "The language of the texts, for the card. Default: en."},
    {"--data-name", "TEXT", "What the training data is called, for the card."},
    {"--data-source", "TEXT", "Who made it and where it was published, for the card."},
    {"--data-license", "TEXT", "Its license, for the card."},
    {"--c", "NUMBER",
     "How closely the labels' regressions follow the texts (liblinear's C). Default: 0.25."},
    {"--sentiment-c", "NUMBER", "The same for the sentiment head. Default: 0.25."},
    {"--balance", "NUMBER",
     "How much rare labels are raised: 0 not at all, 1 until a label and its absence weigh the "
     "same. Default: 1. The sentiment head is not balanced."},
    {"--word-bits", "NUMBER",
     "The table of words has 2 to this power rows, of 32 bytes for up to 28 labels. Default: 16."},
    {"--gram-bits", "NUMBER", "The same for character n-grams. Default: 16."},
    {"--read-bytes", "NUMBER", "How much of a text the model reads, in bytes. Default: 4096."},
    {"--folds", "NUMBER",
     "Parts that are held out in turn to find calibration and thresholds. More is slower and a "
     "little better. Default: 5."},
    {"--threads", "NUMBER", "How many regressions are solved at once. Default: 2."},
    {NULL, NULL, NULL},
};

static const struct manual_section train_sections[] = {
    {"Input",
     "A line is a text, a tab, and the numbers of its labels separated by commas; what follows a "
     "second tab is ignored. Texts are UTF-8. A line that is anything else is refused with its "
     "number, and nothing is written."},
    {"What it does",
     "Texts become counts of words, pairs of words and character 2-5-grams, hashed into two "
     "tables and weighed by tf-idf. Each label gets a logistic regression of its own, as do "
     "positive, negative and neutral, which are learnt from the labels' groups. Probabilities are "
     "calibrated "
     "and thresholds chosen for the best F1 of each label, both on scores of texts that were held "
     "out. Weights are rounded to bytes, and the finished model is measured. The same input gives "
     "the same files.\n"
     "\n"
     "43 000 short texts with 28 labels take some five minutes and 0.5 GB of memory on two cores; "
     "with "
     "2^16 rows the model is 4.2 MB."},
    {"To use the model", "  leat run --set classify.model=NAME.model"},
    {"Exit status", "  0  model and card are written\n"
                    "  1  they could not be\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat train --labels labels.txt --dev dev.tsv --output mood train.tsv"},
    {NULL, NULL},
};

const struct manual train_manual = {
    .name = "train",
    .summary = "make a model from labelled texts",
    .synopsis = "--labels FILE --output NAME [OPTION]... FILE",
    .description =
        "Trains a linear model for the classify service on the labelled texts of FILE, and "
        "writes it with a card that says what it is and how good it measured.",
    .options = train_options,
    .sections = train_sections,
};

enum { PATH_BYTES = 4096, BAR_COLUMNS = 24 };

/* What the progress needs to be shown. */
struct view {
    struct render to;
    double told; /* when a plain line was last written, seconds; negative: never */
};

static void show_bar(const struct render *to, const struct train_progress *progress)
{
    char took[32], left[32];
    fputc('\r', to->out);
    render_bar(to, (double)progress->done / (double)progress->all, BAR_COLUMNS);
    fprintf(to->out, " %zu of %zu regressions, %s", progress->done, progress->all,
            render_duration(progress->seconds, took));
    if (progress->left >= 0 && progress->done < progress->all)
        fprintf(to->out, ", %s left", render_duration(progress->left, left));
    fputs("  \033[K", to->out);
    if (progress->done == progress->all)
        fputc('\n', to->out);
}

/* On a terminal a bar; else a line now and then, so that a log stays short. */
static void show_progress(void *context, const struct train_progress *progress)
{
    struct view *view = context;
    char left[32];
    if (view->to.terminal) {
        show_bar(&view->to, progress);
    } else if (view->told < 0 || progress->seconds >= view->told + 10 ||
               progress->done == progress->all) {
        fprintf(view->to.out, "%zu of %zu regressions", progress->done, progress->all);
        if (progress->left >= 0 && progress->done < progress->all)
            fprintf(view->to.out, ", %s left", render_duration(progress->left, left));
        fputc('\n', view->to.out);
        view->told = progress->seconds;
    }
    fflush(view->to.out);
}

static bool read_whole(const struct options *options, const char *name, uint64_t min, uint64_t max,
                       unsigned *out, struct leat_error *err)
{
    uint64_t value = *out;
    if (!options_count(options, name, min, max, &value, err))
        return false;
    *out = (unsigned)value;
    return true;
}

static bool read_numbers(const struct options *options, struct train_options *train,
                         struct leat_error *err)
{
    unsigned read_bytes = (unsigned)train->read_bytes;
    if (!options_number(options, "--c", 1e-6, 1e6, &train->c, err) ||
        !options_number(options, "--sentiment-c", 1e-6, 1e6, &train->sentiment_c, err) ||
        !options_number(options, "--balance", 0, 1, &train->balance, err) ||
        !read_whole(options, "--word-bits", FEATURES_BITS_LEAST, FEATURES_BITS_MOST,
                    &train->word_bits, err) ||
        !read_whole(options, "--gram-bits", FEATURES_BITS_LEAST, FEATURES_BITS_MOST,
                    &train->gram_bits, err) ||
        !read_whole(options, "--read-bytes", FEATURES_READ_LEAST, FEATURES_READ_MOST, &read_bytes,
                    err) ||
        !read_whole(options, "--folds", TRAIN_FOLDS_LEAST, TRAIN_FOLDS_MOST, &train->folds, err) ||
        !read_whole(options, "--threads", 1, TRAIN_THREADS_MOST, &train->threads, err))
        return false;
    train->read_bytes = read_bytes;
    return true;
}

static void read_texts(const struct options *options, struct train_options *train)
{
    const struct {
        const char *name;
        const char **value;
    } texts[] = {
        {"--labels", &train->labels_path},
        {"--dev", &train->dev_path},
        {"--map", &train->map_path},
        {"--name", &train->name},
        {"--model-version", &train->version},
        {"--description", &train->description},
        {"--language", &train->language},
        {"--data-name", &train->data_name},
        {"--data-source", &train->data_source},
        {"--data-license", &train->data_license},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (options_has(options, texts[i].name))
            *texts[i].value = options_value(options, texts[i].name);
}

/* `model` and `card` get the two paths, and must live as long as `train`. */
static bool read_options(const struct options *options, struct train_options *train,
                         char model[PATH_BYTES], char card[PATH_BYTES], struct leat_error *err)
{
    const char *output = options_value(options, "--output");
    if (options->n_operands != 1)
        return leat_fail(err, "expected one file of labelled texts");
    if (!output || !options_has(options, "--labels"))
        return leat_fail(err, "--labels and --output are required");
    if (snprintf(model, PATH_BYTES, "%s.model", output) >= PATH_BYTES ||
        snprintf(card, PATH_BYTES, "%s.json", output) >= PATH_BYTES)
        return leat_fail(err, "--output is too long");
    train->data_path = options->operands[0];
    train->model_path = model;
    train->card_path = card;
    read_texts(options, train);
    return read_numbers(options, train, err);
}

static void show_label(const struct render *to, const struct card_label *label)
{
    char count[32];
    render_line(to, render_span(label->name), 16, true);
    fprintf(to->out, "  %8s  %9.3f  %9.3f  %6.3f  ", render_count(label->texts, count),
            (double)label->threshold, (double)label->precision, (double)label->recall);
    render_print(to, RENDER_BOLD, "%5.3f", (double)label->f1);
    fputc('\n', to->out);
}

static bool show_result(const struct train_options *train, struct leat_error *err)
{
    struct card card;
    struct stat about;
    if (!card_read(train->card_path, &card, err))
        return false;
    if (stat(train->model_path, &about) != 0)
        return leat_fail(err, "%s is gone", train->model_path);
    struct render to;
    render_init(&to, stdout);
    char count[32], bytes[32];
    render_print(&to, RENDER_BOLD, "%-16s  %8s  %9s  %9s  %6s  %5s\n", "label", "texts",
                 "threshold", "precision", "recall", "F1");
    for (unsigned l = 0; l < card.label_count; l++)
        show_label(&to, &card.labels[l]);
    printf("\nMeasured on %s texts: %s.\n", render_count(card.quality.texts, count),
           card.quality.on);
    printf("  labels               macro-F1 %.3f, micro-F1 %.3f\n", (double)card.quality.macro_f1,
           (double)card.quality.micro_f1);
    printf("  reported emotions    macro-F1 %.3f\n", (double)card.quality.reported_macro_f1);
    printf("  sentiment, 3 ways    macro-F1 %.3f, accuracy %.3f\n",
           (double)card.quality.sentiment_macro_f1, (double)card.quality.sentiment_accuracy);
    printf("Wrote %s (%s) and %s.\n", train->model_path,
           render_bytes((uint64_t)about.st_size, bytes), train->card_path);
    return true;
}

int command_train(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &train_manual, argc, argv, &err)) {
        render_complain("leat train", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    char model[PATH_BYTES], card[PATH_BYTES];
    struct train_options train = train_defaults();
    struct view view = {.told = -1};
    render_init(&view.to, stderr);
    train.progress = show_progress;
    train.context = &view;
    int status = LEAT_EXIT_OK;
    if (!read_options(&options, &train, model, card, &err))
        status = LEAT_EXIT_USAGE;
    else if (!train_run(&train, &err) || !show_result(&train, &err))
        status = LEAT_EXIT_FAILED;
    if (status != LEAT_EXIT_OK)
        render_complain("leat train", "%s", err.text);
    options_end(&options);
    return status;
}
