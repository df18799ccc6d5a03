/* How fast the journal is as a queue: `bench_journal [VALUES [KEPT [BYTES [FOLDER]]]]` appends
 * VALUES batches of BYTES bytes, 16 a transaction, deletes as many once KEPT are there, reads each
 * once. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "services/ingest/backlog.h"
#include "services/ingest/journal.h"

enum { IN_A_TRANSACTION = 16 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void give_up(const struct leat_error *err)
{
    fprintf(stderr, "bench_journal: %s\n", err->text);
    exit(1);
}

/* Appends and acknowledges a transaction's worth; gives how long begin to commit took. */
static double turn(struct journal *journal, const struct journal_batch *batch, uint64_t kept,
                   uint64_t *oldest)
{
    struct leat_error err;
    struct journal_given given = {0};
    struct journal_acked acked;
    double start = now_s();
    if (!journal_begin(journal, &err))
        give_up(&err);
    for (int i = 0; i < IN_A_TRANSACTION; i++)
        if (journal_append(journal, batch, (int64_t)(start * 1e6), &given, &err) != JOURNAL_OK)
            give_up(&err);
    for (; given.seq >= kept && *oldest <= given.seq - kept; ++*oldest)
        if (journal_ack(journal, "text", *oldest, batch->count, 0, &acked, &err) != JOURNAL_OK)
            give_up(&err);
    if (journal_commit(journal, &err) != JOURNAL_OK)
        give_up(&err);
    return now_s() - start;
}

static uint64_t read_new(struct journal *journal, uint64_t at)
{
    struct leat_error err;
    struct backlog_batch batch;
    enum backlog_result result;
    while ((result = backlog_next(journal, "text", at, &batch, &err)) == BACKLOG_BATCH)
        at = batch.seq;
    if (result != BACKLOG_END)
        give_up(&err);
    return at;
}

int main(int argc, char **argv)
{
    uint64_t values = argc > 1 ? strtoull(argv[1], NULL, 10) : 48000;
    uint64_t kept = argc > 2 ? strtoull(argv[2], NULL, 10) : 200;
    size_t size = argc > 3 ? strtoull(argv[3], NULL, 10) : 65536;
    char dir[] = "/tmp/leat-bench-journal-XXXXXX", clean[64];
    struct journal_limits limits = journal_limits_default();
    struct leat_error err;
    limits.max_bytes = UINT64_C(64) << 30;
    if (values == 0 || kept == 0 || size == 0 || !mkdtemp(dir)) {
        fprintf(stderr, "bench_journal [VALUES [KEPT [BYTES [FOLDER]]]]: above 0\n");
        return 2;
    }
    struct journal *journal = journal_open(argc > 4 ? argv[4] : dir, &limits, &err);
    char *items = malloc(size);
    if (!journal || !items)
        give_up(&err);
    for (size_t i = 0; i < size; i++)
        items[i] = (char)(i * 131 >> 3);

    struct journal_batch batch = {.kind = "text", .count = 100, .items = items, .size = size};
    uint64_t oldest = 1, at = 0, done = 0;
    double worst = 0, start = now_s();
    for (; done < values; done += IN_A_TRANSACTION) {
        double took = turn(journal, &batch, kept, &oldest);
        worst = took > worst ? took : worst;
        at = read_new(journal, at);
    }
    double seconds = now_s() - start;
    struct journal_totals totals = journal_totals(journal);
    printf("journal %.0f values/s\n", (double)done / seconds);
    printf("journal_worst_transaction %.1f ms\n", worst * 1e3);
    fprintf(stderr,
            "%" PRIu64 " values of %zu bytes, %d a transaction: %.0f MB/s; %" PRIu64
            " kept, %.1f MB in a file of %.1f MB\n",
            done, size, IN_A_TRANSACTION, (double)done * (double)size / seconds / 1e6,
            totals.batches, (double)totals.bytes / 1e6, (double)totals.file_bytes / 1e6);
    journal_close(&journal);
    free(items);
    snprintf(clean, sizeof clean, "rm -rf %s", dir);
    return system(clean) != 0;
}
