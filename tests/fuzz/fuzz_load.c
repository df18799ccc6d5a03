/* What persist makes of the items of a batch, whatever they are: each record gives rows or a dead
 * letter, and every value is one that the store's column takes. The first byte chooses the kind,
 * the rest is items. */
#include "services/persist/copy.h"
#include "services/persist/gone.h"
#include "services/tables.h"
#include "tests/fuzz/targets.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ITEMS_MOST = 64 };

static void check_value(const struct leat_column *column, const struct leat_value *value)
{
    json_t *json;
    if (value->null) {
        FUZZ_CHECK(column->nullable && !column->is_key);
        return;
    }
    switch (column->type) {
    case LEAT_COL_TEXT:
        FUZZ_CHECK(leat_wire_text_ok(value->bytes));
        break;
    case LEAT_COL_UUID:
        FUZZ_CHECK(value->bytes.size == LEAT_ID_SIZE);
        break;
    case LEAT_COL_JSONB:
        json = json_loadb((const char *)value->bytes.data, value->bytes.size, 0, NULL);
        FUZZ_CHECK(json != NULL);
        json_decref(json);
        break;
    case LEAT_COL_REALS:
        FUZZ_CHECK(value->bytes.size % sizeof(float) == 0);
        break;
    case LEAT_COL_BOOL:
        FUZZ_CHECK(value->integer == 0 || value->integer == 1);
        break;
    case LEAT_COL_DOUBLE:
    case LEAT_COL_BIGINT:
    case LEAT_COL_TIMESTAMPTZ:
    case LEAT_COL_BYTEA:
        break;
    }
}

static size_t check_table(struct load *load, size_t table, struct copy *copy)
{
    enum load_role role;
    const struct leat_table *of = load_table(load, table, &role);
    struct load_rows rows = load_pick(load, table, load_all(load));
    copy_begin(copy);
    for (size_t i = 0; i < rows.n; i++) {
        FUZZ_CHECK(rows.records[i] < load_records(load));
        for (size_t c = 0; c < leat_table_singles(of); c++)
            check_value(&of->columns[c], &rows.values[i][c]);
        copy_row(copy, of, rows.values[i]);
    }
    copy_end(copy);
    return role == LOAD_LETTERS ? rows.n : 0;
}

static void check_load(struct load *load)
{
    struct copy copy = {0};
    uint32_t committed, dead;
    struct gone gone = {0};
    size_t letters = 0;
    for (size_t i = 0; i < load_table_count(load); i++)
        letters += check_table(load, i, &copy);
    load_count(load, 0, &committed, &dead);
    FUZZ_CHECK(committed + dead == load_records(load));
    gone_collect(&gone, load, load_all(load));
    FUZZ_CHECK(gone.n <= 2 * (size_t)committed && (gone.n > 0) == (committed > 0));
    FUZZ_CHECK(letters <= dead); /* two replays of one dead letter are one row */
    /* A store may refuse any row: then its record is a dead letter instead. */
    for (uint32_t i = 0; i < load_records(load); i++)
        if (!load_record(load, i)->dead)
            load_kill(load, i, "22021", "refused", 1);
    for (size_t i = 0; i < load_table_count(load); i++)
        check_table(load, i, &copy);
    load_count(load, 0, &committed, &dead);
    FUZZ_CHECK(committed == 0 && dead == load_records(load));
    gone_collect(&gone, load, load_all(load));
    FUZZ_CHECK(gone.n == 0);
    gone_destroy(&gone);
    copy_destroy(&copy);
}

static struct leat_batch *batch_of(const char *kind, struct leat_span items)
{
    struct leat_batch_head head = {.seq = 7, .stamp = 1000, .attempt = 1};
    struct leat_error err;
    struct leat_span rest = items;
    msgpack_sbuffer frame;
    while (head.count < ITEMS_MOST && rest.size > 0) {
        size_t size = leat_wire_scan(rest, NULL);
        if (size == 0)
            break;
        rest.data += size;
        rest.size -= size;
        head.count++;
    }
    snprintf(head.stage, sizeof head.stage, "persist");
    snprintf(head.kind, sizeof head.kind, "%s", kind);
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&head, &frame);
    if (items.size > rest.size)
        msgpack_sbuffer_write(&frame, (const char *)items.data, items.size - rest.size);
    size_t size = frame.size;
    uint8_t *bytes = (uint8_t *)msgpack_sbuffer_release(&frame);
    return leat_batch_read((struct leat_span){bytes, size}, bytes, free, &err);
}

void fuzz_load(struct leat_span input)
{
    size_t flows = 0, chosen = fuzz_u8(&input);
    while (leat_flows[flows])
        flows++;
    struct leat_batch *batch = batch_of(leat_flows[chosen % flows]->kind, input);
    if (!batch)
        return;
    struct leat_settings *settings = leat_settings_new(leat_tables);
    struct catalog *catalog = catalog_open(settings, NULL);
    struct load *load = load_new(catalog);
    FUZZ_CHECK(load_add(load, batch, 2000));
    check_load(load);
    load_destroy(&load);
    catalog_close(&catalog);
    leat_settings_destroy(&settings);
}
