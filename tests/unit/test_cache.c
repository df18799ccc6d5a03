/* The cache's two backends, the second on a real Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/cache/backend.h"
#include "services/cache/connector.h"
#include "services/runtime/clock.h"
#include "services/runtime/service.h"
#include "services/tables.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct fixture {
    struct leat_settings *settings;
    struct leat_metrics *metrics;
    struct backend *backend;
    struct leat_batch *arena;
    char folder[64], path[96];
    pid_t redis;
};

static void set(struct fixture *f, const char *name, const char *value)
{
    struct leat_error err;
    if (!leat_settings_set(f->settings, name, value, LEAT_FROM_PROGRAM, "test", &err))
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct leat_error err;
    msgpack_sbuffer frame;
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&(struct leat_batch_head){.stage = "cache", .kind = "text", .attempt = 1},
                          &frame);
    f->arena = leat_batch_read((struct leat_span){(const uint8_t *)frame.data, frame.size},
                               frame.data, free, &err);
    f->settings = leat_settings_new(leat_tables);
    f->metrics = leat_metrics_new(&err);
    strcpy(f->folder, "/tmp/leat-cache-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/redis.sock", f->folder);
    *state = f;
    return 0;
}

static void stop_redis(struct fixture *f)
{
    if (f->redis > 0) {
        kill(f->redis, SIGCONT);
        kill(f->redis, SIGKILL);
        waitpid(f->redis, NULL, 0);
    }
    f->redis = 0;
    unlink(f->path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    backend_close(&f->backend);
    stop_redis(f);
    leat_batch_destroy(&f->arena);
    leat_metrics_destroy(&f->metrics);
    leat_settings_destroy(&f->settings);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void start_redis(struct fixture *f)
{
    char *argv[] = {"redis-server", "--port",  "0",         "--unixsocket", f->path, "--save", "",
                    "--dir",        f->folder, "--logfile", "/dev/null",    NULL};
    assert_int_equal(posix_spawnp(&f->redis, argv[0], NULL, NULL, argv, environ), 0);
    for (int64_t end = leat_monotonic_us() + 20000000; leat_monotonic_us() < end; usleep(10000)) {
        redisContext *probe = redisConnectUnix(f->path);
        redisReply *reply = probe && !probe->err ? redisCommand(probe, "PING") : NULL;
        bool there = reply && reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        redisFree(probe);
        if (there)
            return;
    }
    fail_msg("redis-server does not answer");
}

static void open_backend(struct fixture *f)
{
    struct leat_error err;
    f->backend = backend_open(f->settings, f->metrics, &err);
    if (!f->backend)
        fail_msg("%s", err.text);
}

static void open_redis(struct fixture *f)
{
    char url[128];
    snprintf(url, sizeof url, "unix:%s", f->path);
    set(f, "cache.url", url);
    set(f, "cache.timeout", "500ms");
    open_backend(f);
}

/* Values are msgpack strings of one byte of length. */
static void put(struct fixture *f, uint8_t key, const char *text, int64_t ttl_ms)
{
    uint8_t value[64] = {(uint8_t)(0xa0 | strlen(text))};
    memcpy(value + 1, text, strlen(text));
    backend_put(f->backend, &(struct backend_key){{key}},
                (struct leat_span){value, 1 + strlen(text)}, ttl_ms);
    backend_flush(f->backend);
}

static struct leat_span get(struct fixture *f, uint8_t key)
{
    struct leat_span value;
    backend_get(f->backend, &(struct backend_key){{key}}, 1, f->arena, &value);
    return value;
}

/* Fills are not waited for: a value may need a moment to be there. */
static bool has(struct fixture *f, uint8_t key, const char *text)
{
    for (int64_t end = leat_monotonic_us() + 20000000; leat_monotonic_us() < end; usleep(1000)) {
        struct leat_span value = get(f, key);
        if (value.size == 1 + strlen(text) && memcmp(value.data + 1, text, strlen(text)) == 0)
            return true;
        if (strcmp(leat_settings_str(f->settings, "cache.url"), "memory:") == 0)
            return false;
        backend_flush(f->backend);
    }
    return false;
}

/* Until the connectors' threads have brought connections. */
static void wait_up(struct fixture *f)
{
    struct leat_metric *up =
        leat_metrics_add(f->metrics, LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_cache_redis_up", "", "");
    for (int64_t end = leat_monotonic_us() + 20000000; leat_monotonic_us() < end; usleep(5000)) {
        get(f, 250);
        backend_flush(f->backend);
        if (leat_metric_get(up) == 1)
            return;
    }
    fail_msg("not connected");
}

static void memory_keeps_values_and_replaces_them(void **state)
{
    struct fixture *f = *state;
    set(f, "cache.url", "memory:");
    open_backend(f);
    assert_int_equal(get(f, 1).size, 0);
    put(f, 1, "one", 60000);
    put(f, 2, "two", 60000);
    assert_true(has(f, 1, "one"));
    put(f, 1, "uno", 60000);
    assert_true(has(f, 1, "uno"));
    assert_true(has(f, 2, "two"));
}

static void memory_forgets_when_the_time_is_over(void **state)
{
    struct fixture *f = *state;
    set(f, "cache.url", "memory:");
    open_backend(f);
    put(f, 1, "one", 0);
    put(f, 2, "two", 60000);
    assert_int_equal(get(f, 1).size, 0);
    assert_true(has(f, 2, "two"));
}

static void memory_stays_within_its_bytes_and_keeps_what_is_used(void **state)
{
    struct fixture *f = *state;
    set(f, "cache.url", "memory:");
    set(f, "cache.memory_bytes", "64KB");
    open_backend(f);
    struct leat_metric *bytes = leat_metrics_add(f->metrics, LEAT_GAUGE, LEAT_UNIT_COUNT,
                                                 "leat_cache_memory_bytes", "", "");
    put(f, 0, "used", 60000);
    for (int i = 1; i < 5000; i++) {
        uint8_t value[] = {0xa1, 'x'};
        struct backend_key key = {{1, (uint8_t)i, (uint8_t)(i >> 8)}};
        backend_put(f->backend, &key, (struct leat_span){value, 2}, 60000);
        backend_flush(f->backend);
        assert_true(leat_metric_get(bytes) <= 65536);
        if (i % 50 == 0)
            assert_true(has(f, 0, "used"));
    }
}

static void redis_keeps_values_for_their_time(void **state)
{
    struct fixture *f = *state;
    start_redis(f);
    open_redis(f);
    wait_up(f);
    put(f, 1, "one", 60000);
    put(f, 2, "two", 1);
    assert_true(has(f, 1, "one"));
    for (int64_t end = leat_monotonic_us() + 10000000; get(f, 2).size > 0;)
        assert_true(leat_monotonic_us() < end);
    assert_int_equal(get(f, 3).size, 0);
}

static void thousands_are_looked_up_at_once(void **state)
{
    struct fixture *f = *state;
    enum { N = 3000 };
    static struct backend_key keys[N];
    static struct leat_span values[N];
    start_redis(f);
    open_redis(f);
    wait_up(f);
    for (int i = 0; i < N; i++) {
        uint8_t value[] = {0xcd, (uint8_t)(i >> 8), (uint8_t)i};
        keys[i] = (struct backend_key){{(uint8_t)i, (uint8_t)(i >> 8), 5}};
        if (i % 3 != 0)
            backend_put(f->backend, &keys[i], (struct leat_span){value, 3}, 60000);
    }
    backend_flush(f->backend);
    put(f, 77, "last", 60000); /* in order: when this one is there, all are */
    assert_true(has(f, 77, "last"));
    backend_get(f->backend, keys, N, f->arena, values);
    for (int i = 0; i < N; i++) {
        if (i % 3 == 0)
            assert_int_equal(values[i].size, 0);
        else
            assert_int_equal(values[i].data[1] << 8 | values[i].data[2], i);
    }
}

/* Large results at a rate that Redis cannot take wait in bounded memory, the rest is not kept. */
static void fills_under_way_are_bounded_in_bytes(void **state)
{
    struct fixture *f = *state;
    enum { N = 3000, SIZE = 16 << 10, BOUND = 16 << 20 };
    static uint8_t value[SIZE] = {0xc5, (SIZE - 3) >> 8, (SIZE - 3) & 255};
    struct leat_metric *dropped = leat_metrics_add(f->metrics, LEAT_COUNTER, LEAT_UNIT_COUNT,
                                                   "leat_cache_dropped_total", "", "");
    start_redis(f);
    open_redis(f);
    wait_up(f);
    int64_t before = leat_metric_get(dropped);
    for (int i = 0; i < N; i++)
        backend_put(f->backend, &(struct backend_key){{(uint8_t)i, (uint8_t)(i >> 8), 5}},
                    (struct leat_span){value, SIZE}, 60000);
    int64_t kept = N - (leat_metric_get(dropped) - before);
    assert_in_range(kept * SIZE, BOUND - BOUND / 50, BOUND); /* what is around them counts, too */
    while (backend_flush(f->backend))
        usleep(1000);
    put(f, 77, "last", 60000); /* in order: when this one is there, all are */
    assert_true(has(f, 77, "last"));
    struct leat_span found;
    backend_get(f->backend,
                &(struct backend_key){{(uint8_t)(kept - 1), (uint8_t)((kept - 1) >> 8), 5}}, 1,
                f->arena, &found);
    assert_int_equal(found.size, SIZE);
}

static void a_value_that_is_not_of_its_key_is_a_miss(void **state)
{
    struct fixture *f = *state;
    start_redis(f);
    open_redis(f);
    wait_up(f);
    put(f, 1, "one", 60000);
    assert_true(has(f, 1, "one"));
    redisContext *other = redisConnectUnix(f->path);
    uint8_t from[21] = "leat:\x01", to[21] = "leat:\x02", broken[21] = "leat:\x03";
    uint8_t junk[18] = {3, [16] = 0xa5, 'x'}; /* its own key, then half a string */
    redisReply *value = redisCommand(other, "GET %b", from, sizeof from);
    freeReplyObject(
        redisCommand(other, "SET %b %b", to, sizeof to, value->str, (size_t)value->len));
    freeReplyObject(redisCommand(other, "SET %b %b", broken, sizeof broken, junk, sizeof junk));
    freeReplyObject(value);
    redisFree(other);
    assert_true(has(f, 1, "one"));
    assert_int_equal(get(f, 2).size, 0);
    assert_int_equal(get(f, 3).size, 0);
}

static void redis_that_is_away_is_a_miss_at_once_and_found_again(void **state)
{
    struct fixture *f = *state;
    open_redis(f);
    int64_t begin = leat_monotonic_us();
    for (int i = 0; i < 1000; i++) {
        put(f, 1, "one", 60000);
        assert_int_equal(get(f, 1).size, 0);
    }
    assert_true(leat_monotonic_us() - begin < 10000000); /* a thousand waits would be 500 s */
    start_redis(f);
    wait_up(f);
    put(f, 1, "one", 60000);
    assert_true(has(f, 1, "one"));
    stop_redis(f);
    assert_int_equal(get(f, 1).size, 0);
    put(f, 2, "two", 60000); /* the fills notice as well */
    backend_flush(f->backend);
    start_redis(f);
    wait_up(f);
    assert_int_equal(get(f, 1).size, 0);
    put(f, 1, "new", 60000);
    assert_true(has(f, 1, "new"));
}

static void redis_that_hangs_is_waited_for_once(void **state)
{
    struct fixture *f = *state;
    start_redis(f);
    open_redis(f);
    wait_up(f);
    put(f, 1, "one", 60000);
    assert_true(has(f, 1, "one"));
    kill(f->redis, SIGSTOP);
    int64_t begin = leat_monotonic_us();
    for (int i = 0; i < 100; i++)
        assert_int_equal(get(f, 1).size, 0);
    assert_true(leat_monotonic_us() - begin < 20000000); /* a hundred waits would be 50 s */
    kill(f->redis, SIGCONT);
    wait_up(f);
    assert_true(has(f, 1, "one"));
}

static void addresses_of_redis_are_read(void **state)
{
    (void)state;
    struct redis_address a;
    struct leat_error err;
    assert_true(redis_address_parse("redis://host", &a, &err));
    assert_string_equal(a.host, "host");
    assert_int_equal(a.port, 6379);
    assert_true(redis_address_parse("redis://:p@ss@[::1]:7000/3", &a, &err));
    assert_string_equal(a.host, "::1");
    assert_string_equal(a.password, "p@ss");
    assert_int_equal(a.port, 7000);
    assert_int_equal(a.database, 3);
    assert_true(redis_address_parse("unix:/run/redis.sock?db=2", &a, &err));
    assert_string_equal(a.host, "/run/redis.sock");
    assert_int_equal(a.port, 0);
    assert_int_equal(a.database, 2);
    static const char *const bad[] = {
        "redis://", "redis://h:0",    "redis://h:99999", "redis://h/x", "redis://u:p@h",
        "unix:",    "unix:/x?base=1", "redis://[::1",    "http://h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (redis_address_parse(bad[i], &a, &err))
            fail_msg("taken: %s", bad[i]);
}

static void an_unknown_kind_of_cache_is_refused(void **state)
{
    struct fixture *f = *state;
    struct leat_error err;
    set(f, "cache.url", "memcached://x");
    assert_null(backend_open(f->settings, f->metrics, &err));
    assert_non_null(strstr(err.text, "cache.url"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(memory_keeps_values_and_replaces_them),
        TEST(memory_forgets_when_the_time_is_over),
        TEST(memory_stays_within_its_bytes_and_keeps_what_is_used),
        TEST(redis_keeps_values_for_their_time),
        TEST(thousands_are_looked_up_at_once),
        TEST(fills_under_way_are_bounded_in_bytes),
        TEST(a_value_that_is_not_of_its_key_is_a_miss),
        TEST(redis_that_is_away_is_a_miss_at_once_and_found_again),
        TEST(redis_that_hangs_is_waited_for_once),
        TEST(addresses_of_redis_are_read),
        TEST(an_unknown_kind_of_cache_is_refused),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
