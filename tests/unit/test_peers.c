#include "services/runtime/log.h"
#include "services/runtime/peers.h"
#include "services/runtime/sockets.h"
#include "tests/unit/rig.h"

#include <stdatomic.h>
#include <zmq.h>

/* A name server in the test's hands: 127.0.1.<bit> for each bit of `hosts`; -1: it does not answer.
 * The resolver's thread reads it while the test changes it. */
struct names {
    _Atomic int hosts;
    _Atomic int asked;
};

static int names_lookup(void *arg, const char *name, char hosts[][LEAT_HOST_TEXT], int max,
                        struct leat_error *err)
{
    struct names *self = arg;
    int n = 0, bits = atomic_load(&self->hosts);
    assert_string_equal(name, "stages");
    atomic_fetch_add(&self->asked, 1);
    if (bits < 0) {
        leat_fail(err, "the name server is away");
        return -1;
    }
    for (int i = 0; i < 8 && n < max; i++)
        if (bits & 1 << i)
            snprintf(hosts[n++], LEAT_HOST_TEXT, "127.0.1.%d", i + 1);
    return n;
}

struct town {
    void *zmq;
    struct leat_metrics *metrics;
    struct names *names; /* the resolver's thread may outlive a test by a moment */
    struct leat_peers *peers;
    void *inbox[8];
    void *holder; /* has the port that all inboxes of this town have, and no other town's */
    int port;
};

static struct names shared_names[16];
static int tests_run;

static int port_of(void *socket)
{
    char endpoint[64];
    rig_endpoint(socket, endpoint);
    return atoi(strrchr(endpoint, ':') + 1);
}

static int town_setup(void **state)
{
    struct town *self = calloc(1, sizeof *self);
    self->zmq = zmq_ctx_new();
    self->metrics = leat_metrics_new(NULL);
    self->names = &shared_names[tests_run++];
    self->holder = zmq_socket(self->zmq, ZMQ_PULL);
    assert_int_equal(zmq_bind(self->holder, "tcp://127.0.1.9:*"), 0);
    self->port = port_of(self->holder);
    leat_log_set_level(LEAT_ERR + 1);
    *state = self;
    return 0;
}

static int town_teardown(void **state)
{
    struct town *self = *state;
    leat_peers_close(&self->peers, 0);
    for (int i = 0; i < 8; i++)
        leat_socket_close(&self->inbox[i], 0);
    leat_socket_close(&self->holder, 0);
    zmq_ctx_term(self->zmq);
    leat_metrics_destroy(&self->metrics);
    free(self);
    return 0;
}

/* Addresses with the town's port for every '#'. */
static const char *town_at(const struct town *self, const char *addresses)
{
    static char texts[4][200];
    static int next;
    char *out = texts[next++ % 4], *end = out;
    *out = '\0';
    for (; *addresses; addresses++)
        end += *addresses == '#' ? sprintf(end, "%d", self->port) : sprintf(end, "%c", *addresses);
    return out;
}

static bool town_open(struct town *self, const char *addresses, struct leat_error *err)
{
    const struct leat_peers_options options = {
        .zmq = self->zmq,
        .metrics = self->metrics,
        .service = "test",
        .peer = "stages",
        .addresses = town_at(self, addresses),
        .setting = "stages.address",
        .refresh_ms = 20,
        .stale_ms = 300,
        .silent_ms = 6000, /* the kernel may leave questions within half a second unanswered */
        .lookup = names_lookup,
        .lookup_arg = self->names,
    };
    self->peers = leat_peers_open(&options, err);
    return self->peers != NULL;
}

static void town_bind(struct town *self, int i, const char *address)
{
    struct leat_error err = {.text = ""};
    self->inbox[i] =
        leat_socket_inbox(self->zmq, NULL, town_at(self, address), "stages.inbox", 1000, &err);
    assert_string_equal(err.text, "");
}

static int town_known(struct town *self)
{
    leat_peers_turn(self->peers);
    return leat_peers_known(self->peers);
}

static int town_connected(struct town *self)
{
    leat_peers_turn(self->peers);
    return leat_peers_connected(self->peers);
}

static int64_t town_resets(struct town *self)
{
    leat_peers_turn(self->peers);
    return leat_metric_get(leat_metrics_add(self->metrics, LEAT_COUNTER, LEAT_UNIT_COUNT,
                                            "leat_peers_resets_total",
                                            "stage=\"test\",peer=\"stages\"", ""));
}

static bool town_send(struct town *self, const char *text)
{
    leat_peers_turn(self->peers);
    return zmq_send(leat_peers_socket(self->peers), text, strlen(text), ZMQ_DONTWAIT) >= 0;
}

static bool town_hears(struct town *self, int i, const char *text)
{
    char frame[100];
    int size = zmq_recv(self->inbox[i], frame, sizeof frame, ZMQ_DONTWAIT);
    return size == (int)strlen(text) && memcmp(frame, text, (size_t)size) == 0;
}

static void fixed_addresses_are_connected(void **state)
{
    struct town *self = *state;
    town_bind(self, 0, "tcp://127.0.1.1:#");
    town_bind(self, 1, "tcp://127.0.1.2:#");
    assert_true(town_open(self, " tcp://127.0.1.1:# , tcp://127.0.1.2:#,inproc://three", NULL));
    town_bind(self, 2, "inproc://three");
    rig_await(town_connected(self) == 3);
    for (int i = 0; i < 3; i++)
        assert_true(town_send(self, "x"));
    for (int i = 0; i < 3; i++)
        rig_await(town_hears(self, i, "x"));
}

static void every_address_behind_a_name_is_connected(void **state)
{
    struct town *self = *state;
    atomic_store(&self->names->hosts, 3);
    town_bind(self, 0, "tcp://127.0.1.1:#");
    town_bind(self, 1, "tcp://127.0.1.2:#");
    assert_true(town_open(self, "tcp://stages:#", NULL));
    rig_await(town_connected(self) == 2);
    town_bind(self, 2, "tcp://127.0.1.3:#");
    atomic_store(&self->names->hosts, 7);
    rig_await(town_connected(self) == 3);
}

static void an_address_goes_after_three_good_answers_without_it(void **state)
{
    struct town *self = *state;
    atomic_store(&self->names->hosts, 7);
    assert_true(town_open(self, "tcp://stages:#", NULL));
    rig_await(town_known(self) == 3);
    int asked = atomic_load(&self->names->asked);
    atomic_store(&self->names->hosts, 5);
    rig_await(town_known(self) == 2);
    assert_true(atomic_load(&self->names->asked) - asked >= 3);
}

static void failed_and_empty_answers_are_none(void **state)
{
    struct town *self = *state;
    atomic_store(&self->names->hosts, 3);
    assert_true(town_open(self, "tcp://stages:#", NULL));
    rig_await(town_known(self) == 2);
    for (int hosts = -1; hosts <= 0; hosts++) {
        atomic_store(&self->names->hosts, hosts);
        int asked = atomic_load(&self->names->asked);
        rig_await(town_known(self) == 2 && atomic_load(&self->names->asked) > asked + 5);
        assert_int_equal(town_known(self), 2);
    }
}

static void two_names_may_lead_to_one_address(void **state)
{
    struct town *self = *state;
    atomic_store(&self->names->hosts, 3);
    town_bind(self, 0, "tcp://127.0.1.1:#");
    assert_true(town_open(self, "tcp://stages:#,tcp://127.0.1.1:#", NULL));
    rig_await(town_known(self) == 2);
    atomic_store(&self->names->hosts, 4);
    rig_await(town_known(self) == 2); /* the fixed one stays */
    rig_await(town_connected(self) == 1);
}

static void a_lost_instance_is_met_again(void **state)
{
    struct town *self = *state;
    town_bind(self, 0, "tcp://127.0.1.1:#");
    assert_true(town_open(self, "tcp://127.0.1.1:#", NULL));
    rig_await(town_connected(self) == 1);
    leat_socket_close(&self->inbox[0], 0);
    rig_await(town_connected(self) == 0);
    assert_false(town_send(self, "lost"));
    rig_await((self->inbox[0] = leat_socket_inbox(
                   self->zmq, NULL, town_at(self, "tcp://127.0.1.1:#"), "s", 1000, NULL)) != NULL);
    rig_await(town_connected(self) == 1);
    rig_await(town_send(self, "back"));
    rig_await(town_hears(self, 0, "back"));
}

/* A PUSH that met a ROUTER gives that address up for ever, if nobody makes it begin again. */
static void a_foreign_socket_is_got_over(void **state)
{
    struct town *self = *state;
    void *foreign = zmq_socket(self->zmq, ZMQ_ROUTER);
    assert_int_equal(zmq_bind(foreign, town_at(self, "tcp://127.0.1.1:#")), 0);
    assert_true(town_open(self, "tcp://127.0.1.1:#", NULL));
    rig_await(town_connected(self) == 0 && town_resets(self) > 0);
    leat_socket_close(&foreign, 0);
    rig_await((self->inbox[0] = leat_socket_inbox(
                   self->zmq, NULL, town_at(self, "tcp://127.0.1.1:#"), "s", 1000, NULL)) != NULL);
    rig_await(town_connected(self) == 1);
    rig_await(town_send(self, "at last"));
    rig_await(town_hears(self, 0, "at last"));
}

/* However long: the kernel of a reader that holds back answers. */
static void a_reader_that_holds_back_is_waited_for(void **state)
{
    struct town *self = *state;
    town_bind(self, 0, "tcp://127.0.1.1:#");
    assert_true(town_open(self, "tcp://127.0.1.1:#", NULL));
    rig_await(town_connected(self) == 1);
    char frame[1000] = {0};
    int sent = 0;
    for (int64_t quiet = leat_monotonic_us(); leat_monotonic_us() - quiet < 10000000;)
        if (leat_peers_turn(self->peers) &&
            zmq_send(leat_peers_socket(self->peers), frame, sizeof frame, ZMQ_DONTWAIT) >= 0) {
            quiet = leat_monotonic_us();
            sent++;
        }
    assert_int_equal(town_resets(self), 0);
    for (int i = 0; i < sent; i++)
        rig_await(zmq_recv(self->inbox[0], frame, sizeof frame, ZMQ_DONTWAIT) == sizeof frame);
}

static void real_names_are_looked_up(void **state)
{
    struct town *self = *state;
    town_bind(self, 0, "tcp://127.0.0.1:*");
    self->port = port_of(self->inbox[0]);
    const struct leat_peers_options options = {
        .zmq = self->zmq,
        .metrics = self->metrics,
        .service = "test",
        .peer = "stages",
        .addresses = town_at(self, "tcp://localhost:#"),
        .setting = "stages.address",
    };
    self->peers = leat_peers_open(&options, NULL);
    assert_non_null(self->peers);
    rig_await(town_connected(self) >= 1);
}

static void malformed_addresses_are_refused(void **state)
{
    struct town *self = *state;
    static const char *const bad[] = {
        "",
        " , ",
        "stages:5560",
        "tcp://stages",
        "tcp://stages:0",
        "tcp://:5560",
        "tcp://*:5560",
        "tcp://a b:5560",
        "tcp://stages:65536",
        "tcp://::zz:5560",
        "ipc://",
        "inproc://",
        "http://stages:80",
        "tcp://stages:5x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct leat_error err = {.text = ""};
        assert_false(town_open(self, bad[i], &err));
        assert_non_null(strstr(err.text, "stages.address"));
    }
}

int main(void)
{
#define TOWN(test) cmocka_unit_test_setup_teardown(test, town_setup, town_teardown)
    const struct CMUnitTest tests[] = {
        TOWN(fixed_addresses_are_connected),
        TOWN(every_address_behind_a_name_is_connected),
        TOWN(an_address_goes_after_three_good_answers_without_it),
        TOWN(failed_and_empty_answers_are_none),
        TOWN(two_names_may_lead_to_one_address),
        TOWN(a_lost_instance_is_met_again),
        TOWN(a_foreign_socket_is_got_over),
        TOWN(a_reader_that_holds_back_is_waited_for),
        TOWN(real_names_are_looked_up),
        TOWN(malformed_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
