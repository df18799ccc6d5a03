#include "services/runtime/sockets.h"
#include "tests/unit/mill.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <zmq.h>

/* Several services in one process: the mill, and one that only waits for its orders. */
static enum leat_exit idler_run(struct leat_host *host)
{
    char order[64];
    atomic_store(&host->state, LEAT_READY);
    for (;;) {
        int size = zmq_recv(host->control, order, sizeof order - 1, 0);
        if (size > 0 && order[0] == LEAT_ORDER_DRAIN) {
            order[size] = '\0';
            leat_log(LEAT_INFO, "idler", "told", LEAT_S("left_ms", order + 1));
            return LEAT_EXIT_OK;
        }
        if (size > 0 && order[0] == LEAT_ORDER_STOP)
            return LEAT_EXIT_DEADLINE;
    }
}

static const struct leat_service idler_service = {.name = "idler", .run = idler_run};
static const struct leat_service *const pair_services[] = {&mill_service, &idler_service, NULL};
static const struct leat_program pair_program = {
    .name = "test-pair",
    .version = "0",
    .services = pair_services,
    .routes = &mill_routes,
    .tables = mill_tables,
};

/* A service that obeys nobody. */
static enum leat_exit stubborn_run(struct leat_host *host)
{
    atomic_store(&host->state, LEAT_READY);
    while (host->name)
        pause();
    return LEAT_EXIT_FAILED;
}

static const struct leat_service stubborn_service = {.name = "stubborn", .run = stubborn_run};
static const struct leat_service *const stubborn_services[] = {&stubborn_service, NULL};
static const struct leat_program stubborn_program = {
    .name = "test-stubborn",
    .version = "0",
    .services = stubborn_services,
    .routes = &mill_routes,
    .tables = mill_tables,
};

/* A program of its own: this test's binary, started again. */
struct run {
    char *folder;
    char inbox[200], store[200]; /* settings */
    pid_t pid;
    char log[20000];
};

static int run_setup(void **state)
{
    struct run *self = calloc(1, sizeof *self);
    self->folder = rig_folder();
    snprintf(self->inbox, sizeof self->inbox, "mill.inbox=%s", rig_ipc(self->folder, "mill"));
    snprintf(self->store, sizeof self->store, "store.address=%s", rig_ipc(self->folder, "store"));
    *state = self;
    return 0;
}

static int run_teardown(void **state)
{
    struct run *self = *state;
    char command[300];
    if (self->pid > 0) {
        kill(self->pid, SIGKILL);
        waitpid(self->pid, NULL, 0);
    }
    snprintf(command, sizeof command, "rm -r %s", self->folder);
    assert_int_equal(system(command), 0);
    free(self->folder);
    free(self);
    return 0;
}

/* `which`: "mill" or "pair". The options end with NULL. */
static void run_start(struct run *self, const char *which, const char *const *options)
{
    const char *argv[40] = {"test", which};
    for (int i = 0; options[i] && i < 30; i++)
        argv[i + 2] = options[i];
    self->pid = fork();
    if (self->pid == 0) {
        int log = open(rig_path(self->folder, "log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        unsetenv("LEAT_BUILD"); /* the test runner's own */
        execv("/proc/self/exe", (char **)argv);
        _exit(99);
    }
}

static bool run_says(struct run *self, const char *text)
{
    FILE *file = fopen(rig_path(self->folder, "log"), "rb");
    if (!file)
        return false;
    size_t size = fread(self->log, 1, sizeof self->log - 1, file);
    self->log[size] = '\0';
    fclose(file);
    return strstr(self->log, text) != NULL;
}

static int run_status(struct run *self)
{
    int status = 0;
    rig_await(waitpid(self->pid, &status, WNOHANG) == self->pid);
    self->pid = 0;
    run_says(self, "");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_says(struct run *self, const char *text)
{
    if (!run_says(self, text))
        fail_msg("\"%s\" is not in: %s", text, self->log);
}

static void wrong_usage_ends_with_2(void **state)
{
    struct run *self = *state;
    static const struct {
        const char *options[4], *said;
    } wrong[] = {
        {{"--set", "mill.mrak=x"}, "did you mean mill.mark?"},
        {{"--set", "drain.timeout=soon"}, "expected a duration"},
        {{"--config", "/nowhere.conf"}, "/nowhere.conf: cannot open"},
        {{"--wrong"}, "see --help"},
        {{"word"}, "takes no arguments"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        run_start(self, "mill", wrong[i].options);
        assert_int_equal(run_status(self), LEAT_EXIT_USAGE);
        assert_says(self, wrong[i].said);
    }
}

static void help_and_version_are_told(void **state)
{
    struct run *self = *state;
    run_start(self, "mill", OPTIONS("--help"));
    assert_int_equal(run_status(self), LEAT_EXIT_OK);
    assert_says(self, "Usage: test-mill");
    assert_says(self, "mill.mark = !  (SIGHUP)");
    assert_says(self, "drain.timeout = 30s");
    run_start(self, "mill", OPTIONS("--version"));
    assert_int_equal(run_status(self), LEAT_EXIT_OK);
    assert_says(self, "test-mill 0\n");
}

static void a_signal_drains(void **state)
{
    struct run *self = *state;
    run_start(self, "mill", OPTIONS("--set", self->inbox, "--set", self->store));
    rig_await(run_says(self, "stage=test-mill event=ready"));
    kill(self->pid, SIGTERM);
    assert_int_equal(run_status(self), LEAT_EXIT_OK);
    assert_says(self, "event=ended status=0");
}

static void a_signal_ends_a_stage_that_still_opens(void **state)
{
    struct run *self = *state;
    run_start(self, "mill",
              OPTIONS("--set", self->inbox, "--set", self->store, "--set",
                      "mill.opens_when=/nowhere/at/all"));
    rig_await(run_says(self, "stage=mill event=opening"));
    kill(self->pid, SIGTERM);
    assert_int_equal(run_status(self), LEAT_EXIT_OK);
    assert_says(self, "stage=mill event=drained");
}

static void services_are_drained_in_their_order(void **state)
{
    struct run *self = *state;
    run_start(self, "pair", OPTIONS("--set", self->inbox, "--set", self->store));
    rig_await(run_says(self, "event=ready services=2"));
    kill(self->pid, SIGINT);
    assert_int_equal(run_status(self), LEAT_EXIT_OK);
    const char *mill = strstr(self->log, "stage=mill event=drained");
    const char *idler = strstr(self->log, "stage=idler event=told left_ms=");
    assert_non_null(mill);
    assert_non_null(idler);
    assert_true(mill < idler);
}

static void a_service_that_cannot_start_ends_all(void **state)
{
    struct run *self = *state;
    char refuse[300];
    rig_write(rig_path(self->folder, "broken"), "", 0);
    snprintf(refuse, sizeof refuse, "mill.refuse_while=%s/broken", self->folder);
    int64_t before = leat_monotonic_us();
    run_start(self, "pair", OPTIONS("--set", self->inbox, "--set", self->store, "--set", refuse));
    assert_int_equal(run_status(self), LEAT_EXIT_FAILED);
    assert_says(self, "stage=mill event=cannot_start reason=\"the mill's stone is broken\"");
    assert_true(leat_monotonic_us() - before < 5000000);
}

static void a_taken_inbox_is_told(void **state)
{
    struct run *self = *state;
    void *zmq = zmq_ctx_new();
    void *squatter = leat_socket_inbox(zmq, NULL, "tcp://127.0.0.1:*", "x", 1000, NULL);
    char address[64], said[200];
    assert_non_null(squatter);
    rig_endpoint(squatter, address);
    snprintf(self->inbox, sizeof self->inbox, "mill.inbox=%s", address);
    run_start(self, "mill", OPTIONS("--set", self->inbox, "--set", self->store));
    assert_int_equal(run_status(self), LEAT_EXIT_FAILED);
    snprintf(said, sizeof said, "cannot bind %s (setting mill.inbox): the address is in use",
             address);
    assert_says(self, said);
    leat_socket_close(&squatter, 0);
    zmq_ctx_term(zmq);
}

static void a_taken_http_address_fails_only_when_asked_for(void **state)
{
    struct run *self = *state;
    void *zmq = zmq_ctx_new();
    void *squatter = zmq_socket(zmq, ZMQ_PULL), *other = zmq_socket(zmq, ZMQ_PULL);
    char address[64], http[100];
    assert_int_equal(zmq_bind(squatter, "tcp://127.0.0.1:*"), 0);
    rig_endpoint(squatter, address);
    snprintf(http, sizeof http, "mill.http=%s", address + strlen("tcp://"));
    zmq_bind(other, "tcp://127.0.0.1:9550"); /* if it fails, somebody else has taken it */
    run_start(self, "mill", OPTIONS("--set", self->inbox, "--set", self->store, "--set", http));
    assert_int_equal(run_status(self), LEAT_EXIT_FAILED);
    assert_says(self, "(setting mill.http): the address is in use");

    run_start(self, "pair", OPTIONS("--set", self->inbox, "--set", self->store));
    rig_await(run_says(self, "event=ready services=2"));
    assert_says(self, "event=no_http");
    kill(self->pid, SIGTERM);
    assert_int_equal(run_status(self), LEAT_EXIT_OK);
    leat_socket_close(&squatter, 0);
    leat_socket_close(&other, 0);
    zmq_ctx_term(zmq);
}

/* Gives the mill a record that never comes to an end. */
static void occupy(struct run *self)
{
    const char *hang = "hang";
    void *zmq = zmq_ctx_new(), *push = leat_socket_output(zmq, NULL, NULL);
    msgpack_sbuffer frame = rig_frame("mill", "grain", 1, &hang, 1);
    zmq_connect(push, rig_ipc(self->folder, "mill"));
    rig_await(zmq_send(push, frame.data, frame.size, ZMQ_DONTWAIT) >= 0);
    msgpack_sbuffer_destroy(&frame);
    leat_socket_close(&push, 5000);
    zmq_ctx_term(zmq);
}

static void drain_with_work(struct run *self, const char *timeout)
{
    run_start(self, "mill", OPTIONS("--set", self->inbox, "--set", self->store, "--set", timeout));
    rig_await(run_says(self, "stage=test-mill event=ready"));
    occupy(self);
    rig_await(run_says(self, "event=hanging"));
    kill(self->pid, SIGTERM);
}

static void a_deadline_that_passes_ends_with_3(void **state)
{
    struct run *self = *state;
    drain_with_work(self, "drain.timeout=200ms");
    assert_int_equal(run_status(self), LEAT_EXIT_DEADLINE);
    assert_says(self, "event=not_drained");
}

static void a_second_signal_ends_at_once(void **state)
{
    struct run *self = *state;
    drain_with_work(self, "drain.timeout=60s");
    rig_await(run_says(self, "event=draining"));
    int64_t before = leat_monotonic_us();
    kill(self->pid, SIGTERM);
    assert_int_equal(run_status(self), LEAT_EXIT_DEADLINE);
    assert_true(leat_monotonic_us() - before < 4000000);
}

static void who_does_not_end_is_left_behind(void **state)
{
    struct run *self = *state;
    run_start(self, "stubborn", OPTIONS("--set", "drain.timeout=100ms"));
    rig_await(run_says(self, "event=ready services=1"));
    kill(self->pid, SIGTERM);
    assert_int_equal(run_status(self), LEAT_EXIT_DEADLINE);
    assert_says(self, "event=left_behind service=stubborn");
}

static void a_hangup_reads_the_settings_again(void **state)
{
    struct run *self = *state;
    char config[300];
    snprintf(config, sizeof config, "%s/leat.conf", self->folder);
    static const char before[] = "log.level = info\n", broken[] = "log.level = loud\n",
                      after[] = "log.level = debug\nmill.inbox = tcp://127.0.0.1:1\n"
                                "drain.timeout = 5s\n";
    rig_write(config, before, sizeof before - 1);
    run_start(self, "mill",
              OPTIONS("--config", config, "--set", self->inbox, "--set", self->store));
    rig_await(run_says(self, "stage=test-mill event=ready"));
    rig_write(config, broken, sizeof broken - 1);
    kill(self->pid, SIGHUP);
    rig_await(run_says(self, "event=reload_refused"));
    assert_says(self, "leat.conf:1: log.level: expected one of");
    rig_write(config, after, sizeof after - 1);
    kill(self->pid, SIGHUP);
    rig_await(run_says(self, "event=reloaded"));
    assert_says(self, "event=reload_needs_restart setting=drain.timeout");
    assert_null(strstr(self->log, "setting=mill.inbox")); /* --set wins, so nothing changed */
    kill(self->pid, SIGTERM);
    assert_int_equal(run_status(self), LEAT_EXIT_OK);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return leat_child_main(&mill_program, argv[2]);
    if (argc > 1 && strcmp(argv[1], "mill") == 0)
        return leat_main(argc - 1, argv + 1, &mill_program);
    if (argc > 1 && strcmp(argv[1], "pair") == 0)
        return leat_main(argc - 1, argv + 1, &pair_program);
    if (argc > 1 && strcmp(argv[1], "stubborn") == 0)
        return leat_main(argc - 1, argv + 1, &stubborn_program);
#define RUN(test) cmocka_unit_test_setup_teardown(test, run_setup, run_teardown)
    const struct CMUnitTest tests[] = {
        RUN(wrong_usage_ends_with_2),
        RUN(help_and_version_are_told),
        RUN(a_signal_drains),
        RUN(a_signal_ends_a_stage_that_still_opens),
        RUN(services_are_drained_in_their_order),
        RUN(a_service_that_cannot_start_ends_all),
        RUN(a_taken_inbox_is_told),
        RUN(a_taken_http_address_fails_only_when_asked_for),
        RUN(a_deadline_that_passes_ends_with_3),
        RUN(a_second_signal_ends_at_once),
        RUN(who_does_not_end_is_left_behind),
        RUN(a_hangup_reads_the_settings_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
