/* The client's protocol: what is read keeps its word, is written and read the same again; and the
 * records of a send make a batch that any stage can read. */
#include "proto/message.h"
#include "services/ingest/records.h"
#include "tests/fuzz/targets.h"

#include <stdio.h>
#include <string.h>

enum { RECORDS_MOST = 4096 };

static void write_again(const struct leat_message *m, msgpack_sbuffer *to)
{
    char client[LEAT_MAX_CLIENT_ID + 1];
    switch (m->type) {
    case LEAT_HELLO:
        snprintf(client, sizeof client, "%.*s", (int)m->client.size, (const char *)m->client.data);
        if (m->client.size > 0)
            leat_message_hello(to, client, m->instance, m->session, m->again);
        else
            leat_message_say_hello(to);
        break;
    case LEAT_ACK:
        if (m->forgotten)
            leat_message_forgotten(to, m->seq);
        else
            leat_message_ack(to, m->seq, m->accepted, NULL, 0);
        break;
    case LEAT_BUSY:
        leat_message_busy(to, m->seq, m->retry_ms);
        break;
    case LEAT_GAP:
        leat_message_gap(to, m->held);
        break;
    case LEAT_FENCED:
        leat_message_fenced(to, m->session, m->instance);
        break;
    case LEAT_SEND:
        leat_message_send(to, m->session, m->seq, "text", m->records->via.array.size, m->packed);
        break;
    case LEAT_DONE: /* two messages of one name: which of them it is only the sender knows */
        leat_message_done(to, m->through, m->committed, m->dead);
        break;
    case LEAT_WELCOME:
        leat_message_welcome(to, m, (const char *const[]){"text", NULL});
        break;
    case LEAT_ERROR:
        leat_message_error(to, "code", "reason");
        break;
    }
}

static void check_again(const struct leat_message *m, msgpack_zone *zone)
{
    msgpack_sbuffer bytes;
    struct leat_message n;
    struct leat_error err;
    const char *code;
    msgpack_sbuffer_init(&bytes);
    write_again(m, &bytes);
    FUZZ_CHECK(leat_message_read(fuzz_packed(&bytes), zone, &n, &code, &err));
    FUZZ_CHECK(n.type == m->type);
    FUZZ_CHECK(m->type != LEAT_HELLO || fuzz_same(n.client, m->client));
    FUZZ_CHECK(m->type != LEAT_ACK || (n.seq == m->seq && n.forgotten == m->forgotten));
    FUZZ_CHECK(m->type != LEAT_BUSY || (n.seq == m->seq && n.retry_ms == m->retry_ms));
    FUZZ_CHECK(m->type != LEAT_GAP || n.held == m->held);
    FUZZ_CHECK(m->type != LEAT_FENCED || n.session == m->session);
    FUZZ_CHECK(m->type != LEAT_SEND ||
               (n.session == m->session && n.seq == m->seq && fuzz_same(n.packed, m->packed)));
    FUZZ_CHECK(m->type != LEAT_WELCOME ||
               (n.session == m->session && n.held == m->held && n.through == m->through));
    msgpack_sbuffer_destroy(&bytes);
}

static void check_batch(const struct records *records, const char *kind)
{
    struct leat_batch_head head = {.seq = 1, .stamp = 1, .attempt = 1, .count = records->count};
    struct leat_error err;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    snprintf(head.stage, sizeof head.stage, "cache");
    snprintf(head.kind, sizeof head.kind, "%s", kind);
    leat_batch_write_head(&head, &frame);
    FUZZ_CHECK(frame.size <= LEAT_BATCH_HEAD_MAX);
    msgpack_sbuffer_write(&frame, records->items.data, records->items.size);
    struct leat_batch *batch = leat_batch_read(fuzz_packed(&frame), NULL, NULL, &err);
    FUZZ_CHECK(batch != NULL && batch->head.count == records->count);
    leat_batch_destroy(&batch);
    msgpack_sbuffer_destroy(&frame);
}

static void check_records(const struct leat_message *m)
{
    static struct records records;
    static bool opened;
    const struct leat_flow_limits limits = fuzz_limits();
    uint32_t n = m->records->via.array.size;
    if (!opened)
        records_open(&records, RECORDS_MOST);
    opened = true;
    if (n > RECORDS_MOST)
        return;
    for (const struct leat_flow *const *flow = leat_flows; *flow; flow++) {
        records_take(&records, m, *flow, &limits, 1000, RECORDS_LEFT_OUT);
        FUZZ_CHECK(records.accepted == records.count && records.accepted + records.n_rejected == n);
        if (records.count > 0)
            check_batch(&records, (*flow)->kind);
        records_take(&records, m, *flow, &limits, 1000, RECORDS_CARRY_ERROR);
        FUZZ_CHECK(records.count == n && records.accepted + records.n_rejected == n);
        if (records.count > 0)
            check_batch(&records, (*flow)->kind);
    }
    records_refuse(&records, m);
    FUZZ_CHECK(records.n_rejected == n && records.count == 0);
    for (uint32_t i = 0; i < n; i++)
        FUZZ_CHECK(leat_wire_text_ok(fuzz_text(records.rejected[i].reason)));
}

void fuzz_message(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    const char *code = NULL;
    struct leat_message m;
    msgpack_zone zone;
    msgpack_zone_init(&zone, 4096);
    if (leat_message_read(input, &zone, &m, &code, &err)) {
        FUZZ_CHECK(m.type != LEAT_HELLO ||
                   (m.client.size <= LEAT_MAX_CLIENT_ID && leat_wire_text_ok(m.client)));
        check_again(&m, &zone);
        if (m.type == LEAT_SEND)
            check_records(&m);
    } else {
        FUZZ_CHECK(code != NULL && err.text[0] != '\0' && leat_wire_text_ok(fuzz_text(err.text)));
    }
    msgpack_zone_destroy(&zone);
}
