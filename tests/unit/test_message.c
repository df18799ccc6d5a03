#include "proto/message.h"
#include "tests/unit/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
    msgpack_sbuffer frame;
    msgpack_zone zone;
    struct leat_message message;
    const char *code;
    struct leat_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    msgpack_sbuffer_init(&f->frame);
    msgpack_zone_init(&f->zone, 1024);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    msgpack_sbuffer_destroy(&f->frame);
    msgpack_zone_destroy(&f->zone);
    free(f);
    return 0;
}

/* Reads what was written; the written bytes stay until the next `again`. */
static bool read_frame(struct fixture *f)
{
    msgpack_zone_clear(&f->zone);
    return leat_message_read(bytes_span(f->frame.data, f->frame.size), &f->zone, &f->message,
                             &f->code, &f->err);
}

static void read_as(struct fixture *f, enum leat_message_type type)
{
    assert_true(read_frame(f));
    assert_int_equal(f->message.type, type);
}

static void again(struct fixture *f)
{
    msgpack_sbuffer_clear(&f->frame);
}

static const char *const kinds[] = {"text", "series", NULL};

static const struct leat_message welcome = {
    .session = 7,
    .held = 300,
    .through = 200,
    .committed = 1999,
    .dead = 1,
    .credit = 1 << 24,
    .limits = {.send_bytes = 1 << 20,
               .send_records = 10000,
               .unanswered = 256,
               .series_rows = 2000,
               .series_longest = 90},
};

static void write_type(struct fixture *f, enum leat_message_type type)
{
    static const struct leat_rejection rejected[] = {{0, "text_missing", "no text"},
                                                     {5, "id_type", "id is a number"}};
    again(f);
    switch (type) {
    case LEAT_HELLO:
        leat_message_hello(&f->frame, "sensor-7", 4000000000, 6, true);
        break;
    case LEAT_WELCOME:
        leat_message_welcome(&f->frame, &welcome, kinds);
        break;
    case LEAT_SEND:
        leat_message_send(&f->frame, 7, 301, "text", 2, bytes_text("\x81\xa1x\x01\xc3"));
        break;
    case LEAT_ACK:
        leat_message_ack(&f->frame, 301, 4, rejected, 2);
        break;
    case LEAT_BUSY:
        leat_message_busy(&f->frame, 301, 250);
        break;
    case LEAT_GAP:
        leat_message_gap(&f->frame, 299);
        break;
    case LEAT_FENCED:
        leat_message_fenced(&f->frame, 7, 4000000000);
        break;
    case LEAT_DONE:
        leat_message_done(&f->frame, 298, 12345678901, 3);
        break;
    case LEAT_ERROR:
        leat_message_error(&f->frame, "type", "no such type of message");
        break;
    }
}

static void every_message_comes_back_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct leat_message *m = &f->message;

    write_type(f, LEAT_HELLO);
    read_as(f, LEAT_HELLO);
    assert_true(leat_wire_is(m->client, "sensor-7"));
    assert_int_equal(m->instance, 4000000000);
    assert_int_equal(m->session, 6);
    assert_true(m->again);
    again(f);
    leat_message_say_hello(&f->frame);
    read_as(f, LEAT_HELLO);
    assert_int_equal(m->client.size, 0);
    again(f);
    leat_message_hello(&f->frame, "sensor-7", 0, 0, false); /* a simple client tells no more */
    read_as(f, LEAT_HELLO);
    assert_int_equal(m->instance, 0);
    assert_int_equal(m->session, 0);
    assert_false(m->again);

    write_type(f, LEAT_WELCOME);
    read_as(f, LEAT_WELCOME);
    assert_int_equal(m->session, 7);
    assert_int_equal(m->held, 300);
    assert_int_equal(m->through, 200);
    assert_int_equal(m->committed, 1999);
    assert_int_equal(m->dead, 1);
    assert_int_equal(m->credit, 1 << 24);
    assert_memory_equal(&m->limits, &welcome.limits, sizeof m->limits);
    assert_int_equal(m->kinds->via.array.size, 2);

    write_type(f, LEAT_ACK);
    read_as(f, LEAT_ACK);
    assert_int_equal(m->seq, 301);
    assert_int_equal(m->accepted, 4);
    assert_false(m->forgotten);
    assert_int_equal(m->rejected->via.array.size, 2);
    uint64_t index;
    struct leat_span code;
    assert_true(leat_wire_u64(&m->rejected->via.array.ptr[1], "index", &index));
    assert_int_equal(index, 5);
    assert_true(leat_wire_str(&m->rejected->via.array.ptr[1], "code", &code));
    assert_true(leat_wire_is(code, "id_type"));

    again(f);
    leat_message_forgotten(&f->frame, 12);
    read_as(f, LEAT_ACK);
    assert_int_equal(m->seq, 12);
    assert_int_equal(m->accepted, 0);
    assert_true(m->forgotten);

    write_type(f, LEAT_BUSY);
    read_as(f, LEAT_BUSY);
    assert_int_equal(m->seq, 301);
    assert_int_equal(m->retry_ms, 250);

    write_type(f, LEAT_GAP);
    read_as(f, LEAT_GAP);
    assert_int_equal(m->held, 299);

    write_type(f, LEAT_FENCED);
    read_as(f, LEAT_FENCED);
    assert_int_equal(m->session, 7);

    write_type(f, LEAT_DONE);
    read_as(f, LEAT_DONE);
    assert_int_equal(m->through, 298);
    assert_true(m->committed == 12345678901);
    assert_int_equal(m->dead, 3);
    again(f);
    leat_message_done_request(&f->frame, 7);
    read_as(f, LEAT_DONE);
    assert_int_equal(m->session, 7);

    write_type(f, LEAT_ERROR);
    read_as(f, LEAT_ERROR);
    assert_true(leat_wire_is(m->code, "type"));
    assert_true(leat_wire_is(m->reason, "no such type of message"));
}

static void a_send_gives_its_records_as_tree_and_as_bytes(void **state)
{
    struct fixture *f = *state;
    write_type(f, LEAT_SEND);
    read_as(f, LEAT_SEND);
    assert_int_equal(f->message.session, 7);
    assert_int_equal(f->message.seq, 301);
    assert_true(leat_wire_is(f->message.kind, "text"));
    assert_int_equal(f->message.records->via.array.size, 2);
    assert_int_equal(f->message.records->via.array.ptr[0].type, MSGPACK_OBJECT_MAP);
    assert_int_equal(f->message.records->via.array.ptr[1].type, MSGPACK_OBJECT_BOOLEAN);
    assert_true(leat_wire_is(f->message.packed, "\x81\xa1x\x01\xc3"));
    assert_int_equal(leat_wire_scan(f->message.packed, NULL), 4);

    again(f);
    leat_message_send(&f->frame, 7, 302, "text", 0, bytes_text(""));
    read_as(f, LEAT_SEND);
    assert_int_equal(f->message.records->via.array.size, 0);
    assert_int_equal(f->message.packed.size, 0);
}

static void the_one_way_frame_reads_as_a_send_of_no_session(void **state)
{
    struct fixture *f = *state;
    leat_message_oneway(&f->frame, "text", 1, bytes_text("\x81\xa1x\x01"));
    read_as(f, LEAT_SEND);
    assert_int_equal(f->message.session, 0);
    assert_int_equal(f->message.seq, 0);
    assert_true(leat_wire_is(f->message.kind, "text"));
    assert_true(leat_wire_is(f->message.packed, "\x81\xa1x\x01"));
}

static void assert_bytes(struct fixture *f, const char *bytes, size_t size)
{
    assert_int_equal(f->frame.size, size);
    assert_memory_equal(f->frame.data, bytes, size);
    again(f);
}

/* proto/README.md shows these bytes. */
static void the_examples_of_the_specification_are_true(void **state)
{
    struct fixture *f = *state;
    static const char hello[] = "\x83\xa1\x76\x01\xa4\x74\x79\x70\x65\xa5\x68\x65\x6c\x6c\x6f"
                                "\xa6\x63\x6c\x69\x65\x6e\x74\xa2\x6d\x65";
    static const char send[] =
        "\x86\xa1\x76\x01\xa4\x74\x79\x70\x65\xa4\x73\x65\x6e\x64\xa7\x73\x65\x73\x73\x69\x6f"
        "\x6e\x07\xa3\x73\x65\x71\x01\xa4\x6b\x69\x6e\x64\xa4\x74\x65\x78\x74\xa7\x72\x65\x63"
        "\x6f\x72\x64\x73\x91\x82\xa2\x69\x64\xa1\x61\xa4\x74\x65\x78\x74\xa2\x68\x69";
    static const char oneway[] =
        "\x83\xa1\x76\x01\xa4\x6b\x69\x6e\x64\xa4\x74\x65\x78\x74\xa7\x72\x65\x63\x6f\x72\x64"
        "\x73\x91\x82\xa2\x69\x64\xa1\x61\xa4\x74\x65\x78\x74\xa2\x68\x69";
    struct leat_span record = bytes_text("\x82\xa2id\xa1"
                                         "a\xa4text\xa2hi");
    leat_message_hello(&f->frame, "me", 0, 0, false);
    assert_bytes(f, hello, sizeof hello - 1);
    leat_message_send(&f->frame, 7, 1, "text", 1, record);
    assert_bytes(f, send, sizeof send - 1);
    leat_message_oneway(&f->frame, "text", 1, record);
    assert_bytes(f, oneway, sizeof oneway - 1);
}

static void a_cut_message_is_refused_wherever_it_is_cut(void **state)
{
    struct fixture *f = *state;
    for (int type = LEAT_HELLO; type <= LEAT_ERROR; type++) {
        write_type(f, (enum leat_message_type)type);
        for (size_t size = 0; size < f->frame.size; size++) {
            uint8_t *part = bytes_copy(f->frame.data, size);
            assert_false(leat_message_read(bytes_span(part, size), &f->zone, &f->message, &f->code,
                                           &f->err));
            assert_string_equal(f->code, "malformed");
            free(part);
        }
        msgpack_zone_clear(&f->zone);
        leat_pack_raw(&f->frame, bytes_span("\xc0", 1));
        assert_false(read_frame(f));
    }
}

static void random_and_damaged_bytes_do_no_harm(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 4711;
    uint8_t raw[512];
    for (int i = 0; i < 50000; i++) {
        size_t size = bytes_random(&seed) % 200;
        bytes_fill(&seed, raw, size);
        uint8_t *in = bytes_copy(raw, size);
        msgpack_zone_clear(&f->zone);
        leat_message_read(bytes_span(in, size), &f->zone, &f->message, &f->code, &f->err);
        free(in);
    }
    size_t read = 0;
    for (int i = 0; i < 90000; i++) {
        write_type(f, (enum leat_message_type)(i % 9));
        size_t size = f->frame.size;
        memcpy(raw, f->frame.data, size);
        for (uint64_t n = 1 + bytes_random(&seed) % 3; n > 0; n--)
            raw[bytes_random(&seed) % size] = (uint8_t)bytes_random(&seed);
        uint8_t *in = bytes_copy(raw, size);
        msgpack_zone_clear(&f->zone);
        if (leat_message_read(bytes_span(in, size), &f->zone, &f->message, &f->code, &f->err)) {
            read++;
            if (f->message.type == LEAT_SEND) {
                /* The two forms of the records agree. */
                struct leat_span rest = f->message.packed;
                for (uint32_t k = 0; k < f->message.records->via.array.size; k++) {
                    size_t one = leat_wire_scan(rest, NULL);
                    assert_true(one > 0);
                    rest = bytes_span(rest.data + one, rest.size - one);
                }
                assert_int_equal(rest.size, 0);
            }
        }
        free(in);
    }
    assert_true(read > 1000);
}

/* Changes the version of a frame: the byte after the key "v". */
static void a_wrong_version_is_told_apart(void **state)
{
    struct fixture *f = *state;
    for (int type = LEAT_HELLO; type <= LEAT_ERROR; type++) {
        write_type(f, (enum leat_message_type)type);
        assert_memory_equal(f->frame.data + 1, "\xa1v\x01", 3);
        static const char versions[] = {0, 2, 127, (char)0xff, (char)0xc0};
        for (size_t i = 0; i < sizeof versions; i++) {
            f->frame.data[3] = versions[i];
            assert_false(read_frame(f));
            assert_string_equal(f->code, "version");
            assert_non_null(strstr(f->err.text, "1"));
        }
    }
}

static void refuse(struct fixture *f, const char *bytes, const char *code, const char *reason)
{
    again(f);
    leat_pack_raw(&f->frame, bytes_text(bytes));
    assert_false(read_frame(f));
    assert_string_equal(f->code, code);
    if (!strstr(f->err.text, reason))
        fail_msg("\"%s\" does not tell of %s", f->err.text, reason);
}

static void what_is_wrong_is_named(void **state)
{
    struct fixture *f = *state;
    refuse(f, "", "malformed", "empty");
    refuse(f, "\x05", "malformed", "map");
    refuse(f, "\x91\x05", "malformed", "map");
    refuse(f, "\x80", "malformed", "v is missing");
    refuse(f, "\x81\xa1v\x01", "malformed", "type");
    refuse(f, "\x82\xa1v\x01\xa4type\x05", "malformed", "type");
    refuse(f, "\x82\xa1v\x01\xa4type\xa4helo", "type", "no such type");
    refuse(f,
           "\x83\xa1v\x01\xa4type\xa5hello\xa6"
           "client\x05",
           "malformed", "client");
    refuse(f,
           "\x83\xa1v\x01\xa4type\xa5hello\xa6"
           "client\xa0",
           "malformed", "1 to 128 bytes");
    refuse(f,
           "\x83\xa1v\x01\xa4type\xa5hello\xa6"
           "client\xa1\xff",
           "malformed", "UTF-8");
    refuse(f,
           "\x84\xa1v\x01\xa4type\xa5hello\xa6"
           "client\xa1x\xa8instance\xff",
           "malformed", "instance");
    refuse(f,
           "\x84\xa1v\x01\xa4type\xa5hello\xa6"
           "client\xa1x\xa8instance\xcf\x11\x11\x11\x11\x11\x11\x11\x11",
           "malformed", "instance");
    refuse(f,
           "\x84\xa1v\x01\xa4type\xa5hello\xa6"
           "client\xa1x\xa7session\xa1y",
           "malformed", "session");
    refuse(f,
           "\x84\xa1v\x01\xa4type\xa5hello\xa6"
           "client\xa1x\xa5"
           "again\x01",
           "malformed", "again");
    refuse(f,
           "\x84\xa1v\x01\xa4type\xa6"
           "fenced\xa7session\x01\xa8instance\xff",
           "malformed", "instance");
    refuse(f, "\x84\xa1v\x01\xa4type\xa4send\xa3seq\x01\xa7session\x01", "malformed", "kind");
    refuse(f, "\x86\xa1v\x01\xa4type\xa4send\xa3seq\x01\xa7session\x01\xa4kind\xa1x\xa7records\x80",
           "malformed", "records");
    refuse(f, "\x85\xa1v\x01\xa4type\xa4send\xa3seq\x01\xa4kind\xa1x\xa7records\x90", "malformed",
           "session");
    refuse(f, "\x82\xa1v\x01\xa4kind\xa1x", "malformed", "type");
    char name[LEAT_MAX_CLIENT_ID + 2];
    memset(name, 'n', sizeof name);
    name[LEAT_MAX_CLIENT_ID + 1] = '\0';
    again(f);
    leat_message_hello(&f->frame, name, 1, 0, false);
    assert_false(read_frame(f));
    name[LEAT_MAX_CLIENT_ID] = '\0';
    again(f);
    leat_message_hello(&f->frame, name, 1, 0, false);
    read_as(f, LEAT_HELLO);
}

static void every_field_of_a_message_is_needed(void **state)
{
    struct fixture *f = *state;
    /* Renames one key at a time; only what is optional may then still be read. */
    for (int type = LEAT_HELLO; type <= LEAT_ERROR; type++) {
        write_type(f, (enum leat_message_type)type);
        struct leat_walk walk;
        uint8_t *in = bytes_copy(f->frame.data, f->frame.size);
        assert_true(leat_walk_open(&walk, bytes_span(in, f->frame.size), NULL));
        while (walk.left > 0) {
            struct leat_span key, value;
            assert_true(leat_walk_next(&walk, &key, &value, NULL));
            size_t at = (size_t)(key.data - in);
            f->frame.data[at] = '?';
            bool optional = (type == LEAT_HELLO &&
                             (leat_wire_is(key, "client") || leat_wire_is(key, "instance") ||
                              leat_wire_is(key, "session") || leat_wire_is(key, "again"))) ||
                            (type == LEAT_FENCED && leat_wire_is(key, "instance")) ||
                            /* a one-way frame, then */
                            (type == LEAT_SEND && leat_wire_is(key, "type"));
            assert_int_equal(read_frame(f), optional);
            f->frame.data[at] = (char)key.data[0];
        }
        free(in);
    }
}

static void unknown_keys_are_ignored(void **state)
{
    struct fixture *f = *state;
    leat_pack_raw(&f->frame, bytes_text("\x85\x07\x07\xa1v\x01\xa5later\x91\x01\xa4type\xa3gap\xa4"
                                        "held\x09"));
    read_as(f, LEAT_GAP);
    assert_int_equal(f->message.held, 9);
}

static void a_kind_may_be_any_string(void **state)
{
    struct fixture *f = *state;
    leat_message_send(&f->frame, 1, 1, "No such Kind, and a name far too long for one", 0,
                      bytes_text(""));
    read_as(f, LEAT_SEND);
    assert_int_equal(f->message.kind.size, 45);
}

static void a_depth_bomb_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t bomb[5000];
    memset(bomb, 0x91, sizeof bomb);
    leat_message_send(&f->frame, 1, 1, "text", 1, bytes_span(bomb, sizeof bomb));
    assert_false(read_frame(f));
    assert_string_equal(f->code, "malformed");
    assert_non_null(strstr(f->err.text, "deep"));
}

static void huge_counts_take_no_memory(void **state)
{
    struct fixture *f = *state;
    refuse(f, "\xdf\xff\xff\xff\xff\xa1v\x01", "malformed", "cut short");
    refuse(f,
           "\x86\xa1v\x01\xa4type\xa4send\xa3seq\x01\xa7session\x01\xa4kind\xa1x\xa7records"
           "\xdd\xff\xff\xff\xff",
           "malformed", "4294967295");
}

/* An answer to nothing but broken records would be a hundred times as large as the send. */
static void reasons_of_an_ack_are_bounded_and_codes_are_not_left_out(void **state)
{
    struct fixture *f = *state;
    enum { N = 4096 };
    struct leat_rejection *rejected = calloc(N, sizeof *rejected);
    for (uint32_t i = 0; i < N; i++) {
        rejected[i].index = i;
        rejected[i].code = "invalid";
        memset(rejected[i].reason, 'x', 150);
    }
    leat_message_ack(&f->frame, 1, 0, rejected, N);
    free(rejected);
    assert_in_range(f->frame.size, LEAT_REASONS_BYTES, LEAT_REASONS_BYTES + N * 40);
    read_as(f, LEAT_ACK);
    const msgpack_object_array *told = &f->message.rejected->via.array;
    struct leat_span code, reason;
    assert_int_equal(told->size, N);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(leat_wire_str(&told->ptr[i], "code", &code));
        assert_true(leat_wire_str(&told->ptr[i], "reason", &reason));
        assert_int_equal(code.size, strlen("invalid"));
        assert_int_equal(reason.size, i < LEAT_REASONS_BYTES / 150 ? 150 : 0);
    }
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(every_message_comes_back_as_it_was_written),
        WITH_FIXTURE(reasons_of_an_ack_are_bounded_and_codes_are_not_left_out),
        WITH_FIXTURE(a_send_gives_its_records_as_tree_and_as_bytes),
        WITH_FIXTURE(the_one_way_frame_reads_as_a_send_of_no_session),
        WITH_FIXTURE(the_examples_of_the_specification_are_true),
        WITH_FIXTURE(a_cut_message_is_refused_wherever_it_is_cut),
        WITH_FIXTURE(random_and_damaged_bytes_do_no_harm),
        WITH_FIXTURE(a_wrong_version_is_told_apart),
        WITH_FIXTURE(what_is_wrong_is_named),
        WITH_FIXTURE(every_field_of_a_message_is_needed),
        WITH_FIXTURE(unknown_keys_are_ignored),
        WITH_FIXTURE(a_kind_may_be_any_string),
        WITH_FIXTURE(a_depth_bomb_is_refused),
        WITH_FIXTURE(huge_counts_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
