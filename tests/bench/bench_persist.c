/* Rows a second of the store alone, beside `psql \copy` of the same finished rows into an equal
 * table.
 *
 *   build/bench/bench_persist [ROWS [ROUNDS]]
 *
 * Each round writes ROWS texts of ~70 characters in transactions of 10 000, into PostgreSQL and
 * into SQLite; `make`: making rows of batches alone; `again`: the same batches a second time
 * (nothing changes); medians of the rounds. PostgreSQL is a private one with fsync on. */
#include "services/persist/triage.h"
#include "services/runtime/clock.h"
#include "tests/unit/cluster.h"
#include "tests/unit/texts.h"

enum { TRANSACTION = 10000, BATCH = 200, ROUNDS_MOST = 9 };

static const char *const words[] = {"river", "council", "budget",  "school", "tomorrow", "waits",
                                    "mill",  "wheel",   "channel", "grain",  "carries",  "worker",
                                    "slow",  "answer",  "letter",  "stone"};

/* Distinct texts of some seventy characters. */
static struct leat_batch *make_batch(unsigned round, unsigned from)
{
    struct texts texts;
    texts_begin(&texts, 1, 1 + round * 1000000ull + from, 1700000000000000 + from, BATCH);
    for (unsigned i = from; i < from + BATCH; i++) {
        char id[32], text[128];
        uint32_t chance = (i + round * 7919) * 2654435761u;
        snprintf(id, sizeof id, "bench-%u-%u", round, i);
        snprintf(text, sizeof text, "the %s %s of the %s %s %s and the %s %s number %u %u",
                 words[chance & 15], words[chance >> 4 & 15], words[chance >> 8 & 15],
                 words[chance >> 12 & 15], words[chance >> 16 & 15], words[chance >> 20 & 15],
                 words[chance >> 24 & 15], i, round);
        texts_add(&texts, &(struct texts_item){.id = id, .text = text, .topic = "health"});
    }
    return texts_end(&texts);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

/* Times in µs: making rows, and writing them. */
struct times {
    int64_t make, write;
};

static struct times write_all(struct store *store, struct load *load, unsigned round, unsigned rows)
{
    struct triage_counts counts = {0};
    struct times times = {0};
    struct leat_error err;
    for (unsigned from = 0; from < rows; from += TRANSACTION) {
        struct leat_batch *batches[TRANSACTION / BATCH];
        for (unsigned i = 0; i < TRANSACTION / BATCH; i++)
            batches[i] = make_batch(round, from + i * BATCH);
        int64_t before = leat_monotonic_us();
        for (unsigned i = 0; i < TRANSACTION / BATCH; i++)
            load_add(load, batches[i], before);
        int64_t made = leat_monotonic_us();
        if (!triage_write(store, load, 0, &counts, &err)) {
            fprintf(stderr, "bench_persist: %s\n", err.text);
            exit(1);
        }
        times.make += made - before;
        times.write += leat_monotonic_us() - made;
        load_clear(load);
    }
    return times;
}

static double per_second(unsigned rows, int64_t us)
{
    return rows * 1e6 / (double)us;
}

/* The finished rows out to a file, and back into the emptied table by psql. */
static double psql_copy(const struct cluster *cluster, unsigned rows)
{
    char command[512];
    snprintf(command, sizeof command,
             "psql -q '%s' -c '\\copy texts TO %s/rows' -c 'TRUNCATE texts' -c CHECKPOINT",
             cluster->conninfo, cluster->dir);
    if (system(command) != 0)
        exit(1);
    snprintf(command, sizeof command, "psql -q '%s' -c '\\copy texts FROM %s/rows'",
             cluster->conninfo, cluster->dir);
    int64_t before = leat_monotonic_us();
    if (system(command) != 0)
        exit(1);
    return per_second(rows, leat_monotonic_us() - before);
}

struct figures {
    double make[ROUNDS_MOST], direct[ROUNDS_MOST], again[ROUNDS_MOST], psql[ROUNDS_MOST],
        sqlite[ROUNDS_MOST], sqlite_again[ROUNDS_MOST];
};

static struct store *open_store(const char *url, const struct load *load)
{
    const struct store_options options = {
        .url = url, .lock_timeout_ms = 2000, .timeout_ms = 60000, .staged = 4};
    struct leat_error err;
    struct store *store = store_open(&options, load, &err);
    bool permanent;
    if (store && store->type->check(store, &permanent, &err))
        return store;
    fprintf(stderr, "bench_persist: %s\n", err.text);
    exit(1);
}

static void measure_postgres(const struct cluster *cluster, struct load *load, unsigned round,
                             unsigned rows, struct figures *figures)
{
    struct store *store = open_store(cluster->conninfo, load);
    cluster_execute(cluster->conninfo, "TRUNCATE texts");
    cluster_execute(cluster->conninfo, "CHECKPOINT");
    struct times first = write_all(store, load, round, rows);
    struct times second = write_all(store, load, round, rows);
    figures->make[round] = per_second(rows, first.make);
    figures->direct[round] = per_second(rows, first.make + first.write);
    figures->again[round] = per_second(rows, second.make + second.write);
    figures->psql[round] = psql_copy(cluster, rows);
    store_close(&store);
}

static void measure_sqlite(const struct cluster *cluster, struct load *load, unsigned round,
                           unsigned rows, struct figures *figures)
{
    char url[256];
    snprintf(url, sizeof url, "sqlite:%s/round%u.db", cluster->dir, round);
    struct store *store = open_store(url, load);
    struct times first = write_all(store, load, round, rows);
    struct times second = write_all(store, load, round, rows);
    figures->sqlite[round] = per_second(rows, first.make + first.write);
    figures->sqlite_again[round] = per_second(rows, second.make + second.write);
    store_close(&store);
}

int main(int argc, char **argv)
{
    unsigned rows = argc > 1 ? (unsigned)atoi(argv[1]) : 200000;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
    struct cluster cluster = {0};
    struct figures figures;
    rows = (rows + TRANSACTION - 1) / TRANSACTION * TRANSACTION;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MOST ? ROUNDS_MOST : rounds;
    if (!cluster_start(&cluster, "fsync=on"))
        return 1;
    struct load *load = load_new(NULL);
    for (unsigned round = 0; round < rounds; round++) {
        measure_postgres(&cluster, load, round, rows, &figures);
        measure_sqlite(&cluster, load, round, rows, &figures);
    }
    load_destroy(&load);
    cluster_do(&cluster, "stop");
    printf("persist_rows_made %.0f rows/s\n", median(figures.make, rounds));
    printf("persist_postgresql %.0f rows/s\n", median(figures.direct, rounds));
    printf("persist_postgresql_again %.0f rows/s\n", median(figures.again, rounds));
    printf("persist_psql_copy %.0f rows/s\n", median(figures.psql, rounds));
    printf("persist_sqlite %.0f rows/s\n", median(figures.sqlite, rounds));
    printf("persist_sqlite_again %.0f rows/s\n", median(figures.sqlite_again, rounds));
    return 0;
}
