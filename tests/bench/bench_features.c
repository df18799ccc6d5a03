/* Rows a second of features into the store alone, beside `psql \copy … (FORMAT binary)` of the same
 * finished rows into equal tables with the same key and partitions.
 *
 *   build/bench/bench_features [ROWS [ROUNDS]]
 *
 * Each round writes ROWS rows of one series of minutes (30 000 a month) into both feature tables of
 * a private PostgreSQL with fsync on, in blocks of 2 000 and transactions of about 10 000 rows. A
 * row counts once for both tables; medians of the rounds. */
#include "services/flows/series/flow.h"
#include "services/persist/triage.h"
#include "services/regress/features.h"
#include "services/runtime/clock.h"
#include "services/tables.h"
#include "tests/unit/block.h"
#include "tests/unit/cluster.h"

enum { BLOCK = 2000, WARMUP = 104, TRANSACTION = 4000, MONTH = 30000, ROUNDS_MOST = 9 };

struct bench {
    struct cluster cluster;
    struct leat_settings *settings;
    struct series_windows windows;
    struct series_names names;
    struct features *features;
    struct catalog *catalog;
    struct load *load;
    int64_t compute_us, make_us, write_us; /* of a round */
};

static void give_up(const struct leat_error *err)
{
    fprintf(stderr, "bench_features: %s\n", err->text);
    exit(1);
}

static int64_t time_of(unsigned row)
{
    static const int64_t minute = 60000000, day = 86400000000, begin = 1704067200000000;
    return begin + row / MONTH * 31 * day + row % MONTH * minute;
}

static struct leat_batch *make_batch(unsigned from)
{
    static int64_t ts[WARMUP + BLOCK];
    static double close[WARMUP + BLOCK];
    unsigned warmup = from < WARMUP ? from : WARMUP;
    struct block block = {.series = "EURUSD",
                          .ts = ts,
                          .close = close,
                          .n = warmup + BLOCK,
                          .base = 1.07356,
                          .warmup = warmup,
                          .start = from == warmup,
                          .packed = true};
    for (unsigned i = 0; i < block.n; i++) {
        uint32_t chance = (from - warmup + i) * 2654435761u;
        ts[i] = time_of(from - warmup + i);
        close[i] = 1.07 + (double)(chance >> 16) * 1e-8 + (double)(from + i) * 1e-7;
    }
    msgpack_sbuffer frame, record;
    msgpack_packer pk;
    msgpack_sbuffer_init(&frame);
    msgpack_sbuffer_init(&record);
    leat_pack_init(&pk, &record);
    leat_pack_map(&pk, BLOCK_PAIRS);
    block_pack_pairs(&pk, &block);
    leat_batch_write_head(&(struct leat_batch_head){.stage = "persist",
                                                    .kind = "series",
                                                    .stamp = 1700000000000000 + from,
                                                    .attempt = 1,
                                                    .count = 1},
                          &frame);
    leat_batch_write_item(
        &(struct leat_item){.record = {(const uint8_t *)record.data, record.size}}, &frame);
    msgpack_sbuffer_destroy(&record);
    return leat_batch_read((struct leat_span){(const uint8_t *)frame.data, frame.size}, frame.data,
                           free, NULL);
}

static void compute(struct bench *self, struct leat_batch *batch)
{
    const struct series_limits limits = {.max_rows = SIZE_MAX, .names = &self->names};
    msgpack_object object;
    struct series_record record;
    struct leat_why why;
    struct leat_error err;
    if (!leat_wire_unpack(batch->items[0].record, batch->zone, &object, &err) ||
        (!series_record_read(&object, &limits, &record, &why) &&
         !leat_fail(&err, "%s", why.message)))
        give_up(&err);
    batch->items[0].result = features_find(self->features, &record, batch);
}

static void write_all(struct bench *self, struct store *store, unsigned rows)
{
    struct triage_counts counts = {0};
    struct leat_error err;
    self->compute_us = self->make_us = self->write_us = 0;
    for (unsigned from = 0; from < rows; from += TRANSACTION) {
        for (unsigned at = from; at < from + TRANSACTION; at += BLOCK) {
            struct leat_batch *batch = make_batch(at);
            int64_t before = leat_monotonic_us();
            compute(self, batch);
            int64_t computed = leat_monotonic_us();
            load_add(self->load, batch, before);
            self->make_us += leat_monotonic_us() - computed;
            self->compute_us += computed - before;
        }
        int64_t made = leat_monotonic_us();
        if (!triage_write(store, self->load, 0, &counts, &err))
            give_up(&err);
        self->write_us += leat_monotonic_us() - made;
        load_clear(self->load);
    }
}

static void run(const char *command)
{
    if (system(command) != 0) {
        fprintf(stderr, "bench_features: %s failed\n", command);
        exit(1);
    }
}

/* The finished rows out to files, and back into the emptied tables. */
static int64_t psql_copy(const struct bench *self)
{
    char command[1024];
    const char *conninfo = self->cluster.conninfo, *dir = self->cluster.dir;
    snprintf(
        command, sizeof command,
        "psql -q '%s' -c '\\copy (SELECT * FROM features_idx ORDER BY series, ts) TO %s/idx (FORMAT"
        " binary)' -c '\\copy (SELECT * FROM features_bqx ORDER BY series, ts) TO %s/bqx (FORMAT"
        " binary)' -c 'TRUNCATE features_idx, features_bqx' -c CHECKPOINT",
        conninfo, dir, dir);
    run(command);
    snprintf(command, sizeof command,
             "psql -q '%s' -c '\\copy features_idx FROM %s/idx (FORMAT binary)'"
             " -c '\\copy features_bqx FROM %s/bqx (FORMAT binary)'",
             conninfo, dir, dir);
    int64_t before = leat_monotonic_us();
    run(command);
    int64_t us = leat_monotonic_us() - before;
    snprintf(command, sizeof command, "rm %s/idx %s/bqx", dir, dir);
    run(command);
    return us;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print(const char *name, double *rates, unsigned n)
{
    qsort(rates, n, sizeof *rates, by_value);
    printf("%s %.0f rows/s\n", name, rates[n / 2]);
}

static void set_up(struct bench *self)
{
    struct leat_error err;
    self->settings = leat_settings_new(leat_tables);
    if (!cluster_start(&self->cluster, "fsync=on"))
        exit(1);
    if (!series_settings_read(self->settings, &self->windows, &self->names, &err) ||
        !(self->catalog = catalog_open(self->settings, &err)))
        give_up(&err);
    self->features = features_new(&self->windows, &self->names);
    self->load = load_new(self->catalog);
}

static struct store *open_store(const struct bench *self)
{
    const struct store_options options = {
        .url = self->cluster.conninfo, .lock_timeout_ms = 2000, .timeout_ms = 60000, .staged = 4};
    struct leat_error err;
    bool permanent;
    struct store *store = store_open(&options, self->load, &err);
    if (!store || !store->type->check(store, &permanent, &err))
        give_up(&err);
    return store;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    unsigned rows = argc > 1 ? (unsigned)atoi(argv[1]) : 120000;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
    double computed[ROUNDS_MOST], made[ROUNDS_MOST], direct[ROUNDS_MOST], psql[ROUNDS_MOST];
    rows = (rows + TRANSACTION - 1) / TRANSACTION * TRANSACTION;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MOST ? ROUNDS_MOST : rounds;
    set_up(&bench);
    for (unsigned i = 0; i < rounds; i++) {
        struct store *store = open_store(&bench);
        cluster_execute(bench.cluster.conninfo, "TRUNCATE features_idx, features_bqx");
        cluster_execute(bench.cluster.conninfo, "CHECKPOINT");
        write_all(&bench, store, rows);
        computed[i] = rows * 1e6 / (double)bench.compute_us;
        made[i] = rows * 1e6 / (double)bench.make_us;
        direct[i] = rows * 1e6 / (double)(bench.make_us + bench.write_us);
        store_close(&store);
        psql[i] = rows * 1e6 / (double)psql_copy(&bench);
    }
    print("features_computed", computed, rounds);
    print("features_rows_made", made, rounds);
    print("features_postgresql", direct, rounds);
    print("features_psql_copy", psql, rounds);
    load_destroy(&bench.load);
    catalog_close(&bench.catalog);
    features_destroy(&bench.features);
    leat_settings_destroy(&bench.settings);
    cluster_do(&bench.cluster, "stop");
    return 0;
}
