/* How fast topics are found: texts a second through topics_score with a topic file, best of several
 * rounds, one thread.
 *
 * usage: bench_topics TOPICS.json TEXTS (one text a line, what is behind a tab is left out) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "services/classify/topics.h"

enum {
    ROUNDS = 9,
};

struct texts {
    char *bytes;
    size_t *starts;
    size_t *sizes;
    size_t count;
    size_t total;
};

static bool read_all(const char *path, struct texts *texts, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    long end = ftell(file);
    rewind(file);
    texts->bytes = malloc((size_t)end + 1);
    *size = fread(texts->bytes, 1, (size_t)end, file);
    fclose(file);
    texts->starts = malloc((*size + 1) * sizeof *texts->starts);
    texts->sizes = malloc((*size + 1) * sizeof *texts->sizes);
    return *size > 0;
}

static bool read_texts(const char *path, struct texts *texts)
{
    size_t size;
    if (!read_all(path, texts, &size))
        return false;
    for (size_t at = 0; at < size;) {
        const char *line = texts->bytes + at;
        const char *newline = memchr(line, '\n', size - at);
        size_t length = newline ? (size_t)(newline - line) : size - at;
        const char *tab = memchr(line, '\t', length);
        texts->starts[texts->count] = at;
        texts->sizes[texts->count] = tab ? (size_t)(tab - line) : length;
        texts->total += texts->sizes[texts->count++];
        at += length + 1;
    }
    return true;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    struct texts texts = {0};
    struct leat_error err;
    if (argc != 3 || !read_texts(argv[2], &texts)) {
        fprintf(stderr, "usage: bench_topics TOPICS.json TEXTS\n");
        return 2;
    }
    double opened = seconds();
    struct topics *topics = topics_open(argv[1], NULL, &err);
    if (!topics) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    fprintf(stderr, "%zu topics opened in %.2f ms\n", topics_count(topics),
            (seconds() - opened) * 1e3);

    struct topics_scratch *scratch = topics_scratch_open(topics);
    struct topics_match matches[TOPICS_MOST];
    size_t with_topic = 0, found = 0;
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds();
        with_topic = found = 0;
        for (size_t i = 0; i < texts.count; i++) {
            size_t count = topics_score(topics, scratch, texts.bytes + texts.starts[i],
                                        texts.sizes[i], NULL, matches);
            with_topic += count > 0;
            found += count;
        }
        double rate = (double)texts.count / (seconds() - start);
        best = rate > best ? rate : best;
    }
    printf("topics %.0f texts/s\n", best);
    fprintf(stderr,
            "%zu texts of %.1f bytes: %.3f us a text, %.2f ns a byte; %.1f %% have a topic, "
            "%.2f each\n",
            texts.count, (double)texts.total / (double)texts.count, 1e6 / best,
            1e9 / best * (double)texts.count / (double)texts.total,
            100.0 * (double)with_topic / (double)texts.count,
            (double)found / (double)(with_topic ? with_topic : 1));
    topics_scratch_close(&scratch);
    topics_close(&topics);
    free(texts.bytes);
    free(texts.starts);
    free(texts.sizes);
    return 0;
}
