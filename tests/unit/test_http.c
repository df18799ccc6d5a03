#include "services/runtime/http.h"
#include "tests/unit/rig.h"

#include <arpa/inet.h>
#include <sys/socket.h>

struct desk {
    struct leat_metrics *metrics;
    struct leat_host a, b;
    struct leat_host *hosts[3];
    struct leat_http *http;
    char answer[70000];
};

static int desk_setup(void **state)
{
    struct desk *self = calloc(1, sizeof *self);
    enum leat_http_failure failure;
    self->metrics = leat_metrics_new(NULL);
    self->a.name = "mill";
    self->b.name = "store";
    self->hosts[0] = &self->a;
    self->hosts[1] = &self->b;
    self->http =
        leat_http_open("127.0.0.1:0", "run.http", self->metrics, self->hosts, &failure, NULL);
    assert_non_null(self->http);
    *state = self;
    return 0;
}

static int desk_teardown(void **state)
{
    struct desk *self = *state;
    leat_http_close(&self->http);
    leat_metrics_destroy(&self->metrics);
    free(self);
    return 0;
}

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Sends raw bytes and reads until the server closes; returns the status. */
static int ask(struct desk *self, const char *request, size_t size)
{
    int fd = dial(leat_http_port(self->http)), status = 0;
    size_t used = 0;
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, request + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    for (ssize_t n; used < sizeof self->answer - 1; used += (size_t)n)
        if ((n = read(fd, self->answer + used, sizeof self->answer - 1 - used)) <= 0)
            break;
    self->answer[used] = '\0';
    close(fd);
    sscanf(self->answer, "HTTP/1.1 %d", &status);
    return status;
}

static int get(struct desk *self, const char *method, const char *path)
{
    char request[200];
    int size = snprintf(request, sizeof request,
                        "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    return ask(self, request, (size_t)size);
}

static bool body_is(struct desk *self, const char *text)
{
    const char *body = strstr(self->answer, "\r\n\r\n");
    return body && strcmp(body + 4, text) == 0;
}

static void metrics_are_served(void **state)
{
    struct desk *self = *state;
    leat_metric_inc(
        leat_metrics_add(self->metrics, LEAT_COUNTER, LEAT_UNIT_COUNT, "a_total", "", "A."), 4);
    assert_int_equal(get(self, "GET", "/metrics"), 200);
    assert_non_null(strstr(self->answer, "text/plain; version=0.0.4"));
    assert_true(body_is(self, "# HELP a_total A.\n# TYPE a_total counter\na_total 4\n"));
    assert_int_equal(get(self, "HEAD", "/metrics"), 200);
}

static void readiness_names_every_service(void **state)
{
    struct desk *self = *state;
    atomic_store(&self->a.state, LEAT_READY);
    assert_int_equal(get(self, "GET", "/readyz"), 503);
    assert_true(body_is(self, "mill: ready\nstore: starting\n"));
    atomic_store(&self->b.state, LEAT_READY);
    assert_int_equal(get(self, "GET", "/readyz"), 200);
    atomic_store(&self->b.reason, "the store is away");
    atomic_store(&self->b.state, LEAT_NOT_READY);
    assert_int_equal(get(self, "GET", "/readyz"), 503);
    assert_true(body_is(self, "mill: ready\nstore: not ready: the store is away\n"));
    atomic_store(&self->b.reason, NULL);
    atomic_store(&self->b.state, LEAT_DRAINING);
    assert_int_equal(get(self, "GET", "/readyz"), 503);
    assert_true(body_is(self, "mill: ready\nstore: draining\n"));
    assert_int_equal(get(self, "GET", "/healthz"), 200);
}

static void other_paths_and_methods_are_refused(void **state)
{
    struct desk *self = *state;
    assert_int_equal(get(self, "GET", "/"), 404);
    assert_int_equal(get(self, "GET", "/metrics/x"), 404);
    assert_int_equal(get(self, "POST", "/metrics"), 405);
    assert_non_null(strstr(self->answer, "Allow: GET, HEAD"));
}

static void rubbish_does_no_harm(void **state)
{
    struct desk *self = *state;
    enum { LARGE = 200000 };
    char *large = malloc(LARGE);
    memset(large, 'x', LARGE);
    assert_int_not_equal(ask(self, large, LARGE), 200);
    memcpy(large, "GET /metrics HTTP/1.1\r\nX: ", 26);
    assert_int_not_equal(ask(self, large, LARGE), 200);
    assert_int_not_equal(ask(self, "\0\1\2\r\n\r\n", 7), 200);
    free(large);
    assert_int_equal(get(self, "GET", "/healthz"), 200);
}

static void idle_connections_do_not_lock_others_out(void **state)
{
    struct desk *self = *state;
    int idle[20];
    for (int i = 0; i < 20; i++)
        idle[i] = dial(leat_http_port(self->http));
    assert_int_equal(get(self, "GET", "/healthz"), 200);
    for (int i = 0; i < 20; i++)
        close(idle[i]);
}

static void a_wrong_or_taken_address_is_told(void **state)
{
    struct desk *self = *state;
    enum leat_http_failure failure;
    struct leat_error err;
    char taken[40];
    static const char *const malformed[] = {
        "9550", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "[::1:9550", ""};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        assert_null(
            leat_http_open(malformed[i], "run.http", self->metrics, self->hosts, &failure, &err));
        assert_int_equal(failure, LEAT_HTTP_MALFORMED);
        assert_non_null(strstr(err.text, "setting run.http"));
    }
    snprintf(taken, sizeof taken, "127.0.0.1:%d", leat_http_port(self->http));
    assert_null(leat_http_open(taken, "run.http", self->metrics, self->hosts, &failure, &err));
    assert_int_equal(failure, LEAT_HTTP_IN_USE);
    assert_non_null(strstr(err.text, taken));
    assert_non_null(strstr(err.text, "in use"));
}

static void all_interfaces_may_be_served(void **state)
{
    struct desk *self = *state;
    enum leat_http_failure failure;
    leat_http_close(&self->http);
    self->http = leat_http_open("*:0", "run.http", self->metrics, self->hosts, &failure, NULL);
    assert_non_null(self->http);
    assert_int_equal(get(self, "GET", "/healthz"), 200);
}

int main(void)
{
#define DESK(test) cmocka_unit_test_setup_teardown(test, desk_setup, desk_teardown)
    const struct CMUnitTest tests[] = {
        DESK(metrics_are_served),
        DESK(readiness_names_every_service),
        DESK(other_paths_and_methods_are_refused),
        DESK(rubbish_does_no_harm),
        DESK(idle_connections_do_not_lock_others_out),
        DESK(a_wrong_or_taken_address_is_told),
        DESK(all_interfaces_may_be_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
