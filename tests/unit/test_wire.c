#include "tests/unit/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SCAN(literal) leat_wire_scan(bytes_span(literal, sizeof(literal) - 1), NULL)

static void every_type_has_its_size(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint8_t size;
    } cases[] = {
        {"\x00", 1},
        {"\x7f", 1},
        {"\xff", 1},
        {"\xe0", 1},
        {"\xc0", 1},
        {"\xc2", 1},
        {"\xc3", 1},
        {"\xcc\x01", 2},
        {"\xcd\x01\x02", 3},
        {"\xce\x01\x02\x03\x04", 5},
        {"\xcf\x01\x02\x03\x04\x05\x06\x07\x08", 9},
        {"\xd0\x01", 2},
        {"\xd1\x01\x02", 3},
        {"\xd2\x01\x02\x03\x04", 5},
        {"\xd3\x01\x02\x03\x04\x05\x06\x07\x08", 9},
        {"\xca\x01\x02\x03\x04", 5},
        {"\xcb\x01\x02\x03\x04\x05\x06\x07\x08", 9},
        {"\xa0", 1},
        {"\xa3xyz", 4},
        {"\xd9\x02xy", 4},
        {"\xda\x00\x02xy", 5},
        {"\xdb\x00\x00\x00\x02xy", 7},
        {"\xc4\x02xy", 4},
        {"\xc5\x00\x02xy", 5},
        {"\xc6\x00\x00\x00\x02xy", 7},
        {"\xc7\x02\x05xy", 5},
        {"\xc8\x00\x02\x05xy", 6},
        {"\xc9\x00\x00\x00\x02\x05xy", 8},
        {"\xd4\x05x", 3},
        {"\xd5\x05xy", 4},
        {"\xd6\x05wxyz", 6},
        {"\xd7\x05stuvwxyz", 10},
        {"\xd8\x05klmnopqrstuvwxyz", 18},
        {"\x90", 1},
        {"\x93\x01\x02\x03", 4},
        {"\xdc\x00\x02\x01\x02", 5},
        {"\xdd\x00\x00\x00\x02\x01\x02", 7},
        {"\x80", 1},
        {"\x82\x01\x02\x03\x04", 5},
        {"\xde\x00\x01\x01\x02", 5},
        {"\xdf\x00\x00\x00\x01\x01\x02", 7},
        {"\x92\x91\x81\xa1k\x90\xa1z", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* Whole: its size, and what follows does not matter. Cut anywhere: refused. */
        uint8_t *more = bytes_copy(cases[i].bytes, cases[i].size + 1);
        more[cases[i].size] = 0xc1;
        assert_int_equal(leat_wire_scan(bytes_span(more, cases[i].size + 1), NULL), cases[i].size);
        free(more);
        for (size_t cut = 0; cut < cases[i].size; cut++) {
            uint8_t *part = bytes_copy(cases[i].bytes, cut);
            struct leat_error err = {""};
            assert_int_equal(leat_wire_scan(bytes_span(part, cut), &err), 0);
            assert_string_not_equal(err.text, "");
            free(part);
        }
    }
}

static void the_byte_that_is_never_used_is_refused(void **state)
{
    (void)state;
    struct leat_error err;
    assert_int_equal(leat_wire_scan(bytes_span("\x92\x01\xc1", 3), &err), 0);
    assert_non_null(strstr(err.text, "offset 2"));
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    uint8_t bomb[100000];
    for (int map = 0; map < 2; map++) {
        /* 0x91 0x91 … or {0: {0: …}} */
        size_t at = 0;
        for (int i = 0; i < LEAT_WIRE_MAX_DEPTH - 1; i++) {
            bomb[at++] = map ? 0x81 : 0x91;
            if (map)
                bomb[at++] = 0;
        }
        bomb[at] = map ? 0x80 : 0x90;
        assert_int_equal(leat_wire_scan(bytes_span(bomb, at + 1), NULL), at + 1);
        bomb[at++] = map ? 0x81 : 0x91;
        if (map)
            bomb[at++] = 0;
        bomb[at] = 0xc0;
        assert_int_equal(leat_wire_scan(bytes_span(bomb, at + 1), NULL), at + 1);
        bomb[at] = 0x90; /* one too deep, though empty */
        struct leat_error err;
        assert_int_equal(leat_wire_scan(bytes_span(bomb, at + 1), &err), 0);
        assert_non_null(strstr(err.text, "deep"));
    }
    memset(bomb, 0x91, sizeof bomb);
    assert_int_equal(leat_wire_scan(bytes_span(bomb, sizeof bomb), NULL), 0);
}

static void huge_counts_take_no_memory(void **state)
{
    (void)state;
    assert_int_equal(SCAN("\xdd\xff\xff\xff\xff\x01"), 0);
    assert_int_equal(SCAN("\xdf\xff\xff\xff\xff\x01\x02"), 0);
    assert_int_equal(SCAN("\xdf\x80\x00\x00\x00\x01\x02"), 0);
    assert_int_equal(SCAN("\xdb\xff\xff\xff\xffxx"), 0);
    assert_int_equal(SCAN("\xc6\xff\xff\xff\xffxx"), 0);
    assert_int_equal(SCAN("\xc9\xff\xff\xff\xff\x01x"), 0);

    msgpack_zone zone;
    msgpack_zone_init(&zone, 64);
    msgpack_object object;
    struct leat_error err;
    assert_false(leat_wire_unpack(bytes_span("\xdd\xff\xff\xff\xff\x01", 6), &zone, &object, &err));
    assert_non_null(strstr(err.text, "4294967295"));
    msgpack_zone_destroy(&zone);
}

static void unpack_takes_exactly_one_object(void **state)
{
    (void)state;
    msgpack_zone zone;
    msgpack_zone_init(&zone, 64);
    msgpack_object object;
    struct leat_error err;
    assert_true(leat_wire_unpack(bytes_span("\x01", 1), &zone, &object, &err));
    assert_false(leat_wire_unpack(bytes_span("\x01\x02", 2), &zone, &object, &err));
    assert_non_null(strstr(err.text, "1 bytes too many"));
    assert_false(leat_wire_unpack(bytes_span("", 0), &zone, &object, &err));
    msgpack_zone_destroy(&zone);
}

/* Whatever the scan lets pass, msgpack-c must be able to read, whole. */
static void what_the_scan_passes_msgpack_reads(void **state)
{
    (void)state;
    uint64_t seed = 20260131;
    size_t passed = 0;
    for (int i = 0; i < 200000; i++) {
        size_t size = bytes_random(&seed) % 48;
        uint8_t raw[48];
        bytes_fill(&seed, raw, size);
        if (size && i % 2) /* more containers than chance gives */
            raw[0] = (uint8_t)(0x80 | (raw[0] & 0x1f));
        uint8_t *in = bytes_copy(raw, size);
        size_t whole = leat_wire_scan(bytes_span(in, size), NULL);
        assert_true(whole <= size);
        if (whole) {
            passed++;
            msgpack_zone zone;
            msgpack_zone_init(&zone, 256);
            msgpack_object object;
            assert_true(leat_wire_unpack(bytes_span(in, whole), &zone, &object, NULL));
            msgpack_zone_destroy(&zone);
        }
        free(in);
    }
    assert_true(passed > 10000);
}

static void values_are_found_by_key(void **state)
{
    (void)state;
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer pack;
    leat_pack_init(&pack, &buffer);
    leat_pack_map(&pack, 7);
    leat_pack_cstr(&pack, "n");
    msgpack_pack_uint64(&pack, UINT64_MAX);
    leat_pack_cstr(&pack, "s");
    leat_pack_cstr(&pack, "text");
    leat_pack_cstr(&pack, "b");
    leat_pack_bin(&pack, bytes_text("bin"));
    leat_pack_cstr(&pack, "minus");
    msgpack_pack_int(&pack, -1);
    msgpack_pack_int(&pack, 5); /* a key that is no string */
    msgpack_pack_nil(&pack);
    leat_pack_cstr(&pack, "n"); /* a key for the second time */
    msgpack_pack_int(&pack, 1);
    leat_pack_cstr(&pack, "");
    leat_pack_cstr(&pack, "");

    msgpack_zone zone;
    msgpack_zone_init(&zone, 256);
    msgpack_object map;
    assert_true(leat_wire_unpack(bytes_span(buffer.data, buffer.size), &zone, &map, NULL));
    uint64_t number;
    struct leat_span span;
    assert_true(leat_wire_u64(&map, "n", &number));
    assert_true(number == UINT64_MAX);
    assert_true(leat_wire_str(&map, "s", &span));
    assert_true(leat_wire_is(span, "text"));
    assert_false(leat_wire_is(span, "tex"));
    assert_false(leat_wire_is(span, "text2"));
    assert_true(leat_wire_bin(&map, "b", &span));
    assert_memory_equal(span.data, "bin", 3);
    assert_true(leat_wire_str(&map, "", &span));
    assert_true(leat_wire_is(span, ""));
    assert_false(leat_wire_u64(&map, "minus", &number));
    assert_false(leat_wire_u64(&map, "s", &number));
    assert_false(leat_wire_str(&map, "b", &span));
    assert_false(leat_wire_bin(&map, "s", &span));
    assert_false(leat_wire_u64(&map, "absent", &number));
    assert_null(leat_wire_get(&map, "absent"));
    assert_null(leat_wire_get(NULL, "n"));
    assert_null(leat_wire_get(leat_wire_get(&map, "s"), "n"));
    msgpack_zone_destroy(&zone);
    msgpack_sbuffer_destroy(&buffer);
}

static void a_walk_finds_what_the_tree_finds(void **state)
{
    (void)state;
    static const char in[] = "\x83\xa1"
                             "a\x01\x02\x93\x01\x02\x03\xd9\x01"
                             "b\xa2zz"
                             "rest";
    struct leat_walk walk;
    struct leat_span key, value;
    assert_true(leat_walk_open(&walk, bytes_span(in, sizeof in - 1), NULL));
    assert_int_equal(walk.left, 3);
    assert_true(leat_walk_next(&walk, &key, &value, NULL));
    assert_true(leat_wire_is(key, "a"));
    assert_int_equal(value.size, 1);
    assert_true(leat_walk_next(&walk, &key, &value, NULL));
    assert_null(key.data);
    assert_int_equal(value.size, 4);
    struct leat_span values;
    uint32_t count;
    assert_true(leat_wire_array(value, &values, &count));
    assert_int_equal(count, 3);
    assert_int_equal(values.size, 3);
    assert_true(leat_walk_next(&walk, &key, &value, NULL));
    assert_true(leat_wire_is(key, "b"));
    assert_true(leat_wire_text(value, &value));
    assert_true(leat_wire_is(value, "zz"));
    assert_int_equal(walk.left, 0);
    assert_true(leat_wire_is(walk.rest, "rest"));

    assert_false(leat_walk_open(&walk, bytes_span("\x93\x01\x02\x03", 4), NULL));
    assert_false(leat_walk_open(&walk, bytes_span("", 0), NULL));
    assert_false(leat_walk_open(&walk, bytes_span("\xdf\x00\x00", 3), NULL));
    assert_false(leat_walk_open(&walk, bytes_span("\xdf\xff\xff\xff\xff\x01", 6), NULL));
}

static void numbers_of_every_form_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool good;
        uint64_t value;
    } cases[] = {
        {"\x00", 1, true, 0},
        {"\x7f", 1, true, 127},
        {"\xcc\xff", 2, true, 255},
        {"\xcd\x01\x00", 3, true, 256},
        {"\xce\xff\xff\xff\xff", 5, true, 4294967295},
        {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, true, UINT64_MAX},
        {"\xd0\x7f", 2, true, 127},
        {"\xd3\x7f\xff\xff\xff\xff\xff\xff\xff", 9, true, INT64_MAX},
        {"\xd0\x80", 2, false, 0},
        {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9, false, 0},
        {"\xff", 1, false, 0},
        {"\xc0", 1, false, 0},
        {"\xca\x00\x00\x00\x00", 5, false, 0},
        {"\xa1"
         "1",
         2, false, 0},
        {"\x90", 1, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t number = 0;
        assert_int_equal(leat_wire_number(bytes_span(cases[i].bytes, cases[i].size), &number),
                         cases[i].good);
        if (cases[i].good)
            assert_true(number == cases[i].value);
    }
}

static void only_well_formed_utf8_is_text(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "plain",
        "plain text that is longer than eight bytes",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "12345678\xc3\xa4"
        "12345678",
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
    };
    static const char *const bad[] = {
        "\x80",                  /* continuation alone */
        "\xc0\x80",              /* overlong NUL */
        "\xc1\xbf",              /* overlong */
        "\xe0\x9f\xbf",          /* overlong */
        "\xf0\x8f\xbf\xbf",      /* overlong */
        "\xed\xa0\x80",          /* surrogate */
        "\xed\xbf\xbf",          /* surrogate */
        "\xf4\x90\x80\x80",      /* above U+10FFFF */
        "\xf5\x80\x80\x80",      /* never */
        "\xff",                  /* never */
        "\xc3",                  /* cut */
        "\xe2\x82",              /* cut */
        "\xf0\x9f\x98",          /* cut */
        "12345678\xe2\x82 1234", /* cut inside */
        "1234567\x80"
        "12345678",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(leat_wire_text_ok(bytes_text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(leat_wire_text_ok(bytes_text(bad[i])));
    /* NUL, at every place of a word of eight. */
    for (size_t i = 0; i < 20; i++) {
        char text[20];
        memset(text, 'x', sizeof text);
        text[i] = '\0';
        assert_false(leat_wire_text_ok(bytes_span(text, sizeof text)));
        assert_int_equal(leat_wire_text_prefix(bytes_span(text, sizeof text), 20), i);
    }
}

static void a_prefix_ends_between_characters(void **state)
{
    (void)state;
    struct leat_span text = bytes_text("a\xc3\xa4\xf0\x9f\x98\x80z");
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
    for (size_t max = 0; max < sizeof expected / sizeof expected[0]; max++)
        assert_int_equal(leat_wire_text_prefix(text, max), expected[max]);
}

static void names_are_plain(void **state)
{
    (void)state;
    assert_true(leat_wire_name_ok(bytes_text("text"), LEAT_MAX_KIND));
    assert_true(leat_wire_name_ok(bytes_text("a-b_9"), LEAT_MAX_KIND));
    assert_true(leat_wire_name_ok(bytes_text("12345678901234567890123456789012"), LEAT_MAX_KIND));
    assert_false(leat_wire_name_ok(bytes_text("123456789012345678901234567890123"), LEAT_MAX_KIND));
    assert_false(leat_wire_name_ok(bytes_text(""), LEAT_MAX_KIND));
    assert_false(leat_wire_name_ok(bytes_text("Text"), LEAT_MAX_KIND));
    assert_false(leat_wire_name_ok(bytes_text("a b"), LEAT_MAX_KIND));
    assert_false(leat_wire_name_ok(bytes_span("a\0b", 3), LEAT_MAX_KIND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_size),
        cmocka_unit_test(the_byte_that_is_never_used_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(huge_counts_take_no_memory),
        cmocka_unit_test(unpack_takes_exactly_one_object),
        cmocka_unit_test(what_the_scan_passes_msgpack_reads),
        cmocka_unit_test(values_are_found_by_key),
        cmocka_unit_test(a_walk_finds_what_the_tree_finds),
        cmocka_unit_test(numbers_of_every_form_are_read),
        cmocka_unit_test(only_well_formed_utf8_is_text),
        cmocka_unit_test(a_prefix_ends_between_characters),
        cmocka_unit_test(names_are_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
