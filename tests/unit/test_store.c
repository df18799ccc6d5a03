/* What both stores promise alike. Every test runs on PostgreSQL and on SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/persist/triage.h"
#include "tests/unit/cluster.h"
#include "tests/unit/texts.h"

#include <unistd.h>

struct fixture {
    struct cluster cluster;
    char dir[64], sqlite_url[128];
    const char *url; /* of the store that the test runs on */
    struct store_options options;
    struct load *load;
    struct store *store;
    struct triage_counts counts;
};

static struct fixture fixture;

static int start(void **state)
{
    (void)state;
    strcpy(fixture.dir, "/tmp/leat-store-XXXXXX");
    if (!mkdtemp(fixture.dir) || !cluster_start(&fixture.cluster, ""))
        return -1;
    snprintf(fixture.sqlite_url, sizeof fixture.sqlite_url, "sqlite:%s/leat.db", fixture.dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture.dir);
    cluster_do(&fixture.cluster, "stop");
    return system(command);
}

static int open_on(const char *url)
{
    struct leat_error err;
    fixture.url = url;
    fixture.options = (struct store_options){.url = url,
                                             .lock_timeout_ms = 500,
                                             .blocker_age_ms = 60000,
                                             .timeout_ms = 20000,
                                             .staged = 4};
    fixture.load = load_new(NULL);
    fixture.store = store_open(&fixture.options, fixture.load, &err);
    memset(&fixture.counts, 0, sizeof fixture.counts);
    return fixture.store ? 0 : -1;
}

static int on_postgres(void **state)
{
    *state = &fixture;
    return open_on(fixture.cluster.conninfo);
}

static int on_sqlite(void **state)
{
    *state = &fixture;
    return open_on(fixture.sqlite_url);
}

/* Each test begins with empty tables. */
static int clean(void **state)
{
    struct fixture *f = *state;
    char command[128];
    store_close(&f->store);
    load_destroy(&f->load);
    snprintf(command, sizeof command, "rm -f %s/leat.db*", f->dir);
    if (f->url == f->sqlite_url)
        return system(command);
    return cluster_execute(f->url, "TRUNCATE texts, dead_letters") ? 0 : -1;
}

static void add(struct fixture *f, struct leat_batch *batch)
{
    assert_true(load_add(f->load, batch, 1700000000000000));
}

static void write_load(struct fixture *f)
{
    struct leat_error err = {.text = ""};
    bool done = triage_write(f->store, f->load, 1700000000000000, &f->counts, &err);
    if (!done)
        fail_msg("%s", err.text);
    load_clear(f->load);
}

static void write_batch(struct fixture *f, struct leat_batch *batch)
{
    add(f, batch);
    write_load(f);
}

/* A transaction with one text. */
static void write_text(struct fixture *f, uint8_t origin, int64_t stamp, const char *text)
{
    const struct texts_item item = {.id = "a", .text = text};
    write_batch(f, texts_batch(origin, 7, stamp, &item, 1));
}

static void every_column_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    const struct texts_item item = {.id = "né",
                                    .text = "a \"text\"\\ with 'all'\n\xf0\x9f\x8c\x8a"};
    write_batch(f, texts_batch(0xab, 7, 1700000000000001, &item, 1));
    assert_answer(f->url,
                  "SELECT id, version, origin, seq, text, source_type, verified, reach,"
                  " published_at, ingested_at, model FROM texts",
                  "né|1700000000000001|abababab-abab-abab-abab-abababababab|7|a \"text\"\\ with "
                  "'all'\n\xf0\x9f\x8c\x8a|null|0|0|null|2023-11-14T22:13:20.000001Z|test 1");
    assert_answer(f->url,
                  "SELECT sentiment_label, sentiment_score, emotion_label, emotion_score,"
                  " influence_weight, confidence_weight, primary_topic, truncated FROM texts",
                  "positive|0.75|joy|0.6|1.95|0.675|economy|0");
}

/* The bytes of two float32, little-endian, as hexadecimal digits. */
static bool take_reals(void *arg, const struct query_row *row)
{
    char *to = arg;
    for (size_t i = 0; i < row->sizes[0] && i < 16; i++)
        sprintf(to + 2 * i, "%02x", (uint8_t)row->values[0][i]);
    if (!row->values[0])
        strcpy(to, "null");
    return true;
}

static void assert_embedding(struct fixture *f, const char *id, const char *expected)
{
    char found[40] = "";
    struct leat_error err;
    const struct query_sql sql = {"SELECT embedding FROM texts WHERE id = $1", NULL};
    struct query *query = query_open(f->url, &err);
    assert_true(query_run(query, &sql, &id, 1, take_reals, found, &err));
    query_close(&query);
    assert_string_equal(found, expected);
}

static const float half[] = {0.5f, -1e-9f};

static void an_embedding_comes_back_to_the_bit(void **state)
{
    struct fixture *f = *state;
    const struct texts_item items[] = {{.id = "a", .text = "t", .embedding = half},
                                       {.id = "b", .text = "u"}};
    write_batch(f, texts_batch(1, 7, 1000, items, 2));
    assert_embedding(f, "a", "0000003f5f7089b0");
    assert_embedding(f, "b", "null");
    char *answer = cluster_ask_both(
        f->url, "SELECT array_length(embedding, 1), embedding[1] FROM texts WHERE id = 'a'",
        "SELECT length(embedding) / 4, 0.5 FROM texts WHERE id = 'a'");
    assert_string_equal(answer, "2|0.5");
    free(answer);
    write_batch(f, texts_batch(1, 8, 2000, &(struct texts_item){.id = "a", .text = "v"}, 1));
    assert_embedding(f, "a", "null"); /* of the older version, which is gone */
}

/* As a program that knows of no embeddings has left it, and goes on to write beside a new one. */
static void a_store_of_before_gets_its_column_and_serves_both(void **state)
{
    struct fixture *f = *state;
    struct leat_error err;
    write_text(f, 1, 1000, "t");
    store_close(&f->store);
    assert_true(cluster_execute(f->url, "ALTER TABLE texts DROP COLUMN embedding"));
    assert_true(cluster_execute(f->url, "DELETE FROM leat_migrations WHERE number > 2"));
    f->store = store_open(&f->options, f->load, &err);
    const struct texts_item item = {.id = "b", .text = "t", .embedding = half};
    write_batch(f, texts_batch(1, 8, 2000, &item, 1));
    assert_embedding(f, "a", "null");
    assert_embedding(f, "b", "0000003f5f7089b0");
    assert_true(cluster_execute(
        f->url, "INSERT INTO texts (id, version, origin, seq, text, verified, reach, ingested_at,"
                " model, sentiment_label, sentiment_score, emotion_label, emotion_score,"
                " emotion_distribution, emotions, influence_weight, confidence_weight, topics,"
                " truncated) SELECT 'c', version, origin, seq, text, verified, reach, ingested_at,"
                " model, sentiment_label, sentiment_score, emotion_label, emotion_score,"
                " emotion_distribution, emotions, influence_weight, confidence_weight, topics,"
                " truncated FROM texts WHERE id = 'a'"));
    assert_embedding(f, "c", "null");
}

static void json_is_json(void **state)
{
    struct fixture *f = *state;
    write_text(f, 1, 1000, "t");
    char *answer = cluster_ask_both(
        f->url,
        "SELECT emotion_distribution ->> 'joy', emotions -> 0 ->> 'label', topics -> 0 ->> "
        "'confidence', topics -> 0 ->> 'embedding_score' FROM texts",
        "SELECT printf('%.6f', emotion_distribution ->> 'joy'), emotions ->> '$[0].label',"
        " printf('%.3f', topics ->> '$[0].confidence'), topics ->> '$[0].embedding_score'"
        " FROM texts");
    assert_string_equal(answer, "0.600000|joy|0.500|null");
    free(answer);
}

static void topics_and_emotions_unfold_in_order(void **state)
{
    struct fixture *f = *state;
    const struct texts_item item = {.id = "a", .text = "t", .topic = "health"};
    write_batch(f, texts_batch(1, 7, 1000, &item, 1));
    assert_answer(f->url,
                  "SELECT text_id, topic, rank, confidence, keyword_score, embedding_score,"
                  " emotion_label FROM text_topics ORDER BY rank",
                  "a|economy|1|0.5|0.5|null|joy\na|health|2|0.25|0.25|0.3|joy");
    assert_answer(f->url, "SELECT text_id, emotion, rank FROM text_emotions ORDER BY rank",
                  "a|joy|1\na|love|2");
}

static void a_newer_version_wins(void **state)
{
    struct fixture *f = *state;
    write_text(f, 1, 1000, "old");
    write_text(f, 1, 1001, "new");
    assert_answer(f->url, "SELECT text, version FROM texts", "new|1001");
}

static void an_older_version_changes_nothing(void **state)
{
    struct fixture *f = *state;
    write_text(f, 1, 1001, "new");
    write_text(f, 1, 1000, "old");
    assert_answer(f->url, "SELECT text, version FROM texts", "new|1001");
}

static void an_equal_version_changes_nothing(void **state)
{
    struct fixture *f = *state;
    write_text(f, 1, 1000, "first");
    write_text(f, 1, 1000, "second");
    assert_answer(f->url, "SELECT text, version FROM texts", "first|1000");
}

static void of_equal_versions_the_larger_origin_wins(void **state)
{
    struct fixture *f = *state;
    write_text(f, 2, 1000, "of two");
    write_text(f, 1, 1000, "of one");
    assert_answer(f->url, "SELECT text FROM texts", "of two");
    write_text(f, 3, 1000, "of three");
    assert_answer(f->url, "SELECT text FROM texts", "of three");
}

static void the_newest_of_one_transaction_wins(void **state)
{
    struct fixture *f = *state;
    const struct texts_item items[] = {
        {.id = "a", .text = "first"}, {.id = "b", .text = "other"}, {.id = "a", .text = "last"}};
    const struct texts_item late = {.id = "b", .text = "stale"};
    add(f, texts_batch(1, 7, 1000, items, 3));
    add(f, texts_batch(1, 6, 500, &late, 1));
    write_load(f);
    assert_answer(f->url, "SELECT id, text, version FROM texts ORDER BY id",
                  "a|last|1002\nb|other|1001");
}

static void a_batch_twice_in_one_transaction_is_stored_once(void **state)
{
    struct fixture *f = *state;
    add(f, texts_many(1, 7, 1000, "x", 50, "t"));
    add(f, texts_many(1, 7, 1000, "x", 50, "t"));
    write_load(f);
    assert_answer(f->url, "SELECT count(*), sum(version) FROM texts", "50|51225");
}

static void an_item_with_an_error_becomes_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    const struct texts_item items[] = {{.id = "a", .text = "good"},
                                       {.id = "b", .text = "bad", .error = "crashed"}};
    write_batch(f, texts_batch(1, 7, 1000, items, 2));
    assert_answer(f->url, "SELECT id FROM texts", "a");
    assert_answer(f->url,
                  "SELECT origin, seq, record, kind, id, stage, code, message, version,"
                  " first_seen FROM dead_letters",
                  "01010101-0101-0101-0101-010101010101|7|1|text|b|classify|crashed|it did not "
                  "work|1001|2023-11-14T22:13:20.000000Z");
}

static bool check_payload(void *arg, const struct query_row *row)
{
    struct texts texts;
    texts_begin(&texts, 1, 7, 1000, 1);
    texts_pack_record(&texts, arg);
    assert_int_equal(row->sizes[0], texts.record.size);
    assert_memory_equal(row->values[0], texts.record.data, texts.record.size);
    struct leat_batch *batch;
    texts_add(&texts, arg);
    batch = texts_end(&texts);
    leat_batch_destroy(&batch);
    return true;
}

static void a_dead_letter_has_the_record_as_the_client_sent_it(void **state)
{
    struct fixture *f = *state;
    struct leat_error err;
    struct texts_item item = {.id = "b", .text = "bad\x01", .error = "crashed"};
    write_batch(f, texts_batch(1, 7, 1000, &item, 1));
    struct query *query = query_open(f->url, &err);
    const struct query_sql sql = {"SELECT payload FROM dead_letters WHERE seq = $1 AND id = $2",
                                  NULL};
    const char *params[] = {"7", "b"};
    assert_true(query_run(query, &sql, params, 2, check_payload, &item, &err));
    query_close(&query);
}

static void a_dead_letter_that_comes_again_keeps_when_it_was_first_seen(void **state)
{
    struct fixture *f = *state;
    const struct texts_item item = {.id = "b", .text = "bad", .error = "crashed"};
    write_batch(f, texts_batch(1, 7, 1000, &item, 1));
    assert_true(load_add(f->load, texts_batch(1, 7, 1000, &item, 1), 1700000001000000));
    write_load(f);
    assert_answer(f->url, "SELECT first_seen, last_seen FROM dead_letters",
                  "2023-11-14T22:13:20.000000Z|2023-11-14T22:13:21.000000Z");
}

static void a_replay_that_is_stored_takes_its_dead_letter_away(void **state)
{
    struct fixture *f = *state;
    const struct texts_item bad[] = {{.id = "a", .text = "x", .error = "crashed"},
                                     {.id = "b", .text = "y", .error = "crashed"}};
    const struct texts_item replay = {
        .id = "b", .text = "y", .version = 1001, .replay_seq = 7, .replay_record = 1};
    write_batch(f, texts_batch(1, 7, 1000, bad, 2));
    write_batch(f, texts_batch(1, 8, 2000, &replay, 1));
    assert_answer(f->url, "SELECT id, version FROM texts", "b|1001");
    assert_answer(f->url, "SELECT id FROM dead_letters", "a");
}

static void a_replay_that_fails_again_stays_one_dead_letter(void **state)
{
    struct fixture *f = *state;
    const struct texts_item bad = {.id = "b", .text = "y", .error = "crashed"};
    const struct texts_item replay = {.id = "b",
                                      .text = "y",
                                      .version = 1000,
                                      .replay_seq = 7,
                                      .replay_record = 0,
                                      .error = "timeout"};
    write_batch(f, texts_batch(1, 7, 1000, &bad, 1));
    write_batch(f, texts_batch(1, 8, 2000, &replay, 1));
    assert_answer(f->url, "SELECT seq, record, code, version FROM dead_letters",
                  "7|0|timeout|1000");
}

/* --- copies of one batch that end differently ------------------------------------------------- */

static const struct texts_item good = {.id = "a", .text = "x"};
static const struct texts_item failed = {.id = "a", .text = "x", .error = "timeout"};

static void a_copy_that_is_stored_takes_away_what_another_left(void **state)
{
    struct fixture *f = *state;
    const struct texts_item none[] = {failed, failed, failed};
    const struct texts_item some[] = {good, failed, good};
    write_batch(f, texts_batch(1, 6, 500, none, 1));
    write_batch(f, texts_batch(1, 7, 1000, none, 3));
    write_batch(f, texts_batch(1, 8, 2000, none, 1));
    write_batch(f, texts_batch(2, 7, 1000, none, 1));
    write_batch(f, texts_batch(1, 7, 1000, some, 3));
    assert_answer(f->url, "SELECT seq, version FROM texts", "7|1002");
    assert_answer(f->url,
                  "SELECT substr(CAST(origin AS text), 1, 2), seq, record FROM dead_letters"
                  " ORDER BY 1, 2, 3",
                  "01|6|0\n01|7|1\n01|8|0\n02|7|0");
}

static void a_copy_that_fails_late_leaves_no_letter(void **state)
{
    struct fixture *f = *state;
    write_batch(f, texts_batch(1, 7, 1000, &good, 1));
    write_batch(f, texts_batch(1, 7, 1000, &failed, 1));
    assert_answer(f->url, "SELECT count(*) FROM dead_letters", "0");
}

static void other_records_of_the_same_id_that_fail_are_letters(void **state)
{
    struct fixture *f = *state;
    write_batch(f, texts_batch(1, 7, 1000, &good, 1));
    write_batch(f, texts_batch(1, 6, 900, &failed, 1));
    write_batch(f, texts_batch(1, 8, 2000, &failed, 1));
    write_batch(f, texts_batch(2, 7, 1000, &failed, 1));
    assert_answer(f->url, "SELECT seq, version FROM dead_letters ORDER BY seq",
                  "6|900\n7|1000\n8|2000");
}

static void a_letter_that_was_replayed_does_not_rise_again(void **state)
{
    struct fixture *f = *state;
    const struct texts_item replay = {.id = "a", .text = "x", .version = 1000, .replay_seq = 7};
    const struct texts_item failed_replay = {
        .id = "a", .text = "x", .version = 1000, .replay_seq = 7, .error = "timeout"};
    write_batch(f, texts_batch(1, 7, 1000, &failed, 1));
    write_batch(f, texts_batch(1, 8, 2000, &replay, 1));
    write_batch(f, texts_batch(1, 7, 1000, &failed, 1));
    write_batch(f, texts_batch(1, 8, 2000, &failed_replay, 1));
    assert_answer(f->url, "SELECT count(*) FROM dead_letters", "0");
    assert_answer(f->url, "SELECT version FROM texts", "1000");
}

static void copies_in_one_transaction_end_as_the_one_that_is_stored(void **state)
{
    struct fixture *f = *state;
    const struct texts_item newer = {.id = "a", .text = "y"};
    add(f, texts_batch(1, 7, 1000, &good, 1));
    add(f, texts_batch(1, 7, 1000, &failed, 1));
    add(f, texts_batch(1, 8, 2000, &failed, 1));
    add(f, texts_batch(1, 8, 2000, &newer, 1)); /* so no row tells that the first is stored */
    write_load(f);
    assert_answer(f->url, "SELECT text, version FROM texts", "y|2000");
    assert_answer(f->url, "SELECT count(*) FROM dead_letters", "0");
}

/* A batch of 1 to 3 texts, of which the first fails if the number can be divided by 5. */
static struct leat_batch *copy_of_many(int64_t number, bool all_fail)
{
    struct texts texts;
    uint32_t n = 1 + (uint32_t)number % 3;
    texts_begin(&texts, 1, 100 + (uint64_t)number, 1000 * number + 1000, n);
    for (uint32_t i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d-%u", (int)number, i);
        bool fails = all_fail || (number % 5 == 0 && i == 0);
        texts_add(&texts,
                  &(struct texts_item){.id = id, .text = "x", .error = fails ? "crashed" : NULL});
    }
    return texts_end(&texts);
}

static void many_copies_in_any_order_take_away_their_own_letters_only(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 0; i < 60; i++)
        add(f, copy_of_many(i, true));
    write_load(f);
    for (int64_t i = 0; i < 20; i++)
        add(f, copy_of_many(i, false));
    for (int64_t i = 40; i > 20; i--)
        add(f, copy_of_many(i, false));
    write_load(f);
    /* Left: all of 20 and of 41 to 59; of the others the first of every fifth. */
    assert_answer(f->url, "SELECT count(*) FROM dead_letters WHERE seq = 120 OR seq > 140", "42");
    assert_answer(f->url,
                  "SELECT id FROM dead_letters WHERE seq <> 120 AND seq <= 140 ORDER BY seq",
                  "0-0\n5-0\n10-0\n15-0\n25-0\n30-0\n35-0\n40-0");
}

/* Number `i` of many batches: of its 30 texts the i-th is bad. */
static struct leat_batch *batch_with_a_bad_text(unsigned i)
{
    struct texts texts;
    texts_begin(&texts, 1, 10 + i, 1000 + 100 * (int64_t)i, 30);
    for (unsigned n = 0; n < 30; n++) {
        char id[16];
        snprintf(id, sizeof id, "b%u-%u", i, n);
        texts_add(&texts, &(struct texts_item){.id = id, .text = n == i ? "bad" : "good"});
    }
    return texts_end(&texts);
}

/* From here on the store refuses texts that are "bad". */
static void forbid_bad(struct fixture *f)
{
    write_text(f, 1, 1, "t"); /* makes the tables */
    assert_true(cluster_execute(
        f->url, f->url == f->sqlite_url
                    ? "ALTER TABLE texts ADD COLUMN extra TEXT CHECK (text <> 'bad')"
                    : "ALTER TABLE texts ADD CONSTRAINT no_bad CHECK (text <> 'bad')"));
}

/* The SQLite file goes with the test. */
static void allow_bad(struct fixture *f)
{
    if (f->url != f->sqlite_url)
        assert_true(cluster_execute(f->url, "ALTER TABLE texts DROP CONSTRAINT no_bad"));
}

static void a_row_that_the_store_refuses_does_not_hold_the_others_up(void **state)
{
    struct fixture *f = *state;
    forbid_bad(f);
    for (unsigned i = 0; i < 20; i++)
        add(f, batch_with_a_bad_text(i));
    write_load(f);
    allow_bad(f);
    assert_answer(f->url, "SELECT count(*) FROM texts WHERE id <> 'a'", "580");
    assert_answer(f->url,
                  "SELECT count(*), min(stage), count(DISTINCT id), sum(record) FROM dead_letters",
                  "20|persist|20|190");
    assert_int_equal(f->counts.buried, 20);
}

static void rows_that_bring_nothing_new_are_counted(void **state)
{
    struct fixture *f = *state;
    write_batch(f, texts_many(1, 1, 1000, "a", 10, "t"));
    assert_int_equal(f->store->counts.unchanged, 0);
    write_batch(f, texts_many(1, 1, 1000, "a", 10, "t")); /* a copy */
    assert_int_equal(f->store->counts.unchanged, 10);
    write_batch(f, texts_many(1, 2, 500, "a", 5, "older"));
    assert_int_equal(f->store->counts.unchanged, 15);
    write_batch(f, texts_many(1, 3, 2000, "a", 10, "newer"));
    assert_int_equal(f->store->counts.unchanged, 15);
}

static void a_bad_newest_version_leaves_the_older_one(void **state)
{
    struct fixture *f = *state;
    const struct texts_item items[] = {{.id = "b", .text = "older"}, {.id = "b", .text = "bad"}};
    forbid_bad(f);
    write_batch(f, texts_batch(1, 7, 1000, items, 2));
    allow_bad(f);
    assert_answer(f->url, "SELECT text FROM texts WHERE id = 'b'", "older");
    assert_answer(f->url, "SELECT id, record FROM dead_letters", "b|1");
}

static void a_store_that_was_closed_opens_again(void **state)
{
    struct fixture *f = *state;
    struct leat_error err;
    write_text(f, 1, 1000, "t");
    store_close(&f->store);
    f->store = store_open(&f->options, f->load, &err);
    write_text(f, 1, 1001, "u");
    assert_answer(f->url, "SELECT text FROM texts", "u");
    assert_answer(f->url, "SELECT number, name FROM leat_migrations ORDER BY number",
                  "1|texts\n2|dead_letters\n3|embedding");
}

static void nothing_can_be_written_through_a_query(void **state)
{
    struct fixture *f = *state;
    write_text(f, 1, 1000, "t");
    char *answer = cluster_ask(f->url, "DELETE FROM texts");
    assert_non_null(strstr(answer, "read"));
    free(answer);
    assert_answer(f->url, "SELECT count(*) FROM texts", "1");
}

static bool stop_at_once(void *arg, const struct query_row *row)
{
    (void)row;
    return ++*(int *)arg < 3;
}

static void a_query_ends_when_its_reader_has_enough(void **state)
{
    struct fixture *f = *state;
    struct leat_error err;
    int rows = 0;
    write_batch(f, texts_many(1, 7, 1000, "x", 500, "t"));
    struct query *query = query_open(f->url, &err);
    const struct query_sql sql = {"SELECT id FROM texts", NULL};
    assert_true(query_run(query, &sql, NULL, 0, stop_at_once, &rows, &err));
    assert_int_equal(rows, 3);
    assert_true(query_run(query, &sql, NULL, 0, NULL, NULL, &err));
    query_close(&query);
}

#define ON_BOTH(test)                                                                              \
    {#test "_in_postgresql", test, on_postgres, clean, NULL},                                      \
    {                                                                                              \
#test "_in_sqlite", test, on_sqlite, clean, NULL                                           \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(every_column_comes_back_as_it_was),
        ON_BOTH(an_embedding_comes_back_to_the_bit),
        ON_BOTH(a_store_of_before_gets_its_column_and_serves_both),
        ON_BOTH(json_is_json),
        ON_BOTH(topics_and_emotions_unfold_in_order),
        ON_BOTH(a_newer_version_wins),
        ON_BOTH(an_older_version_changes_nothing),
        ON_BOTH(an_equal_version_changes_nothing),
        ON_BOTH(of_equal_versions_the_larger_origin_wins),
        ON_BOTH(the_newest_of_one_transaction_wins),
        ON_BOTH(a_batch_twice_in_one_transaction_is_stored_once),
        ON_BOTH(an_item_with_an_error_becomes_a_dead_letter),
        ON_BOTH(a_dead_letter_has_the_record_as_the_client_sent_it),
        ON_BOTH(a_dead_letter_that_comes_again_keeps_when_it_was_first_seen),
        ON_BOTH(a_replay_that_is_stored_takes_its_dead_letter_away),
        ON_BOTH(a_replay_that_fails_again_stays_one_dead_letter),
        ON_BOTH(a_copy_that_is_stored_takes_away_what_another_left),
        ON_BOTH(a_copy_that_fails_late_leaves_no_letter),
        ON_BOTH(other_records_of_the_same_id_that_fail_are_letters),
        ON_BOTH(a_letter_that_was_replayed_does_not_rise_again),
        ON_BOTH(copies_in_one_transaction_end_as_the_one_that_is_stored),
        ON_BOTH(many_copies_in_any_order_take_away_their_own_letters_only),
        ON_BOTH(a_row_that_the_store_refuses_does_not_hold_the_others_up),
        ON_BOTH(rows_that_bring_nothing_new_are_counted),
        ON_BOTH(a_bad_newest_version_leaves_the_older_one),
        ON_BOTH(a_store_that_was_closed_opens_again),
        ON_BOTH(nothing_can_be_written_through_a_query),
        ON_BOTH(a_query_ends_when_its_reader_has_enough),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
