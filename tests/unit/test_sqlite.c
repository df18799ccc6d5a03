/* The store in a SQLite file: its lock, full disks, and files that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/persist/triage.h"
#include "tests/unit/cluster.h"
#include "tests/unit/texts.h"

#include <sys/mount.h>
#include <unistd.h>

struct fixture {
    char dir[64], url[160], path[128];
    struct store_options options;
    struct load *load;
    struct store *store;
    struct triage_counts counts;
    struct leat_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    strcpy(f->dir, "/tmp/leat-sqlite-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/leat.db", f->dir);
    snprintf(f->url, sizeof f->url, "sqlite:%s", f->path);
    f->options = (struct store_options){.url = f->url, .lock_timeout_ms = 100};
    f->load = load_new(NULL);
    f->store = store_open(&f->options, f->load, &f->err);
    return f->store ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    store_close(&f->store);
    load_destroy(&f->load);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    int status = system(command);
    free(f);
    return status;
}

static bool check(struct store *store, bool *permanent, struct leat_error *err)
{
    *permanent = false;
    return store->type->check(store, permanent, err);
}

static bool try_write(struct fixture *f)
{
    return triage_write(f->store, f->load, 0, &f->counts, &f->err);
}

static void write_many(struct fixture *f, uint64_t seq, const char *prefix, uint32_t n)
{
    assert_true(load_add(f->load, texts_many(1, seq, 1000, prefix, n, "t"), 0));
    if (!try_write(f))
        fail_msg("%s", f->err.text);
    load_clear(f->load);
}

static void a_second_writer_is_refused(void **state)
{
    struct fixture *f = *state;
    bool permanent;
    write_many(f, 1, "a", 3);
    struct store *second = store_open(&f->options, f->load, &f->err);
    assert_false(check(second, &permanent, &f->err));
    assert_true(permanent);
    assert_non_null(strstr(f->err.text, "leat.db-lock: another process writes to this database"));
    store_close(&f->store);
    assert_true(check(second, &permanent, &f->err));
    store_close(&second);
}

static void readers_do_not_wait_for_the_writer(void **state)
{
    struct fixture *f = *state;
    write_many(f, 1, "a", 3);
    struct query *query = query_open(f->url, &f->err);
    write_many(f, 2, "b", 3);
    const struct query_sql sql = {"SELECT count(*) FROM texts", NULL};
    assert_true(query_run(query, &sql, NULL, 0, NULL, NULL, &f->err));
    query_close(&query);
    assert_answer(f->url, "SELECT count(*) FROM texts", "6");
}

static void the_journal_is_a_write_ahead_log(void **state)
{
    struct fixture *f = *state;
    write_many(f, 1, "a", 1);
    assert_answer(f->url, "SELECT journal_mode FROM pragma_journal_mode", "wal");
}

static void a_writer_from_outside_is_waited_for_and_no_row_s_fault(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;
    write_many(f, 1, "a", 1);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_true(load_add(f->load, texts_many(1, 2, 1000, "b", 5, "t"), 0));
    assert_false(try_write(f));
    assert_non_null(strstr(f->err.text, "SQLITE_BUSY"));
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_true(try_write(f));
    assert_int_equal(f->counts.buried, 0);
    assert_answer(f->url, "SELECT count(*) FROM texts", "6");
}

static void a_value_of_the_wrong_kind_is_the_row_s_fault(void **state)
{
    struct fixture *f = *state;
    write_many(f, 1, "a", 1);
    assert_true(cluster_execute(f->url, "CREATE TRIGGER t AFTER INSERT ON texts WHEN new.id = 'b-3'"
                                        " BEGIN UPDATE texts SET reach = 'much' WHERE id = new.id;"
                                        " END"));
    write_many(f, 2, "b", 10);
    assert_answer(f->url, "SELECT count(*) FROM texts", "10");
    assert_answer(f->url, "SELECT id, code FROM dead_letters", "b-3|SQLITE_CONSTRAINT_DATATYPE");
}

/* A small file system of its own, when we may make one. */
static bool mount_small(const char *dir)
{
    return geteuid() == 0 && mount("tmpfs", dir, "tmpfs", 0, "size=1m") == 0;
}

static void a_full_disk_is_no_row_s_fault(void **state)
{
    struct fixture *f = *state;
    char big[2000];
    if (!mount_small(f->dir))
        skip();
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    write_many(f, 1, "a", 1);
    assert_true(load_add(f->load, texts_many(1, 2, 1000, "b", 2000, big), 0));
    assert_false(try_write(f));
    assert_non_null(strstr(f->err.text, "SQLITE_FULL"));
    assert_int_equal(f->counts.buried, 0);
    assert_int_equal(mount("tmpfs", f->dir, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    if (!try_write(f))
        fail_msg("%s", f->err.text);
    assert_answer(f->url, "SELECT count(*) FROM texts", "2001");
    store_close(&f->store);
    umount(f->dir);
}

/* Wherever in opening and making the tables it happens that SQLite has no more memory; some of
 * these errors leave a transaction open, others end it. */
static void trouble_while_the_tables_are_made_is_waited_for(void **state)
{
    struct fixture *f = *state;
    bool opened = false, permanent;
    sqlite3_int64 before = sqlite3_memory_used();
    unsigned failed = 0;
    for (sqlite3_int64 room = 4096; !opened; room += 512) {
        sqlite3_hard_heap_limit64(before + room);
        opened = check(f->store, &permanent, &f->err);
        sqlite3_hard_heap_limit64(0);
        failed += !opened;
        if (permanent)
            fail_msg("%s", f->err.text);
    }
    assert_true(failed > 10);
    write_many(f, 1, "a", 1);
}

static void refused_at_open(struct fixture *f, const char *url, const char *reason)
{
    bool permanent;
    struct store_options options = f->options;
    options.url = url;
    struct store *store = store_open(&options, f->load, &f->err);
    assert_non_null(store);
    assert_false(check(store, &permanent, &f->err));
    if (!strstr(f->err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", f->err.text, reason);
    assert_true(permanent);
    store_close(&store);
}

static void what_is_no_database_is_refused(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", file);
    fclose(file);
    refused_at_open(f, f->url, "file is not a database");
    assert_non_null(strstr(f->err.text, f->path));
    assert_null(store_open(&(struct store_options){.url = "sqlite:"}, f->load, &f->err));
    assert_non_null(strstr(f->err.text, "store.url"));
}

static void a_wrong_schema_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    write_many(f, 1, "a", 1);
    store_close(&f->store);
    assert_true(cluster_execute(f->url, "ALTER TABLE texts RENAME COLUMN reach TO extent"));
    refused_at_open(f, f->url, "table texts has no column reach (INTEGER)");
    assert_true(cluster_execute(f->url, "ALTER TABLE texts RENAME COLUMN extent TO reach"));
    assert_true(cluster_execute(f->url, "UPDATE leat_migrations SET name = 'x' WHERE number = 1"));
    refused_at_open(f, f->url, "migration 1 is 'x' in this database; here it is 1 'texts'");
}

static void a_query_needs_a_store_that_is_there(void **state)
{
    struct fixture *f = *state;
    assert_null(query_open(f->url, &f->err));
    assert_non_null(strstr(f->err.text, "No such file"));
    assert_true(cluster_execute(f->url, "CREATE TABLE other (x)"));
    assert_null(query_open(f->url, &f->err));
    assert_non_null(strstr(f->err.text, "no tables of Leat"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_second_writer_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(readers_do_not_wait_for_the_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(the_journal_is_a_write_ahead_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_writer_from_outside_is_waited_for_and_no_row_s_fault,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_value_of_the_wrong_kind_is_the_row_s_fault, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_no_row_s_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_while_the_tables_are_made_is_waited_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_no_database_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_schema_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_query_needs_a_store_that_is_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
