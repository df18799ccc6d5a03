/* How fast the linear model is on one core: features and scores.
 *
 *   bench_classify MODEL CARD [FILE.tsv]
 *
 * Texts are the first column of the file, or, without one, made up of common words. Prints one line
 * a part, the best of five rounds: texts per second and microseconds per text, of
 * processor time. */
#include "services/classify/emotion.h"
#include "services/classify/linear.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXTS_MOST = 100000, ROUNDS = 5, LINE_BYTES = 1 << 16 };

struct texts {
    char *items[TEXTS_MOST];
    size_t size[TEXTS_MOST];
    size_t count, bytes;
};

static void add(struct texts *texts, const char *text, size_t size)
{
    char *copy = strndup(text, size);
    if (!copy || texts->count == TEXTS_MOST) {
        free(copy);
        return;
    }
    texts->items[texts->count] = copy;
    texts->size[texts->count++] = size;
    texts->bytes += size;
}

static bool read_texts(struct texts *texts, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        return false;
    }
    static char line[LINE_BYTES];
    while (fgets(line, sizeof line, file))
        add(texts, line, strcspn(line, "\t\n"));
    fclose(file);
    return true;
}

/* Distinct texts of about 70 characters. */
static void make_texts(struct texts *texts)
{
    static const char *const words[] = {
        "the",  "people",  "this",    "never", "really",  "thanks", "government", "water",
        "road", "because", "angry",   "love",  "wonder",  "school", "what",       "is",
        "a",    "to",      "village", "new",   "nothing", "works",  "again",      "hope",
    };
    srand(1);
    for (int i = 0; i < 40000; i++) {
        char text[128];
        int size = 0;
        while (size < 64)
            size += snprintf(text + size, sizeof text - (size_t)size, "%s%s", size ? " " : "",
                             words[(size_t)rand() % (sizeof words / sizeof words[0])]);
        size += snprintf(text + size, sizeof text - (size_t)size, " %d", i);
        add(texts, text, (size_t)size);
    }
}

/* Seconds of processor time: others on the machine do not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What one round does to one text; the result keeps the compiler from leaving it out. */
struct work {
    const struct linear *model;
    struct linear_scratch *scratch;
    struct features *features;
};

static uint64_t extract(struct work *work, const char *text, size_t size)
{
    struct features_list list[FEATURES_FAMILIES];
    features_extract(work->features, text, size, list);
    return list[FEATURES_GRAMS].size;
}

static uint64_t score(struct work *work, const char *text, size_t size)
{
    struct linear_scores scores;
    linear_score(work->model, work->scratch, text, size, &scores);
    return scores.label[0] > 0.5f;
}

static uint64_t score_and_fold(struct work *work, const char *text, size_t size)
{
    struct linear_scores scores;
    struct emotion_found found[CARD_LABELS_MOST];
    uint32_t share[EMOTION_COUNT];
    size_t count = linear_card(work->model)->label_count;
    const float *thresholds = linear_thresholds(work->model);
    linear_score(work->model, work->scratch, text, size, &scores);
    emotion_distribution(scores.label, thresholds, linear_emotions(work->model), count, share);
    return emotion_list(scores.label, thresholds, count, found) + emotion_label(share);
}

static void measure(const char *name, uint64_t (*run)(struct work *, const char *, size_t),
                    struct work *work, const struct texts *texts)
{
    double best = 0;
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (size_t i = 0; i < texts->count; i++)
            sum += run(work, texts->items[i], texts->size[i]);
        double seconds = now() - start;
        if (round == 0 || seconds < best)
            best = seconds;
    }
    double each = best / (double)texts->count;
    printf("%s %.0f texts/s\n", name, 1 / each);
    fprintf(stderr, "%s: %.2f us a text, check %llu\n", name, each * 1e6, (unsigned long long)sum);
}

int main(int argc, char **argv)
{
    static struct texts texts;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s MODEL CARD [FILE.tsv]\n", argv[0]);
        return 2;
    }
    if (argc == 4 && !read_texts(&texts, argv[3]))
        return 1;
    if (argc == 3)
        make_texts(&texts);
    struct leat_error err;
    struct linear *model = linear_open(argv[1], argv[2], &err);
    struct work work = {.model = model};
    if (!model || !(work.scratch = linear_scratch_open(model, &err)) ||
        !(work.features = features_open(linear_shape(model), &err)) || texts.count == 0) {
        fprintf(stderr, "%s: %s\n", argv[0], texts.count ? err.text : "there are no texts");
        return 1;
    }
    fprintf(stderr, "%zu texts of %.0f bytes\n", texts.count,
            (double)texts.bytes / (double)texts.count);
    measure("classify_features", extract, &work, &texts);
    measure("classify_scores", score, &work, &texts);
    measure("classify", score_and_fold, &work, &texts);
    features_close(&work.features);
    linear_scratch_close(&work.scratch);
    linear_close(&model);
    for (size_t i = 0; i < texts.count; i++)
        free(texts.items[i]);
    return 0;
}
