#include "services/persist/letters.h"

#include <string.h>

enum column {
    COL_ORIGIN,
    COL_SEQ,
    COL_RECORD,
    COL_KIND,
    COL_ID,
    COL_STAGE,
    COL_CODE,
    COL_MESSAGE,
    COL_PAYLOAD,
    COL_VERSION,
    COL_FIRST_SEEN,
    COL_LAST_SEEN,
    COL_ROW_TS, /* where in time the row is that tells whether the record is stored */
    COLUMNS,
};

static const struct leat_column columns[] = {
    [COL_ORIGIN] = {"origin", LEAT_COL_UUID, .is_key = true},
    [COL_SEQ] = {"seq", LEAT_COL_BIGINT, .is_key = true},
    [COL_RECORD] = {"record", LEAT_COL_BIGINT, .is_key = true},
    [COL_KIND] = {"kind", LEAT_COL_TEXT},
    [COL_ID] = {"id", LEAT_COL_TEXT, .nullable = true},
    [COL_STAGE] = {"stage", LEAT_COL_TEXT},
    [COL_CODE] = {"code", LEAT_COL_TEXT},
    [COL_MESSAGE] = {"message", LEAT_COL_TEXT},
    [COL_PAYLOAD] = {"payload", LEAT_COL_BYTEA},
    [COL_VERSION] = {"version", LEAT_COL_BIGINT},
    [COL_FIRST_SEEN] = {"first_seen", LEAT_COL_TIMESTAMPTZ},
    [COL_LAST_SEEN] = {"last_seen", LEAT_COL_TIMESTAMPTZ},
    [COL_ROW_TS] = {"leat_row_ts", LEAT_COL_TIMESTAMPTZ, .nullable = true, .is_beside = true},
    [COLUMNS] = {NULL},
};

const struct leat_table letters_table = {
    .name = "dead_letters", .columns = columns, .n_columns = COLUMNS};

static bool read_replay(const msgpack_object *record, struct letters_key *key)
{
    struct leat_span origin;
    uint64_t seq, index;
    const msgpack_object *of = leat_wire_get(record, "replay_of");
    if (!of || !leat_wire_bin(of, "origin", &origin) || origin.size != LEAT_ID_SIZE ||
        !leat_wire_u64(of, "seq", &seq) || seq > INT64_MAX ||
        !leat_wire_u64(of, "record", &index) || index > INT64_MAX)
        return false;
    *key = (struct letters_key){origin.data, (int64_t)seq, (int64_t)index};
    return true;
}

/* What the store takes as text: anything else has its bytes beyond ASCII and its NULs replaced. */
static struct leat_value as_text(struct leat_batch *batch, struct leat_span text)
{
    if (text.size > 0 && !leat_wire_text_ok(text)) {
        char *copy = leat_batch_alloc(batch, text.size);
        for (size_t i = 0; i < text.size; i++)
            copy[i] = text.data[i] == 0 || text.data[i] >= 0x80 ? '?' : (char)text.data[i];
        text.data = (const uint8_t *)copy;
    }
    return (struct leat_value){.bytes = text};
}

static struct leat_value as_integer(int64_t value)
{
    return (struct leat_value){.integer = value};
}

const struct leat_value *letters_row(struct leat_batch *batch, uint32_t index,
                                     const msgpack_object *record, const struct letters_reason *why,
                                     int64_t now)
{
    const struct leat_batch_head *head = &batch->head;
    const struct leat_flow *flow = leat_flow_find(head->kind, strlen(head->kind));
    struct leat_value *row = leat_batch_alloc(batch, COLUMNS * sizeof *row);
    memset(row, 0, COLUMNS * sizeof *row);
    struct letters_key key;
    if (!read_replay(record, &key))
        key = (struct letters_key){head->origin, (int64_t)head->seq, index};
    row[COL_ORIGIN].bytes = (struct leat_span){key.origin, LEAT_ID_SIZE};
    row[COL_SEQ] = as_integer(key.seq);
    row[COL_RECORD] = as_integer(key.record);
    row[COL_KIND].bytes = (struct leat_span){(const uint8_t *)head->kind, strlen(head->kind)};
    row[COL_ID] = as_text(batch, flow->key(record));
    row[COL_ID].null = row[COL_ID].bytes.size == 0;
    row[COL_STAGE] = as_text(batch, why->stage);
    row[COL_CODE] = as_text(batch, why->code);
    row[COL_MESSAGE] = as_text(batch, why->message);
    row[COL_PAYLOAD].bytes = batch->items[index].record;
    row[COL_VERSION] = as_integer(leat_batch_version(batch, index, record));
    row[COL_FIRST_SEEN] = as_integer(now);
    row[COL_LAST_SEEN] = as_integer(now);
    row[COL_ROW_TS].null = !flow->last_ts || !flow->last_ts(record, &row[COL_ROW_TS].integer);
    return row;
}

const struct letters_key *letters_replay(struct leat_batch *batch, const msgpack_object *record)
{
    struct letters_key key;
    if (!read_replay(record, &key))
        return NULL;
    struct letters_key *kept = leat_batch_alloc(batch, sizeof *kept);
    *kept = key;
    return kept;
}
