/* The encoder alone, at DistilRoBERTa's shape with random weights.
 *
 *   bench_encoder LENGTHS PRECISION THREADS BUDGET
 *
 * LENGTHS is a file with a text's number of tokens a line; a pass takes all of them, once to warm
 * up and once to be measured. Prints texts a second, tokens a second, the share of rows that
 * were computed for nothing, and what multiplied. */
#include "services/classify/encoder/batcher.h"
#include "services/classify/encoder/checkpoint.h"
#include "services/runtime/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HIDDEN = 768, LAYERS = 6, INNER = 3072, VOCABULARY = 50265, POSITIONS = 514, LABELS = 7 };

static const char config_json[] =
    "{\"architectures\": [\"RobertaForSequenceClassification\"], \"model_type\": \"roberta\",\n"
    " \"vocab_size\": 50265, \"hidden_size\": 768, \"num_hidden_layers\": 6,\n"
    " \"num_attention_heads\": 12, \"intermediate_size\": 3072, \"hidden_act\": \"gelu\",\n"
    " \"max_position_embeddings\": 514, \"type_vocab_size\": 1, \"layer_norm_eps\": 1e-05,\n"
    " \"pad_token_id\": 1, \"id2label\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\", \"3\": \"d\",\n"
    " \"4\": \"e\", \"5\": \"f\", \"6\": \"g\"}}\n";

static void die(const char *what)
{
    fprintf(stderr, "bench_encoder: %s\n", what);
    exit(1);
}

/* The checkpoint on its way: a header, and the sizes of what follows. */
struct writer {
    char header[1 << 16];
    size_t used, offset;
};

static void tensor(struct writer *self, const char *name, size_t rows, size_t columns)
{
    char shape[48];
    snprintf(shape, sizeof shape, columns ? "%zu,%zu" : "%zu", rows, columns);
    size_t size = rows * (columns ? columns : 1) * sizeof(float);
    self->used +=
        (size_t)snprintf(self->header + self->used, sizeof self->header - self->used,
                         "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                         self->used > 1 ? "," : "", name, shape, self->offset, self->offset + size);
    self->offset += size;
}

static void dense(struct writer *self, const char *name, size_t outputs, size_t inputs)
{
    char full[128];
    snprintf(full, sizeof full, "%s.weight", name);
    tensor(self, full, outputs, inputs);
    snprintf(full, sizeof full, "%s.bias", name);
    tensor(self, full, outputs, 0);
}

static void layer(struct writer *self, int index)
{
    static const struct {
        const char *name;
        size_t outputs, inputs;
    } parts[] = {
        {"attention.self.query", HIDDEN, HIDDEN},  {"attention.self.key", HIDDEN, HIDDEN},
        {"attention.self.value", HIDDEN, HIDDEN},  {"attention.output.dense", HIDDEN, HIDDEN},
        {"attention.output.LayerNorm", HIDDEN, 0}, {"intermediate.dense", INNER, HIDDEN},
        {"output.dense", HIDDEN, INNER},           {"output.LayerNorm", HIDDEN, 0},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[96];
        snprintf(name, sizeof name, "roberta.encoder.layer.%d.%s", index, parts[i].name);
        dense(self, name, parts[i].outputs, parts[i].inputs);
    }
}

/* Small numbers around 0, the same every time. */
static void write_numbers(FILE *out, size_t n)
{
    uint32_t random = 1;
    float block[4096];
    while (n > 0) {
        size_t count = n < 4096 ? n : 4096;
        for (size_t i = 0; i < count; i++) {
            random = random * 1664525 + 1013904223;
            block[i] = ((float)(random >> 8) / (1 << 24) - 0.5f) * 0.1f;
        }
        if (fwrite(block, sizeof *block, count, out) != count)
            die("cannot write the checkpoint");
        n -= count;
    }
}

static void write_file(const char *folder, const char *name, const struct writer *writer)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    if (!out)
        die("cannot write the checkpoint");
    if (writer) {
        uint64_t length = writer->used;
        fwrite(&length, sizeof length, 1, out);
        fwrite(writer->header, 1, writer->used, out);
        write_numbers(out, writer->offset / sizeof(float));
    } else {
        fputs(config_json, out);
    }
    if (fclose(out) != 0)
        die("cannot write the checkpoint");
}

static void write_checkpoint(const char *folder)
{
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        die("out of memory");
    writer->used = (size_t)snprintf(writer->header, sizeof writer->header, "{");
    tensor(writer, "roberta.embeddings.word_embeddings.weight", VOCABULARY, HIDDEN);
    tensor(writer, "roberta.embeddings.position_embeddings.weight", POSITIONS, HIDDEN);
    tensor(writer, "roberta.embeddings.token_type_embeddings.weight", 1, HIDDEN);
    dense(writer, "roberta.embeddings.LayerNorm", HIDDEN, 0);
    for (int i = 0; i < LAYERS; i++)
        layer(writer, i);
    dense(writer, "classifier.dense", HIDDEN, HIDDEN);
    dense(writer, "classifier.out_proj", LABELS, HIDDEN);
    strcat(writer->header, "}");
    writer->used++;
    write_file(folder, "config.json", NULL);
    write_file(folder, "model.safetensors", writer);
    free(writer);
}

static void remove_checkpoint(const char *folder)
{
    static const char *const names[] = {"config.json", "model.safetensors"};
    char path[4096];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static size_t read_lengths(const char *path, struct forward_text *texts, size_t most)
{
    FILE *in = fopen(path, "r");
    size_t n = 0;
    unsigned long length;
    while (in && n < most && fscanf(in, "%lu", &length) == 1)
        if (length >= 1 && length <= POSITIONS - 2)
            texts[n++].length = length;
    if (!in || n == 0)
        die("no lengths");
    fclose(in);
    return n;
}

enum { TEXTS_MOST = 1 << 16 };

int main(int argc, char **argv)
{
    static struct forward_text texts[TEXTS_MOST];
    static int32_t ids[POSITIONS];
    struct leat_error err = {""};
    enum encoder_precision precision;
    if (argc != 5 || !encoder_precision_choose(argv[2], &precision, &err))
        die(argc == 5 ? err.text : "expected LENGTHS PRECISION THREADS BUDGET");
    size_t n = read_lengths(argv[1], texts, TEXTS_MOST);
    float *logits = calloc(n, LABELS * sizeof *logits);
    for (size_t i = 0; i < POSITIONS; i++)
        ids[i] = (int32_t)(i * 97 % VOCABULARY);
    for (size_t i = 0; i < n; i++) {
        texts[i].ids = ids;
        texts[i].logits = logits + i * LABELS;
    }
    char folder[] = "/tmp/leat-bench-encoder-XXXXXX";
    if (!mkdtemp(folder))
        die("cannot make a folder");
    write_checkpoint(folder);
    struct checkpoint *checkpoint = checkpoint_open(folder, precision, &err);
    remove_checkpoint(folder);
    struct batcher *batcher =
        checkpoint ? batcher_open(checkpoint_model(checkpoint), (unsigned)atoi(argv[3]),
                                  (size_t)atol(argv[4]), &err)
                   : NULL;
    if (!batcher || !batcher_run(batcher, texts, n < 64 ? n : 64, &err))
        die(err.text);
    struct batcher_stats before = *batcher_stats(batcher);
    int64_t begin = leat_monotonic_us();
    if (!batcher_run(batcher, texts, n, &err))
        die(err.text);
    double seconds = (double)(leat_monotonic_us() - begin) / 1e6;
    const struct batcher_stats *after = batcher_stats(batcher);
    double tokens = (double)(after->tokens - before.tokens);
    printf("%.1f %.1f %.4f %s\n", (double)n / seconds, tokens / seconds,
           1 - tokens / (double)(after->rows - before.rows), checkpoint_kernel(checkpoint));
    batcher_close(&batcher);
    checkpoint_close(&checkpoint);
    free(logits);
    return 0;
}
