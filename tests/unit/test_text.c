/* The text flow's record, result and row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/flows/fill.h"
#include "services/flows/text/record.h"
#include "services/flows/text/result.h"
#include "services/flows/text/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct leat_flow_limits limits = {.text_max_bytes = 100};

struct fixture {
    msgpack_zone zone;
    msgpack_sbuffer packed;
    msgpack_packer pk;
    msgpack_object object;
    struct text_record record;
    struct leat_why why;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    msgpack_zone_init(&f->zone, 1024);
    msgpack_sbuffer_init(&f->packed);
    msgpack_packer_init(&f->pk, &f->packed, msgpack_sbuffer_write);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    msgpack_zone_destroy(&f->zone);
    msgpack_sbuffer_destroy(&f->packed);
    free(f);
    return 0;
}

static struct leat_span span(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

/* Begins a record with id and text and room for `more` further pairs. */
static void begin(struct fixture *f, uint32_t more)
{
    msgpack_sbuffer_clear(&f->packed);
    leat_pack_map(&f->pk, 2 + more);
    leat_pack_cstr(&f->pk, "id");
    leat_pack_cstr(&f->pk, "a");
    leat_pack_cstr(&f->pk, "text");
    leat_pack_cstr(&f->pk, "good");
}

static bool read(struct fixture *f)
{
    struct leat_error err;
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    assert_true(leat_wire_unpack(packed, &f->zone, &f->object, &err));
    return text_record_read(&f->object, &limits, &f->record, &f->why);
}

static void refused(struct fixture *f, const char *code)
{
    assert_false(read(f));
    assert_string_equal(f->why.code, code);
    assert_true(strlen(f->why.message) > 0);
}

static void every_field_is_read(void **state)
{
    struct fixture *f = *state;
    begin(f, 8);
    const char *strings[] = {"source_type", "platform", "lang", "url", "author"};
    for (size_t i = 0; i < 5; i++) {
        leat_pack_cstr(&f->pk, strings[i]);
        leat_pack_cstr(&f->pk, strings[i]);
    }
    leat_pack_cstr(&f->pk, "verified");
    msgpack_pack_true(&f->pk);
    leat_pack_cstr(&f->pk, "reach");
    msgpack_pack_int64(&f->pk, INT64_MAX);
    leat_pack_cstr(&f->pk, "published_at");
    msgpack_pack_int64(&f->pk, -1);
    assert_true(read(f));
    assert_true(leat_wire_is(f->record.id, "a"));
    assert_true(leat_wire_is(f->record.text, "good"));
    assert_true(leat_wire_is(f->record.source_type, "source_type"));
    assert_true(leat_wire_is(f->record.platform, "platform"));
    assert_true(leat_wire_is(f->record.lang, "lang"));
    assert_true(leat_wire_is(f->record.url, "url"));
    assert_true(leat_wire_is(f->record.author, "author"));
    assert_true(f->record.verified);
    assert_int_equal(f->record.reach, INT64_MAX);
    assert_true(f->record.has_published_at);
    assert_int_equal(f->record.published_at, -1);
}

static void absent_and_nil_fields_have_their_defaults(void **state)
{
    struct fixture *f = *state;
    begin(f, 3);
    const char *fields[] = {"lang", "reach", "verified"};
    for (size_t i = 0; i < 3; i++) {
        leat_pack_cstr(&f->pk, fields[i]);
        msgpack_pack_nil(&f->pk);
    }
    assert_true(read(f));
    assert_int_equal(f->record.lang.size, 0);
    assert_int_equal(f->record.reach, 0);
    assert_false(f->record.verified);
    assert_false(f->record.has_published_at);
}

static void what_is_no_map_or_lacks_a_field_is_refused(void **state)
{
    struct fixture *f = *state;
    msgpack_pack_int(&f->pk, 3);
    refused(f, "record_not_map");
    msgpack_sbuffer_clear(&f->packed);
    leat_pack_map(&f->pk, 0);
    refused(f, "id_missing");
    msgpack_sbuffer_clear(&f->packed);
    leat_pack_map(&f->pk, 1);
    leat_pack_cstr(&f->pk, "id");
    leat_pack_cstr(&f->pk, "x");
    refused(f, "text_missing");
}

/* A record with one more field of some value. */
static void with(struct fixture *f, const char *field, void (*pack)(msgpack_packer *))
{
    begin(f, 1);
    leat_pack_cstr(&f->pk, field);
    pack(&f->pk);
}

static void pack_true(msgpack_packer *pk)
{
    msgpack_pack_true(pk);
}

static void pack_minus(msgpack_packer *pk)
{
    msgpack_pack_int(pk, -5);
}

static void pack_real(msgpack_packer *pk)
{
    msgpack_pack_double(pk, 1.5);
}

static void pack_huge(msgpack_packer *pk)
{
    msgpack_pack_uint64(pk, UINT64_MAX);
}

static void pack_words(msgpack_packer *pk)
{
    leat_pack_cstr(pk, "yesterday");
}

static void pack_zero(msgpack_packer *pk)
{
    msgpack_pack_int(pk, 0);
}

static void values_of_wrong_type_or_range_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *field;
        void (*pack)(msgpack_packer *);
        const char *code;
    } cases[] = {
        {"reach", pack_minus, "reach_negative"},
        {"reach", pack_real, "reach_type"},
        {"reach", pack_huge, "reach_range"},
        {"verified", pack_words, "verified_type"},
        {"lang", pack_true, "lang_type"},
        {"platform", pack_real, "platform_type"},
        {"published_at", pack_words, "published_at_format"},
        {"published_at", pack_true, "published_at_type"},
        {"published_at", pack_huge, "published_at_range"},
        {"version", pack_zero, "version_range"},
        {"version", pack_huge, "version_range"},
        {"version", pack_words, "version_type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        with(f, cases[i].field, cases[i].pack);
        refused(f, cases[i].code);
    }
}

static void text_of(struct fixture *f, const void *text, size_t size)
{
    msgpack_sbuffer_clear(&f->packed);
    leat_pack_map(&f->pk, 2);
    leat_pack_cstr(&f->pk, "id");
    leat_pack_cstr(&f->pk, "a");
    leat_pack_cstr(&f->pk, "text");
    leat_pack_str(&f->pk, (struct leat_span){text, size});
}

static void texts_that_cannot_be_stored_are_refused(void **state)
{
    struct fixture *f = *state;
    char large[101];
    memset(large, 'x', sizeof large);
    text_of(f, "", 0);
    refused(f, "text_empty");
    text_of(f, large, 101);
    refused(f, "text_too_long");
    text_of(f, large, 100);
    assert_true(read(f));
    text_of(f, "a\0b", 3);
    refused(f, "nul");
    text_of(f, "caf\xe9", 4);
    refused(f, "not_utf8");
    text_of(f, "\xed\xa0\x80", 3); /* a surrogate */
    refused(f, "not_utf8");
    text_of(f, "\xc0\x80", 2); /* an overlong NUL */
    refused(f, "not_utf8");
}

static void times_are_read_as_rfc_3339_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:01.5z", 1500000},
        {"2026-01-31 12:00:00.123456789+02:00", 1769853600123456},
        {"2024-02-29T23:59:59-00:30", 1709252999000000},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"0001-01-01T00:00:00Z", -62135596800000000},
        {"9999-12-31T23:59:59.999999Z", 253402300799999999},
        {"2016-12-31T23:59:60Z", 1483228800000000},
    };
    static const char *const bad[] = {
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-10T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+0200",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00Zx",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "+2026-01-31T12:00:00Z",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t us = 42;
        assert_true(text_time_parse(span(good[i].text), &us));
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us;
        if (text_time_parse(span(bad[i]), &us))
            fail_msg("taken as a time: %s", bad[i]);
    }
}

static struct text_result example(void)
{
    struct text_result result = {
        .model = span("m 1"),
        .sentiment_label = span("positive"),
        .sentiment_score = 0.25,
        .emotion_label = span("joy"),
        .emotion_score = 0.9,
        .distribution = {[3] = 900000, [7] = 100000},
        .n_emotions = 2,
        .n_topics = 1,
        .truncated = true,
    };
    result.emotions[0] = (struct text_label_score){span("joy"), 912345};
    result.emotions[1] = (struct text_label_score){span("l\"ve\\\n"), 50000};
    result.topics[0] = (struct text_topic){span("economy"), 0.394, 0.184, NAN};
    return result;
}

static void a_result_survives_packing(void **state)
{
    struct fixture *f = *state;
    struct text_result in = example(), out;
    struct leat_error err;
    text_result_pack(&in, &f->packed);
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    assert_true(text_result_read(packed, &f->zone, &out, &err));
    assert_true(leat_wire_is(out.model, "m 1"));
    assert_true(leat_wire_is(out.sentiment_label, "positive"));
    assert_true(out.sentiment_score == 0.25 && out.emotion_score == 0.9 && out.truncated);
    assert_memory_equal(out.distribution, in.distribution, sizeof in.distribution);
    assert_int_equal(out.n_emotions, 2);
    assert_int_equal(out.emotions[0].probability, 912345);
    assert_int_equal(out.n_topics, 1);
    assert_true(leat_wire_is(out.topics[0].topic, "economy"));
    assert_true(isnan(out.topics[0].embedding_score));
    for (size_t size = 0; size < packed.size; size++) {
        packed.size = size;
        assert_false(text_result_read(packed, &f->zone, &out, &err));
        packed.size = f->packed.size;
    }
}

static void an_embedding_travels_behind_what_was_there_before(void **state)
{
    struct fixture *f = *state;
    struct text_result in = example(), out;
    struct leat_error err;
    float values[] = {0.6f, -0.8f};
    text_result_pack(&in, &f->packed);
    size_t without = f->packed.size;
    assert_int_equal(f->packed.data[0], (char)0x9a); /* as programs read it that know of none */
    msgpack_sbuffer_clear(&f->packed);
    in.embedding = text_embedding(values, 2);
    text_result_pack(&in, &f->packed);
    assert_int_equal(f->packed.size, without + 2 + 8);
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    assert_true(text_result_read(packed, &f->zone, &out, &err));
    assert_int_equal(out.embedding.size, 8);
    assert_memory_equal(out.embedding.data, "\x9a\x99\x19\x3f\xcd\xcc\x4c\xbf", 8);
    f->packed.data[f->packed.size - 1] = 0x7f; /* no number */
    f->packed.data[f->packed.size - 2] |= (char)0x80;
    assert_false(text_result_read(packed, &f->zone, &out, &err));
}

/* Some value behind the ten that every result has. */
static bool read_with(struct fixture *f, struct leat_span embedding, bool more)
{
    struct text_result in = example(), out;
    struct leat_error err;
    msgpack_sbuffer_clear(&f->packed);
    text_result_pack(&in, &f->packed);
    f->packed.data[0] = (char)(0x9b + more);
    leat_pack_bin(&f->pk, embedding);
    if (more)
        msgpack_pack_true(&f->pk);
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    return text_result_read(packed, &f->zone, &out, &err);
}

static void embeddings_of_the_wrong_size_are_refused_and_later_values_are_not(void **state)
{
    struct fixture *f = *state;
    static const uint8_t zeros[TEXT_EMBEDDING_MAX * sizeof(float) + sizeof(float)];
    assert_false(read_with(f, (struct leat_span){zeros, 0}, false));
    assert_false(read_with(f, (struct leat_span){zeros, 7}, false));
    assert_false(read_with(f, (struct leat_span){zeros, sizeof zeros}, false));
    assert_true(read_with(f, (struct leat_span){zeros, sizeof zeros - sizeof(float)}, false));
    assert_true(read_with(f, (struct leat_span){zeros, 8}, true));
    assert_true(2 * f->packed.size <= text_flow.growth);
}

static void a_distribution_that_does_not_sum_to_one_is_refused(void **state)
{
    struct fixture *f = *state;
    struct text_result in = example(), out;
    struct leat_error err;
    in.distribution[0] = 1;
    text_result_pack(&in, &f->packed);
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    assert_false(text_result_read(packed, &f->zone, &out, &err));
}

static bool is_read_by_name(struct fixture *f, const char *name)
{
    struct leat_error err;
    struct text_result in = example(), out;
    msgpack_sbuffer_clear(&f->packed);
    in.model = span(name);
    text_result_pack(&in, &f->packed);
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    return text_result_read(packed, &f->zone, &out, &err) && out.model.size == in.model.size;
}

/* Two models make a name of up to four times 63 bytes and what is between them. */
static void a_result_bears_the_names_of_two_models(void **state)
{
    struct fixture *f = *state;
    char name[TEXT_MODEL_MAX + 2];
    memset(name, 'm', sizeof name);
    name[4 * 63 + 5] = 0;
    assert_true(is_read_by_name(f, name));
    name[4 * 63 + 5] = 'm';
    name[TEXT_MODEL_MAX + 1] = 0;
    assert_false(is_read_by_name(f, name));
    name[TEXT_MODEL_MAX] = 0;
    assert_true(is_read_by_name(f, name));
}

/* Found by fuzzing: the store would have refused the row. */
static void a_result_with_strings_that_are_no_text_is_refused(void **state)
{
    struct fixture *f = *state;
    struct text_result in = example(), out;
    struct leat_error err;
    in.emotions[0].label = (struct leat_span){(const uint8_t *)"jo\0y", 4};
    text_result_pack(&in, &f->packed);
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    assert_false(text_result_read(packed, &f->zone, &out, &err));
    msgpack_sbuffer_clear(&f->packed);
    in = example();
    in.model = span("leat \xff");
    text_result_pack(&in, &f->packed);
    packed = (struct leat_span){(const uint8_t *)f->packed.data, f->packed.size};
    assert_false(text_result_read(packed, &f->zone, &out, &err));
}

static void weights_survive_packing(void **state)
{
    struct fixture *f = *state;
    struct text_weights in = {4.4, 0.75}, out;
    struct leat_error err;
    text_weights_pack(&in, &f->packed);
    struct leat_span packed = {(const uint8_t *)f->packed.data, f->packed.size};
    assert_true(text_weights_read(packed, &out, &err));
    assert_true(out.influence == 4.4 && out.confidence == 0.75);
    packed.size--;
    assert_false(text_weights_read(packed, &out, &err));
}

static void keys_differ_by_text_and_by_fingerprint(void **state)
{
    (void)state;
    uint8_t print[16] = {1}, other[16] = {1, [15] = 1};
    uint8_t a[16], b[16], c[16], again[16];
    text_cache_key(print, span("one"), a);
    text_cache_key(print, span("two"), b);
    text_cache_key(other, span("one"), c);
    text_cache_key(print, span("one"), again);
    assert_memory_equal(a, again, 16);
    assert_memory_not_equal(a, b, 16);
    assert_memory_not_equal(a, c, 16);
}

struct collected {
    int n;
    uint8_t key[16];
    char value[8];
};

static void collect(void *arg, struct leat_span key, struct leat_span value)
{
    struct collected *collected = arg;
    collected->n++;
    memcpy(collected->key, key.data, 16);
    memcpy(collected->value, value.data, value.size);
}

static void a_fill_survives_its_frame(void **state)
{
    struct fixture *f = *state;
    struct leat_fill fill;
    struct leat_error err;
    struct collected collected = {0};
    uint8_t print[16] = {9}, key[16] = {7}, told[16];
    char kind[LEAT_MAX_KIND + 1];
    leat_fill_init(&fill);
    leat_fill_add(&fill, key, span("value"));
    leat_fill_write(&fill, "text", print, &f->packed);
    struct leat_span frame = {(const uint8_t *)f->packed.data, f->packed.size};
    assert_true(leat_fill_read(frame, &f->zone, kind, told, collect, &collected, &err));
    assert_string_equal(kind, "text");
    assert_memory_equal(told, print, 16);
    assert_int_equal(collected.n, 1);
    assert_memory_equal(collected.key, key, 16);
    assert_string_equal(collected.value, "value");
    for (frame.size = 0; frame.size < f->packed.size; frame.size++)
        assert_false(leat_fill_read(frame, &f->zone, kind, told, collect, &collected, &err));
    leat_fill_destroy(&fill);
}

static struct leat_batch *classified_batch(struct fixture *f)
{
    struct leat_batch_head head = {
        .stage = "persist", .kind = "text", .seq = 5, .stamp = 77, .attempt = 1, .count = 1};
    struct text_result result = example();
    struct text_weights weights = {1.95, 0.575};
    msgpack_sbuffer item, found, derived, frame;
    msgpack_sbuffer_init(&item);
    msgpack_sbuffer_init(&found);
    msgpack_sbuffer_init(&derived);
    msgpack_sbuffer_init(&frame);
    begin(f, 0);
    text_result_pack(&result, &found);
    text_weights_pack(&weights, &derived);
    leat_batch_write_head(&head, &frame);
    leat_batch_write_item(
        &(struct leat_item){
            .record = {(const uint8_t *)f->packed.data, f->packed.size},
            .result = {(const uint8_t *)found.data, found.size},
            .derived = {(const uint8_t *)derived.data, derived.size},
        },
        &frame);
    msgpack_sbuffer_destroy(&item);
    msgpack_sbuffer_destroy(&found);
    msgpack_sbuffer_destroy(&derived);
    struct leat_span bytes = {(const uint8_t *)frame.data, frame.size};
    struct leat_error err;
    struct leat_batch *batch = leat_batch_read(bytes, frame.data, free, &err);
    assert_non_null(batch);
    return batch;
}

static const struct leat_value *column(const struct leat_value *values, const char *name)
{
    for (size_t i = 0; i < text_table.n_columns; i++)
        if (strcmp(text_table.columns[i].name, name) == 0)
            return &values[i];
    fail_msg("no column %s", name);
    return NULL;
}

static void a_row_holds_all_that_was_found(void **state)
{
    struct fixture *f = *state;
    struct leat_batch *batch = classified_batch(f);
    struct leat_row_context ctx = {.batch = batch, .version = 77, .ingested_at = 77};
    struct leat_value values[64];
    char code[32], message[200];
    struct leat_error err;
    assert_true(leat_wire_unpack(batch->items[0].record, batch->zone, &f->object, &err));
    assert_int_equal(text_table.rows(&ctx, &f->object), 1);
    assert_true(text_table.fill(&ctx, &f->object, values, batch, code, message));
    assert_true(leat_wire_is(column(values, "id")->bytes, "a"));
    assert_int_equal(column(values, "version")->integer, 77);
    assert_int_equal(column(values, "seq")->integer, 5);
    assert_true(column(values, "lang")->null);
    assert_true(column(values, "published_at")->null);
    assert_true(leat_wire_is(column(values, "emotion_distribution")->bytes,
                             "{\"anger\":0.000000,\"disgust\":0.000000,\"fear\":0.000000,"
                             "\"joy\":0.900000,\"sadness\":0.000000,\"surprise\":0.000000,"
                             "\"trust\":0.000000,\"neutral\":0.100000}"));
    assert_true(leat_wire_is(column(values, "emotions")->bytes,
                             "[{\"label\":\"joy\",\"probability\":0.912345},"
                             "{\"label\":\"l\\\"ve\\\\\\u000a\",\"probability\":0.050000}]"));
    assert_true(leat_wire_is(column(values, "topics")->bytes,
                             "[{\"topic\":\"economy\",\"confidence\":0.394,"
                             "\"keyword_score\":0.184,\"embedding_score\":null}]"));
    assert_true(leat_wire_is(column(values, "primary_topic")->bytes, "economy"));
    assert_true(column(values, "influence_weight")->real == 1.95);
    leat_batch_destroy(&batch);
}

static void a_text_without_a_result_is_never_a_row(void **state)
{
    struct fixture *f = *state;
    struct leat_batch *batch = classified_batch(f);
    struct leat_row_context ctx = {.batch = batch, .version = 77, .ingested_at = 77};
    struct leat_value values[64];
    char code[32], message[200];
    struct leat_error err;
    batch->items[0].result = (struct leat_span){0};
    assert_true(leat_wire_unpack(batch->items[0].record, batch->zone, &f->object, &err));
    assert_false(text_table.fill(&ctx, &f->object, values, batch, code, message));
    assert_string_equal(code, "not_classified");
    leat_batch_destroy(&batch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_is_read),
        TEST(absent_and_nil_fields_have_their_defaults),
        TEST(what_is_no_map_or_lacks_a_field_is_refused),
        TEST(values_of_wrong_type_or_range_are_refused),
        TEST(texts_that_cannot_be_stored_are_refused),
        TEST(times_are_read_as_rfc_3339_says),
        TEST(a_result_survives_packing),
        TEST(an_embedding_travels_behind_what_was_there_before),
        TEST(embeddings_of_the_wrong_size_are_refused_and_later_values_are_not),
        TEST(a_distribution_that_does_not_sum_to_one_is_refused),
        TEST(a_result_bears_the_names_of_two_models),
        TEST(a_result_with_strings_that_are_no_text_is_refused),
        TEST(weights_survive_packing),
        TEST(keys_differ_by_text_and_by_fingerprint),
        TEST(a_fill_survives_its_frame),
        TEST(a_row_holds_all_that_was_found),
        TEST(a_text_without_a_result_is_never_a_row),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
