/* The parts of the command line that are not about reading input. */
#include "services/leat/draft.h"
#include "services/leat/mask.h"
#include "services/leat/options.h"
#include "services/leat/payload.h"
#include "services/leat/positions.h"
#include "services/leat/render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* --- positions --- */

static void expect_position(const struct positions *p, uint64_t record, uint32_t file,
                            uint64_t line)
{
    struct position got = {.file = 99};
    assert_true(positions_find(p, record, &got));
    assert_int_equal(got.file, file);
    assert_int_equal(got.line, line);
}

static void every_record_is_found_again(void **state)
{
    (void)state;
    struct positions p;
    struct position at;
    assert_true(positions_init(&p));
    assert_false(positions_find(&p, 0, &at));
    for (uint64_t i = 1; i <= 1000; i++)
        positions_add(&p, 0, i, 1);
    positions_add(&p, 0, 1002, 1);
    positions_add(&p, 1, 1003, 1);
    positions_add(&p, 1, 1004, 1);
    assert_int_equal(p.count, 3);
    expect_position(&p, 0, 0, 1);
    expect_position(&p, 999, 0, 1000);
    expect_position(&p, 1000, 0, 1002);
    expect_position(&p, 1001, 1, 1003);
    expect_position(&p, 1002, 1, 1004);
    assert_false(positions_find(&p, 1003, &at));
    positions_forget(&p);
    assert_false(positions_find(&p, 5, &at));
    positions_add(&p, 2, 7, 1);
    expect_position(&p, 1003, 2, 7);
    assert_false(positions_find(&p, 1002, &at));
    positions_end(&p);
}

static void a_text_that_may_be_anything_becomes_utf8(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},        {"plain \xc3\xa4", "plain \xc3\xa4"},      {"\xff", "?"},
        {"a\xc3", "a?"}, {"a\xe4.csv is \xf0\x9f", "a?.csv is ??"}, {"\xed\xa0\x80", "???"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        strcpy(text, rows[i][0]);
        draft_mend(text);
        assert_string_equal(text, rows[i][1]);
    }
}

static void memory_for_positions_is_bounded(void **state)
{
    (void)state;
    struct positions p;
    assert_true(positions_init(&p));
    for (uint64_t i = 0; i < POSITIONS_MAX; i++) {
        assert_false(positions_full(&p));
        positions_add(&p, 0, 2 * i + 1, 1); /* a gap after every line */
    }
    assert_true(positions_full(&p));
    expect_position(&p, POSITIONS_MAX - 1, 0, 2 * POSITIONS_MAX - 1);
    positions_forget(&p);
    assert_false(positions_full(&p));
    positions_end(&p);
}

/* --- payload --- */

static struct leat_span packed_record(msgpack_sbuffer *to)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, to, msgpack_sbuffer_write);
    leat_pack_map(&packer, 6);
    leat_pack_cstr(&packer, "id");
    leat_pack_cstr(&packer, "a");
    leat_pack_cstr(&packer, "version");
    msgpack_pack_int64(&packer, 5);
    leat_pack_cstr(&packer, "replay_of");
    msgpack_pack_nil(&packer);
    leat_pack_cstr(&packer, "bad");
    leat_pack_str(&packer, (struct leat_span){(const uint8_t *)"\xff", 1});
    leat_pack_cstr(&packer, "bin");
    leat_pack_bin(&packer, (struct leat_span){(const uint8_t *)"\0\xfe", 2});
    msgpack_pack_int64(&packer, 7);
    msgpack_pack_double(&packer, 0.5);
    return (struct leat_span){(const uint8_t *)to->data, to->size};
}

static void a_payload_is_shown_as_json_whatever_it_holds(void **state)
{
    (void)state;
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    json_t *json = payload_json(packed_record(&buffer));
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"7\":0.5,\"bad\":{\"bytes\":\"ff\"},\"bin\":{\"bytes\":\"00fe\"},"
                              "\"id\":\"a\",\"replay_of\":null,\"version\":5}");
    free(text);
    json_decref(json);
    json = payload_json((struct leat_span){(const uint8_t *)"\xc1\x02", 2});
    text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"bytes\":\"c102\"}");
    free(text);
    json_decref(json);
    msgpack_sbuffer_destroy(&buffer);
}

static void a_replay_carries_its_version_and_its_letter(void **state)
{
    (void)state;
    msgpack_sbuffer in, out;
    msgpack_sbuffer_init(&in);
    msgpack_sbuffer_init(&out);
    struct leat_error err;
    struct payload_replay of = {.seq = 12, .record = 3, .version = 99};
    assert_true(payload_uuid("00112233-4455-6677-8899-aabbccddeeff", of.origin));
    assert_int_equal(of.origin[15], 0xff);
    assert_true(payload_replay(packed_record(&in), &of, &out, &err));
    msgpack_zone *zone = msgpack_zone_new(1024);
    msgpack_object record;
    struct leat_span packed = {(const uint8_t *)out.data, out.size};
    assert_true(leat_wire_unpack(packed, zone, &record, &err));
    assert_int_equal(record.via.map.size, 6); /* one of each key */
    uint64_t version, seq, index;
    struct leat_span origin;
    assert_true(leat_wire_u64(&record, "version", &version));
    const msgpack_object *mark = leat_wire_get(&record, "replay_of");
    assert_true(leat_wire_bin(mark, "origin", &origin));
    assert_true(leat_wire_u64(mark, "seq", &seq) && leat_wire_u64(mark, "record", &index));
    assert_int_equal(version, 99);
    assert_int_equal(seq, 12);
    assert_int_equal(index, 3);
    assert_memory_equal(origin.data, of.origin, 16);
    assert_false(payload_replay((struct leat_span){(const uint8_t *)"\xa1x", 2}, &of, &out, &err));
    assert_false(payload_replay((struct leat_span){(const uint8_t *)"\xc1", 1}, &of, &out, &err));
    assert_false(payload_uuid("00112233-4455-6677-8899-aabbccddeeXX", of.origin));
    assert_false(payload_uuid("0011", of.origin));
    msgpack_zone_free(zone);
    msgpack_sbuffer_destroy(&in);
    msgpack_sbuffer_destroy(&out);
}

/* --- mask --- */

static void expect_mask(bool secret, const char *value, const char *shown)
{
    char text[200];
    struct leat_setting row = {.name = "a.url", .type = LEAT_SET_STRING, .secret = secret};
    assert_string_equal(mask_value(&row, value, text, sizeof text), shown);
}

static void passwords_are_not_shown(void **state)
{
    (void)state;
    expect_mask(false, "redis://:pw@host:6379/0", "redis://:******@host:6379/0");
    expect_mask(false, "postgresql://me:p@w@host/db", "postgresql://me:******@host/db");
    expect_mask(false, "postgresql://me@host/db?password=pw&port=1",
                "postgresql://me@host/db?password=******&port=1");
    expect_mask(false, "host=a password = pw user=x", "host=a password = ****** user=x");
    expect_mask(false, "password='a b\\'c' user=x", "password=****** user=x");
    expect_mask(false, "tcp://127.0.0.1:5550", "tcp://127.0.0.1:5550");
    expect_mask(true, "memory:", "memory:");
    expect_mask(true, "hunter2", "******");
    expect_mask(true, "", "");
}

static void every_password_of_an_address_is_hidden(void **state)
{
    (void)state;
    expect_mask(false, "host=db dbname=passwords password=s3cret",
                "host=db dbname=passwords password=******");
    expect_mask(false, "host=db user=leat_password password=s3cret",
                "host=db user=leat_password password=******");
    expect_mask(false, "host=db sslpassword=aaa password=s3cret port=1",
                "host=db sslpassword=****** password=****** port=1");
    expect_mask(false, "password=s3cret\tsslpassword\t=\n'a \\' b'",
                "password=******\tsslpassword\t=\n******");
    expect_mask(false, "password=a\\ b dbname=x", "password=****** dbname=x");
    expect_mask(false, "application_name='my password=' password='a b'",
                "application_name='my password=******");
    expect_mask(false, "application_name=a://b:c password='x@y z'",
                "application_name=a://b:******");
    expect_mask(false, "host=x://y password=a&b dbname=z", "host=x://y password=****** dbname=z");
    expect_mask(false, "postgresql://u@h/db?sslpassword=aaa&password=s3cret&port=1",
                "postgresql://u@h/db?sslpassword=******&password=******&port=1");
    expect_mask(false, "postgresql://u:p?w#1@h/db", "postgresql://u:******@h/db");
    expect_mask(false, "redis://:a/b?c@host:6379/0", "redis://:******@host:6379/0");
}

/* What libpq would make of such a text is an error, and that is told elsewhere. */
static void a_broken_address_shows_no_password_either(void **state)
{
    (void)state;
    expect_mask(false, "host=db password=two words", "host=db password=******");
    expect_mask(false, "host=db password='a b", "host=db password=******");
    expect_mask(false, "host=db PASSWORD=s3cret colour=red", "host=db PASSWORD=******");
    expect_mask(false, "'postgresql://u:p@h/db?password=a b'",
                "'postgresql://u:******@h/db?password=******");
    expect_mask(false, "postgresql://u@h/db?password=a&b", "postgresql://u@h/db?password=******");
    expect_mask(false, "password=", "password=");
}

static void a_long_address_is_cut_and_not_shown_bare(void **state)
{
    (void)state;
    char address[20000], text[20000];
    memset(address, 'x', sizeof address - 1);
    memcpy(address, "host=", 5);
    memcpy(address + 8180, " password=", 10);
    address[sizeof address - 1] = '\0';
    mask_address(address, text, sizeof text);
    assert_string_equal(text + 8180, " password=******");
}

static void a_key_is_not_shown_though_it_looks_like_an_address(void **state)
{
    (void)state;
    static const char *const keys[] = {"c2VjcmV0==", "id:secret", "https://k", "password=x y"};
    struct leat_setting row = {.name = "a.key", .type = LEAT_SET_STRING, .secret = true};
    char text[40];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_string_equal(mask_value(&row, keys[i], text, sizeof text), "******");
}

static void a_key_in_a_url_is_not_shown(void **state)
{
    (void)state;
    expect_mask(false, "https://host/v1?api-key=k", "https://host/v1?api-key=******");
    expect_mask(false, "https://host/v1?v=2&Key=k&x=1#a", "https://host/v1?v=2&Key=******&x=1#a");
    expect_mask(false, "https://u:pw@host/v1?token=k", "https://u:******@host/v1?token=******");
    expect_mask(false, "https://host/v1?key&monkey=1", "https://host/v1?key&monkey=1");
    expect_mask(false, "https://host/v1?key=", "https://host/v1?key=");
}

/* --- options --- */

static const struct manual_option test_options[] = {
    {"--to", "ENDPOINT", ""},
    {"--set", "NAME=VALUE...", ""},
    {"--json", NULL, ""},
    {NULL, NULL, NULL},
};
static const struct manual test_manual = {.name = "test", .options = test_options};

static void words_are_sorted_into_options_and_operands(void **state)
{
    (void)state;
    char *argv[] = {"test",   "a",     "--to=x=y", "--set", "1",   "-",
                    "--json", "--set", "--",       "--",    "--to"};
    struct options options;
    struct leat_error err;
    assert_true(options_parse(&options, &test_manual, 11, argv, &err));
    assert_string_equal(options_value(&options, "--to"), "x=y");
    assert_true(options_has(&options, "--json"));
    assert_string_equal(options_nth(&options, "--set", 0), "1");
    assert_string_equal(options_nth(&options, "--set", 1), "--");
    assert_null(options_nth(&options, "--set", 2));
    assert_int_equal(options.n_operands, 3);
    assert_string_equal(options.operands[0], "a");
    assert_string_equal(options.operands[1], "-");
    assert_string_equal(options.operands[2], "--to");
    options_end(&options);
}

static void expect_wrong(char *first, char *second, const char *reason)
{
    char *argv[] = {"test", first, second};
    struct options options;
    struct leat_error err;
    assert_false(options_parse(&options, &test_manual, second ? 3 : 2, argv, &err));
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

static void wrong_options_are_told_apart(void **state)
{
    (void)state;
    expect_wrong("--jsno", NULL, "did you mean --json?");
    expect_wrong("--zebra", NULL, "there is no option --zebra");
    expect_wrong("-x", NULL, "there is no option -x");
    expect_wrong("--to", NULL, "needs a value");
    expect_wrong("--json=1", NULL, "takes no value");
    expect_wrong("--json", "--json", "given twice");
}

static void what_is_counted_is_a_whole_number(void **state)
{
    (void)state;
    static const struct {
        char *word;
        bool good;
        uint64_t count;
    } rows[] = {
        {"0", true, 0},    {"7", true, 7},     {"1e3", true, 1000}, {"0.5", false, 3},
        {"-1", false, 3},  {"1.9", false, 3},  {"1001", false, 3},  {"nan", false, 3},
        {"inf", false, 3}, {"many", false, 3}, {"", false, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *argv[] = {"test", "--to", rows[i].word};
        struct options options;
        struct leat_error err;
        uint64_t count = 3;
        assert_true(options_parse(&options, &test_manual, 3, argv, &err));
        assert_int_equal(options_count(&options, "--to", 0, 1000, &count, &err), rows[i].good);
        assert_int_equal(count, rows[i].count);
        assert_true(options_count(&options, "--set", 0, 1000, &count, &err)); /* not given */
        assert_int_equal(count, rows[i].count);
        options_end(&options);
    }
}

/* --- render --- */

/* What a function writes to a stream of 20 columns. */
static char *written(void (*write)(const struct render *to, struct leat_span text),
                     const char *text)
{
    char *out = NULL;
    size_t size;
    struct render to = {.out = open_memstream(&out, &size), .utf8 = true, .width = 20};
    write(&to, render_span(text));
    fclose(to.out);
    return out;
}

static void line_of_8(const struct render *to, struct leat_span text)
{
    render_line(to, text, 8, true);
    fputc('|', to->out);
}

static void wrapped(const struct render *to, struct leat_span text)
{
    render_wrap(to, text, 0);
}

static void expect_written(void (*write)(const struct render *to, struct leat_span text),
                           const char *text, const char *expected)
{
    char *out = written(write, text);
    assert_string_equal(out, expected);
    free(out);
}

static void lines_have_their_width_in_any_script(void **state)
{
    (void)state;
    expect_written(line_of_8, "abc", "abc     |");
    expect_written(line_of_8, "abcdefgh", "abcdefgh|");
    expect_written(line_of_8, "abcdefghi", "abcdefg…|");
    expect_written(line_of_8, "日本語日本語", "日本語… |");
    expect_written(line_of_8, "a\tb\nc", "a b c   |");
    expect_written(wrapped, "one two three four five six", "one two three four\nfive six\n");
    expect_written(wrapped, "a\n\nb", "a\n\nb\n");
    expect_written(wrapped, "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrst\nuvwxyz\n");
}

static void nothing_from_outside_commands_the_terminal(void **state)
{
    (void)state;
    expect_written(line_of_8, "a\x1b[31mb", "a\xef\xbf\xbd[31mb |");
    expect_written(line_of_8,
                   "a\xc2\x9b"
                   "b",
                   "a\xef\xbf\xbd"
                   "b     |");
    expect_written(line_of_8,
                   "a\xe2\x80\xae"
                   "b",
                   "a\xef\xbf\xbd"
                   "b     |");
    expect_written(line_of_8,
                   "a\xff"
                   "b",
                   "a\xef\xbf\xbd"
                   "b     |");
    expect_written(wrapped,
                   "a\x07"
                   "b",
                   "a\xef\xbf\xbd"
                   "b\n");
}

/* What render_complain writes to stderr. */
static void expect_complaint(const char *message, const char *expected)
{
    char *out = NULL;
    size_t size;
    FILE *terminal = stderr;
    stderr = open_memstream(&out, &size);
    render_complain("leat", "%s", message);
    fclose(stderr);
    stderr = terminal;
    assert_string_equal(out, expected);
    free(out);
}

static void nothing_in_a_complaint_commands_the_terminal(void **state)
{
    (void)state;
    expect_complaint("two\nlines,\ta tab: n\xc3\xa9", "leat: two\nlines, a tab: n\xc3\xa9\n");
    expect_complaint("\x1b[31m", "leat: \xef\xbf\xbd[31m\n");
    expect_complaint("\x7f", "leat: \xef\xbf\xbd\n");
    expect_complaint("\xc2\x9b"
                     "31m",
                     "leat: \xef\xbf\xbd"
                     "31m\n");
    expect_complaint("\xe2\x80\xae", "leat: \xef\xbf\xbd\n");
    expect_complaint("\x9b", "leat: \xef\xbf\xbd\n");
}

static void numbers_are_written_for_people(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(render_count(0, text), "0");
    assert_string_equal(render_count(999, text), "999");
    assert_string_equal(render_count(1000, text), "1 000");
    assert_string_equal(render_count(UINT64_MAX, text), "18 446 744 073 709 551 615");
    assert_string_equal(render_duration(0.123, text), "0.12 s");
    assert_string_equal(render_duration(1.25, text), "1.2 s");
    assert_string_equal(render_duration(59.4, text), "59 s");
    assert_string_equal(render_duration(59.6, text), "1 min 00 s");
    assert_string_equal(render_duration(3700, text), "1 h 01 min");
    assert_string_equal(render_bytes(512, text), "512 B");
    assert_string_equal(render_bytes(1536, text), "1.5 KB");
}

static void like_words_are_near(void **state)
{
    (void)state;
    assert_int_equal(manual_distance("send", "send"), 0);
    assert_int_equal(manual_distance("send", "sned"), 1);
    assert_int_equal(manual_distance("stats", "stat"), 1);
    assert_int_equal(manual_distance("", "abc"), 3);
    assert_int_equal(manual_distance("run", "show"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_found_again),
        cmocka_unit_test(memory_for_positions_is_bounded),
        cmocka_unit_test(a_text_that_may_be_anything_becomes_utf8),
        cmocka_unit_test(a_payload_is_shown_as_json_whatever_it_holds),
        cmocka_unit_test(a_replay_carries_its_version_and_its_letter),
        cmocka_unit_test(passwords_are_not_shown),
        cmocka_unit_test(every_password_of_an_address_is_hidden),
        cmocka_unit_test(a_broken_address_shows_no_password_either),
        cmocka_unit_test(a_long_address_is_cut_and_not_shown_bare),
        cmocka_unit_test(a_key_is_not_shown_though_it_looks_like_an_address),
        cmocka_unit_test(a_key_in_a_url_is_not_shown),
        cmocka_unit_test(words_are_sorted_into_options_and_operands),
        cmocka_unit_test(wrong_options_are_told_apart),
        cmocka_unit_test(what_is_counted_is_a_whole_number),
        cmocka_unit_test(lines_have_their_width_in_any_script),
        cmocka_unit_test(nothing_from_outside_commands_the_terminal),
        cmocka_unit_test(nothing_in_a_complaint_commands_the_terminal),
        cmocka_unit_test(numbers_are_written_for_people),
        cmocka_unit_test(like_words_are_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
