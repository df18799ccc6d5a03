/* Training: from a TSV file to a model that knows what it was taught, or a reason with a line. */
#include "services/classify/linear.h"
#include "services/classify/quality.h"
#include "services/classify/train.h"
#include "services/classify/tuning.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 128, FILE_BYTES = 1 << 18 };

static char folder[] = "/tmp/leat-train-XXXXXX";
static char data_path[PATH_BYTES], dev_path[PATH_BYTES], labels_path[PATH_BYTES],
    map_path[PATH_BYTES], model_path[PATH_BYTES], card_path[PATH_BYTES];

static void put(const char *path, const char *content)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static size_t get(const char *path, char *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, FILE_BYTES, file);
    fclose(file);
    return size;
}

/* Words that go with a label, and words that go with none. */
static const char *const told[3][4] = {
    {"happy", "delighted", "cheerful", "glad"},
    {"furious", "angry", "outraged", "mad"},
    {"table", "window", "report", "meeting"},
};
static const char *const filler[] = {"the", "we", "were", "about", "it", "today", "and", "then"};

/* Each text has one label, some two; the same seed gives the same texts. */
static void put_texts(const char *path, int texts, unsigned seed)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    srand(seed);
    for (int i = 0; i < texts; i++) {
        int label = rand() % 3;
        int other = rand() % 8 == 0 ? (label + 1) % 3 : label;
        fprintf(file, "%s %s %s %s %s %s\t%d", filler[rand() % 8], told[label][rand() % 4],
                filler[rand() % 8], filler[rand() % 8], told[other][rand() % 4], filler[rand() % 8],
                label);
        if (other != label)
            fprintf(file, ",%d", other);
        fprintf(file, "\tid%d%s\n", i, i % 5 == 0 ? "\r" : "");
    }
    fclose(file);
}

static void put_input(void)
{
    put_texts(data_path, 300, 1);
    put_texts(dev_path, 60, 2);
    put(labels_path, "joy\nanger\nneutral\n");
}

static struct train_options small(void)
{
    struct train_options options = train_defaults();
    options.data_path = data_path;
    options.labels_path = labels_path;
    options.model_path = model_path;
    options.card_path = card_path;
    options.word_bits = options.gram_bits = 10;
    options.c = options.sentiment_c = 2;
    options.folds = 3;
    return options;
}

static void train_well(const struct train_options *options)
{
    struct leat_error err = {""};
    if (!train_run(options, &err))
        fail_msg("%s", err.text);
}

static void assert_refused(const struct train_options *options, const char *reason)
{
    struct leat_error err = {""};
    assert_false(train_run(options, &err));
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

static void a_model_knows_what_it_was_taught(void **state)
{
    (void)state;
    put_input();
    struct train_options options = small();
    options.dev_path = dev_path;
    train_well(&options);
    struct leat_error err = {""};
    struct linear *model = linear_open(model_path, card_path, &err);
    assert_non_null(model);
    const struct card *card = linear_card(model);
    assert_int_equal(card->data_texts, 300);
    assert_int_equal(card->quality.texts, 60);
    assert_true(card->quality.macro_f1 > 0.9f);
    assert_true(card->quality.micro_f1 > 0.9f);
    assert_true(card->quality.reported_macro_f1 > 0.9f);
    assert_true(card->quality.sentiment_accuracy > 0.9f);

    struct linear_scratch *scratch = linear_scratch_open(model, &err);
    struct linear_scores scores;
    linear_score(model, scratch, "We were DELIGHTED", 17, &scores);
    assert_true(scores.label[0] >= card->labels[0].threshold);
    assert_true(scores.label[1] < card->labels[1].threshold);
    assert_true(scores.sentiment[SENTIMENT_POSITIVE] > 0.5f);
    linear_score(model, scratch, "furious and mad", 15, &scores);
    assert_true(scores.label[1] >= card->labels[1].threshold);
    assert_true(scores.sentiment[SENTIMENT_NEGATIVE] > 0.5f);
    linear_scratch_close(&scratch);
    linear_close(&model);
}

static void without_dev_texts_quality_is_of_the_folds(void **state)
{
    (void)state;
    put_input();
    struct train_options options = small();
    train_well(&options);
    static struct card card;
    struct leat_error err;
    assert_true(card_read(card_path, &card, &err));
    assert_int_equal(card.quality.texts, 300);
    assert_true(card.quality.macro_f1 > 0.9f);
    assert_non_null(strstr(card.quality.on, "3 folds"));
}

static void the_same_input_gives_the_same_files(void **state)
{
    (void)state;
    static char first[2][FILE_BYTES], second[2][FILE_BYTES];
    put_input();
    struct train_options options = small();
    train_well(&options);
    size_t model_size = get(model_path, first[0]);
    size_t card_size = get(card_path, first[1]);
    options.threads = 1;
    train_well(&options);
    assert_int_equal(get(model_path, second[0]), model_size);
    assert_int_equal(get(card_path, second[1]), card_size);
    assert_memory_equal(first[0], second[0], model_size);
    assert_memory_equal(first[1], second[1], card_size);
}

static void a_broken_line_is_named(void **state)
{
    (void)state;
    const struct {
        const char *content, *reason;
    } cases[] = {
        {"good\t0\nbad\n", "line 2: expected a text, a tab"},
        {"good\t0\n\n", "line 2: expected a text, a tab"},
        {"good\t0\n\t1\n", "line 2: expected a text that is not empty"},
        {"good\t0\nbad\t3\n", "line 2: expected label numbers from 0 to 2"},
        {"bad\t\n", "line 1: expected label numbers"},
        {"bad\t-1\n", "line 1: expected label numbers"},
        {"bad\t1,\n", "line 1: expected label numbers"},
        {"bad\t1;2\n", "line 1: expected label numbers"},
        {"bad\t99999999999999999999\n", "line 1: expected label numbers"},
        {"good\t0\nbad \xff\t1\n", "line 2: expected a text in UTF-8"},
        {"", "expected at least one line"},
        {"good\t0", "expected at least 3 texts"},
        {"a\t0\nb\t1\nc\t0\n",
         "texts with the label joy: expected at least 3, one a fold, found 2"},
    };
    put_input();
    struct train_options options = small();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(data_path, cases[i].content);
        assert_refused(&options, cases[i].reason);
    }
    put_input();
    put(dev_path, "good\t0\nbad\n");
    options.dev_path = dev_path;
    assert_refused(&options, "line 2");
}

static void labels_are_checked(void **state)
{
    (void)state;
    put_input();
    struct train_options options = small();
    put(labels_path, "joy\njoy\n");
    assert_refused(&options, "line 2: the label joy is there twice");
    put(labels_path, "joy\n\nanger\n");
    assert_refused(&options, "line 2: expected a name");
    put(labels_path, "");
    assert_refused(&options, "expected the names");
    put(labels_path, "joy\nfury\nneutral\n");
    assert_refused(&options, "the label fury is none of those that are known");
}

static void a_label_map_says_where_labels_go(void **state)
{
    (void)state;
    const struct {
        const char *map, *reason;
    } cases[] = {
        {"{", "line 1"},
        {"[]", "expected an object"},
        {"{\"fury\": {\"emotion\": \"anger\", \"sentiment\": \"negative\"}}", "the label joy"},
        {"{\"joy\": {\"emotion\": \"bliss\"}}", "joy.emotion: expected one of anger"},
        {"{\"joy\": {\"emotion\": \"joy\"}}", "joy.sentiment: expected one of positive"},
    };
    put_input();
    put(labels_path, "joy\nfury\nnothing\n");
    struct train_options options = small();
    options.map_path = map_path;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(map_path, cases[i].map);
        assert_refused(&options, cases[i].reason);
    }
    put(map_path, "{\"joy\": {\"emotion\": \"trust\", \"sentiment\": \"positive\"},"
                  " \"fury\": {\"emotion\": \"anger\", \"sentiment\": \"negative\"},"
                  " \"nothing\": {\"emotion\": \"neutral\", \"sentiment\": \"neutral\"}}");
    train_well(&options);
    static struct card card;
    struct leat_error err;
    assert_true(card_read(card_path, &card, &err));
    assert_int_equal(card.labels[0].emotion, EMOTION_TRUST);
    assert_int_equal(card.labels[1].sentiment, SENTIMENT_NEGATIVE);
    put(labels_path, "joy\nfury\n");
    assert_refused(&options, "nothing: expected a name that is among the labels");
}

static int files_in_folder(void)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_failure_leaves_what_was_there(void **state)
{
    (void)state;
    put_input();
    struct train_options options = small();
    options.dev_path = dev_path;
    put(model_path, "before");
    put(card_path, "before");
    put(dev_path, "broken\n"); /* found out last, when model and card are written already */
    int files = files_in_folder();
    assert_refused(&options, "line 1");
    char bytes[FILE_BYTES];
    assert_int_equal(get(model_path, bytes), 6);
    assert_int_equal(get(card_path, bytes), 6);
    assert_int_equal(files_in_folder(), files);
    options.model_path = "/nonexistent/x.model";
    assert_refused(&options, "/nonexistent/x.model");
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    put_input();
    struct train_options options = small();
    options.c = 0;
    assert_refused(&options, "C: expected");
    options = small();
    options.balance = NAN;
    assert_refused(&options, "balance: expected");
    options = small();
    options.folds = 1;
    assert_refused(&options, "folds: expected");
    options = small();
    options.word_bits = 40;
    assert_refused(&options, "expected 2^");
    options = small();
    options.threads = 0;
    assert_refused(&options, "threads: expected");
    options = small();
    options.labels_path = NULL;
    assert_refused(&options, "training needs");
}

struct seen {
    size_t calls, done, all;
};

static void see(void *context, const struct train_progress *progress)
{
    struct seen *seen = context;
    assert_true(progress->done >= seen->done && progress->done <= progress->all);
    assert_true(progress->seconds >= 0);
    seen->calls++;
    seen->done = progress->done;
    seen->all = progress->all;
}

static void progress_ends_with_all(void **state)
{
    (void)state;
    put_input();
    struct seen seen = {0};
    struct train_options options = small();
    options.progress = see;
    options.context = &seen;
    train_well(&options);
    assert_int_equal(seen.all, (3 + SENTIMENT_COUNT) * (3 + 1));
    assert_int_equal(seen.done, seen.all);
    assert_true(seen.calls > 0);
}

static void calibration_finds_the_line_that_made_the_data(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static float score[COUNT];
    static uint64_t bits[COUNT];
    srand(1);
    for (int i = 0; i < COUNT; i++) {
        score[i] = (float)(rand() % 8000) / 1000 - 4;
        double p = 1 / (1 + exp(-(1.5 * (double)score[i] - 2)));
        bits[i] = (double)rand() / RAND_MAX < p ? 4 : 3;
    }
    struct tuning_line line = tuning_calibrate(&(struct tuning_scores){score, bits, 4, COUNT});
    assert_true(fabs(line.slope - 1.5) < 0.1);
    assert_true(fabs(line.offset + 2) < 0.1);
}

static void calibration_stays_finite_at_the_edges(void **state)
{
    (void)state;
    const float score[] = {-1, -1, 1, 1};
    const uint64_t apart[] = {0, 0, 1, 1}, none[] = {0, 0, 0, 0}, against[] = {1, 1, 0, 0};
    const uint64_t *cases[] = {apart, none, against};
    for (int i = 0; i < 3; i++) {
        struct tuning_line line = tuning_calibrate(&(struct tuning_scores){score, cases[i], 1, 4});
        assert_true(isfinite(line.slope) && isfinite(line.offset) && line.slope > 0);
    }
}

static void the_threshold_parts_what_can_be_parted(void **state)
{
    (void)state;
    float score[200];
    uint64_t bits[200];
    for (int i = 0; i < 200; i++) {
        score[i] = (float)i;
        bits[i] = i >= 150;
    }
    float threshold = 0;
    struct tuning_scores scores = {score, bits, 1, 200};
    assert_true(tuning_threshold(&scores, &threshold, NULL));
    assert_true(threshold > 148 && threshold < 152);
}

/* The second label's threshold is too low, for itself and for its group; the others are right. */
static void thresholds_are_refined_for_labels_and_groups(void **state)
{
    (void)state;
    enum { TEXTS = 100 };
    float p[3 * TEXTS];
    uint64_t bits[TEXTS];
    for (int i = 0; i < TEXTS; i++) {
        bits[i] = i < 20 ? 1 : i < 30 ? 2 : 4;
        p[i] = i < 20 ? 0.5f : 0.1f;
        p[TEXTS + i] = i >= 20 && i < 30 ? 0.5f : i < 60 ? 0.3f : 0.1f;
        p[2 * TEXTS + i] = i < 30 ? 0.2f : 0.8f;
    }
    const uint8_t group[] = {0, 0, 1};
    float threshold[] = {0.3f, 0.25f, 0.5f};
    const struct tuning_groups groups = {p, bits, TEXTS, group, 3, 2};
    assert_true(tuning_refine(&groups, threshold, NULL));
    assert_true(threshold[0] == 0.3f);
    assert_true(threshold[1] > 0.3f && threshold[1] <= 0.5f);
    assert_true(threshold[2] == 0.5f);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    const struct {
        char *path;
        const char *name;
    } files[] = {{data_path, "data.tsv"}, {dev_path, "dev.tsv"}, {labels_path, "labels.txt"},
                 {map_path, "map.json"},  {model_path, "model"}, {card_path, "card"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        snprintf(files[i].path, PATH_BYTES, "%s/%s", folder, files[i].name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    const char *files[] = {data_path, dev_path, labels_path, map_path, model_path, card_path};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink(files[i]);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_knows_what_it_was_taught),
        cmocka_unit_test(without_dev_texts_quality_is_of_the_folds),
        cmocka_unit_test(the_same_input_gives_the_same_files),
        cmocka_unit_test(a_broken_line_is_named),
        cmocka_unit_test(labels_are_checked),
        cmocka_unit_test(a_label_map_says_where_labels_go),
        cmocka_unit_test(a_failure_leaves_what_was_there),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(progress_ends_with_all),
        cmocka_unit_test(calibration_finds_the_line_that_made_the_data),
        cmocka_unit_test(calibration_stays_finite_at_the_edges),
        cmocka_unit_test(the_threshold_parts_what_can_be_parted),
        cmocka_unit_test(thresholds_are_refined_for_labels_and_groups),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
