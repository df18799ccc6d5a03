/* The row of the table of flows that makes texts a flow. */
#include "services/flows/text/record.h"
#include "services/flows/text/result.h"
#include "services/flows/text/table.h"

static bool check(const msgpack_object *record, const struct leat_flow_limits *limits,
                  struct leat_why *why)
{
    struct text_record ignored;
    return text_record_read(record, limits, &ignored, why);
}

static struct leat_span key(const msgpack_object *record)
{
    struct leat_span id = {0};
    leat_wire_str(record, "id", &id);
    return id.size <= TEXT_ID_MAX && leat_wire_text_ok(id) ? id : (struct leat_span){0};
}

static bool cache_key(const msgpack_object *record,
                      const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE], uint8_t out[16])
{
    struct leat_span text;
    if (!leat_wire_str(record, "text", &text))
        return false;
    text_cache_key(fingerprint, text, out);
    return true;
}

static const char *const stages[] = {"cache", "classify", "persist", NULL};
static const struct leat_table *const tables[] = {&text_table, NULL};

const struct leat_flow text_flow = {
    .kind = "text",
    .stages = stages,
    /* Twice a result (64 labels, 5 topics, all of the longest names: 9 KB; an embedding: 16 KB),
     * for a cache takes results of half of it; weights, or an error of 600 bytes. The shipped
     * model's result takes 300 to 500 bytes. */
    .growth = 2 * (10 * 1024 + TEXT_EMBEDDING_MAX * sizeof(float)),
    .check = check,
    .key = key,
    .cache_key = cache_key,
    .tables = tables,
};
