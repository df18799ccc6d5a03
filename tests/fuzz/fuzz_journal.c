/* The journal's file, damaged: it is refused with a reason, or it opens, and then everything that
 * ingest does with a journal works on it or says why not. LMDB believes its file, so whatever
 * lmdb_check lets through must not crash it.
 *
 * The input is a list of changes to a good journal: page (1 byte), place in it (2), how many bytes
 * (1: 0 to 15, and what is done with them), the bytes. A page number above the last one cuts the
 * file off there. */
#include "services/ingest/backlog.h"
#include "services/ingest/clients.h"
#include "tests/fuzz/targets.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES_MOST = 200, LARGE = 6000 };

static uint8_t *good, *file;
static size_t good_size;
static char path[64];

static struct journal *open_journal(struct leat_error *err)
{
    struct journal_limits limits = journal_limits_default();
    limits.max_bytes = 1 << 20;
    limits.reserve_bytes = 1 << 20;
    limits.largest_batch = 1 << 16;
    limits.answers = 4;
    limits.clients = 16;
    char dir[48];
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    return journal_open(dir, &limits, err);
}

static void append(struct journal *journal, const char *kind, const struct client *client,
                   size_t size)
{
    static const char items[LARGE];
    struct journal_given given;
    struct leat_error err;
    struct journal_batch batch = {.kind = kind, .count = 1, .items = items, .size = size};
    if (client)
        batch.client = client->number, batch.client_seq = client->held + 1, batch.answer = "answer",
        batch.answer_size = 6;
    journal_append(journal, &batch, 1000, &given, &err);
}

/* A transaction of everything: hellos, sends large and small, acks, expiry. */
static void use(struct journal *journal, int round)
{
    static const char *const kinds[] = {"text", "series", "other"};
    struct leat_error err;
    struct client client = {.session = 0};
    struct journal_acked acked;
    char name[32];
    if (!journal_begin(journal, &err))
        return;
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "client %d", i);
        const struct caller caller = {.id = name,
                                      .size = strlen(name),
                                      .instance = 1 + (uint32_t)round,
                                      .session = client.session};
        if (clients_hello(journal, &caller, 1000, &client, &err) == JOURNAL_OK)
            append(journal, kinds[i % 3], &client, i % 2 ? LARGE : 100);
        append(journal, kinds[i % 3], NULL, 300);
        const void *answer;
        size_t size;
        clients_answer(journal, client.number, client.held, &answer, &size);
    }
    for (uint64_t seq = 1; seq < 4; seq++)
        journal_ack(journal, kinds[seq % 3], seq + 3 * (uint64_t)round, 1, 0, &acked, &err);
    const struct clients_expiry expiry = {.now_us = 2000, .ttl_us = 5000, .steps = 8};
    clients_expire(journal, &expiry, NULL, &err);
    journal_commit(journal, &err);
}

static void read_back(struct journal *journal)
{
    struct journal_kind_totals kinds[JOURNAL_KINDS_MAX];
    size_t n = journal_kinds(journal, kinds, JOURNAL_KINDS_MAX);
    struct journal_acked acked;
    struct leat_error err;
    for (size_t i = 0; i < n; i++) {
        struct backlog_batch batch = {.seq = 0};
        char kind[JOURNAL_KIND_MAX + 1];
        snprintf(kind, sizeof kind, "%s", kinds[i].kind);
        backlog_oldest(journal, kind, &batch, &err);
        batch.seq = 0;
        for (int steps = 0; steps < 100; steps++) {
            enum backlog_result result = backlog_next(journal, kind, batch.seq, &batch, &err);
            if (result == BACKLOG_DAMAGED && journal_begin(journal, &err)) {
                journal_set_aside(journal, kind, batch.seq, &acked, &err);
                journal_commit(journal, &err);
            } else if (result != BACKLOG_BATCH) {
                break;
            }
        }
    }
}

static void make_good(void)
{
    struct leat_error err;
    struct stat facts;
    snprintf(path, sizeof path, "%s/journal.mdb", fuzz_folder());
    struct journal *journal = open_journal(&err);
    FUZZ_CHECK(journal != NULL);
    for (int round = 0; round < 3; round++)
        use(journal, round);
    journal_close(&journal);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && fstat(fd, &facts) == 0);
    good_size = (size_t)facts.st_size < PAGES_MOST * PAGE ? (size_t)facts.st_size
                                                          : (size_t)PAGES_MOST * PAGE;
    good = malloc(good_size);
    file = malloc(good_size);
    FUZZ_CHECK(good && file && pread(fd, good, good_size, 0) == (ssize_t)good_size);
    close(fd);
    while (good_size > 2 * PAGE && good[good_size - 1] == 0) /* the reserve behind the last page */
        good_size--;
    good_size = (good_size + PAGE - 1) / PAGE * PAGE;
}

/* Makes the changes; the size that is left. */
static size_t damage(struct leat_span input)
{
    size_t size = good_size;
    memcpy(file, good, good_size);
    while (input.size > 0) {
        size_t page = fuzz_u8(&input);
        size_t at = page * PAGE + fuzz_u16(&input) % PAGE;
        uint8_t how = fuzz_u8(&input);
        struct leat_span bytes = fuzz_bytes(&input, how & 15);
        if (at >= good_size) {
            size = good_size * page / 256;
            continue;
        }
        for (size_t i = 0; i < bytes.size && at + i < good_size; i++)
            file[at + i] = how & 16   ? bytes.data[i]
                           : how & 32 ? (uint8_t)(file[at + i] + bytes.data[i])
                                      : file[at + i] ^ bytes.data[i];
    }
    return size;
}

void fuzz_journal(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    if (!good)
        make_good();
    fuzz_folder();
    size_t size = damage(input);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, file, size) == (ssize_t)size);
    close(fd);
    struct journal *journal = open_journal(&err);
    FUZZ_CHECK(journal || err.text[0] != '\0');
    FUZZ_CHECK(journal || size < good_size || memcmp(file, good, good_size) != 0);
    if (!journal)
        return;
    read_back(journal);
    use(journal, 4);
    use(journal, 5);
    read_back(journal);
    journal_close(&journal);
    journal = open_journal(&err); /* what was written on it is whole */
    FUZZ_CHECK(journal || err.text[0] != '\0');
    journal_close(&journal);
}
