/* What `leat send` reads: lines of NDJSON, CSV and TSV, gzip or not. Each line gives a record that
 * is msgpack with a key, or a reason that can be shown; line numbers go up; and it ends. The first
 * byte chooses the options. */
#include "services/leat/reader.h"
#include "tests/fuzz/targets.h"

#include <string.h>

static void check_record(const struct reader_row *row, const struct fields *fields)
{
    const struct leat_flow *flow = leat_flow_find(fields->kind->kind, strlen(fields->kind->kind));
    const struct leat_flow_limits limits = fuzz_limits();
    struct leat_why why = {.code = NULL};
    struct leat_error err;
    msgpack_zone zone;
    msgpack_object record;
    msgpack_zone_init(&zone, 4096);
    FUZZ_CHECK(leat_wire_scan_within(row->record, LEAT_MAX_RECORD_DEPTH, &err) == row->record.size);
    FUZZ_CHECK(leat_wire_unpack(row->record, &zone, &record, &err));
    FUZZ_CHECK(record.type == MSGPACK_OBJECT_MAP);
    FUZZ_CHECK(flow->check(&record, &limits, &why) || why.code);
    /* What was taken by name is a string that ingest takes, or it says why not. */
    FUZZ_CHECK(!why.code || strcmp(why.code, "record_not_map") != 0);
    msgpack_zone_destroy(&zone);
}

static void read_all(struct reader *reader, const struct fields *fields, size_t size)
{
    struct reader_row row;
    struct leat_error err;
    enum reader_result result;
    uint64_t line = 0;
    for (size_t n = 0; (result = reader_next(reader, &row, &err)) <= READER_BAD; n++) {
        FUZZ_CHECK(n <= size + 1 || size == SIZE_MAX);
        FUZZ_CHECK(row.line > line);
        line = row.line;
        if (result == READER_RECORD)
            check_record(&row, fields);
        else
            FUZZ_CHECK(row.why.code[0] && row.why.reason[0] &&
                       leat_wire_text_ok(fuzz_text(row.why.reason)));
    }
}

static void read_as(struct leat_span input, enum reader_format format)
{
    struct leat_error err = {.text = ""};
    struct fields fields;
    uint8_t how = fuzz_u8(&input);
    struct reader_options options = {.format = how & 1 ? READER_AUTO : format, .fields = &fields};
    fields_init(&fields, fields_find("text"));
    if (how & 2)
        FUZZ_CHECK(fields_map(&fields, how & 4 ? "text=body" : "id=1", &err));
    if (how & 8)
        options.no_header = true;
    else if (how & 16)
        options.columns = "text,id,reach,verified,published_at";
    bool packed = input.size >= 2 && input.data[0] == 0x1f && input.data[1] == 0x8b;
    struct input *file = input_open(fuzz_file(0, input), NULL, &err);
    FUZZ_CHECK(file != NULL);
    struct reader *reader = reader_open(file, &options, &err);
    if (reader)
        read_all(reader, &fields, packed ? SIZE_MAX : input.size);
    else
        FUZZ_CHECK(err.text[0] != '\0');
    reader_close(&reader);
}

void fuzz_csv(struct leat_span input)
{
    read_as(input, READER_CSV);
}

void fuzz_tsv(struct leat_span input)
{
    read_as(input, READER_TSV);
}

void fuzz_ndjson(struct leat_span input)
{
    read_as(input, READER_NDJSON);
}
