/* A text as clients send it: what is taken keeps to the bounds of the table in proto/README.md. */
#include "services/flows/text/record.h"
#include "services/flows/text/result.h"
#include "tests/fuzz/targets.h"

static void check_string(struct leat_span text, size_t most)
{
    FUZZ_CHECK(text.size <= most);
    FUZZ_CHECK(leat_wire_text_ok(text));
}

static void check_taken(const struct text_record *text, const struct leat_flow_limits *limits)
{
    FUZZ_CHECK(text->id.size > 0 && text->text.size > 0);
    check_string(text->id, TEXT_ID_MAX);
    check_string(text->text, limits->text_max_bytes);
    check_string(text->source_type, TEXT_SOURCE_TYPE_MAX);
    check_string(text->platform, TEXT_SOURCE_TYPE_MAX);
    check_string(text->lang, TEXT_LANG_MAX);
    check_string(text->url, TEXT_URL_MAX);
    check_string(text->author, TEXT_AUTHOR_MAX);
    FUZZ_CHECK(text->reach >= 0);
    FUZZ_CHECK(!text->has_published_at || (text->published_at >= -62135596800000000 &&
                                           text->published_at <= 253402300799999999));
}

void fuzz_text_record(struct leat_span input)
{
    struct leat_flow_limits limits = fuzz_limits();
    const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE] = "fingerprint";
    uint8_t key[16];
    msgpack_zone zone;
    msgpack_object record;
    struct text_record text;
    limits.text_max_bytes = 1000;
    struct leat_why why = {.code = NULL};
    msgpack_zone_init(&zone, 4096);
    if (leat_wire_unpack(input, &zone, &record, NULL)) {
        bool taken = text_record_read(&record, &limits, &text, &why);
        FUZZ_CHECK(taken == text_flow.check(&record, &limits, &why));
        FUZZ_CHECK(taken || why.code != NULL);
        struct leat_span id = text_flow.key(&record);
        bool has_key = text_flow.cache_key(&record, fingerprint, key);
        if (taken) {
            check_taken(&text, &limits);
            FUZZ_CHECK(has_key && fuzz_same(id, text.id));
        }
    }
    msgpack_zone_destroy(&zone);
}
