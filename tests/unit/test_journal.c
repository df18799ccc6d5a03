/* What the journal promises: nothing that was committed is lost, all or nothing, flat memory, and
 * plain words about files that are not right. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/ingest/backlog.h"
#include "services/ingest/clients.h"
#include "services/ingest/journal.h"
#include "services/ingest/journal_private.h" /* to build journals that are wrong, or nearly used up */
#include "tests/unit/failing_disk.h"

/* --- scaffolding ----------------------------------------------------------------------------- */

struct bench {
    char root[64], dir[80], file[96];
    struct rlimit file_size; /* as it was */
    struct journal_limits limits;
    struct journal *journal;
    struct leat_error err;
};

static int bench_make(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    strcpy(bench->root, "/tmp/leat-journal-XXXXXX");
    if (!mkdtemp(bench->root))
        return -1;
    snprintf(bench->dir, sizeof bench->dir, "%s/journal", bench->root);
    snprintf(bench->file, sizeof bench->file, "%s/journal.mdb", bench->dir);
    bench->limits = journal_limits_default();
    bench->limits.reserve_bytes = 1 << 20;
    disk_works();
    *state = bench;
    return getrlimit(RLIMIT_FSIZE, &bench->file_size);
}

static int bench_remove(void **state)
{
    struct bench *bench = *state;
    char command[160];
    disk_works();
    setrlimit(RLIMIT_FSIZE, &bench->file_size);
    journal_close(&bench->journal);
    umount2(bench->root, MNT_DETACH); /* of the tests that mount there */
    snprintf(command, sizeof command, "rm -rf %s", bench->root);
    int code = system(command);
    free(bench);
    return code;
}

static void expect(bool good, const struct bench *bench)
{
    if (!good)
        fail_msg("%s", bench->err.text);
}

static void bench_open(struct bench *bench)
{
    bench->journal = journal_open(bench->dir, &bench->limits, &bench->err);
    expect(bench->journal != NULL, bench);
}

static void bench_reopen(struct bench *bench)
{
    journal_close(&bench->journal);
    bench_open(bench);
}

static void begin(struct bench *bench)
{
    expect(journal_begin(bench->journal, &bench->err), bench);
}

static void commit(struct bench *bench)
{
    expect(journal_commit(bench->journal, &bench->err) == JOURNAL_OK, bench);
}

/* Items that tell which seq they were written for. */
static void items_fill(uint8_t *items, size_t size, uint64_t tag)
{
    for (size_t i = 0; i < size; i++)
        items[i] = (uint8_t)(tag * 31 + i * 7 + (i >> 8));
}

static uint8_t scratch[1 << 20];

static enum journal_result append_at(struct bench *bench, const char *kind, size_t size,
                                     uint32_t count, int64_t now_us, struct journal_given *given)
{
    uint64_t tag = bench->journal->now.state.next_seq;
    items_fill(scratch, size, tag);
    struct journal_batch batch = {.kind = kind, .count = count, .items = scratch, .size = size};
    return journal_append(bench->journal, &batch, now_us, given, &bench->err);
}

static uint64_t append(struct bench *bench, const char *kind, size_t size)
{
    struct journal_given given;
    expect(append_at(bench, kind, size, 10, 1000, &given) == JOURNAL_OK, bench);
    return given.seq;
}

static uint64_t append_alone(struct bench *bench, const char *kind, size_t size)
{
    begin(bench);
    uint64_t seq = append(bench, kind, size);
    commit(bench);
    return seq;
}

static enum journal_result send_of(struct bench *bench, uint64_t client, uint64_t client_seq,
                                   const char *answer, size_t size, struct journal_given *given)
{
    struct journal_batch batch = {.kind = "text",
                                  .count = size ? 10 : 0,
                                  .items = scratch,
                                  .size = size,
                                  .client = client,
                                  .client_seq = client_seq,
                                  .answer = answer,
                                  .answer_size = strlen(answer)};
    items_fill(scratch, size, bench->journal->now.state.next_seq);
    return journal_append(bench->journal, &batch, 1000, given, &bench->err);
}

static uint64_t take(struct bench *bench, uint64_t client, uint64_t client_seq, const char *answer)
{
    struct journal_given given;
    expect(send_of(bench, client, client_seq, answer, 500, &given) == JOURNAL_OK, bench);
    return given.seq;
}

static enum journal_result hello_as(struct bench *bench, const char *id, size_t size,
                                    int64_t now_us, struct client *out)
{
    const struct caller caller = {.id = id, .size = size};
    return clients_hello(bench->journal, &caller, now_us, out, &bench->err);
}

static struct client hello(struct bench *bench, const char *id)
{
    struct client client;
    expect(hello_as(bench, id, strlen(id), 1000, &client) == JOURNAL_OK, bench);
    return client;
}

static struct client client_of(struct bench *bench, uint64_t number)
{
    struct client client;
    expect(clients_get(bench->journal, number, &client, &bench->err) == JOURNAL_OK, bench);
    return client;
}

static bool ack(struct bench *bench, const char *kind, uint64_t seq)
{
    struct journal_acked acked;
    expect(journal_ack(bench->journal, kind, seq, 9, 1, &acked, &bench->err) == JOURNAL_OK, bench);
    return acked.found;
}

/* Reads the kind from the start; every batch must be the one its seq says. Gives how many. */
static uint64_t stream(struct bench *bench, const char *kind, uint64_t *first, uint64_t *last)
{
    struct backlog_batch batch;
    enum backlog_result result;
    uint64_t count = 0, at = 0;
    while ((result = backlog_next(bench->journal, kind, at, &batch, &bench->err)) ==
           BACKLOG_BATCH) {
        assert_true(batch.seq > at);
        at = batch.seq;
        if (count++ == 0 && first)
            *first = at;
        items_fill(scratch, batch.size, at);
        assert_memory_equal(batch.items, scratch, batch.size);
    }
    expect(result == BACKLOG_END, bench);
    if (last)
        *last = at;
    return count;
}

static void refused(struct bench *bench, const char *reason)
{
    assert_null(journal_open(bench->dir, &bench->limits, &bench->err));
    if (!strstr(bench->err.text, reason))
        fail_msg("expected \"%s\" in \"%s\"", reason, bench->err.text);
}

/* Changes the state record of a closed journal, as another program would have written it. */
static void state_edit(struct bench *bench, void (*edit)(struct disk_state *), bool seal)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {7, (void *)(uintptr_t) "journal"}, value;
    struct disk_state state;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 << 20), 0);
    assert_int_equal(mdb_env_open(env, bench->file, MDB_NOSUBDIR, 0640), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "state", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    memcpy(&state, value.mv_data, sizeof state);
    edit(&state);
    if (seal)
        state.check = journal_check(&state, offsetof(struct disk_state, check), 0);
    value = (MDB_val){sizeof state, &state};
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static off_t file_size(const char *path)
{
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_size;
}

/* --- keeping --------------------------------------------------------------------------------- */

static void a_reopened_journal_has_everything_and_goes_on(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    uint8_t origin[JOURNAL_ORIGIN_BYTES];
    bench_open(bench);
    memcpy(origin, journal_origin(bench->journal), sizeof origin);
    begin(bench);
    assert_int_equal(append(bench, "text", 100), 1);
    assert_int_equal(append(bench, "series", 70000), 2);
    assert_int_equal(append_at(bench, "text", 3000, 5, 5000, &given), JOURNAL_OK);
    assert_int_equal(given.seq, 3);
    assert_int_equal(given.stamp, 5000);
    commit(bench);
    struct journal_totals before = journal_totals(bench->journal);
    assert_int_equal(before.last_version, 5004);
    assert_int_equal(before.batches, 3);

    bench_reopen(bench);
    struct journal_totals after = journal_totals(bench->journal);
    assert_memory_equal(journal_origin(bench->journal), origin, sizeof origin);
    assert_int_equal(after.last_seq, before.last_seq);
    assert_int_equal(after.last_version, before.last_version);
    assert_int_equal(after.batches, before.batches);
    assert_int_equal(after.bytes, before.bytes);
    uint64_t first, last;
    assert_int_equal(stream(bench, "text", &first, &last), 2);
    assert_int_equal(first, 1);
    assert_int_equal(last, 3);
    assert_int_equal(stream(bench, "series", NULL, NULL), 1);
    assert_int_equal(stream(bench, "unheard_of", NULL, NULL), 0);

    begin(bench);
    assert_int_equal(append_at(bench, "text", 10, 1, 0, &given), JOURNAL_OK);
    commit(bench);
    assert_int_equal(given.seq, 4);
    assert_int_equal(given.stamp, 5005);

    struct backlog_batch batch;
    assert_int_equal(backlog_read(bench->journal, "text", 3, &batch, &bench->err), BACKLOG_BATCH);
    assert_int_equal(batch.count, 5);
    assert_int_equal(batch.stamp, 5000);
    assert_int_equal(backlog_read(bench->journal, "text", 2, &batch, &bench->err), BACKLOG_END);
    assert_int_equal(backlog_oldest(bench->journal, "text", &batch, &bench->err), BACKLOG_BATCH);
    assert_int_equal(batch.seq, 1);
    assert_int_equal(batch.stamp, 1000);
    struct journal_kind_totals kinds[4];
    assert_int_equal(journal_kinds(bench->journal, kinds, 4), 2);
    assert_string_equal(kinds[0].kind, "series");
    assert_int_equal(kinds[0].batches, 1);
    assert_int_equal(kinds[1].batches, 3);
}

static void two_journals_have_two_origins(void **state)
{
    struct bench *bench = *state;
    uint8_t origin[JOURNAL_ORIGIN_BYTES];
    bench_open(bench);
    memcpy(origin, journal_origin(bench->journal), sizeof origin);
    strcat(bench->dir, "2");
    bench_reopen(bench);
    assert_memory_not_equal(journal_origin(bench->journal), origin, sizeof origin);
}

/* The child appends and acknowledges in transactions, and says after each commit how far it is. */
static void appending_child(struct bench *bench, int report)
{
    bench_open(bench);
    for (;;) {
        struct journal_given given = {0};
        begin(bench);
        for (int i = 0; i < 4; i++)
            if (append_at(bench, "text", (size_t)(1 + rand() % 40000), 3, 1000, &given) !=
                JOURNAL_OK)
                _exit(1);
        if (given.seq % 8 == 0 && given.seq > 64)
            for (uint64_t seq = given.seq - 71; seq <= given.seq - 64; seq++)
                ack(bench, "text", seq);
        commit(bench);
        if (write(report, &given.seq, sizeof given.seq) != sizeof given.seq)
            _exit(1);
    }
}

static void a_killed_process_loses_nothing_that_was_committed(void **state)
{
    struct bench *bench = *state;
    for (int round = 0; round < 5; round++) {
        int pipes[2], status;
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            srand((unsigned)round);
            appending_child(bench, pipes[1]);
        }
        close(pipes[1]);
        uint64_t told = 0;
        for (int i = 0; i < 40 + 7 * round; i++)
            assert_int_equal(read(pipes[0], &told, sizeof told), sizeof told);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        uint64_t more;
        while (read(pipes[0], &more, sizeof more) == sizeof more)
            told = more;
        close(pipes[0]);

        bench_open(bench);
        struct journal_totals totals = journal_totals(bench->journal);
        assert_true(totals.last_seq >= told);
        assert_int_equal(totals.last_seq % 4, 0); /* a transaction is all or nothing */
        uint64_t first, last;
        uint64_t count = stream(bench, "text", &first, &last);
        assert_int_equal(last, totals.last_seq);
        assert_int_equal(count, totals.batches);
        assert_int_equal(count, last - first + 1);
        journal_close(&bench->journal);
    }
}

static void an_aborted_transaction_leaves_no_trace(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    append_alone(bench, "text", 100);
    struct journal_totals before = journal_totals(bench->journal);
    begin(bench);
    append(bench, "text", 5000);
    append(bench, "new_kind", 10);
    uint64_t number = hello(bench, "nobody").number;
    assert_true(ack(bench, "text", 1));
    assert_true(journal_pending_bytes(bench->journal) > 5000);
    assert_int_equal(stream(bench, "text", NULL, NULL), 1); /* dispatch sees what is synced */
    journal_abort(bench->journal);
    struct journal_totals after = journal_totals(bench->journal);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(journal_pending_bytes(bench->journal), 0);
    struct client client;
    assert_int_equal(clients_get(bench->journal, number, &client, &bench->err), JOURNAL_REFUSED);
    assert_int_equal(append_alone(bench, "new_kind", 10), 2);
    assert_int_equal(stream(bench, "new_kind", NULL, NULL), 1);
}

static void dispatch_sees_only_what_is_synced(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    begin(bench);
    append(bench, "text", 100);
    assert_int_equal(stream(bench, "text", NULL, NULL), 0);
    commit(bench);
    assert_int_equal(stream(bench, "text", NULL, NULL), 1);
}

/* --- versions and seqs ----------------------------------------------------------------------- */

static void versions_never_repeat_when_the_clock_steps_back(void **state)
{
    struct bench *bench = *state;
    const int64_t clocks[] = {1000, 1001, 5, -7, INT64_MIN, 0, 2000, 1999};
    int64_t next = 1;
    struct journal_given given;
    bench_open(bench);
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        begin(bench);
        assert_int_equal(append_at(bench, "text", 10, 100, clocks[i], &given), JOURNAL_OK);
        commit(bench);
        assert_true(given.stamp >= next && given.stamp >= clocks[i]);
        next = given.stamp + 100;
        bench_reopen(bench);
    }
}

static void versions_that_are_used_up_are_refused(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    bench_open(bench);
    begin(bench);
    assert_int_equal(append_at(bench, "text", 10, 10, INT64_MAX, &given), JOURNAL_REFUSED);
    assert_non_null(strstr(bench->err.text, "clock"));
    assert_int_equal(append_at(bench, "text", 10, 10, INT64_MAX - 9, &given), JOURNAL_REFUSED);
    assert_int_equal(append_at(bench, "text", 10, UINT32_MAX, INT64_MAX - 20, &given),
                     JOURNAL_REFUSED);
    assert_int_equal(append_at(bench, "text", 10, 10, INT64_MAX - 20, &given), JOURNAL_OK);
    assert_int_equal(given.stamp, INT64_MAX - 20);
    assert_int_equal(append_at(bench, "text", 10, 11, 1000, &given), JOURNAL_REFUSED);
    assert_int_equal(append_at(bench, "text", 10, 10, 1000, &given), JOURNAL_OK);
    assert_int_equal(given.stamp, INT64_MAX - 10);
    assert_int_equal(append_at(bench, "text", 10, 1, 1000, &given), JOURNAL_REFUSED);
    commit(bench);
    assert_int_equal(journal_totals(bench->journal).last_version, INT64_MAX - 1);
    assert_int_equal(stream(bench, "text", NULL, NULL), 2);
}

static void seq_before_2_32(struct disk_state *disk)
{
    disk->next_seq = UINT32_MAX - 2;
}

static void seqs_pass_2_32_in_order(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    append_alone(bench, "text", 10);
    journal_close(&bench->journal);
    state_edit(bench, seq_before_2_32, true);
    bench_open(bench);
    begin(bench);
    for (uint64_t i = 0; i < 6; i++)
        assert_int_equal(append(bench, "text", 100), UINT64_C(0xfffffffd) + i);
    commit(bench);
    uint64_t first, last;
    assert_int_equal(stream(bench, "text", &first, &last), 7);
    assert_int_equal(first, 1);
    assert_int_equal(last, UINT64_C(0x100000002));
    begin(bench);
    assert_true(ack(bench, "text", UINT64_C(0x100000000)));
    assert_false(ack(bench, "text", UINT64_C(0x100000000)));
    commit(bench);
    assert_int_equal(stream(bench, "text", NULL, NULL), 6);
}

static void seq_before_the_end(struct disk_state *disk)
{
    disk->next_seq = INT64_MAX - 1;
}

/* A store has no larger number, and batches with one would be refused by every other stage. */
static void seqs_that_are_used_up_are_refused(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    bench_open(bench);
    journal_close(&bench->journal);
    state_edit(bench, seq_before_the_end, true);
    bench_open(bench);
    begin(bench);
    assert_int_equal(append(bench, "text", 100), INT64_MAX - 1);
    assert_int_equal(append(bench, "text", 100), INT64_MAX);
    assert_int_equal(append_at(bench, "text", 100, 1, 1, &given), JOURNAL_REFUSED);
    assert_non_null(strstr(bench->err.text, "no numbers left for batches"));
    commit(bench);

    /* It stays so, and what it gave can be sent and acknowledged. */
    journal_close(&bench->journal);
    bench_open(bench);
    begin(bench);
    assert_int_equal(append_at(bench, "text", 100, 1, 1, &given), JOURNAL_REFUSED);
    commit(bench);
    uint64_t first, last;
    assert_int_equal(stream(bench, "text", &first, &last), 2);
    assert_int_equal(first, INT64_MAX - 1);
    assert_int_equal(last, INT64_MAX);
    begin(bench);
    assert_true(ack(bench, "text", INT64_MAX));
    commit(bench);
    assert_int_equal(stream(bench, "text", NULL, NULL), 1);
}

/* --- full ------------------------------------------------------------------------------------ */

static void a_full_journal_refuses_and_takes_again_after_acks(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    enum journal_result result;
    uint64_t kept = 0;
    bench->limits.max_bytes = 4 << 20;
    bench_open(bench);
    begin(bench);
    while ((result = append_at(bench, "text", 65536, 1, 1, &given)) == JOURNAL_OK)
        kept++;
    assert_int_equal(result, JOURNAL_FULL);
    commit(bench); /* what did fit is taken */
    assert_int_equal(kept, 60);
    assert_false(journal_has_room(bench->journal, 65536));
    assert_true(journal_has_room(bench->journal, 1));
    assert_true(journal_totals(bench->journal).bytes <= bench->limits.max_bytes);
    begin(bench);
    assert_true(ack(bench, "text", 30));
    commit(bench);
    assert_true(journal_has_room(bench->journal, 65536));
    append_alone(bench, "text", 65536);
    assert_false(journal_has_room(bench->journal, 65536));
    begin(bench);
    for (uint64_t seq = 1; seq <= kept + 1; seq++)
        assert_int_equal(ack(bench, "text", seq), seq != 30);
    commit(bench);
    assert_int_equal(journal_totals(bench->journal).bytes, 0);
}

static void the_first_batch_of_an_empty_journal_is_never_too_large(void **state)
{
    struct bench *bench = *state;
    bench->limits.max_bytes = 65536;
    bench_open(bench);
    uint64_t seq = append_alone(bench, "text", 1 << 20);
    assert_false(journal_has_room(bench->journal, 1));
    begin(bench);
    assert_true(ack(bench, "text", seq));
    commit(bench);
    append_alone(bench, "text", 1 << 20);

    struct journal_given given;
    struct journal_batch batch = {
        .kind = "text", .count = 1, .items = scratch, .size = bench->limits.largest_batch + 1};
    begin(bench);
    assert_int_equal(journal_append(bench->journal, &batch, 1, &given, &bench->err),
                     JOURNAL_REFUSED);
    commit(bench);
}

/* The map is much larger than what is counted, so it is made small by hand here. */
static void a_full_map_undoes_the_transaction_and_deleting_still_works(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    bench_open(bench);
    for (int i = 0; i < 32; i++)
        append_alone(bench, "text", 65536);
    bench->journal->file.map = 3 << 20;
    assert_int_equal(mdb_env_set_mapsize(bench->journal->file.env, 3 << 20), 0);

    struct journal_totals before = journal_totals(bench->journal);
    enum journal_result result = JOURNAL_OK;
    begin(bench);
    assert_true(ack(bench, "text", 1));
    for (int i = 0; i < 32 && result == JOURNAL_OK; i++)
        result = append_at(bench, "text", 65536, 1, 1, &given);
    assert_int_equal(result, JOURNAL_FULL);
    assert_int_equal(append_at(bench, "text", 1, 1, 1, &given), JOURNAL_FULL);
    assert_int_equal(journal_commit(bench->journal, &bench->err), JOURNAL_FULL);
    struct journal_totals after = journal_totals(bench->journal);
    assert_int_equal(after.last_seq, before.last_seq);
    assert_int_equal(after.batches, 32);
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(stream(bench, "text", NULL, NULL), 32);

    assert_false(journal_has_room(bench->journal, 1));
    begin(bench);
    assert_int_equal(append_at(bench, "text", 1, 1, 1, &given), JOURNAL_FULL);
    for (uint64_t seq = 1; seq <= 16; seq++)
        assert_true(ack(bench, "text", seq));
    commit(bench);
    assert_true(journal_has_room(bench->journal, 65536));
    for (int i = 0; i < 200; i++) { /* and goes on for long in the map as it is */
        begin(bench);
        ack(bench, "text", 17 + (uint64_t)i);
        append(bench, "text", 65536);
        commit(bench);
    }
    assert_int_equal(stream(bench, "text", NULL, NULL), 16);
}

static void a_journal_above_lowered_limits_can_be_emptied(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    bench_open(bench);
    for (int i = 0; i < 200; i++)
        append_alone(bench, "text", 65536);
    bench->limits.max_bytes = 1 << 20;
    bench->limits.largest_batch = 65536;
    bench_reopen(bench);
    begin(bench);
    assert_int_equal(append_at(bench, "text", 1, 1, 1, &given), JOURNAL_FULL);
    commit(bench);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        begin(bench);
        assert_true(ack(bench, "text", seq));
        commit(bench);
    }
    append_alone(bench, "text", 65536);
}

static void file_fill(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ssize_t size;
    assert_true(fd >= 0);
    for (size_t step = sizeof scratch; step >= 1; step = step > 1 ? step / 2 : 0)
        while ((size = write(fd, scratch, step)) > 0)
            ;
    close(fd);
}

static void a_full_disk_is_told_and_acks_are_still_taken(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    char filler[96];
    if (mount("tmpfs", bench->root, "tmpfs", 0, "size=24m") != 0) {
        print_message("skipped: no small file system to fill (mount: %s)\n", strerror(errno));
        skip();
    }
    snprintf(filler, sizeof filler, "%s/filler", bench->root);
    bench_open(bench);
    for (int i = 0; i < 40; i++)
        append_alone(bench, "text", 65536);
    file_fill(filler);

    enum journal_result result = JOURNAL_OK;
    uint64_t kept = 40;
    while (result == JOURNAL_OK && kept < 1000) { /* up to what was reserved ahead */
        begin(bench);
        if ((result = append_at(bench, "text", 65536, 1, 1, &given)) == JOURNAL_OK)
            kept++;
        commit(bench);
    }
    assert_int_equal(result, JOURNAL_NO_DISK);
    assert_true(kept < 200);
    assert_non_null(strstr(bench->err.text, "No space"));
    assert_int_equal(stream(bench, "text", NULL, NULL), kept);
    begin(bench);
    hello(bench, "a client that was not known");
    journal_abort(bench->journal);

    bench_reopen(bench); /* on a disk that is full */
    assert_int_equal(stream(bench, "text", NULL, NULL), kept);
    for (uint64_t seq = 1; seq <= kept; seq++) { /* one at a time: the most pages for the least */
        begin(bench);
        assert_true(ack(bench, "text", seq));
        commit(bench);
    }
    assert_int_equal(journal_totals(bench->journal).batches, 0);
    assert_int_equal(unlink(filler), 0);
    append_alone(bench, "text", 65536);
    assert_int_equal(stream(bench, "text", NULL, NULL), 1);
    journal_close(&bench->journal);
}

/* Nobody else has to make room: what acks free inside the file is used again. */
static void a_journal_that_filled_its_disk_goes_on_in_what_acks_free(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    enum journal_result result = JOURNAL_OK;
    uint64_t oldest = 1, next = 1;
    if (mount("tmpfs", bench->root, "tmpfs", 0, "size=24m") != 0) {
        print_message("skipped: no small file system to fill (mount: %s)\n", strerror(errno));
        skip();
    }
    bench_open(bench);
    for (int turn = 0; turn < 2000; turn++) {
        begin(bench);
        for (int i = 0; i < 4; i++) {
            size_t size = turn % 3 ? 65536 : (size_t)(rand() % 20000 + 1);
            if ((result = append_at(bench, "text", size, 1, 1, &given)) != JOURNAL_OK)
                break;
            next++;
        }
        if (result != JOURNAL_OK)
            assert_int_equal(result, JOURNAL_NO_DISK);
        for (int i = 0; i < 5 && result != JOURNAL_OK && oldest < next; i++)
            assert_true(ack(bench, "text", oldest++));
        commit(bench);
    }
    assert_true(next > 5000); /* 15 times what the disk holds */
    assert_int_equal(stream(bench, "text", NULL, NULL), next - oldest);
    journal_close(&bench->journal);
}

/* A limit on the size of files is a disk that is full, for whoever may not mount one. */
static void a_file_that_may_not_grow_is_told_like_a_full_disk(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    struct rlimit low = bench->file_size;
    bench_open(bench);
    append_alone(bench, "text", 65536);
    signal(SIGXFSZ, SIG_IGN);
    low.rlim_cur = (rlim_t)file_size(bench->file);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    enum journal_result result = JOURNAL_OK;
    uint64_t kept = 1;
    while (result == JOURNAL_OK && kept < 1000) {
        begin(bench);
        if ((result = append_at(bench, "text", 65536, 1, 1, &given)) == JOURNAL_OK)
            kept++;
        commit(bench);
    }
    assert_int_equal(result, JOURNAL_NO_DISK);
    begin(bench);
    assert_true(ack(bench, "text", 1));
    commit(bench);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &bench->file_size), 0);
    append_alone(bench, "text", 65536);
    assert_int_equal(stream(bench, "text", NULL, NULL), kept);
}

static void fails_whole(struct bench *bench, enum journal_result expected)
{
    struct journal_totals before = journal_totals(bench->journal);
    begin(bench);
    append(bench, "text", 70000);
    append(bench, "never_made", 10);
    ack(bench, "text", 1);
    hello(bench, "somebody");
    assert_int_equal(journal_commit(bench->journal, &bench->err), expected);
    assert_non_null(strstr(bench->err.text, "syncing"));
    struct journal_totals after = journal_totals(bench->journal);
    assert_memory_equal(&before.last_seq, &after.last_seq,
                        offsetof(struct journal_totals, file_bytes));
}

static void a_commit_that_fails_undoes_everything_and_the_next_one_works(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    append_alone(bench, "text", 70000);
    append_alone(bench, "text", 300);

    fault.data = ENOSPC;
    fails_whole(bench, JOURNAL_NO_DISK);
    fails_whole(bench, JOURNAL_NO_DISK);
    fault.data = 0;
    assert_int_equal(stream(bench, "text", NULL, NULL), 2);
    assert_int_equal(append_alone(bench, "text", 65536), 3);

    fault.data = EIO;
    fails_whole(bench, JOURNAL_BROKEN);
    fault.data = 0;
    assert_int_equal(append_alone(bench, "text", 65536), 4);

    fault.flush = EIO;
    fails_whole(bench, JOURNAL_BROKEN);
    fault.flush = 0;
    assert_int_equal(append_alone(bench, "text", 65536), 5);
    assert_int_equal(stream(bench, "text", NULL, NULL), 5);

    fault.meta = EIO; /* after this LMDB wants a new environment */
    fails_whole(bench, JOURNAL_BROKEN);
    assert_false(journal_begin(bench->journal, &bench->err) &&
                 append_at(bench, "text", 1, 1, 1, &(struct journal_given){0}) == JOURNAL_OK &&
                 journal_commit(bench->journal, &bench->err) == JOURNAL_OK);
    fault.meta = 0;
    journal_abort(bench->journal);
    begin(bench);
    assert_int_equal(append(bench, "text", 65536), 6);
    commit(bench);
    assert_int_equal(stream(bench, "text", NULL, NULL), 6);
    bench_reopen(bench);
    assert_int_equal(stream(bench, "text", NULL, NULL), 6);
    assert_int_equal(journal_totals(bench->journal).clients, 0);
}

/* --- a queue stays as small as what is in it -------------------------------------------------- */

static uint64_t cycle(struct bench *bench, size_t kept, size_t turns, bool mixed)
{
    uint64_t oldest = 1, next = 1;
    for (size_t turn = 0; turn < turns; turn++) {
        begin(bench);
        for (int i = 0; i < 16; i++) {
            size_t size = mixed ? (size_t)(rand() % 65536 + 1) : 4000;
            append(bench, "text", rand() % 4 || !mixed ? size : size / 100 + 1);
            next++;
        }
        for (; next - oldest > kept; oldest++)
            assert_true(ack(bench, "text", oldest));
        commit(bench);
    }
    return next - oldest;
}

static void a_queue_does_not_grow_beyond_what_it_keeps(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    uint64_t kept = cycle(bench, 20000, 6 * 20000 / 16, false);
    assert_int_equal(stream(bench, "text", NULL, NULL), kept);
    struct journal_totals totals = journal_totals(bench->journal);
    if (totals.file_bytes >
        totals.bytes + totals.bytes / 20 + bench->limits.reserve_bytes + (8 << 20))
        fail_msg("%" PRIu64 " bytes kept in a file of %" PRIu64, totals.bytes, totals.file_bytes);
}

static void a_queue_of_mixed_sizes_stays_within_its_map(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    srand(7);
    cycle(bench, 500, 3000, true);
    struct journal_totals totals = journal_totals(bench->journal);
    if (totals.file_bytes >
        totals.bytes + totals.bytes / 4 + bench->limits.reserve_bytes + (8 << 20))
        fail_msg("%" PRIu64 " bytes kept in a file of %" PRIu64, totals.bytes, totals.file_bytes);
}

/* --- files that are not right ----------------------------------------------------------------- */

static void two_opens_are_refused(void **state)
{
    struct bench *bench = *state;
    int status;
    bench_open(bench);
    refused(bench, "in use by another ingest");
    pid_t child = fork();
    if (child == 0)
        _exit(journal_open(bench->dir, &bench->limits, &bench->err) ? 1 : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    append_alone(bench, "text", 100);
    bench_reopen(bench);
    assert_int_equal(stream(bench, "text", NULL, NULL), 1);
}

static void a_file_that_was_cut_off_is_refused_and_left_alone(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    for (int i = 0; i < 20; i++)
        append_alone(bench, "text", 65536);
    MDB_envinfo facts;
    mdb_env_info(bench->journal->file.env, &facts);
    off_t used = (off_t)(facts.me_last_pgno + 1) * (off_t)bench->journal->file.page;
    journal_close(&bench->journal);

    off_t size = file_size(bench->file);
    assert_true(size >= used + (1 << 20));
    assert_int_equal(truncate(bench->file, used), 0); /* only what was reserved */
    bench_open(bench);
    assert_int_equal(stream(bench, "text", NULL, NULL), 20);
    journal_close(&bench->journal);

    const struct {
        off_t size;
        const char *reason;
    } cuts[] = {{used - 1, "is cut off"}, {used / 2, "is cut off"}, {8192, "is cut off"},
                {8191, "is cut off"},     {4096, "damaged"},        {100, "not a Leat journal"},
                {0, "not a Leat journal"}};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(truncate(bench->file, cuts[i].size), 0);
        refused(bench, cuts[i].reason);
        assert_int_equal(file_size(bench->file), cuts[i].size);
    }
}

/* Turns one bit of the first place in the closed file where `bytes` are. */
static void flip_in_file(struct bench *bench, const void *bytes, size_t size)
{
    off_t length = file_size(bench->file);
    char *all = malloc((size_t)length);
    int fd = open(bench->file, O_RDWR);
    size_t got = 0;
    while (got < (size_t)length) {
        ssize_t more = pread(fd, all + got, (size_t)length - got, (off_t)got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    char *at = memmem(all, got, bytes, size);
    assert_non_null(at);
    *at ^= 0x10;
    assert_int_equal(pwrite(fd, at, 1, at - all), 1);
    close(fd);
    free(all);
}

static void a_damaged_batch_is_told_set_aside_and_never_dispatched(void **state)
{
    struct bench *bench = *state;
    struct backlog_batch batch;
    struct journal_acked acked;
    bench_open(bench);
    begin(bench);
    uint64_t number = hello(bench, "a").number;
    for (uint64_t seq = 1; seq <= 4; seq++)
        take(bench, number, seq, "yes");
    commit(bench);
    journal_close(&bench->journal);
    items_fill(scratch, 500, 2);
    flip_in_file(bench, scratch, 500);
    struct disk_batch head = {.stamp = 1020, .client = number, .client_seq = 3, .count = 10};
    flip_in_file(bench, &head, offsetof(struct disk_batch, items_check));

    bench_open(bench);
    assert_int_equal(backlog_next(bench->journal, "text", 0, &batch, &bench->err), BACKLOG_BATCH);
    assert_int_equal(backlog_next(bench->journal, "text", 1, &batch, &bench->err), BACKLOG_DAMAGED);
    assert_int_equal(batch.seq, 2);
    assert_non_null(strstr(bench->err.text, "batch 2 of kind text"));
    assert_int_equal(backlog_next(bench->journal, "text", 2, &batch, &bench->err), BACKLOG_DAMAGED);
    assert_int_equal(batch.seq, 3);
    assert_int_equal(backlog_next(bench->journal, "text", 3, &batch, &bench->err), BACKLOG_BATCH);
    assert_int_equal(backlog_read(bench->journal, "text", 2, &batch, &bench->err), BACKLOG_DAMAGED);

    begin(bench);
    assert_true(ack(bench, "text", 1));
    for (uint64_t seq = 2; seq <= 3; seq++) {
        assert_int_equal(journal_set_aside(bench->journal, "text", seq, &acked, &bench->err),
                         JOURNAL_OK);
        assert_true(acked.found);
        assert_int_equal(acked.client, number);
        assert_int_equal(acked.client_seq, seq);
    }
    commit(bench);
    struct client client = client_of(bench, number);
    assert_int_equal(client.done, 3);
    assert_int_equal(client.dead, 1 + 10 + 1);
    assert_int_equal(stream(bench, "text", NULL, NULL), 1);
    bench_reopen(bench);
    assert_int_equal(journal_totals(bench->journal).damaged, 2);
    assert_int_equal(journal_totals(bench->journal).batches, 1);
}

/* Everything that a reader and a writer do, in a process that may die of it. */
static void exercise(struct bench *bench)
{
    struct backlog_batch batch;
    struct journal_acked acked;
    struct journal_given given;
    enum backlog_result result;
    bench->journal = journal_open(bench->dir, &bench->limits, &bench->err);
    if (!bench->journal)
        _exit(strstr(bench->err.text, "damaged") || strstr(bench->err.text, "journal") ? 1 : 2);
    uint64_t at = 0, damaged = 0;
    while ((result = backlog_next(bench->journal, "text", at, &batch, &bench->err)) !=
           BACKLOG_END) {
        if (result == BACKLOG_FAILED || batch.seq <= at)
            _exit(3);
        at = batch.seq;
        items_fill(scratch, batch.size, at);
        if (result == BACKLOG_BATCH && memcmp(batch.items, scratch, batch.size) != 0)
            _exit(4); /* dispatched what was never sent */
        damaged += result == BACKLOG_DAMAGED;
    }
    if (damaged > 1 || !journal_begin(bench->journal, &bench->err))
        _exit(5);
    for (uint64_t seq = 1; seq <= at; seq++)
        if (journal_ack(bench->journal, "text", seq, 1, 0, &acked, &bench->err) != JOURNAL_OK)
            _exit(6);
    if (append_at(bench, "text", 30000, 1, 1, &given) != JOURNAL_OK ||
        journal_commit(bench->journal, &bench->err) != JOURNAL_OK)
        _exit(7);
    _exit(0);
}

static void any_flipped_bit_is_refused_or_told_or_harmless(void **state)
{
    struct bench *bench = *state;
    enum { BYTES = 300000, FLIPS = 400 };
    char *whole = malloc(BYTES);
    int refusals = 0, status;
    bench_open(bench);
    begin(bench);
    uint64_t number = hello(bench, "a").number;
    for (uint64_t seq = 1; seq <= 300; seq++)
        take(bench, number, seq, "yes");
    append(bench, "text", 20000);
    commit(bench);
    begin(bench);
    for (uint64_t seq = 2; seq < 300; seq += 3)
        ack(bench, "text", seq);
    commit(bench);
    journal_close(&bench->journal);
    int fd = open(bench->file, O_RDWR);
    assert_int_equal(pread(fd, whole, BYTES, 0), BYTES);
    srand(3);
    for (int i = 0; i < FLIPS; i++) {
        /* half of them where heads of pages and lists of nodes are */
        off_t at = i % 2 ? rand() % BYTES : rand() % (BYTES / 4096) * 4096 + rand() % 48;
        char flipped = (char)(whole[at] ^ 1 << rand() % 8);
        assert_int_equal(pwrite(fd, whole, BYTES, 0), BYTES);
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        pid_t child = fork();
        if (child == 0)
            exercise(bench);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
            fail_msg("a bit flipped at %ld ends in status %d", (long)at, status);
        refusals += WEXITSTATUS(status);
    }
    close(fd);
    free(whole);
    assert_true(refusals > 0);
}

static void newer_format(struct disk_state *disk)
{
    disk->format = 7;
}

static void older_seq(struct disk_state *disk)
{
    disk->next_seq = 1;
}

static void a_state_that_is_not_right_is_refused(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    append_alone(bench, "text", 100);
    journal_close(&bench->journal);
    state_edit(bench, older_seq, false);
    refused(bench, "does not match its checksum");
    state_edit(bench, older_seq, true);
    refused(bench, "not those that were counted");
    state_edit(bench, newer_format, true);
    refused(bench, "journal format 7");
}

static void what_is_not_a_journal_is_refused_and_left_alone(void **state)
{
    struct bench *bench = *state;
    char text[64], lockfile[128];
    FILE *file = fopen(bench->dir, "w");
    assert_non_null(file);
    fclose(file);
    refused(bench, "Not a directory");
    unlink(bench->dir);

    assert_int_equal(mkdir(bench->dir, 0700), 0);
    file = fopen(bench->file, "w");
    for (int i = 0; i < 2000; i++)
        fprintf(file, "a letter\n");
    fclose(file);
    refused(bench, "not a Leat journal");
    file = fopen(bench->file, "r");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "a letter\n");
    unlink(bench->file);

    assert_int_equal(mkdir(bench->file, 0700), 0);
    refused(bench, "cannot open");
    rmdir(bench->file);
    assert_int_equal(mkfifo(bench->file, 0600), 0);
    refused(bench, "is not a file");
    unlink(bench->file);

    MDB_env *env;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, bench->file, MDB_NOSUBDIR, 0600), 0);
    mdb_env_close(env);
    refused(bench, "not a Leat journal");
    unlink(bench->file);
    snprintf(lockfile, sizeof lockfile, "%s-lock", bench->file);
    unlink(lockfile);

    snprintf(lockfile, sizeof lockfile, "%s/journal.new", bench->dir);
    file = fopen(lockfile, "w"); /* made by a process that died over it */
    fprintf(file, "half a draft");
    fclose(file);
    bench_open(bench);
    append_alone(bench, "text", 100);
    assert_int_not_equal(access(lockfile, F_OK), 0);
}

static void limits_that_cannot_be_are_refused(void **state)
{
    struct bench *bench = *state;
    bench->limits.max_bytes = 100;
    refused(bench, "64 KB");
    bench->limits = journal_limits_default();
    bench->limits.reserve_bytes = 0;
    refused(bench, "reserve");
    bench->limits = journal_limits_default();
    bench->limits.answers = 0;
    refused(bench, "at least one");
    bench->limits = journal_limits_default();
    strcpy(bench->dir, "/nowhere/at/all");
    refused(bench, "No such file");
}

/* --- clients ---------------------------------------------------------------------------------- */

static void a_hello_gives_a_session_nobody_had(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    begin(bench);
    struct client a = hello(bench, "a"), b = hello(bench, "b"), again = hello(bench, "a");
    commit(bench);
    assert_int_equal(a.number, again.number);
    assert_int_not_equal(a.number, b.number);
    assert_true(a.session < b.session && b.session < again.session);
    bench_reopen(bench);
    begin(bench);
    struct client later = hello(bench, "a");
    assert_true(later.session > again.session);
    journal_abort(bench->journal); /* never told, so it may be given again */
    begin(bench);
    assert_int_equal(hello(bench, "a").session, later.session);
    commit(bench);
    assert_int_equal(client_of(bench, a.number).session, later.session);
    assert_int_equal(client_of(bench, b.number).session, b.session);
    assert_int_equal(journal_totals(bench->journal).clients, 2);
}

static struct client hello_of(struct bench *bench, uint32_t instance, uint64_t session)
{
    const struct caller caller = {.id = "a", .size = 1, .instance = instance, .session = session};
    struct client client;
    expect(clients_hello(bench->journal, &caller, 1000, &client, &bench->err) == JOURNAL_OK, bench);
    return client;
}

static struct client hello_again(struct bench *bench, uint32_t instance)
{
    const struct caller caller = {.id = "a", .size = 1, .instance = instance, .again = true};
    struct client client;
    expect(clients_hello(bench->journal, &caller, 1000, &client, &bench->err) == JOURNAL_OK, bench);
    return client;
}

static void a_name_belongs_to_who_said_hello_last(void **state)
{
    struct bench *bench = *state;
    bench_open(bench);
    begin(bench);
    uint64_t first = hello_of(bench, 1, 0).session;
    uint64_t second = hello_of(bench, 2, 0).session;
    commit(bench);
    bench_reopen(bench);
    begin(bench);
    struct client kept = hello_of(bench, 1, first); /* was in, and another came since */
    assert_int_equal(kept.instance, 2);
    assert_int_equal(kept.session, second);
    assert_int_equal(hello_of(bench, 2, second).instance, 2);
    second = client_of(bench, kept.number).session;
    assert_int_equal(hello_of(bench, 1, 0).instance, 1); /* was never in: begins */
    assert_int_equal(hello_of(bench, 2, second).instance, 1);
    assert_int_equal(hello_of(bench, 0, second).instance, 0); /* does not tell */
    assert_int_equal(hello_of(bench, 2, second).instance, 0); /* whoever that was, another one */
    assert_int_equal(hello_again(bench, 2).instance, 0);
    assert_int_equal(hello_of(bench, 2, 0).instance, 2);
    assert_int_equal(hello_of(bench, 1, second + 100).instance, 1); /* newer than this journal */
    assert_int_equal(hello_again(bench, 1).instance, 1);
    assert_int_equal(hello_again(bench, 2).instance, 1); /* was in, for all that is known */
    assert_int_equal(hello_again(bench, 0).instance, 0);
    commit(bench);
}

static void client_ids_are_bytes_within_bounds(void **state)
{
    struct bench *bench = *state;
    struct client one, two;
    char id[CLIENTS_ID_MAX + 1];
    memset(id, 'x', sizeof id);
    bench_open(bench);
    begin(bench);
    assert_int_equal(hello_as(bench, id, 0, 1, &one), JOURNAL_REFUSED);
    assert_int_equal(hello_as(bench, id, sizeof id, 1, &one), JOURNAL_REFUSED);
    assert_int_equal(hello_as(bench, id, CLIENTS_ID_MAX, 1, &one), JOURNAL_OK);
    assert_int_equal(hello_as(bench, "x\0y", 3, 1, &one), JOURNAL_OK);
    assert_int_equal(hello_as(bench, "x\0z", 3, 1, &two), JOURNAL_OK);
    assert_int_not_equal(one.number, two.number);
    commit(bench);

    bench->limits.clients = 3;
    bench_reopen(bench);
    begin(bench);
    assert_int_equal(hello_as(bench, "new", 3, 1, &one), JOURNAL_FULL);
    assert_int_equal(hello_as(bench, "x\0y", 3, 1, &one), JOURNAL_OK);
    commit(bench);
}

static void a_send_is_taken_only_in_its_turn(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    bench_open(bench);
    begin(bench);
    uint64_t number = hello(bench, "a").number;
    assert_int_equal(send_of(bench, number, 2, "x", 10, &given), JOURNAL_REFUSED);
    assert_int_equal(send_of(bench, number, 1, "x", 10, &given), JOURNAL_OK);
    assert_int_equal(send_of(bench, number, 1, "x", 10, &given), JOURNAL_REFUSED);
    assert_int_equal(send_of(bench, number, 2, "", 10, &given), JOURNAL_REFUSED);
    assert_int_equal(send_of(bench, number + 1, 1, "x", 10, &given), JOURNAL_REFUSED);
    assert_int_equal(client_of(bench, number).held, 1); /* seen inside the transaction */
    commit(bench);
    assert_int_equal(client_of(bench, number).held, 1);
    assert_int_equal(journal_totals(bench->journal).batches, 1);
}

static void done_is_one_below_the_first_open_send(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    uint64_t seqs[8];
    bench_open(bench);
    begin(bench);
    uint64_t a = hello(bench, "a").number, b = hello(bench, "b").number;
    for (uint64_t seq = 1; seq <= 6; seq++) {
        seqs[seq] = take(bench, a, seq, "a");
        take(bench, b, seq, "b");
    }
    assert_int_equal(send_of(bench, a, 7, "all rejected", 0, &given), JOURNAL_OK);
    assert_int_equal(given.seq, 0);
    commit(bench);
    assert_int_equal(client_of(bench, a).done, 0);

    const struct {
        uint64_t acked, done;
    } steps[] = {{3, 0}, {2, 0}, {1, 3}, {6, 3}, {4, 4}, {5, 7}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        begin(bench);
        assert_true(ack(bench, "text", seqs[steps[i].acked]));
        assert_false(ack(bench, "text", seqs[steps[i].acked]));
        commit(bench);
        assert_int_equal(client_of(bench, a).done, steps[i].done);
        bench_reopen(bench);
        assert_int_equal(client_of(bench, a).done, steps[i].done);
    }
    struct client client = client_of(bench, a);
    assert_int_equal(client.held, 7);
    assert_int_equal(client.committed, 6 * 9);
    assert_int_equal(client.dead, 6);
    assert_int_equal(client_of(bench, b).done, 0);
    assert_int_equal(client_of(bench, b).committed, 0);
}

static void a_repeated_send_gets_the_same_answer_after_a_restart(void **state)
{
    struct bench *bench = *state;
    const void *answer;
    size_t size;
    char text[32];
    bench->limits.answers = 4;
    bench_open(bench);
    begin(bench);
    uint64_t a = hello(bench, "a").number, b = hello(bench, "b").number;
    for (uint64_t seq = 1; seq <= 10; seq++) {
        snprintf(text, sizeof text, "answer %" PRIu64, seq);
        take(bench, a, seq, text);
    }
    take(bench, b, 1, "b's");
    commit(bench);
    bench_reopen(bench);
    for (uint64_t seq = 1; seq <= 11; seq++) {
        bool kept = clients_answer(bench->journal, a, seq, &answer, &size);
        assert_int_equal(kept, seq >= 7 && seq <= 10);
        snprintf(text, sizeof text, "answer %" PRIu64, seq);
        if (kept) {
            assert_int_equal(size, strlen(text));
            assert_memory_equal(answer, text, size);
        }
    }
    assert_true(clients_answer(bench->journal, b, 1, &answer, &size));
    assert_false(clients_answer(bench->journal, 99, 1, &answer, &size));

    bench->limits.answers = 2; /* fewer from now on */
    bench_reopen(bench);
    begin(bench);
    take(bench, a, 11, "answer 11");
    commit(bench);
    assert_false(clients_answer(bench->journal, a, 9, &answer, &size));
    assert_true(clients_answer(bench->journal, a, 10, &answer, &size));
    assert_true(clients_answer(bench->journal, a, 11, &answer, &size));
}

static void kept_answers_are_bounded_in_bytes(void **state)
{
    struct bench *bench = *state;
    const void *answer;
    size_t size;
    char large[9001];
    memset(large, 'r', sizeof large);
    large[sizeof large - 1] = '\0';
    bench->limits.answer_bytes = 50000;
    bench_open(bench);
    begin(bench);
    uint64_t a = hello(bench, "a").number;
    for (uint64_t seq = 1; seq <= 20; seq++) {
        struct journal_given given;
        assert_int_equal(send_of(bench, a, seq, large, 0, &given), JOURNAL_OK);
    }
    commit(bench);
    assert_true(journal_totals(bench->journal).bytes <= 50000);
    assert_false(clients_answer(bench->journal, a, 16, &answer, &size));
    assert_true(clients_answer(bench->journal, a, 17, &answer, &size));
    assert_int_equal(size, 9000);
    assert_int_equal(client_of(bench, a).done, 20);
}

static bool everybody_speaks(void *arg, uint64_t number)
{
    (void)arg;
    (void)number;
    return true;
}

static void idle_clients_are_forgotten_step_by_step(void **state)
{
    struct bench *bench = *state;
    uint64_t forgotten = 0, seq;
    char id[16];
    bench_open(bench);
    begin(bench);
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "idle %d", i);
        uint64_t number = hello(bench, id).number;
        for (uint64_t k = 1; k <= 3; k++) {
            seq = take(bench, number, k, "answer");
            if (i != 13)
                ack(bench, "text", seq);
        }
    }
    uint64_t busy = hello(bench, "busy").number;
    commit(bench);
    begin(bench);
    struct client client;
    assert_int_equal(hello_as(bench, "busy", 4, 900000, &client), JOURNAL_OK);
    struct clients_expiry expiry = {.now_us = 100, .steps = 100};
    assert_int_equal(clients_expire(bench->journal, &expiry, &forgotten, &bench->err), JOURNAL_OK);
    assert_int_equal(forgotten, 0); /* the clock stepped back: nobody is old */
    expiry = (struct clients_expiry){
        .now_us = 1000000, .ttl_us = 500000, .steps = 100, .spoken_for = everybody_speaks};
    assert_int_equal(clients_expire(bench->journal, &expiry, &forgotten, &bench->err), JOURNAL_OK);
    assert_int_equal(forgotten, 0); /* who has a session lives, however silent */
    expiry.steps = 5;
    expiry.spoken_for = NULL;
    for (int turn = 1; turn <= 4; turn++) {
        assert_int_equal(clients_expire(bench->journal, &expiry, &forgotten, &bench->err),
                         JOURNAL_OK);
        assert_true(forgotten <= (uint64_t)(5 * turn));
    }
    commit(bench);
    assert_int_equal(forgotten, 19);
    assert_int_equal(journal_totals(bench->journal).clients, 2);
    assert_int_equal(client_of(bench, busy).session, client.session);
    begin(bench);
    struct client back = hello(bench, "idle 3"), kept = hello(bench, "idle 13");
    assert_int_equal(back.held, 0);
    assert_true(back.number > busy);
    assert_int_equal(kept.held, 3);
    assert_int_equal(kept.done, 0);
    commit(bench);
    assert_int_equal(bench->journal->synced.state.answer_bytes,
                     3 * journal_cost(bench->journal, 8 + strlen("answer")));
}

/* --- names and calls out of order ------------------------------------------------------------- */

static void kinds_are_bounded_in_name_and_number(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    const char *bad[] = {"",    "Text", "a b",
                         "a/b", "\xff", "a_name_that_is_longer_than_a_kind_may_be"};
    char name[16];
    bench_open(bench);
    begin(bench);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(append_at(bench, bad[i], 10, 1, 1, &given), JOURNAL_REFUSED);
    for (int i = 0; i < JOURNAL_KINDS_MAX; i++) {
        snprintf(name, sizeof name, "kind_%d", i);
        append(bench, name, 10);
    }
    assert_int_equal(append_at(bench, "one-more", 10, 1, 1, &given), JOURNAL_REFUSED);
    commit(bench);
    bench_reopen(bench);
    for (int i = 0; i < JOURNAL_KINDS_MAX; i++) {
        snprintf(name, sizeof name, "kind_%d", i);
        assert_int_equal(stream(bench, name, NULL, NULL), 1);
    }
}

static void calls_outside_a_transaction_are_refused(void **state)
{
    struct bench *bench = *state;
    struct journal_given given;
    struct journal_acked acked;
    struct client client;
    bench_open(bench);
    assert_int_equal(append_at(bench, "text", 1, 1, 1, &given), JOURNAL_BROKEN);
    assert_int_equal(journal_ack(bench->journal, "text", 1, 1, 0, &acked, &bench->err),
                     JOURNAL_BROKEN);
    assert_int_equal(hello_as(bench, "a", 1, 1, &client), JOURNAL_BROKEN);
    assert_int_equal(journal_commit(bench->journal, &bench->err), JOURNAL_OK);
    journal_abort(bench->journal);
    begin(bench);
    begin(bench);
    assert_int_equal(append_at(bench, "text", 1, 0, 1, &given), JOURNAL_REFUSED);
    commit(bench);
    journal_close(&bench->journal);
    journal_close(&bench->journal);
}

/* --- memory ----------------------------------------------------------------------------------- */

static long anonymous_kb(void)
{
    char line[256];
    long kb = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %ld", &kb) == 1)
            break;
    fclose(file);
    return kb;
}

#ifdef __SANITIZE_ADDRESS__ /* it keeps what was freed for a while, and a shadow of everything */
enum { LIMIT_KB = 1024 * 1024, LIMITED = 0 };
#else
enum { LIMIT_KB = 24 * 1024, LIMITED = 1 };
#endif

static void a_backlog_larger_than_memory_streams_flat(void **state)
{
    struct bench *bench = *state;
    enum { BATCHES = 2048 }; /* 128 MB */
    bench_open(bench);
    long start = anonymous_kb(), most = start;
    for (int i = 0; i < BATCHES / 16; i++) {
        begin(bench);
        for (int k = 0; k < 16; k++)
            append(bench, "text", 65536);
        commit(bench);
        most = anonymous_kb() > most ? anonymous_kb() : most;
    }
    assert_true(most - start < LIMIT_KB);
    journal_close(&bench->journal);

    int status;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {LIMIT_KB * 1024, LIMIT_KB * 1024};
        if (LIMITED && setrlimit(RLIMIT_DATA, &limit) != 0)
            _exit(2);
        start = anonymous_kb();
        bench_open(bench);
        if (stream(bench, "text", NULL, NULL) != BATCHES)
            _exit(3);
        for (uint64_t seq = 1; seq <= BATCHES; seq += 16) {
            begin(bench);
            for (uint64_t k = 0; k < 16; k++)
                ack(bench, "text", seq + k);
            commit(bench);
        }
        _exit(anonymous_kb() - start < LIMIT_KB ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, bench_make, bench_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_reopened_journal_has_everything_and_goes_on),
        PROMISE(two_journals_have_two_origins),
        PROMISE(a_killed_process_loses_nothing_that_was_committed),
        PROMISE(an_aborted_transaction_leaves_no_trace),
        PROMISE(dispatch_sees_only_what_is_synced),
        PROMISE(versions_never_repeat_when_the_clock_steps_back),
        PROMISE(versions_that_are_used_up_are_refused),
        PROMISE(seqs_pass_2_32_in_order),
        PROMISE(seqs_that_are_used_up_are_refused),
        PROMISE(a_full_journal_refuses_and_takes_again_after_acks),
        PROMISE(the_first_batch_of_an_empty_journal_is_never_too_large),
        PROMISE(a_full_map_undoes_the_transaction_and_deleting_still_works),
        PROMISE(a_journal_above_lowered_limits_can_be_emptied),
        PROMISE(a_full_disk_is_told_and_acks_are_still_taken),
        PROMISE(a_journal_that_filled_its_disk_goes_on_in_what_acks_free),
        PROMISE(a_file_that_may_not_grow_is_told_like_a_full_disk),
        PROMISE(a_commit_that_fails_undoes_everything_and_the_next_one_works),
        PROMISE(a_queue_does_not_grow_beyond_what_it_keeps),
        PROMISE(a_queue_of_mixed_sizes_stays_within_its_map),
        PROMISE(two_opens_are_refused),
        PROMISE(a_file_that_was_cut_off_is_refused_and_left_alone),
        PROMISE(a_damaged_batch_is_told_set_aside_and_never_dispatched),
        PROMISE(any_flipped_bit_is_refused_or_told_or_harmless),
        PROMISE(a_state_that_is_not_right_is_refused),
        PROMISE(what_is_not_a_journal_is_refused_and_left_alone),
        PROMISE(limits_that_cannot_be_are_refused),
        PROMISE(a_hello_gives_a_session_nobody_had),
        PROMISE(a_name_belongs_to_who_said_hello_last),
        PROMISE(client_ids_are_bytes_within_bounds),
        PROMISE(a_send_is_taken_only_in_its_turn),
        PROMISE(done_is_one_below_the_first_open_send),
        PROMISE(a_repeated_send_gets_the_same_answer_after_a_restart),
        PROMISE(kept_answers_are_bounded_in_bytes),
        PROMISE(idle_clients_are_forgotten_step_by_step),
        PROMISE(kinds_are_bounded_in_name_and_number),
        PROMISE(calls_outside_a_transaction_are_refused),
        PROMISE(a_backlog_larger_than_memory_streams_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
