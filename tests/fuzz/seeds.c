/* Writes the seeds of the fuzz targets whose input is not text, with the encoders that Leat itself
 * uses:
 *
 *     make fuzz-seeds && build/fuzz-seeds tests/fuzz/corpus
 *
 * Seeds of text formats (card, config, csv, encoder_card, examples, keys, metrics, ndjson,
 * settings, time, topics, tsv) are written by hand. */
#include "proto/acks.h"
#include "proto/message.h"
#include "services/classify/linear_file.h"
#include "services/flows/fill.h"
#include "services/flows/series/result.h"
#include "services/flows/text/result.h"
#include "tests/fuzz/fuzz.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *root;

static void seed(const char *target, const char *name, struct leat_span bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    FILE *file = fopen(path, "wbe");
    if (!file || fwrite(bytes.data, 1, bytes.size, file) != bytes.size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* The buffer's bytes become a seed, and it is empty again. */
static void seed_packed(const char *target, const char *name, msgpack_sbuffer *buffer)
{
    seed(target, name, fuzz_packed(buffer));
    msgpack_sbuffer_clear(buffer);
}

static void pair(msgpack_packer *to, const char *key, const char *value)
{
    leat_pack_cstr(to, key);
    leat_pack_cstr(to, value);
}

/* --- records -------------------------------------------------------------------------------- */

static void text(msgpack_sbuffer *onto, bool full)
{
    msgpack_packer to;
    leat_pack_init(&to, onto);
    leat_pack_map(&to, full ? 11 : 2);
    pair(&to, "id", "a1");
    pair(&to, "text", "What a day! \xc3\x9c\xf0\x9f\x98\x80 rents");
    if (!full)
        return;
    pair(&to, "source_type", "national_media");
    pair(&to, "platform", "twitter");
    pair(&to, "lang", "en");
    pair(&to, "url", "https://example.org/");
    pair(&to, "author", "Ann");
    pair(&to, "published_at", "2026-01-31T12:00:00.5+01:00");
    leat_pack_cstr(&to, "verified");
    msgpack_pack_true(&to);
    leat_pack_cstr(&to, "reach");
    msgpack_pack_uint64(&to, 1200);
    leat_pack_cstr(&to, "version");
    msgpack_pack_uint64(&to, 900);
}

static void replayed(msgpack_sbuffer *onto)
{
    msgpack_packer to;
    leat_pack_init(&to, onto);
    leat_pack_map(&to, 3);
    pair(&to, "id", "a2");
    pair(&to, "text", "again");
    leat_pack_cstr(&to, "replay_of");
    leat_pack_map(&to, 3);
    leat_pack_cstr(&to, "origin");
    leat_pack_bin(&to, fuzz_text("0123456789abcdef"));
    leat_pack_cstr(&to, "seq");
    msgpack_pack_uint64(&to, 3);
    leat_pack_cstr(&to, "record");
    msgpack_pack_uint64(&to, 0);
}

static void times(msgpack_packer *to, uint32_t n)
{
    leat_pack_cstr(to, "ts");
    leat_pack_array(to, n);
    for (uint32_t i = 0; i < n; i++)
        msgpack_pack_uint64(to, 1700000000000000 + 60000000 * (uint64_t)i);
}

static void block(msgpack_sbuffer *onto, bool close)
{
    enum { ROWS = 12 };
    msgpack_packer to;
    leat_pack_init(&to, onto);
    leat_pack_map(&to, close ? 5 : 4);
    pair(&to, "series", "EURUSD");
    times(&to, ROWS);
    leat_pack_cstr(&to, "start");
    msgpack_pack_true(&to);
    if (close) {
        leat_pack_cstr(&to, "base");
        msgpack_pack_double(&to, 1.1);
        leat_pack_cstr(&to, "close");
    } else {
        leat_pack_cstr(&to, "columns");
        leat_pack_map(&to, 1);
        leat_pack_cstr(&to, "spread");
    }
    double values[ROWS];
    for (int i = 0; i < ROWS; i++)
        values[i] = 1.1 + 0.001 * i;
    leat_pack_bin(&to, (struct leat_span){(const uint8_t *)values, sizeof values});
}

static void result(msgpack_sbuffer *onto)
{
    const struct text_result found = {
        .model = fuzz_text("leat 1"),
        .sentiment_label = fuzz_text("positive"),
        .sentiment_score = 0.75,
        .emotion_label = fuzz_text("joy"),
        .emotion_score = 0.8,
        .distribution = {0, 0, 0, 800000, 0, 0, 0, 200000},
        .emotions = {{fuzz_text("joy"), 800000}, {fuzz_text("love"), 300000}},
        .n_emotions = 2,
        .topics = {{fuzz_text("housing"), 0.5, 0.5, (double)NAN}},
        .n_topics = 1,
    };
    text_result_pack(&found, onto);
}

/* Two rows of one window and one domain. */
static void series_result(void)
{
    struct leat_batch_head head = {.stage = "s", .kind = "series", .attempt = 1};
    struct leat_error err;
    msgpack_sbuffer frame;
    struct series_windows windows;
    struct series_packing packing;
    static const double reals[2 * SERIES_METRICS] = {1, 2, 3};
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&head, &frame);
    struct leat_batch *batch = leat_batch_read(fuzz_packed(&frame), NULL, NULL, &err);
    series_windows_parse("w3=3", &windows, &err);
    series_pack_begin(&packing, batch, &windows, 2, 1);
    series_pack_domain(&packing, "idx", reals, 2, reals, 2 * SERIES_METRICS);
    seed("result", "series", series_pack_end(&packing));
    leat_batch_destroy(&batch);
    msgpack_sbuffer_destroy(&frame);
}

static void seed_records(msgpack_sbuffer *buffer)
{
    text(buffer, false);
    seed_packed("text", "least", buffer);
    text(buffer, true);
    seed_packed("text", "most", buffer);
    text(buffer, true);
    seed_packed("wire", "text", buffer);
    text(buffer, true);
    seed_packed("payload", "text", buffer);
    replayed(buffer);
    seed_packed("payload", "replay", buffer);
    replayed(buffer);
    seed_packed("text", "replay", buffer);
    block(buffer, true);
    seed_packed("series", "close", buffer);
    block(buffer, false);
    seed_packed("series", "columns", buffer);
    block(buffer, false);
    seed_packed("wire", "series", buffer);
    result(buffer);
    seed_packed("result", "text", buffer);
    const struct text_weights weights = {1.5, 0.9};
    text_weights_pack(&weights, buffer);
    seed_packed("result", "weights", buffer);
    series_result();
}

/* --- between the stages --------------------------------------------------------------------- */

/* Three texts: one plain, one classified, one failed. */
static void items(msgpack_sbuffer *onto)
{
    msgpack_sbuffer record, found, weights;
    struct leat_error err;
    msgpack_sbuffer_init(&record);
    msgpack_sbuffer_init(&found);
    msgpack_sbuffer_init(&weights);
    text(&record, false);
    result(&found);
    text_weights_pack(&(struct text_weights){1.5, 0.9}, &weights);
    struct leat_item plain = {.record = fuzz_packed(&record)}, full = plain;
    full.result = fuzz_packed(&found);
    full.derived = fuzz_packed(&weights);
    leat_batch_write_item(&plain, onto);
    leat_batch_write_item(&full, onto);

    struct leat_batch_head head = {.stage = "s", .kind = "text", .attempt = 1, .count = 1};
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&head, &frame);
    leat_batch_write_item(&plain, &frame);
    struct leat_batch *batch = leat_batch_read(fuzz_packed(&frame), NULL, NULL, &err);
    leat_batch_fail(batch, 0, "classify", "crashed", "it crashed");
    leat_batch_write_item(&batch->items[0], onto);
    leat_batch_destroy(&batch);
    msgpack_sbuffer_destroy(&frame);
    msgpack_sbuffer_destroy(&record);
    msgpack_sbuffer_destroy(&found);
    msgpack_sbuffer_destroy(&weights);
}

static void seed_stages(msgpack_sbuffer *buffer)
{
    struct leat_batch_head head = {.stage = "persist",
                                   .kind = "text",
                                   .seq = 5,
                                   .stamp = 1700000000000000,
                                   .attempt = 2,
                                   .count = 3};
    leat_batch_write_head(&head, buffer);
    items(buffer);
    seed_packed("batch", "text", buffer);
    msgpack_sbuffer_write(buffer, "\1", 1); /* of the two flows, texts are the second or first */
    items(buffer);
    seed_packed("load", "one", buffer);
    msgpack_sbuffer_write(buffer, "\0", 1);
    items(buffer);
    seed_packed("load", "zero", buffer);

    const struct leat_ack acks[] = {{"text", 5, 2, 2, 1}, {"series", 6, 1, 1, 0}};
    leat_acks_write(buffer, (const uint8_t *)"0123456789abcdef", acks, 2);
    seed_packed("acks", "two", buffer);

    struct leat_fill fill;
    msgpack_sbuffer found;
    leat_fill_init(&fill);
    msgpack_sbuffer_init(&found);
    result(&found);
    leat_fill_add(&fill, (const uint8_t *)"0123456789abcdef", fuzz_packed(&found));
    leat_fill_write(&fill, "text", (const uint8_t *)"fedcba9876543210", buffer);
    seed_packed("fill", "one", buffer);
    leat_fill_write(&fill, "text", (const uint8_t *)"fedcba9876543210", buffer);
    seed_packed("fill", "none", buffer);
    msgpack_sbuffer_destroy(&found);
    leat_fill_destroy(&fill);
}

/* --- the client's protocol ------------------------------------------------------------------ */

static void seed_messages(msgpack_sbuffer *buffer)
{
    msgpack_sbuffer records;
    const struct leat_rejection rejected = {.index = 1, .code = "id_missing", .reason = "no id"};
    const struct leat_message welcome = {
        .session = 7, .held = 2, .credit = 1 << 20, .limits = {1 << 20, 1000, 64}};
    msgpack_sbuffer_init(&records);
    text(&records, false);
    text(&records, true);
    struct leat_span packed = fuzz_packed(&records);

    leat_message_hello(buffer, "me", 0, 0, false);
    seed_packed("message", "hello", buffer);
    leat_message_hello(buffer, "me", 77, 6, false);
    seed_packed("message", "hello-again", buffer);
    leat_message_hello(buffer, "me", 77, 0, true);
    seed_packed("message", "hello-first-again", buffer);
    leat_message_say_hello(buffer);
    seed_packed("message", "hello-ingest", buffer);
    leat_message_welcome(buffer, &welcome, (const char *const[]){"text", "series", NULL});
    seed_packed("message", "welcome", buffer);
    leat_message_send(buffer, 7, 3, "text", 2, packed);
    seed_packed("message", "send", buffer);
    leat_message_oneway(buffer, "text", 2, packed);
    seed_packed("message", "oneway", buffer);
    leat_message_ack(buffer, 3, 1, &rejected, 1);
    seed_packed("message", "ack", buffer);
    leat_message_forgotten(buffer, 3);
    seed_packed("message", "forgotten", buffer);
    leat_message_busy(buffer, 3, 200);
    seed_packed("message", "busy", buffer);
    leat_message_gap(buffer, 2);
    seed_packed("message", "gap", buffer);
    leat_message_fenced(buffer, 6, 0);
    seed_packed("message", "fenced", buffer);
    leat_message_fenced(buffer, 0, 77);
    seed_packed("message", "fenced-hello", buffer);
    leat_message_done_request(buffer, 7);
    seed_packed("message", "done-request", buffer);
    leat_message_done(buffer, 2, 4, 1);
    seed_packed("message", "done", buffer);
    leat_message_error(buffer, "malformed", "no map");
    seed_packed("message", "error", buffer);
    msgpack_sbuffer_destroy(&records);
}

/* --- what their targets play ---------------------------------------------------------------- */

#define SEED(target, name, bytes)                                                                  \
    seed(target, name, (struct leat_span){(const uint8_t *)(bytes), sizeof(bytes) - 1})

/* Ops of fuzz_door.c: \0 hello, \200 one said again, \1 send and how, \4 transaction, \5 one that
 * fails, \6 persist acknowledges, \7 reconnect, \47 restart, \107 done? The connection is in bits 3
 * and 4. */
static void seed_door(void)
{
    SEED("door", "sends", "\0\4\1\0\4\1\0\4\1\0\1\1\4\6\107\4");
    SEED("door", "fenced", "\0\4\1\0\10\1\0\4\1\0\4\11\0\4\10\4\1\40\4");
    SEED("door", "hello-twice", "\0\10\4\11\0\4\200\4\210\4");
    SEED("door", "restart", "\0\4\1\0\4\47\0\4\1\0\4\6\6\47\0\4");
    SEED("door", "fails", "\0\4\1\0\5\1\0\1\1\1\2\4\0\5\4");
    SEED("door", "repeats", "\0\4\1\0\4\1\4\1\4\4\1\5\4\1\2\4");
    SEED("door", "rejected", "\0\4\1\300\4\1\10\4\1\100\4\1\200\4");
    SEED("door", "reconnect", "\0\4\1\0\7\1\0\4\0\1\0\4\1\0\4");
    SEED("door", "two", "\0\50\4\1\0\11\0\4\6\6\20\30\4\21\0\31\0\4");
    SEED("door", "bytes", "\3\27\203\241\166\001\244type\245hello\246client\242me\4\3\3abc\4");
}

/* Changes of fuzz_journal.c: page, place, how, bytes. */
static void seed_journal(void)
{
    SEED("journal", "whole", "");
    SEED("journal", "meta", "\0\30\0\21\1");
    SEED("journal", "version", "\1\24\0\21\2");
    SEED("journal", "root", "\1\210\0\22\77\0");
    SEED("journal", "node", "\2\20\0\22\10\1");
    SEED("journal", "value", "\4\0\10\2\377\377");
    SEED("journal", "cut", "\360\0\0\0");
    SEED("journal", "free", "\5\20\0\22\2\0\6\40\0\22\377\17");
}

static void seed_model(void)
{
    enum { BITS = FEATURES_BITS_LEAST };
    uint8_t made[5 + 16 * 3 * 4 + 64] = {1, 4, 100, 2, 2};
    const float floats[16 * 3] = {0.5f, -0.5f, 1, 2, 0.1f, 0.1f, 0.01f, 1e30f, -1e30f};
    memcpy(made + 5, floats, sizeof floats);
    for (size_t i = 5 + sizeof floats; i < sizeof made; i++)
        made[i] = (uint8_t)(i * 37);
    seed("model", "made", (struct leat_span){made, sizeof made});

    struct linear_head head = {.labels = 3, .read_bytes = 100, .bits = {BITS, BITS}};
    static const int8_t rows[(1 << BITS) * LINEAR_STRIDE_MOST];
    struct leat_error err;
    const char *path = fuzz_file(0, (struct leat_span){NULL, 0});
    static uint8_t file[1 << 16] = {0};
    linear_file_write(path, &head, floats, (const int8_t *const[]){rows, rows}, &err);
    FILE *in = fopen(path, "rbe");
    size_t size = in ? fread(file + 1, 1, sizeof file - 1, in) : 0;
    if (in)
        fclose(in);
    seed("model", "file", (struct leat_span){file, size + 1});
}

/* As the file itself: the length of the header, the header, the data. */
static void seed_tensors_file(const char *name, uint64_t length, const char *header, size_t data)
{
    uint8_t file[512] = {0};
    length = htole64(length);
    memcpy(file + 1, &length, sizeof length);
    size_t size = 1 + sizeof length + strlen(header);
    memcpy(file + 1 + sizeof length, header, strlen(header));
    seed("safetensors", name, (struct leat_span){file, size + data});
}

/* After a one, the size of the data and the header. */
static void seed_safetensors(void)
{
    static const char one[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    uint64_t length = sizeof one - 1;
    seed_tensors_file("file", length, one, 8);
    seed_tensors_file("cut", length, one, 7);
    seed_tensors_file("more", length, one, 9);
    seed_tensors_file("header-cut", length + 9, one, 8);
    seed_tensors_file("header-huge", UINT64_MAX - 7, one, 8);
    seed_tensors_file("none", 2, "{}", 0);
    SEED("safetensors", "made",
         "\1\40\0{\"__metadata__\":{\"format\":\"pt\"},"
         "\"b\":{\"dtype\":\"BF16\",\"shape\":[3,1],\"data_offsets\":[16,22]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
         "\"c\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[22,24]},"
         "\"none\":{\"dtype\":\"U8\",\"shape\":[0,9],\"data_offsets\":[24,24]},"
         "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[24,32]}}");
    SEED("safetensors", "overlap",
         "\1\10\0{\"a\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[0,6]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[2,8]}}");
    SEED("safetensors", "gap",
         "\1\10\0{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}");
    SEED("safetensors", "same",
         "\1\4\0{\"a\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
    SEED("safetensors", "shifted",
         "\1\10\0{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}");
    SEED("safetensors", "smaller",
         "\1\4\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}");
    SEED("safetensors", "shape-huge",
         "\1\0\0{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,536870912,1],"
         "\"data_offsets\":[0,0]}}");
    SEED("safetensors", "offsets-huge",
         "\1\10\0{\"a\":{\"dtype\":\"F16\",\"shape\":[4],"
         "\"data_offsets\":[9223372036854775800,9223372036854775807]}}");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: fuzz-seeds FOLDER\n");
        return 2;
    }
    root = argv[1];
    mkdir(root, 0777);
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    seed_records(&buffer);
    seed_stages(&buffer);
    seed_messages(&buffer);
    seed_door();
    seed_journal();
    seed_model();
    seed_safetensors();
    SEED("score", "english", "I love this! Rents are far too high, thank you so much :(");
    SEED("score", "others",
         "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 "
         "\xe4\xbb\x8a\xe5\xa4\xa9 \xc4\xb0STANBUL Stra\xc3\x9f"
         "e \xf0\x9f\x98\x80 \xff\xfe\xc0");
    msgpack_sbuffer_destroy(&buffer);
    return 0;
}
