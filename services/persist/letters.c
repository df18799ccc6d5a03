#include "services/persist/letters.h"

#include <string.h>

enum column {
    COL_ORIGIN,
    COL_SEQ,
    COL_RECORD,
    KEY_COLUMNS,
    COL_KIND = KEY_COLUMNS,
    COL_ID,
    COL_STAGE,
    COL_CODE,
    COL_MESSAGE,
    COL_PAYLOAD,
    COL_VERSION,
    COL_FIRST_SEEN,
    COL_LAST_SEEN,
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
    [COLUMNS] = {NULL},
};

static const struct leat_column key_columns[] = {
    [COL_ORIGIN] = {"origin", LEAT_COL_UUID, .is_key = true},
    [COL_SEQ] = {"seq", LEAT_COL_BIGINT, .is_key = true},
    [COL_RECORD] = {"record", LEAT_COL_BIGINT, .is_key = true},
    [KEY_COLUMNS] = {NULL},
};

const struct leat_table letters_table = {
    .name = "dead_letters", .columns = columns, .n_columns = COLUMNS};

const struct leat_table letters_gone = {
    .name = "dead_letters_gone", .columns = key_columns, .n_columns = KEY_COLUMNS};

/* The key of the dead letter that a record was; false when it is no replay. */
static bool read_replay(const msgpack_object *record, struct leat_value key[KEY_COLUMNS])
{
    struct leat_span origin;
    uint64_t seq, index;
    const msgpack_object *of = leat_wire_get(record, "replay_of");
    if (!of || !leat_wire_bin(of, "origin", &origin) || origin.size != LEAT_ID_SIZE ||
        !leat_wire_u64(of, "seq", &seq) || seq > INT64_MAX ||
        !leat_wire_u64(of, "record", &index) || index > INT64_MAX)
        return false;
    key[COL_ORIGIN] = (struct leat_value){.bytes = origin};
    key[COL_SEQ] = (struct leat_value){.integer = (int64_t)seq};
    key[COL_RECORD] = (struct leat_value){.integer = (int64_t)index};
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
                                     const msgpack_object *record, struct leat_span id,
                                     const struct letters_reason *why, int64_t now)
{
    const struct leat_batch_head *head = &batch->head;
    struct leat_value *row = leat_batch_alloc(batch, COLUMNS * sizeof *row);
    memset(row, 0, COLUMNS * sizeof *row);
    if (!read_replay(record, row)) {
        row[COL_ORIGIN].bytes = (struct leat_span){head->origin, LEAT_ID_SIZE};
        row[COL_SEQ] = as_integer((int64_t)head->seq);
        row[COL_RECORD] = as_integer(index);
    }
    row[COL_KIND].bytes = (struct leat_span){(const uint8_t *)head->kind, strlen(head->kind)};
    row[COL_ID] = as_text(batch, id);
    row[COL_ID].null = id.size == 0;
    row[COL_STAGE] = as_text(batch, why->stage);
    row[COL_CODE] = as_text(batch, why->code);
    row[COL_MESSAGE] = as_text(batch, why->message);
    row[COL_PAYLOAD].bytes = batch->items[index].record;
    row[COL_VERSION] = as_integer(leat_batch_version(batch, index, record));
    row[COL_FIRST_SEEN] = as_integer(now);
    row[COL_LAST_SEEN] = as_integer(now);
    return row;
}

const struct leat_value *letters_replay(struct leat_batch *batch, const msgpack_object *record)
{
    struct leat_value key[KEY_COLUMNS];
    memset(key, 0, sizeof key);
    if (!read_replay(record, key))
        return NULL;
    struct leat_value *row = leat_batch_alloc(batch, sizeof key);
    memcpy(row, key, sizeof key);
    return row;
}
