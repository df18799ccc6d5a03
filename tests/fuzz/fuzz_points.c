/* What `leat send --kind series` reads: a table of times and values, cut into blocks. Each line
 * gives a row inside its bounds, or a reason that can be shown; line numbers go up; it ends; and
 * ingest takes every block that is cut. The first byte chooses the options. */
#include "proto/cutter.h"
#include "services/flows/series/record.h"
#include "services/leat/points.h"
#include "tests/fuzz/targets.h"

#include <math.h>

enum { LONGEST = 5, ROWS = 7 };

static void check_block(const struct cutter *cutter)
{
    struct series_names names;
    struct series_record block;
    struct leat_why why;
    struct leat_error err;
    msgpack_sbuffer packed;
    msgpack_zone zone;
    msgpack_object object;
    msgpack_sbuffer_init(&packed);
    msgpack_zone_init(&zone, 4096);
    FUZZ_CHECK(series_names_parse("", &names, &err));
    const struct series_limits limits = {.max_rows = ROWS, .longest = LONGEST, .names = &names};
    cutter_pack(cutter, &packed);
    FUZZ_CHECK(leat_wire_unpack(fuzz_packed(&packed), &zone, &object, &err));
    FUZZ_CHECK(series_record_read(&object, &limits, &block, &why));
    FUZZ_CHECK(block.n - block.warmup == cutter_rows(cutter));
    msgpack_zone_destroy(&zone);
    msgpack_sbuffer_destroy(&packed);
}

static void take_row(struct cutter *cutter, const struct point *row)
{
    struct cutter_why why = {.code = NULL};
    if (cutter_due(cutter, row->ts)) {
        check_block(cutter);
        cutter_advance(cutter);
    }
    FUZZ_CHECK(cutter_add(cutter, row->ts, row->values, &why) || (why.code && why.reason[0]));
}

static void read_all(struct points *points, struct cutter *cutter)
{
    struct point row;
    struct leat_error err;
    enum points_result result;
    uint64_t line = 0;
    while ((result = points_next(points, &row, &err)) <= POINTS_BAD) {
        FUZZ_CHECK(row.line > line);
        line = row.line;
        if (result == POINTS_ROW) {
            FUZZ_CHECK(row.ts >= -2208988800000000 && row.ts <= 7289654399999999);
            FUZZ_CHECK(isfinite(row.values[0]));
            take_row(cutter, &row);
        } else {
            FUZZ_CHECK(row.why.code[0] && row.why.reason[0] &&
                       leat_wire_text_ok(fuzz_text(row.why.reason)));
        }
    }
    if (cutter_rows(cutter) > 0)
        check_block(cutter);
}

void fuzz_points(struct leat_span input)
{
    static const struct field rows[] = {
        {"ts", FIELD_STRING}, {"close", FIELD_STRING}, {NULL, FIELD_STRING}};
    static const struct fields_kind kind = {"series", rows, "ts"};
    struct fields fields;
    struct leat_error err;
    struct draft_why why = {.code = ""};
    uint8_t how = fuzz_u8(&input);
    struct reader_options options = {.format = how & 1 ? READER_TSV : READER_CSV,
                                     .fields = &fields,
                                     .columns = how & 2 ? "ts,close" : NULL};
    fields_init(&fields, &kind);
    struct input *file = input_open(fuzz_file(0, input), NULL, &err);
    FUZZ_CHECK(file != NULL);
    struct points *points = points_open_file(file, &options, &why);
    struct cutter *cutter = cutter_open(&(struct cutter_options){.series = "S",
                                                                 .start = !(how & 4),
                                                                 .monthly = how & 8,
                                                                 .rows = ROWS,
                                                                 .longest = LONGEST},
                                        &err);
    FUZZ_CHECK(cutter != NULL);
    if (points)
        read_all(points, cutter);
    else
        FUZZ_CHECK(why.code[0] && why.reason[0]);
    cutter_close(&cutter);
    points_close(&points);
}
