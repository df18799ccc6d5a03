/* Features in the store: tables that follow from settings, partitions, figures to the last bit.
 * Every test that can runs on PostgreSQL and on SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/flows/series/flow.h"
#include "services/flows/series/result.h"
#include "services/leat/features.h"
#include "services/persist/removal.h"
#include "services/persist/triage.h"
#include "services/regress/features.h"
#include "services/tables.h"
#include "tests/unit/block.h"
#include "tests/unit/cluster.h"

#include <endian.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

enum { ROWS = 400, FIGURES = 2 * SERIES_METRICS };

static const int64_t day = 86400000000;
static const int64_t begin_2024 = 1704067200000000; /* 2024-01-01 */

/* A persist without its sockets, and the regress before it. */
struct writer {
    struct leat_settings *settings;
    struct catalog *catalog;
    struct store_options options;
    struct load *load;
    struct store *store;
    struct features *features;
    struct series_names names;
    struct triage_counts counts;
    struct leat_error err;
};

static struct cluster cluster;
static char dir[64], sqlite_url[128];

static void writer_open_with(struct writer *self, const char *url, const char *windows)
{
    struct series_windows parsed;
    memset(self, 0, sizeof *self);
    self->settings = leat_settings_new(leat_tables);
    assert_true(leat_settings_set(self->settings, "regress.windows", windows,
                                  LEAT_FROM_COMMAND_LINE, "test", &self->err));
    assert_true(series_settings_read(self->settings, &parsed, &self->names, &self->err));
    self->features = features_new(&parsed, &self->names);
    self->catalog = catalog_open(self->settings, &self->err);
    assert_non_null(self->catalog);
    self->load = load_new(self->catalog);
    self->options = (struct store_options){.url = url,
                                           .lock_timeout_ms = 2000,
                                           .blocker_age_ms = 60000,
                                           .timeout_ms = 20000,
                                           .staged = 4};
    self->store = store_open(&self->options, self->load, &self->err);
    assert_non_null(self->store);
}

static void writer_open(struct writer *self, const char *url)
{
    writer_open_with(self, url, "w15=15,agg=90");
}

static void writer_close(struct writer *self)
{
    store_close(&self->store);
    load_destroy(&self->load);
    catalog_close(&self->catalog);
    features_destroy(&self->features);
    leat_settings_destroy(&self->settings);
}

/* A made-up series: a row each `step` µs from `begin` on. */
struct made {
    int64_t ts[ROWS];
    double close[ROWS];
    struct block block;
};

static void make(struct made *self, const char *name, int64_t begin, int64_t step)
{
    for (int i = 0; i < ROWS; i++) {
        self->ts[i] = begin + i * step;
        self->close[i] = 1.1 + sin(i * 0.7) * 1e-3 + i * 1e-6;
    }
    self->block = (struct block){.series = name,
                                 .ts = self->ts,
                                 .close = self->close,
                                 .n = ROWS,
                                 .base = 1.1,
                                 .start = true,
                                 .packed = true};
}

/* A batch as it comes out of regress. */
static struct leat_batch *computed(struct writer *self, const struct block *block, uint8_t origin,
                                   int64_t stamp)
{
    msgpack_sbuffer record, frame;
    msgpack_packer pk;
    msgpack_object object;
    struct series_record read;
    struct leat_why why;
    const struct series_limits limits = {.max_rows = SIZE_MAX, .names = &self->names};
    struct leat_batch_head head = {
        .stage = "persist", .kind = "series", .seq = 1, .stamp = stamp, .attempt = 1, .count = 1};
    memset(head.origin, origin, sizeof head.origin);
    msgpack_sbuffer_init(&record);
    msgpack_sbuffer_init(&frame);
    leat_pack_init(&pk, &record);
    leat_pack_map(&pk, BLOCK_PAIRS);
    block_pack_pairs(&pk, block);
    leat_batch_write_head(&head, &frame);
    leat_batch_write_item(
        &(struct leat_item){.record = {(const uint8_t *)record.data, record.size}}, &frame);
    struct leat_batch *batch = leat_batch_read(
        (struct leat_span){(const uint8_t *)frame.data, frame.size}, frame.data, free, &self->err);
    assert_non_null(batch);
    assert_true(leat_wire_unpack(batch->items[0].record, batch->zone, &object, &self->err));
    if (!series_record_read(&object, &limits, &read, &why))
        fail_msg("%s", why.message);
    batch->items[0].result = features_find(self->features, &read, batch);
    msgpack_sbuffer_destroy(&record);
    return batch;
}

static bool writer_try(struct writer *self)
{
    return triage_write(self->store, self->load, 1700000000000000, &self->counts, &self->err);
}

static void writer_write(struct writer *self, const struct block *block, uint8_t origin,
                         int64_t stamp)
{
    assert_true(load_add(self->load, computed(self, block, origin, stamp), 1700000000000000));
    if (!writer_try(self))
        fail_msg("%s", self->err.text);
    load_clear(self->load);
}

static int start(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/leat-features-XXXXXX");
    if (!mkdtemp(dir) || !cluster_start(&cluster, ""))
        return -1;
    snprintf(sqlite_url, sizeof sqlite_url, "sqlite:%s/leat.db", dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cluster_do(&cluster, "stop");
    return system(command);
}

static int on_postgres(void **state)
{
    *state = cluster.conninfo;
    return 0;
}

static int on_sqlite(void **state)
{
    *state = sqlite_url;
    return 0;
}

static int clean(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -f %s/leat.db*", dir);
    if (*state == sqlite_url)
        return system(command);
    return cluster_execute(*state,
                           "DROP TABLE IF EXISTS features_idx, features_bqx,"
                           " features_idx_2024_01, features_idx_2024_01_2, features_idx_2024_01_3")
               ? 0
               : -1;
}

/* --- figures -------------------------------------------------------------------------------- */

/* What a table's rows are held against, in the order of time. */
struct expected {
    const struct made *made;
    const struct series_found *found;
    uint32_t rows, row;
    bool has_close;
};

static void assert_real(const char *text, const uint8_t *packed, size_t at)
{
    uint64_t bits;
    double real, is;
    memcpy(&bits, packed + 8 * at, sizeof bits);
    bits = le64toh(bits);
    memcpy(&real, &bits, sizeof real);
    if (isnan(real)) {
        assert_null(text);
        return;
    }
    assert_non_null(text);
    is = strtod(text, NULL);
    if (memcmp(&is, &real, sizeof is) != 0)
        fail_msg("%s is stored for %.17g", text, real);
}

static bool compare_row(void *arg, const struct query_row *row)
{
    struct expected *e = arg;
    size_t at = 0;
    assert_string_equal(row->values[at++], "EURUSD");
    at++; /* ts: the order tells */
    assert_string_equal(row->values[at++], "5000");
    assert_string_equal(row->values[at++], "07070707-0707-0707-0707-070707070707");
    assert_real(row->values[at++], e->found->values, e->row);
    if (e->has_close)
        assert_true(strtod(row->values[at++], NULL) == e->made->close[e->row]);
    assert_int_equal(row->n, at + FIGURES);
    for (size_t c = 0; c < FIGURES; c++)
        assert_real(row->values[at + c], e->found->figures, c * e->rows + e->row);
    e->row++;
    return true;
}

/* As query_run, but for SQLite with all digits of real numbers (which SQLite cuts to 15 as text).
 */
static void read_sqlite(const char *sql, struct expected *expected)
{
    sqlite3 *db;
    sqlite3_stmt *rows;
    const char *values[6 + FIGURES];
    char digits[6 + FIGURES][32];
    assert_int_equal(sqlite3_open(store_sqlite_path(sqlite_url), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        int n = sqlite3_column_count(rows);
        assert_true(n <= 6 + FIGURES);
        for (int i = 0; i < n; i++) {
            values[i] = (const char *)sqlite3_column_text(rows, i);
            if (sqlite3_column_type(rows, i) == SQLITE_FLOAT) {
                snprintf(digits[i], sizeof digits[i], "%.17g", sqlite3_column_double(rows, i));
                values[i] = digits[i];
            }
        }
        compare_row(expected, &(struct query_row){.n = (size_t)n, .values = values});
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
}

static void read_postgres(const char *url, const char *sql, struct expected *expected)
{
    struct leat_error err;
    struct query *query = query_open(url, &err);
    assert_non_null(query);
    if (!query_run(query, &(struct query_sql){sql, NULL}, NULL, 0, compare_row, expected, &err))
        fail_msg("%s", err.text);
    query_close(&query);
}

static void every_figure_comes_back_to_the_last_bit(void **state)
{
    static const char *const names[] = {"idx", "bqx"};
    struct writer writer;
    struct made made;
    struct series_result result;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 3);
    struct leat_batch *batch = computed(&writer, &made.block, 7, 5000);
    assert_true(series_result_read(batch->items[0].result, batch->zone, &result, &writer.err));
    writer_write(&writer, &made.block, 7, 5000);
    for (size_t d = 0; d < 2; d++) {
        char sql[64];
        struct expected expected = {
            .made = &made, .found = &result.domains[d], .rows = ROWS, .has_close = d == 0};
        snprintf(sql, sizeof sql, "SELECT * FROM features_%s ORDER BY ts", names[d]);
        if (*state == sqlite_url)
            read_sqlite(sql, &expected);
        else
            read_postgres(*state, sql, &expected);
        assert_int_equal(expected.row, ROWS);
    }
    leat_batch_destroy(&batch);
    writer_close(&writer);
}

static void times_are_kept_to_the_microsecond(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "X", begin_2024 + 123456, day);
    writer_write(&writer, &made.block, 1, 1000);
    assert_answer(*state, "SELECT min(ts), max(ts), count(*) FROM features_bqx",
                  "2024-01-01T00:00:00.123456Z|2025-02-03T00:00:00.123456Z|400");
    writer_close(&writer);
}

static void the_first_and_the_last_years_are_taken(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "OLD", -2208988800000000, 1);
    writer_write(&writer, &made.block, 1, 1000);
    make(&made, "FAR", 7289654399999999 - ROWS + 1, 1);
    writer_write(&writer, &made.block, 1, 2000);
    assert_answer(*state,
                  "SELECT series, min(ts) FROM features_idx GROUP BY series ORDER BY series",
                  "FAR|2200-12-31T23:59:59.999600Z\nOLD|1900-01-01T00:00:00.000000Z");
    writer_close(&writer);
}

static void sent_again_nothing_changes_and_the_newer_version_wins(void **state)
{
    struct writer writer;
    struct made made;
    static const char all[] = "SELECT count(*), min(version), max(version), count(a2_agg),"
                              " round(CAST(sum(close) AS numeric), 6) FROM features_idx";
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 24);
    writer_write(&writer, &made.block, 1, 1000);
    char *before = cluster_ask(*state, all);
    writer_write(&writer, &made.block, 1, 1000);
    assert_answer(*state, all, before);
    made.block.base = 2.2;
    made.block.n = 100; /* newer, but fewer: the rows at other times stay */
    writer_write(&writer, &made.block, 1, 2000);
    assert_answer(*state,
                  "SELECT version, count(*), max(value) > 90 FROM features_idx"
                  " GROUP BY version ORDER BY version",
                  *state == sqlite_url ? "1000|300|1\n2000|100|0" : "1000|300|1\n2000|100|0");
    made.block.base = 1.1;
    writer_write(&writer, &made.block, 1, 1500); /* older */
    assert_answer(*state, "SELECT version, count(*) FROM features_idx GROUP BY version ORDER BY 1",
                  "1000|300\n2000|100");
    free(before);
    writer_close(&writer);
}

static void series_may_share_one_transaction(void **state)
{
    struct writer writer;
    writer_open(&writer, *state);
    for (int i = 0; i < 20; i++) {
        struct made made;
        char name[16];
        snprintf(name, sizeof name, "S%02d", i % 10); /* each twice: the newer one stays */
        make(&made, name, begin_2024, day / 24);
        assert_true(load_add(writer.load, computed(&writer, &made.block, 1, 1000 + i), 0));
    }
    assert_true(writer_try(&writer));
    assert_answer(*state, "SELECT count(*), count(DISTINCT series), min(version) FROM features_bqx",
                  "4000|10|1010");
    writer_close(&writer);
}

static void windows_configured_later_are_added(void **state)
{
    struct writer writer;
    struct made made;
    make(&made, "A", begin_2024, day / 24);
    writer_open_with(&writer, *state, "w15=15");
    writer_write(&writer, &made.block, 1, 1000);
    writer_close(&writer);
    writer_open_with(&writer, *state, "w15=15,w20=20");
    made.block.series = "B";
    writer_write(&writer, &made.block, 1, 2000);
    writer_close(&writer);
    writer_open_with(&writer, *state, "w20=20"); /* what is not configured any more stays NULL */
    made.block.series = "C";
    writer_write(&writer, &made.block, 1, 3000);
    assert_answer(*state,
                  "SELECT series, count(a2_w15), count(a2_w20) FROM features_idx"
                  " GROUP BY series ORDER BY series",
                  "A|386|0\nB|386|381\nC|0|381");
    writer_close(&writer);
}

static void a_block_without_features_is_a_dead_letter(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 24);
    struct leat_batch *batch = computed(&writer, &made.block, 1, 1000);
    batch->items[0].result = (struct leat_span){0};
    assert_true(load_add(writer.load, batch, 1700000000000000));
    assert_true(writer_try(&writer));
    assert_answer(*state, "SELECT kind, id, stage, code FROM dead_letters",
                  "series|EURUSD|persist|not_computed");
    assert_true(cluster_execute(*state, "DELETE FROM dead_letters"));
    writer_close(&writer);
}

/* Of one batch; `fails`: regress did not get through it. */
static void write_copy(struct writer *writer, const struct block *block, bool fails)
{
    struct leat_batch *batch = computed(writer, block, 1, 1000);
    if (fails)
        leat_batch_fail(batch, 0, "regress", "timeout", "it took too long");
    assert_true(load_add(writer->load, batch, 1700000000000000));
    assert_true(writer_try(writer));
    load_clear(writer->load);
}

static void a_block_that_one_copy_stored_is_no_dead_letter(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 24);
    write_copy(&writer, &made.block, true);
    assert_answer(*state, "SELECT id, code FROM dead_letters", "EURUSD|timeout");
    write_copy(&writer, &made.block, false);
    assert_answer(*state, "SELECT count(*) FROM dead_letters", "0");
    write_copy(&writer, &made.block, true);
    assert_answer(*state, "SELECT count(*) FROM dead_letters", "0");
    made.block.series = "GBPUSD"; /* nothing of it is stored */
    write_copy(&writer, &made.block, true);
    assert_answer(*state, "SELECT id FROM dead_letters", "GBPUSD");
    assert_true(cluster_execute(*state, "DELETE FROM dead_letters"));
    writer_close(&writer);
}

/* --- faults of the store ------------------------------------------------------------------------
 */

/* From here on a table fails for the rows for which `condition` holds, with a row's error. */
static void fail_rows(const char *url, const char *table, const char *condition)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "CREATE OR REPLACE FUNCTION fail() RETURNS trigger AS $$ BEGIN IF %s THEN"
             " RAISE division_by_zero; END IF; RETURN new; END $$ LANGUAGE plpgsql;"
             "CREATE TRIGGER fail BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION fail()",
             condition, table);
    assert_true(cluster_execute(url, sql));
}

/* A block of three months meets a table that fails for every row, and nothing of it is lost. */
static void assert_kept(const char *url, const char *table)
{
    struct writer writer;
    struct made made;
    char sql[128];
    writer_open(&writer, url);
    make(&made, "EURUSD", begin_2024 + 25 * day, day / 10);
    writer_write(&writer, &made.block, 1, 1000);
    fail_rows(url, table, "true");
    make(&made, "GBPUSD", begin_2024 + 25 * day, day / 10);
    assert_true(load_add(writer.load, computed(&writer, &made.block, 1, 2000), 0));
    assert_false(writer_try(&writer));
    assert_non_null(strstr(writer.err.text, "the store refuses good rows"));
    assert_int_equal(writer.counts.buried, 0);
    snprintf(sql, sizeof sql, "DROP TRIGGER fail ON %s", table);
    assert_true(cluster_execute(url, sql));
    assert_true(writer_try(&writer));
    assert_answer(url, "SELECT count(*) FROM features_idx", "800");
    writer_close(&writer);
}

static void a_table_that_fails_for_every_row_is_no_block_s_fault(void **state)
{
    assert_kept(*state, "features_idx");
}

static void a_partition_that_fails_for_every_row_is_no_block_s_fault(void **state)
{
    assert_kept(*state, "features_idx_2024_02");
}

static void a_block_that_fails_among_good_ones_is_a_dead_letter(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    assert_true(writer.store->type->check(writer.store, &(bool){false}, &writer.err));
    fail_rows(*state, "features_idx", "new.series = 'BAD'");
    for (int i = 0; i < 3; i++) {
        make(&made, i == 1 ? "BAD" : "GOOD", begin_2024 + i * ROWS * day / 20, day / 20);
        struct leat_batch *batch = computed(&writer, &made.block, (uint8_t)(1 + i), 1000);
        assert_true(load_add(writer.load, batch, 1700000000000000));
    }
    assert_true(writer_try(&writer));
    assert_answer(*state, "SELECT series, count(*) FROM features_idx GROUP BY 1", "GOOD|800");
    assert_answer(*state, "SELECT id, stage, code FROM dead_letters", "BAD|persist|22012");
    assert_true(cluster_execute(*state, "DELETE FROM dead_letters"));
    writer_close(&writer);
}

/* --- partitions ----------------------------------------------------------------------------- */

static void months_have_a_partition_each(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024 + 25 * day, day / 10);
    writer_write(&writer, &made.block, 1, 1000);
    assert_answer(*state,
                  "SELECT inhrelid::regclass::text FROM pg_inherits"
                  " WHERE inhparent = 'features_idx'::regclass ORDER BY 1",
                  "features_idx_2024_01\nfeatures_idx_2024_02\nfeatures_idx_2024_03");
    assert_answer(*state, "SELECT count(*) FROM features_idx_2024_02", "290");
    writer_close(&writer);
}

static void a_partition_of_ones_own_serves(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 10);
    made.block.n = 10;
    writer_write(&writer, &made.block, 1, 1000);
    assert_true(cluster_execute(*state, "CREATE TABLE mine PARTITION OF features_idx"
                                        " FOR VALUES FROM ('2024-02-01Z') TO ('2025-01-01Z')"));
    made.block.n = ROWS;
    writer_write(&writer, &made.block, 1, 2000);
    assert_answer(*state, "SELECT count(*) FROM mine", "90");
    writer_close(&writer);
}

static void a_partition_that_was_dropped_is_made_again(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 20);
    writer_write(&writer, &made.block, 1, 1000);
    assert_true(cluster_execute(*state, "DROP TABLE features_idx_2024_01"));
    assert_true(load_add(writer.load, computed(&writer, &made.block, 1, 2000), 0));
    assert_true(writer_try(&writer));
    assert_answer(*state, "SELECT count(*) FROM features_idx", "400");
    writer_close(&writer);
}

static void write_january(const char *url, const char *series)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, url);
    make(&made, series, begin_2024, day / 20);
    writer_write(&writer, &made.block, 1, 1000);
    writer_close(&writer);
}

/* Detached is how a month is archived; the table stays, and keeps its name. */
static void a_late_row_of_a_month_that_was_detached_gets_a_new_partition(void **state)
{
    write_january(*state, "A");
    assert_true(cluster_execute(*state, "ALTER TABLE features_idx DETACH PARTITION"
                                        " features_idx_2024_01"));
    write_january(*state, "B");
    assert_answer(*state, "SELECT DISTINCT series, tableoid::regclass FROM features_idx",
                  "B|features_idx_2024_01_2");
    assert_true(cluster_execute(*state, "ALTER TABLE features_idx DETACH PARTITION"
                                        " features_idx_2024_01_2"));
    write_january(*state, "C");
    assert_answer(*state, "SELECT DISTINCT series, tableoid::regclass FROM features_idx",
                  "C|features_idx_2024_01_3");
    assert_answer(*state, "SELECT DISTINCT series FROM features_idx_2024_01", "A");
}

static void a_partition_that_is_detached_under_way_is_missed_once(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    for (int i = 0; i < 2; i++) { /* new keys, then on the staged path */
        make(&made, i == 0 ? "A" : "B", begin_2024, day / 20);
        writer_write(&writer, &made.block, 1, 1000);
        assert_true(cluster_execute(*state, i == 0 ? "ALTER TABLE features_idx DETACH PARTITION"
                                                     " features_idx_2024_01"
                                                   : "ALTER TABLE features_idx DETACH PARTITION"
                                                     " features_idx_2024_01_2"));
        writer_write(&writer, &made.block, 1, 2000);
    }
    assert_answer(*state, "SELECT series, count(*) FROM features_idx GROUP BY 1", "B|400");
    assert_int_equal(writer.store->counts.connects, 1);
    writer_close(&writer);
}

/* Leaves a detach half done, as one that waits for somebody is until he has ended. */
static void begin_to_detach(const char *url)
{
    PGconn *reader = PQconnectdb(url), *pg = PQconnectdb(url);
    PQclear(PQexec(reader, "BEGIN; SELECT FROM features_idx"));
    PQclear(PQexec(pg, "SET statement_timeout = 500"));
    PQclear(PQexec(pg, "ALTER TABLE features_idx DETACH PARTITION features_idx_2024_01"
                       " CONCURRENTLY"));
    PQfinish(pg);
    PQfinish(reader);
    assert_answer(url, "SELECT inhrelid::regclass FROM pg_inherits WHERE inhdetachpending",
                  "features_idx_2024_01");
}

static void a_late_row_waits_until_its_month_is_detached(void **state)
{
    struct writer writer;
    struct made made;
    write_january(*state, "A");
    begin_to_detach(*state);
    writer_open(&writer, *state);
    make(&made, "B", begin_2024, day / 20);
    assert_true(load_add(writer.load, computed(&writer, &made.block, 1, 1000), 0));
    assert_false(writer_try(&writer));
    assert_non_null(strstr(writer.err.text, "features_idx_2024_01 is being detached"));
    assert_true(cluster_execute(*state, "ALTER TABLE features_idx DETACH PARTITION"
                                        " features_idx_2024_01 FINALIZE"));
    assert_true(writer_try(&writer));
    assert_answer(*state, "SELECT DISTINCT series, tableoid::regclass FROM features_idx",
                  "B|features_idx_2024_01_2");
    writer_close(&writer);
}

/* VACUUM has such a lock, and CREATE INDEX, ALTER TABLE have others. */
static void a_table_that_is_locked_when_a_partition_is_made_is_waited_for(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    store_close(&writer.store);
    writer.options.lock_timeout_ms = 100;
    writer.store = store_open(&writer.options, writer.load, &writer.err);
    make(&made, "EURUSD", begin_2024, day / 20);
    writer_write(&writer, &made.block, 1, 1000);
    PGconn *holder = PQconnectdb(*state);
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE features_idx IN SHARE UPDATE EXCLUSIVE MODE"));
    make(&made, "EURUSD", begin_2024 + 40 * day, day / 20);
    assert_true(load_add(writer.load, computed(&writer, &made.block, 1, 2000), 0));
    bool written = writer_try(&writer);
    PQfinish(holder);
    assert_false(written);
    assert_non_null(strstr(writer.err.text, "55P03: partition of features_idx for 2024-02"));
    assert_int_equal(writer.counts.set_aside, 0);
    assert_true(writer_try(&writer));
    assert_answer(*state, "SELECT count(*) FROM features_idx", "800");
    writer_close(&writer);
}

static void *write_years(void *arg)
{
    struct writer *self = arg;
    for (int i = 0; i < 4; i++) {
        struct made made;
        make(&made, self->options.lock_timeout_ms == 2000 ? "A" : "B", begin_2024 + i * 180 * day,
             day / 2);
        assert_true(load_add(self->load, computed(self, &made.block, 1, 1000 + i), 0));
        assert_true(writer_try(self));
        load_clear(self->load);
    }
    return NULL;
}

static void many_may_need_the_same_partitions_at_once(void **state)
{
    struct writer writers[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        writer_open(&writers[i], *state);
    writers[1].options.lock_timeout_ms = 2001;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, write_years, &writers[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(writers[i].counts.set_aside, 0);
        writer_close(&writers[i]);
    }
    assert_answer(*state, "SELECT series, count(*) FROM features_bqx GROUP BY series ORDER BY 1",
                  "A|1480\nB|1480");
}

/* --- other tables of such a name ------------------------------------------------------------ */

static void execute(const char *url, const char *const *sql, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(cluster_execute(url, sql[i]));
}

static void expect_domains(const char *url, size_t n)
{
    struct leat_error err;
    struct features_domains domains;
    struct query *query = query_open(url, &err);
    assert_non_null(query);
    if (!features_domains(query, &domains, &err))
        fail_msg("%s", err.text);
    assert_int_equal(domains.n, n);
    assert_string_equal(domains.names[0], "idx");
    assert_string_equal(domains.names[1], "bqx");
    query_close(&query);
}

static void expect_removed(const char *url, const char *series, uint64_t expected)
{
    struct leat_error err;
    uint64_t rows;
    if (!removal_run(url, &(struct removal){.series = series}, &rows, &err))
        fail_msg("%s", err.text);
    assert_int_equal(rows, expected);
}

static void tables_of_ones_own_are_neither_shown_nor_deleted_from(void **state)
{
    static const char *const own[] = {
        "CREATE TABLE features_catalog (name text)",
        "CREATE TABLE features_daily (series text, ts timestamptz, mean float8)",
        "CREATE TABLE \"features_My own\" (series text, ts text, version bigint, origin text)",
        "INSERT INTO features_daily (series) VALUES ('EURUSD')",
        "INSERT INTO \"features_My own\" (series) VALUES ('EURUSD')",
        "CREATE VIEW features_view AS SELECT series, ts, version, origin FROM features_idx",
    };
    static const char *const gone[] = {"DROP VIEW features_view", "DROP TABLE features_catalog",
                                       "DROP TABLE features_daily",
                                       "DROP TABLE \"features_My own\""};
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 20);
    writer_write(&writer, &made.block, 1, 1000);
    execute(*state, own, sizeof own / sizeof *own);
    expect_domains(*state, 2);
    expect_removed(*state, "EURUSD", 2 * ROWS);
    assert_answer(*state, "SELECT count(*) FROM features_daily", "1");
    assert_answer(*state, "SELECT count(*) FROM \"features_My own\"", "1");
    execute(*state, gone, sizeof gone / sizeof *gone);
    writer_close(&writer);
}

static void a_partition_that_was_put_away_keeps_its_rows(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024 + 25 * day, day / 10);
    writer_write(&writer, &made.block, 1, 1000);
    assert_true(
        cluster_execute(*state, "ALTER TABLE features_idx DETACH PARTITION features_idx_2024_02"));
    expect_domains(*state, 2);
    expect_removed(*state, "EURUSD", 2 * ROWS - 290);
    assert_answer(*state, "SELECT count(*) FROM features_idx_2024_02", "290");
    assert_true(cluster_execute(*state, "DROP TABLE features_idx_2024_02"));
    writer_close(&writer);
}

/* A domain that was configured once, and whose table was kept. */
static void a_domain_of_before_is_one_still(void **state)
{
    struct writer writer;
    struct made made;
    writer_open(&writer, *state);
    make(&made, "EURUSD", begin_2024, day / 20);
    writer_write(&writer, &made.block, 1, 1000);
    const char *columns =
        "(series text, ts timestamptz, version bigint, origin text, value float8)";
    char sql[256];
    snprintf(sql, sizeof sql, "CREATE TABLE features_old9_x %s %s", columns,
             *state == sqlite_url ? "" : "PARTITION BY RANGE (ts)");
    assert_true(cluster_execute(*state, sql));
    if (*state != sqlite_url)
        assert_true(
            cluster_execute(*state, "CREATE TABLE kept PARTITION OF features_old9_x DEFAULT"));
    assert_true(cluster_execute(*state, "INSERT INTO features_old9_x (series, ts) VALUES"
                                        " ('EURUSD', '2024-01-01T00:00:00.000000Z')"));
    expect_domains(*state, 3);
    expect_removed(*state, "EURUSD", 2 * ROWS + 1);
    assert_true(cluster_execute(*state, "DROP TABLE features_old9_x"));
    writer_close(&writer);
}

int main(void)
{
#define ON_POSTGRES(name) cmocka_unit_test_setup_teardown(name, on_postgres, clean)
#define ON_SQLITE(name)   cmocka_unit_test_setup_teardown(name, on_sqlite, clean)
    const struct CMUnitTest tests[] = {
        ON_POSTGRES(every_figure_comes_back_to_the_last_bit),
        ON_SQLITE(every_figure_comes_back_to_the_last_bit),
        ON_POSTGRES(times_are_kept_to_the_microsecond),
        ON_SQLITE(times_are_kept_to_the_microsecond),
        ON_POSTGRES(the_first_and_the_last_years_are_taken),
        ON_SQLITE(the_first_and_the_last_years_are_taken),
        ON_POSTGRES(sent_again_nothing_changes_and_the_newer_version_wins),
        ON_SQLITE(sent_again_nothing_changes_and_the_newer_version_wins),
        ON_POSTGRES(series_may_share_one_transaction),
        ON_SQLITE(series_may_share_one_transaction),
        ON_POSTGRES(windows_configured_later_are_added),
        ON_SQLITE(windows_configured_later_are_added),
        ON_POSTGRES(a_block_without_features_is_a_dead_letter),
        ON_SQLITE(a_block_without_features_is_a_dead_letter),
        ON_POSTGRES(a_block_that_one_copy_stored_is_no_dead_letter),
        ON_SQLITE(a_block_that_one_copy_stored_is_no_dead_letter),
        ON_POSTGRES(a_table_that_fails_for_every_row_is_no_block_s_fault),
        ON_POSTGRES(a_partition_that_fails_for_every_row_is_no_block_s_fault),
        ON_POSTGRES(a_block_that_fails_among_good_ones_is_a_dead_letter),
        ON_POSTGRES(months_have_a_partition_each),
        ON_POSTGRES(a_partition_of_ones_own_serves),
        ON_POSTGRES(a_partition_that_was_dropped_is_made_again),
        ON_POSTGRES(a_late_row_of_a_month_that_was_detached_gets_a_new_partition),
        ON_POSTGRES(a_partition_that_is_detached_under_way_is_missed_once),
        ON_POSTGRES(a_late_row_waits_until_its_month_is_detached),
        ON_POSTGRES(a_table_that_is_locked_when_a_partition_is_made_is_waited_for),
        ON_POSTGRES(many_may_need_the_same_partitions_at_once),
        ON_POSTGRES(tables_of_ones_own_are_neither_shown_nor_deleted_from),
        ON_SQLITE(tables_of_ones_own_are_neither_shown_nor_deleted_from),
        ON_POSTGRES(a_partition_that_was_put_away_keeps_its_rows),
        ON_POSTGRES(a_domain_of_before_is_one_still),
        ON_SQLITE(a_domain_of_before_is_one_still),
    };
    return cmocka_run_group_tests_name("features", tests, start, stop);
}
