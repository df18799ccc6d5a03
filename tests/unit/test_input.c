/* What `leat send` reads: every format, and everything that is wrong with files. */
#include "services/leat/lines.h"
#include "services/leat/reader.h"
#include "services/runtime/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { ROWS_MAX = 64 };

struct got {
    uint64_t line;
    char code[40]; /* "": a record */
    char reason[200];
    char id[64], text[256];
    msgpack_object record;
};

struct world {
    char folder[64], path[128];
    struct fields fields;
    struct reader_options options;
    struct leat_error err;
    msgpack_zone *zone;
    uint8_t *kept[ROWS_MAX];
    struct got rows[ROWS_MAX];
    size_t n;
    bool failed; /* reading ended with err */
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    strcpy(w->folder, "/tmp/leat-input-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    fields_init(&w->fields, fields_find("text"));
    w->options.fields = &w->fields;
    w->zone = msgpack_zone_new(4096);
    *state = w;
    return 0;
}

static void forget(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->kept[i]);
    w->n = 0;
    w->failed = false;
    memset(w->kept, 0, sizeof w->kept);
}

static int teardown(void **state)
{
    struct world *w = *state;
    forget(w);
    if (w->path[0])
        unlink(w->path);
    rmdir(w->folder);
    msgpack_zone_free(w->zone);
    free(w);
    return 0;
}

static void put(struct world *w, const char *name, const void *bytes, size_t size)
{
    if (w->path[0])
        unlink(w->path);
    snprintf(w->path, sizeof w->path, "%s/%s", w->folder, name);
    int fd = open(w->path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static size_t pack_gzip(const void *bytes, size_t size, uint8_t *to, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)size;
    z.next_out = to;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t written = room - z.avail_out;
    deflateEnd(&z);
    return written;
}

static void keep_string(const msgpack_object *record, const char *key, char *to, size_t size)
{
    struct leat_span text = {0};
    leat_wire_str(record, key, &text);
    snprintf(to, size, "%.*s", (int)text.size, text.data ? (const char *)text.data : "");
}

static void keep(struct world *w, const struct reader_row *row, bool record)
{
    assert_true(w->n < ROWS_MAX);
    struct got *got = &w->rows[w->n];
    *got = (struct got){.line = row->line};
    if (record) {
        w->kept[w->n] = malloc(row->record.size);
        memcpy(w->kept[w->n], row->record.data, row->record.size);
        struct leat_span copy = {w->kept[w->n], row->record.size};
        assert_true(leat_wire_unpack(copy, w->zone, &got->record, &w->err));
        keep_string(&got->record, "id", got->id, sizeof got->id);
        keep_string(&got->record, "text", got->text, sizeof got->text);
        assert_true(row->key.size > 0);
    } else {
        strcpy(got->code, row->why.code);
        strcpy(got->reason, row->why.reason);
        assert_true(leat_wire_text_ok(
            (struct leat_span){(const uint8_t *)row->why.reason, strlen(row->why.reason)}));
    }
    w->n++;
}

/* Reads w->path to its end. False: it could not even be opened. */
static bool read_all(struct world *w)
{
    forget(w);
    struct input *input = input_open(w->path, NULL, &w->err);
    if (!input)
        return false;
    struct reader *reader = reader_open(input, &w->options, &w->err);
    if (!reader)
        return false;
    for (;;) {
        struct reader_row row = {0};
        switch (reader_next(reader, &row, &w->err)) {
        case READER_RECORD:
            keep(w, &row, true);
            continue;
        case READER_BAD:
            keep(w, &row, false);
            continue;
        case READER_FAILED:
            w->failed = true;
            break;
        case READER_END:
            break;
        }
        reader_close(&reader);
        return true;
    }
}

static void read_bytes(struct world *w, const char *name, const void *bytes, size_t size)
{
    put(w, name, bytes, size);
    if (!read_all(w))
        fail_msg("%s", w->err.text);
}

static void read_text(struct world *w, const char *name, const char *text)
{
    read_bytes(w, name, text, strlen(text));
}

static void refused(struct world *w, const char *name, const char *text, const char *reason)
{
    put(w, name, text, strlen(text));
    assert_false(read_all(w));
    if (!strstr(w->err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", w->err.text, reason);
}

static void expect_record(struct world *w, size_t i, uint64_t line, const char *id,
                          const char *text)
{
    assert_true(i < w->n);
    assert_string_equal(w->rows[i].code, "");
    assert_int_equal(w->rows[i].line, line);
    if (id)
        assert_string_equal(w->rows[i].id, id);
    assert_string_equal(w->rows[i].text, text);
}

static void expect_bad(struct world *w, size_t i, uint64_t line, const char *code)
{
    assert_true(i < w->n);
    assert_string_equal(w->rows[i].code, code);
    assert_int_equal(w->rows[i].line, line);
    assert_true(strlen(w->rows[i].reason) > 5);
}

/* --- NDJSON --- */

static void ndjson_lines_become_records(void **state)
{
    struct world *w = *state;
    read_text(
        w, "a.ndjson",
        "{\"id\": \"a\", \"text\": \"one\", \"verified\": true, \"reach\": 12, \"other\": {}}\n"
        "\n"
        "{\"text\": \"zwei \\u00e4\", \"id\": \"b\", \"lang\": null}\n");
    assert_int_equal(w->n, 2);
    expect_record(w, 0, 1, "a", "one");
    expect_record(w, 1, 3, "b", "zwei ä");
    uint64_t reach = 0;
    assert_true(leat_wire_u64(&w->rows[0].record, "reach", &reach));
    assert_int_equal(reach, 12);
    assert_int_equal(leat_wire_get(&w->rows[0].record, "verified")->type, MSGPACK_OBJECT_BOOLEAN);
    assert_null(leat_wire_get(&w->rows[0].record, "other"));
    assert_null(leat_wire_get(&w->rows[1].record, "lang"));
}

static void values_of_wrong_types_are_left_to_ingest(void **state)
{
    struct world *w = *state;
    read_text(w, "a.ndjson", "{\"id\": 7, \"text\": [1, {\"a\": 2.5}]}\n{\"id\": \"x\"}\n{}\n");
    assert_int_equal(w->n, 3);
    assert_int_equal(leat_wire_get(&w->rows[0].record, "id")->via.u64, 7);
    assert_int_equal(leat_wire_get(&w->rows[0].record, "text")->type, MSGPACK_OBJECT_ARRAY);
    expect_record(w, 1, 2, "x", "");
    assert_int_equal(strlen(w->rows[2].id), 32);
}

static void broken_lines_cost_only_themselves(void **state)
{
    struct world *w = *state;
    read_text(w, "a.ndjson",
              "{\"id\": \"a\", \"text\": \"one\"}\n"
              "{\"id\": \"b\", \"text\": \n"
              "[1, 2]\n"
              "\"text\"\n"
              "{\"id\": \"c\", \"id\": \"d\"}\n"
              "{\"reach\": 99999999999999999999}\n"
              "{\"text\": \"\\ud800\"}\n"
              "{\"id\": \"z\", \"text\": \"last\"} trailing\n"
              "{\"id\": \"e\", \"text\": \"two\"}\n");
    assert_int_equal(w->n, 9);
    expect_record(w, 0, 1, "a", "one");
    expect_bad(w, 1, 2, "json_broken");
    expect_bad(w, 2, 3, "not_object");
    expect_bad(w, 3, 4, "not_object");
    expect_bad(w, 4, 5, "json_broken");
    expect_bad(w, 5, 6, "json_broken");
    expect_bad(w, 6, 7, "json_broken");
    expect_bad(w, 7, 8, "json_broken");
    expect_record(w, 8, 9, "e", "two");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    struct world *w = *state;
    static const char bytes[] =
        "{\"text\": \"a\xff\"}\n{\"text\": \"a\0b\"}\n{\"text\": \"fine\"}\n";
    w->options.format = READER_NDJSON;
    read_bytes(w, "a.txt", bytes, sizeof bytes - 1);
    assert_int_equal(w->n, 3);
    expect_bad(w, 0, 1, "not_utf8");
    assert_non_null(strstr(w->rows[0].reason, "byte 12 (0xff)"));
    expect_bad(w, 1, 2, "nul");
    expect_record(w, 2, 3, NULL, "fine");
}

static void nesting_is_bounded(void **state)
{
    struct world *w = *state;
    char line[400] = "{\"text\": ";
    for (int i = 0; i < 20; i++)
        strcat(line, "[");
    for (int i = 0; i < 20; i++)
        strcat(line, "]");
    strcat(line, "}\n{\"text\": \"ok\"}\n");
    read_text(w, "a.ndjson", line);
    expect_bad(w, 0, 1, "too_deep");
    expect_record(w, 1, 2, NULL, "ok");
}

static void a_mark_carriage_returns_and_a_missing_newline_do_no_harm(void **state)
{
    struct world *w = *state;
    read_text(w, "a.ndjson",
              "\xef\xbb\xbf{\"id\": \"a\", \"text\": \"one\"}\r\n\r\n"
              "{\"id\": \"b\", \"text\": \"two\"}");
    assert_int_equal(w->n, 2);
    expect_record(w, 0, 1, "a", "one");
    expect_record(w, 1, 3, "b", "two");
    read_text(w, "a.csv", "\xef\xbb\xbfid,text\r\na,one\r\nb,two");
    assert_int_equal(w->n, 2);
    expect_record(w, 0, 2, "a", "one");
    expect_record(w, 1, 3, "b", "two");
    read_text(w, "a.tsv", "\xef\xbb\xbfid\ttext\r\na\tone\r\nb\ttwo\r\n");
    assert_int_equal(w->n, 2);
    expect_record(w, 0, 2, "a", "one");
    expect_record(w, 1, 3, "b", "two");
}

static void a_huge_line_is_passed_over(void **state)
{
    struct world *w = *state;
    static const char tail[] = "\"}\n{\"id\": \"b\", \"text\": \"two\"}\n";
    size_t size = LINES_MAX + 100000;
    char *bytes = malloc(size + sizeof tail);
    memset(bytes, 'x', size);
    memcpy(bytes, "{\"text\": \"", 10);
    memcpy(bytes + size, tail, sizeof tail);
    read_bytes(w, "a.ndjson", bytes, size + sizeof tail - 1);
    assert_int_equal(w->n, 2);
    expect_bad(w, 0, 1, "line_too_long");
    expect_record(w, 1, 2, "b", "two");

    memset(bytes, 'x', size);
    memcpy(bytes, "id,text\n", 8);
    memcpy(bytes + size, "\nb,two\n", 8);
    read_bytes(w, "a.csv", bytes, size + 7);
    assert_int_equal(w->n, 2);
    expect_bad(w, 0, 2, "line_too_long");
    expect_record(w, 1, 3, "b", "two");
    free(bytes);
}

static void equal_texts_get_equal_ids(void **state)
{
    struct world *w = *state;
    read_text(w, "a.ndjson",
              "{\"text\": \"one\"}\n{\"text\": \"two\"}\n"
              "{\"text\": \"one\", \"reach\": 3}\n{\"text\": \"one\", \"id\": null}\n");
    assert_int_equal(w->n, 4);
    assert_int_equal(strlen(w->rows[0].id), 32);
    assert_string_not_equal(w->rows[0].id, w->rows[1].id);
    assert_string_equal(w->rows[0].id, w->rows[2].id);
    assert_string_equal(w->rows[0].id, w->rows[3].id);
    char id[33];
    strcpy(id, w->rows[0].id);
    read_text(w, "a.tsv", "text\tlang\none\ten\n");
    assert_string_equal(w->rows[0].id, id);
}

static void names_are_mapped(void **state)
{
    struct world *w = *state;
    assert_true(fields_map(&w->fields, "text=body", &w->err));
    assert_true(fields_map(&w->fields, "id=key", &w->err));
    read_text(w, "a.ndjson",
              "{\"key\": \"a\", \"body\": \"one\", \"text\": \"no\", \"id\": \"no\"}\n");
    expect_record(w, 0, 1, "a", "one");
    read_text(w, "a.csv", "body,key,text\none,a,no\n");
    expect_record(w, 0, 2, "a", "one");
    assert_false(fields_map(&w->fields, "text=other", &w->err));
    assert_false(fields_map(&w->fields, "colour=red", &w->err));
    assert_non_null(strstr(w->err.text, "source_type"));
    assert_false(fields_map(&w->fields, "text", &w->err));
    assert_false(fields_map(&w->fields, "text=", &w->err));
}

/* --- CSV and TSV --- */

static void csv_is_read_as_rfc_4180_says(void **state)
{
    struct world *w = *state;
    read_text(w, "a.csv",
              "id,text,lang\n"
              "a,\"one, \"\"two\"\"\r\nand three\",en\n"
              "\n"
              "b, spaces stay ,\n"
              "c,\"\",de\n");
    assert_int_equal(w->n, 3);
    expect_record(w, 0, 2, "a", "one, \"two\"\r\nand three");
    expect_record(w, 1, 5, "b", " spaces stay ");
    expect_record(w, 2, 6, "c", "");
    assert_null(leat_wire_get(&w->rows[1].record, "lang"));
    assert_non_null(leat_wire_get(&w->rows[2].record, "text"));
}

static void cells_are_coerced(void **state)
{
    struct world *w = *state;
    read_text(w, "a.csv",
              "text,verified,reach,published_at\n"
              "one,Yes,42,2026-01-31T12:00:00Z\n"
              "two,0,,1700000000000000\n"
              "three,perhaps,1,\n"
              "four,no,1.5,\n"
              "five,,99999999999999999999,\n");
    assert_int_equal(w->n, 5);
    const msgpack_object *one = &w->rows[0].record, *two = &w->rows[1].record;
    assert_true(leat_wire_get(one, "verified")->via.boolean);
    assert_int_equal(leat_wire_get(one, "reach")->via.u64, 42);
    assert_int_equal(leat_wire_get(one, "published_at")->type, MSGPACK_OBJECT_STR);
    assert_false(leat_wire_get(two, "verified")->via.boolean);
    assert_null(leat_wire_get(two, "reach"));
    assert_int_equal(leat_wire_get(two, "published_at")->via.u64, 1700000000000000);
    expect_bad(w, 2, 4, "verified_type");
    expect_bad(w, 3, 5, "reach_type");
    expect_bad(w, 4, 6, "reach_type");
}

static void a_stray_quote_costs_one_line(void **state)
{
    struct world *w = *state;
    read_text(w, "a.csv",
              "id,text\n"
              "a,one\n"
              "b,\"never closed\n"
              "c,three\n"
              "d,\"four\"\n"
              "e,\"five\" six\n"
              "f,se\"ven\n"
              "g,\"eight\n"
              "and more\"\n"
              "h,\"at the end\n"
              "i,ten\n");
    assert_int_equal(w->n, 9);
    expect_record(w, 0, 2, "a", "one");
    expect_bad(w, 1, 3, "csv_broken");
    expect_record(w, 2, 4, "c", "three");
    expect_record(w, 3, 5, "d", "four");
    expect_bad(w, 4, 6, "csv_broken");
    expect_bad(w, 5, 7, "csv_broken");
    expect_record(w, 6, 8, "g", "eight\nand more");
    expect_bad(w, 7, 10, "csv_broken");
    expect_record(w, 8, 11, "i", "ten");
}

static void many_stray_quotes_take_little_memory(void **state)
{
    struct world *w = *state;
    char *bytes = malloc(3 << 20);
    size_t size = (size_t)sprintf(bytes, "id,text\n");
    for (int i = 0; i < 60; i++)
        size += (size_t)sprintf(bytes + size, "%d,\"open %d\n", i, i);
    read_bytes(w, "a.csv", bytes, size);
    assert_int_equal(w->n, 60);
    for (size_t i = 0; i < 60; i++)
        expect_bad(w, i, i + 2, "csv_broken");
    free(bytes);
}

static void wrong_numbers_of_columns_are_refused(void **state)
{
    struct world *w = *state;
    read_text(w, "a.tsv",
              "id\ttext\na\n"
              "b\ttwo\n"
              "c\tthree\tmore\n"
              "d\t\"four\n");
    assert_int_equal(w->n, 4);
    expect_bad(w, 0, 2, "column_count");
    expect_record(w, 1, 3, "b", "two");
    expect_bad(w, 2, 4, "column_count");
    expect_record(w, 3, 5, "d", "\"four");
    read_text(w, "a.csv", "id,text\na\nb,two\nc,three,more\n");
    assert_int_equal(w->n, 3);
    expect_bad(w, 0, 2, "column_count");
    expect_record(w, 1, 3, "b", "two");
    expect_bad(w, 2, 4, "column_count");
}

static void cells_that_are_no_text_are_refused(void **state)
{
    struct world *w = *state;
    read_text(w, "a.csv", "id,text\na,\xff\xfe\nb,two\n");
    expect_bad(w, 0, 2, "not_utf8");
    expect_record(w, 1, 3, "b", "two");
    static const char bytes[] = "id\ttext\na\to\0e\nb\ttwo\n";
    read_bytes(w, "a.tsv", bytes, sizeof bytes - 1);
    expect_bad(w, 0, 2, "nul");
    expect_record(w, 1, 3, "b", "two");
}

static void tables_without_a_header_are_named_or_counted(void **state)
{
    struct world *w = *state;
    w->options.columns = "text,labels,id";
    read_text(w, "a.tsv", "one\t27\ta\ntwo\t3,4\tb\n");
    assert_int_equal(w->n, 2);
    expect_record(w, 0, 1, "a", "one");
    expect_record(w, 1, 2, "b", "two");

    w->options.columns = NULL;
    w->options.no_header = true;
    assert_true(fields_map(&w->fields, "text=1", &w->err));
    assert_true(fields_map(&w->fields, "id=3", &w->err));
    read_text(w, "a.tsv", "one\t27\ta\ntwo\t3,4\tb\n");
    assert_int_equal(w->n, 2);
    expect_record(w, 0, 1, "a", "one");
    expect_record(w, 1, 2, "b", "two");
    read_text(w, "a.csv", "\"one, two\",27,a\n");
    expect_record(w, 0, 1, "a", "one, two");
    refused(w, "b.tsv", "one\ta\n", "which of its 2 columns is 'id'");
}

static void a_missing_column_is_named_with_what_there_is(void **state)
{
    struct world *w = *state;
    refused(w, "a.csv", "id,body,lang\na,one,en\n", "no column 'text' in ");
    assert_non_null(strstr(w->err.text, "it has id, body, lang; use --field text=NAME"));
    refused(w, "a.csv", "text,text\na,one\n", "stands twice");
    assert_true(fields_map(&w->fields, "text=nope", &w->err));
    refused(w, "a.csv", "id,body\na,one\n", "no column 'nope'");
}

/* Found by fuzzing: there was no memory for text yet to point into. */
static void cells_are_empty_before_any_text(void **state)
{
    struct world *w = *state;
    refused(w, "a.csv", ",\n", "no column 'text' in ");
    refused(w, "a.csv", "\"\",\n,\n", "no column 'text' in ");
}

/* --- files --- */

static void the_format_follows_from_name_or_content(void **state)
{
    struct world *w = *state;
    read_text(w, "noname", "  \n{\"text\": \"one\"}\n");
    expect_record(w, 0, 2, NULL, "one");
    read_text(w, "noname", "text\tid\none, two\ta\n");
    expect_record(w, 0, 2, "a", "one, two");
    read_text(w, "noname", "text,id\none\ttwo,a\n");
    expect_record(w, 0, 2, "a", "one\ttwo");
    read_text(w, "noname", "text\none\n");
    expect_record(w, 0, 2, NULL, "one");
    read_text(w, "A.JSONL", "{\"text\": \"one\"}\n");
    expect_record(w, 0, 1, NULL, "one");
    w->options.format = READER_CSV;
    read_text(w, "a.tsv", "text,id\none\ttwo,a\n");
    expect_record(w, 0, 2, "a", "one\ttwo");
}

static void foreign_files_are_refused_whole(void **state)
{
    struct world *w = *state;
    put(w, "a", "PK\3\4\0\0\0\0text", 12);
    assert_false(read_all(w));
    assert_non_null(strstr(w->err.text, "is binary"));
    put(w, "a.csv", "\xff\xfet\0e\0", 6);
    assert_false(read_all(w));
    assert_non_null(strstr(w->err.text, "UTF-16"));
    refused(w, "a.json", "[{\"text\": \"one\"}]", "one JSON array");
    read_text(w, "a.ndjson", "[1]\n{\"text\": \"one\"}\n");
    expect_bad(w, 0, 1, "not_object");
    expect_record(w, 1, 2, NULL, "one");
}

static void empty_files_have_no_records(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"a", "a.ndjson", "a.csv", "a.tsv"};
    for (size_t i = 0; i < 4; i++) {
        read_text(w, names[i], "");
        assert_int_equal(w->n, 0);
        read_text(w, names[i], "\n\n\r\n");
        assert_int_equal(w->n, 0);
    }
    read_text(w, "a.csv", "id,text\n");
    assert_int_equal(w->n, 0);
}

static void what_cannot_be_opened_says_so(void **state)
{
    struct world *w = *state;
    assert_null(input_open("/nonexistent/file", NULL, &w->err));
    assert_non_null(strstr(w->err.text, "No such file"));
    assert_null(input_open(w->folder, NULL, &w->err));
    assert_non_null(strstr(w->err.text, "is a directory"));
}

static void gzip_is_unpacked_by_its_first_bytes(void **state)
{
    struct world *w = *state;
    static const char text[] = "id,text\na,one\n", more[] = "b,two\n";
    uint8_t bytes[1000];
    size_t size = pack_gzip(text, sizeof text - 1, bytes, sizeof bytes);
    read_bytes(w, "a.csv.gz", bytes, size);
    assert_int_equal(w->n, 1);
    expect_record(w, 0, 2, "a", "one");
    read_bytes(w, "noname", bytes, size);
    expect_record(w, 0, 2, "a", "one");

    size_t both = size + pack_gzip(more, sizeof more - 1, bytes + size, sizeof bytes - size);
    memset(bytes + both, 0, 100);
    read_bytes(w, "two-members-and-padding.csv.gz", bytes, both + 100);
    assert_int_equal(w->n, 2);
    expect_record(w, 1, 3, "b", "two");
}

static void gzip_that_is_cut_short_or_damaged_is_told(void **state)
{
    struct world *w = *state;
    char *text = malloc(200000);
    size_t length = (size_t)sprintf(text, "id,text\na,one\n");
    unsigned seed = 1;
    while (length < 190000)
        length += (size_t)sprintf(text + length, "%x", seed = seed * 1103515245u + 12345u);
    uint8_t *bytes = malloc(300000);
    size_t size = pack_gzip(text, length, bytes, 300000);
    read_bytes(w, "a.csv.gz", bytes, size / 2);
    assert_true(w->failed);
    assert_non_null(strstr(w->err.text, "cut short"));
    expect_record(w, 0, 2, "a", "one");
    memset(bytes + size / 2, 0xff, 100);
    read_bytes(w, "a.csv.gz", bytes, size);
    assert_true(w->failed);
    assert_non_null(strstr(w->err.text, "damaged"));
    put(w, "a.csv.gz", bytes, 5);
    assert_false(read_all(w));
    assert_non_null(strstr(w->err.text, "cut short"));
    free(text);
    free(bytes);
}

static bool say_stop(void *arg)
{
    ++*(int *)arg;
    return false;
}

static void waiting_for_a_slow_pipe_can_be_stopped(void **state)
{
    struct world *w = *state;
    int ends[2], calls = 0, saved = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[0], STDIN_FILENO);
    struct input_idle idle = {say_stop, &calls};
    struct input *input = input_open("-", &idle, &w->err);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_non_null(input);
    char byte;
    assert_int_equal(write(ends[1], "x", 1), 1);
    close(ends[0]);
    assert_int_equal(input_read(input, &byte, 1, &w->err), -1);
    assert_int_equal(calls, 1);
    assert_true(input_stopped(input));
    input_close(&input);
    input_close(&input);
    close(ends[1]);
}

static void an_input_that_always_has_something_can_be_stopped(void **state)
{
    struct world *w = *state;
    int calls = 0;
    struct input_idle idle = {say_stop, &calls};
    struct input *input = input_open("/dev/zero", &idle, &w->err);
    assert_non_null(input);
    char bytes[4096];
    int64_t until = leat_monotonic_us() + 20 * 1000 * 1000;
    while (input_read(input, bytes, sizeof bytes, &w->err) > 0 && leat_monotonic_us() < until)
        ;
    assert_int_equal(calls, 1);
    assert_true(input_stopped(input));
    input_close(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(ndjson_lines_become_records),
        TEST(values_of_wrong_types_are_left_to_ingest),
        TEST(broken_lines_cost_only_themselves),
        TEST(bytes_that_are_no_text_are_refused),
        TEST(nesting_is_bounded),
        TEST(a_mark_carriage_returns_and_a_missing_newline_do_no_harm),
        TEST(a_huge_line_is_passed_over),
        TEST(equal_texts_get_equal_ids),
        TEST(names_are_mapped),
        TEST(csv_is_read_as_rfc_4180_says),
        TEST(cells_are_coerced),
        TEST(a_stray_quote_costs_one_line),
        TEST(many_stray_quotes_take_little_memory),
        TEST(wrong_numbers_of_columns_are_refused),
        TEST(cells_that_are_no_text_are_refused),
        TEST(tables_without_a_header_are_named_or_counted),
        TEST(a_missing_column_is_named_with_what_there_is),
        TEST(cells_are_empty_before_any_text),
        TEST(the_format_follows_from_name_or_content),
        TEST(foreign_files_are_refused_whole),
        TEST(empty_files_have_no_records),
        TEST(what_cannot_be_opened_says_so),
        TEST(gzip_is_unpacked_by_its_first_bytes),
        TEST(gzip_that_is_cut_short_or_damaged_is_told),
        TEST(waiting_for_a_slow_pipe_can_be_stopped),
        TEST(an_input_that_always_has_something_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
