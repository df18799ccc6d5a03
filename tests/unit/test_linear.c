/* The linear model: the formula, the same everywhere, and files that are not right are refused. */
#include "services/classify/linear.h"
#include "services/classify/linear_file.h"
#include "services/classify/linear_kernel.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { BITS = 8, ROWS = 1 << BITS, READ = 80, OUTPUTS_MOST = CARD_LABELS_MOST + SENTIMENT_COUNT };

static char folder[] = "/tmp/leat-linear-XXXXXX";
static char model_path[64], card_path[64];

/* The numbers behind the model file, for a second opinion. */
static float floats[OUTPUTS_MOST * (1 + FEATURES_FAMILIES)];
static int8_t rows[FEATURES_FAMILIES][ROWS * LINEAR_STRIDE_MOST];

static const char text[] = "A quite ordinary text, quite long enough to try: a text!";

static void fill(unsigned labels)
{
    size_t outputs = labels + SENTIMENT_COUNT;
    size_t stride = linear_file_stride(labels);
    srand(labels);
    for (size_t i = 0; i < outputs * (1 + FEATURES_FAMILIES); i++)
        floats[i] = (float)(rand() % 1000) / 20000;
    memset(rows, 0, sizeof rows);
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        for (size_t row = 0; row < ROWS; row++) {
            for (size_t i = 0; i < outputs; i++)
                rows[f][row * stride + i] = (int8_t)(rand() % 256 - 128);
            rows[f][row * stride + stride - 1] = (int8_t)(rand() % 256);
        }
}

static void write_pair(unsigned labels)
{
    static struct card card;
    struct leat_error err = {""};
    struct linear_head head = {.read_bytes = READ, .labels = labels, .bits = {BITS, BITS}};
    const int8_t *const tables[FEATURES_FAMILIES] = {rows[0], rows[1]};
    fill(labels);
    assert_true(linear_file_write(model_path, &head, floats, tables, &err));
    memset(&card, 0, sizeof card);
    strcpy(card.name, "toy");
    strcpy(card.version, "1");
    strcpy(card.description, "d");
    strcpy(card.language, "en");
    strcpy(card.data_name, "d");
    strcpy(card.data_source, "s");
    strcpy(card.data_license, "l");
    strcpy(card.recipe, "r");
    strcpy(card.quality.on, "o");
    card.label_count = labels;
    for (unsigned l = 0; l < labels; l++) {
        snprintf(card.labels[l].name, sizeof card.labels[l].name, "label%u", l);
        card.labels[l].threshold = (float)(l + 1) / 100;
        card.labels[l].emotion = (uint8_t)(l % EMOTION_COUNT);
    }
    linear_file_hash(&head, card.model_hash);
    assert_true(card_write(card_path, &card, &err));
}

static struct linear *open_pair(void)
{
    struct leat_error err = {""};
    struct linear *model = linear_open(model_path, card_path, &err);
    if (!model)
        fail_msg("%s", err.text);
    return model;
}

static void assert_refused(const char *reason)
{
    struct leat_error err = {""};
    assert_null(linear_open(model_path, card_path, &err));
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

/* The formula of linear.h in floating point. */
static double reference_logit(const struct features_shape *shape, size_t outputs, size_t stride,
                              size_t output)
{
    struct features *features = features_open(shape, NULL);
    struct features_list list[FEATURES_FAMILIES];
    features_extract(features, text, sizeof text - 1, list);
    double logit = (double)floats[output];
    for (size_t f = 0; f < FEATURES_FAMILIES; f++) {
        double squares = 0;
        double sum = 0;
        for (size_t i = 0; i < list[f].size; i++) {
            const int8_t *row = rows[f] + list[f].items[i].row * stride;
            double x = (1 + log(list[f].items[i].count)) * (uint8_t)row[stride - 1];
            squares += x * x;
            sum += x * row[output];
        }
        logit += sum / sqrt(squares) * (double)floats[(f + 1) * outputs + output];
    }
    features_close(&features);
    return logit;
}

static void check_scores(unsigned labels)
{
    write_pair(labels);
    struct linear *model = open_pair();
    struct linear_scratch *scratch = linear_scratch_open(model, NULL);
    struct linear_scores scores;
    linear_score(model, scratch, text, sizeof text - 1, &scores);
    assert_false(scores.truncated);
    size_t outputs = labels + SENTIMENT_COUNT;
    double whole = 0;
    for (size_t i = 0; i < outputs; i++) {
        double logit = reference_logit(linear_shape(model), outputs, linear_file_stride(labels), i);
        double p = 1 / (1 + exp(-logit));
        if (i < labels)
            assert_true(fabs((double)scores.label[i] - p) < 0.02);
        else
            whole += p;
    }
    double sum = 0;
    for (size_t s = 0; s < SENTIMENT_COUNT; s++) {
        double logit =
            reference_logit(linear_shape(model), outputs, linear_file_stride(labels), labels + s);
        assert_true(fabs((double)scores.sentiment[s] - 1 / (1 + exp(-logit)) / whole) < 0.02);
        sum += (double)scores.sentiment[s];
    }
    assert_true(fabs(sum - 1) < 1e-6);
    linear_scratch_close(&scratch);
    linear_close(&model);
    assert_null(model);
    linear_close(&model);
}

static void scores_follow_the_formula(void **state)
{
    (void)state;
    check_scores(1);
    check_scores(28);
    check_scores(29);
    check_scores(CARD_LABELS_MOST);
}

static void every_kernel_gives_the_same_sums(void **state)
{
    (void)state;
    fill(CARD_LABELS_MOST);
    struct features_count items[99];
    int16_t x[99];
    for (size_t i = 0; i < 99; i++) {
        items[i].row = (uint32_t)rand() % ROWS;
        x[i] = (int16_t)(rand() % (LINEAR_UNIT + 1));
    }
    for (size_t size = 0; size <= 99; size++) {
        struct features_list list = {items, size};
        int32_t plain[LINEAR_BLOCK], fast[LINEAR_BLOCK];
        linear_kernel_plain(rows[0], LINEAR_STRIDE_MOST, &list, x, plain);
        linear_kernel_choose()(rows[0], LINEAR_STRIDE_MOST, &list, x, fast);
        assert_memory_equal(plain, fast, sizeof plain);
    }
}

static void a_vector_has_length_one(void **state)
{
    (void)state;
    uint8_t tf[LINEAR_TF_CODES];
    linear_tf(tf);
    const uint8_t idf[] = {10, 255, 0, 77};
    const struct features_count items[] = {{0, 1}, {1, 3}, {2, 9}, {3, 1000}};
    int16_t x[4];
    linear_vector(&(struct features_list){items, 4}, idf, 1, tf, x);
    double squares = 0;
    for (int i = 0; i < 4; i++)
        squares += (double)x[i] * x[i];
    assert_true(fabs(sqrt(squares) / LINEAR_UNIT - 1) < 1e-3);
    assert_int_equal(x[2], 0);
    linear_vector(&(struct features_list){items + 2, 1}, idf, 1, tf, x);
    assert_int_equal(x[0], 0);
    linear_vector(&(struct features_list){items + 1, 1}, idf, 1, tf, x);
    assert_int_equal(x[0], LINEAR_UNIT);
}

static void a_scratch_can_be_used_again(void **state)
{
    (void)state;
    write_pair(28);
    struct linear *model = open_pair();
    struct linear_scratch *used = linear_scratch_open(model, NULL);
    struct linear_scratch *fresh = linear_scratch_open(model, NULL);
    struct linear_scores a = {0}, b = {0};
    linear_score(model, used, "something else before", 21, &a);
    linear_score(model, used, text, sizeof text - 1, &a);
    linear_score(model, fresh, text, sizeof text - 1, &b);
    assert_memory_equal(&a, &b, sizeof a);
    linear_scratch_close(&used);
    linear_scratch_close(&used);
    linear_scratch_close(&fresh);
    linear_close(&model);
}

static void a_text_that_is_too_long_is_cut_and_told(void **state)
{
    (void)state;
    write_pair(28);
    struct linear *model = open_pair();
    struct linear_scratch *scratch = linear_scratch_open(model, NULL);
    assert_int_equal(linear_shape(model)->read_bytes, READ);
    char longer[READ + 40];
    memset(longer, 'x', sizeof longer);
    memcpy(longer, text, sizeof text - 1);
    longer[sizeof text - 1] = ' ';
    struct linear_scores a = {0}, b = {0};
    linear_score(model, scratch, longer, sizeof longer, &a);
    linear_score(model, scratch, text, sizeof text - 1, &b);
    assert_true(a.truncated);
    assert_false(b.truncated);
    assert_memory_equal(a.label, b.label, sizeof a.label);
    linear_scratch_close(&scratch);
    linear_close(&model);
}

static void a_text_without_features_gets_the_bias(void **state)
{
    (void)state;
    write_pair(5);
    struct linear *model = open_pair();
    struct linear_scratch *scratch = linear_scratch_open(model, NULL);
    struct linear_scores scores;
    linear_score(model, scratch, "", 0, &scores);
    for (int i = 0; i < 5; i++)
        assert_true(fabs((double)scores.label[i] - 1 / (1 + exp(-(double)floats[i]))) < 1e-6);
    linear_scratch_close(&scratch);
    linear_close(&model);
}

static void the_card_is_at_hand(void **state)
{
    (void)state;
    write_pair(10);
    struct linear *model = open_pair();
    assert_string_equal(linear_card(model)->name, "toy");
    assert_int_equal(linear_card(model)->label_count, 10);
    assert_true(linear_thresholds(model)[4] == linear_card(model)->labels[4].threshold);
    assert_int_equal(linear_emotions(model)[9], 1);
    linear_close(&model);
}

static void the_content_hash_is_of_both_files(void **state)
{
    (void)state;
    write_pair(10);
    struct linear *model = open_pair();
    struct linear_hash before = linear_content_hash(model);
    linear_close(&model);
    FILE *file = fopen(card_path, "a");
    fputs("\n", file);
    fclose(file);
    model = open_pair();
    struct linear_hash after = linear_content_hash(model);
    linear_close(&model);
    assert_true(before.low != after.low && before.high != after.high);
}

static size_t read_model(unsigned char *bytes, size_t room)
{
    FILE *file = fopen(model_path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, room, file);
    fclose(file);
    return size;
}

static void write_model(const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(model_path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    static unsigned char bytes[65536];
    write_pair(28);
    size_t size = read_model(bytes, sizeof bytes);
    assert_true(size < sizeof bytes);
    for (size_t i = 0; i < size; i += i < 1024 ? 1 : 997) {
        bytes[i] ^= 0x10;
        write_model(bytes, size);
        assert_refused(model_path);
        bytes[i] ^= 0x10;
    }
    for (size_t cut = 0; cut < size; cut += cut < 70 ? 1 : 1009) {
        write_model(bytes, cut);
        assert_refused("expected");
    }
    write_model(bytes, size + 1);
    assert_refused("expected");
    write_model(bytes, size);
    struct linear *model = open_pair();
    linear_close(&model);
}

static void the_reason_says_what_was_expected(void **state)
{
    (void)state;
    static unsigned char bytes[65536];
    write_pair(28);
    size_t size = read_model(bytes, sizeof bytes);
    const struct {
        size_t at;
        unsigned char value;
        const char *reason;
    } cases[] = {
        {0, 'X', "starts with \"leat-lin\""},
        {8, 9, "expected format 1, found 9"},
        {12, 1, "byte order"},
        {16, 1, "bytes, found"},
        {24, 1, "checksum"},
        {42, 255, "bytes of a text"},
        {44, 77, "1 to 60 labels, found 77"},
        {48, 99, "expected 31 outputs, found 99"},
        {52, 64, "rows of 32 bytes, found 64"},
        {56, 30, "found 2^30"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char before = bytes[cases[i].at];
        bytes[cases[i].at] = cases[i].value;
        write_model(bytes, size);
        assert_refused(cases[i].reason);
        bytes[cases[i].at] = before;
    }
}

static void numbers_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    write_pair(28);
    struct leat_error err;
    struct linear_head head = {.read_bytes = READ, .labels = 28, .bits = {BITS, BITS}};
    const int8_t *const tables[FEATURES_FAMILIES] = {rows[0], rows[1]};
    floats[3] = INFINITY;
    assert_true(linear_file_write(model_path, &head, floats, tables, &err));
    assert_refused("finite");
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct leat_error err = {""};
    assert_null(linear_open("/nonexistent/model", card_path, &err));
    assert_non_null(strstr(err.text, "/nonexistent/model: No such file"));
    assert_null(linear_open(folder, card_path, &err));
    assert_non_null(strstr(err.text, folder));
    assert_null(linear_open("/dev/null", card_path, &err));
    write_pair(28);
    assert_null(linear_open(model_path, "/nonexistent/card", &err));
    assert_non_null(strstr(err.text, "/nonexistent/card: No such file"));
}

static void a_card_of_another_model_is_refused(void **state)
{
    (void)state;
    static unsigned char bytes[65536];
    write_pair(27);
    size_t size = read_model(bytes, sizeof bytes);
    write_pair(28);
    write_model(bytes, size);
    assert_refused("model.hash: expected");
}

static void a_card_with_too_few_labels_is_refused(void **state)
{
    (void)state;
    static struct card card;
    struct leat_error err;
    write_pair(28);
    assert_true(card_read(card_path, &card, &err));
    card.label_count = 27;
    assert_true(card_write(card_path, &card, &err));
    assert_refused("labels: expected 28");
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(model_path, sizeof model_path, "%s/toy.model", folder);
    snprintf(card_path, sizeof card_path, "%s/toy.json", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(model_path);
    unlink(card_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_follow_the_formula),
        cmocka_unit_test(every_kernel_gives_the_same_sums),
        cmocka_unit_test(a_vector_has_length_one),
        cmocka_unit_test(a_scratch_can_be_used_again),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_and_told),
        cmocka_unit_test(a_text_without_features_gets_the_bias),
        cmocka_unit_test(the_card_is_at_hand),
        cmocka_unit_test(the_content_hash_is_of_both_files),
        cmocka_unit_test(a_damaged_file_is_refused),
        cmocka_unit_test(the_reason_says_what_was_expected),
        cmocka_unit_test(numbers_that_are_not_finite_are_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_card_of_another_model_is_refused),
        cmocka_unit_test(a_card_with_too_few_labels_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
