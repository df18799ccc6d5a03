/* Which servers of a conninfo are tried, in which order and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/persist/blockers.h"
#include "services/persist/connection.h"
#include "services/runtime/clock.h"
#include "tests/unit/cluster.h"
#include "tests/unit/silent.h"

#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

enum { SECOND = 1000000 };

static struct cluster cluster;

/* Here the name two.example has the addresses 127.0.0.2 and 127.0.0.3, for libpq as well. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    union {
        void *object;
        int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    } real = {dlsym(RTLD_NEXT, "getaddrinfo")};
    if (!name || strcmp(name, "two.example") != 0)
        return real.function(name, service, hints, found);
    int failed = real.function("127.0.0.2", service, hints, found);
    return failed ? failed : real.function("127.0.0.3", service, hints, &(*found)->ai_next);
}

static struct connection *open_at(const char *url, bool *refused, struct leat_error *err)
{
    const struct connection_options options = {.url = url, .timeout_ms = 20000};
    return connection_open(&options, refused, err);
}

/* A conninfo of a database that is there. */
#define URL(url, format, ...)                                                                      \
    char url[400];                                                                                 \
    snprintf(url, sizeof url, format " user=leat dbname=leat", __VA_ARGS__)

static void assert_reaches(const char *url)
{
    bool refused;
    struct leat_error err;
    struct connection *connection = open_at(url, &refused, &err);
    if (!connection)
        fail_msg("%s", err.text);
    assert_false(refused);
    connection_close(&connection);
}

static void assert_reaches_none(const char *url, bool expected_refused, const char *reason)
{
    bool refused;
    struct leat_error err;
    struct connection *connection = open_at(url, &refused, &err);
    assert_null(connection);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
    assert_int_equal(refused, expected_refused);
}

static void after_a_host_that_says_nothing_comes_the_next(void **state)
{
    (void)state;
    struct silent silent = silent_open("127.0.0.1", 0);
    URL(url, "host=127.0.0.1,%s port=%u,5432 connect_timeout=1", cluster.dir, silent.port);
    int64_t before = leat_monotonic_us();
    assert_reaches(url);
    assert_true(leat_monotonic_us() - before >= SECOND);
    assert_int_equal(silent_visits(&silent), 1);
    close(silent.fd);
}

static void each_address_behind_a_name_has_its_own_time(void **state)
{
    (void)state;
    struct silent first = silent_open("127.0.0.2", 0);
    struct silent second = silent_open("127.0.0.3", first.port);
    URL(url, "host=two.example,%s port=%u,5432 connect_timeout=1", cluster.dir, first.port);
    assert_reaches(url);
    assert_int_equal(silent_visits(&first), 1);
    assert_int_equal(silent_visits(&second), 1);
    close(first.fd);
    close(second.fd);
}

static void one_port_serves_all_hosts_and_an_empty_one_is_the_usual_one(void **state)
{
    (void)state;
    struct silent silent = silent_open("127.0.0.1", 0);
    URL(url, "hostaddr=127.0.0.1, host=somewhere,%s port=%u, connect_timeout=1", cluster.dir,
        silent.port);
    assert_reaches(url);
    assert_int_equal(silent_visits(&silent), 1);
    URL(one, "host=/nowhere,%s port=5432", cluster.dir);
    assert_reaches(one);
    URL(many, "host=/nowhere,/nowhere,%s port=5432,5432", cluster.dir);
    assert_reaches_none(many, true, "could not match 2 port numbers to 3 hosts");
    close(silent.fd);
}

static void lists_of_the_environment_and_of_a_service_are_taken_too(void **state)
{
    (void)state;
    struct silent silent = silent_open("127.0.0.1", 0);
    char hosts[100], ports[32], path[100];
    snprintf(hosts, sizeof hosts, "127.0.0.1,%s", cluster.dir);
    snprintf(ports, sizeof ports, "%u,5432", silent.port);
    setenv("PGHOST", hosts, 1);
    setenv("PGPORT", ports, 1);
    assert_reaches("user=leat dbname=leat connect_timeout=1");
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    assert_int_equal(silent_visits(&silent), 1);

    snprintf(path, sizeof path, "%s/services.conf", cluster.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "[store]\nhost=%s\nport=%s\nuser=leat\ndbname=leat\n", hosts, ports);
    fclose(file);
    setenv("PGSERVICEFILE", path, 1);
    assert_reaches("service=store connect_timeout=1");
    assert_int_equal(silent_visits(&silent), 1);
    assert_reaches_none("service=other", true, "\"other\" not found");
    unsetenv("PGSERVICEFILE");
    close(silent.fd);
}

static void the_reasons_of_all_hosts_are_told(void **state)
{
    (void)state;
    struct silent silent = silent_open("127.0.0.1", 0);
    char reason[200];
    URL(url, "host=/nowhere,127.0.0.1,no-such-name.invalid port=%u connect_timeout=1", silent.port);
    snprintf(reason, sizeof reason,
             "; no answer in time from the server at 127.0.0.1, port %u; could not translate host"
             " name \"no-such-name.invalid\" to address: ",
             silent.port);
    assert_reaches_none(url, false, reason);
    assert_reaches_none(url, false, "No such file");
    close(silent.fd);
}

static void a_host_that_refuses_us_ends_the_search(void **state)
{
    (void)state;
    struct silent silent = silent_open("127.0.0.1", 0);
    char url[400];
    snprintf(url, sizeof url, "host=%s,127.0.0.1 port=5432,%u user=leat dbname=nowhere",
             cluster.dir, silent.port);
    assert_reaches_none(url, true, "database \"nowhere\" does not exist");
    assert_int_equal(silent_visits(&silent), 0);
    close(silent.fd);
}

static bool stops_soon(void *arg)
{
    return leat_monotonic_us() > *(const int64_t *)arg;
}

static void a_search_ends_when_the_process_is_told_to_stop(void **state)
{
    (void)state;
    struct silent silent = silent_open("127.0.0.1", 0);
    int64_t before = leat_monotonic_us(), stop = before + SECOND / 2;
    bool refused;
    struct leat_error err;
    URL(url, "host=127.0.0.1,127.0.0.1 port=%u connect_timeout=60", silent.port);
    const struct connection_options options = {.url = url, .stopping = stops_soon, .arg = &stop};
    assert_null(connection_open(&options, &refused, &err));
    assert_string_equal(err.text, "stopping");
    assert_false(refused);
    assert_true(leat_monotonic_us() - before < 30 * (int64_t)SECOND);
    assert_int_equal(silent_visits(&silent), 1);
    close(silent.fd);
}

/* It knows which server that is: another one, or one that says nothing, is not asked. */
static void who_blocks_a_session_is_looked_for_at_its_own_server(void **state)
{
    (void)state;
    struct silent silent = silent_open("127.0.0.1", 0);
    bool refused;
    struct leat_error err;
    URL(url, "host=127.0.0.1,%s port=%u,5432 connect_timeout=1", cluster.dir, silent.port);
    struct connection *blocked = open_at(url, &refused, &err);
    assert_non_null(blocked);
    assert_int_equal(silent_visits(&silent), 1);
    struct connection_options options = {.url = url, .timeout_ms = 20000, .beside = blocked};
    struct connection *other = connection_open(&options, &refused, &err);
    assert_non_null(other);
    assert_int_not_equal(connection_pid(other), connection_pid(blocked));
    assert_int_equal(blockers_end(&options, connection_pid(blocked), 1000), 0);
    assert_int_equal(silent_visits(&silent), 0);
    connection_close(&other);
    connection_close(&blocked);
    close(silent.fd);
}

static int start(void **state)
{
    (void)state;
    return cluster_start(&cluster, "") ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    cluster_do(&cluster, "stop");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_host_that_says_nothing_comes_the_next),
        cmocka_unit_test(each_address_behind_a_name_has_its_own_time),
        cmocka_unit_test(one_port_serves_all_hosts_and_an_empty_one_is_the_usual_one),
        cmocka_unit_test(lists_of_the_environment_and_of_a_service_are_taken_too),
        cmocka_unit_test(the_reasons_of_all_hosts_are_told),
        cmocka_unit_test(a_host_that_refuses_us_ends_the_search),
        cmocka_unit_test(a_search_ends_when_the_process_is_told_to_stop),
        cmocka_unit_test(who_blocks_a_session_is_looked_for_at_its_own_server),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
