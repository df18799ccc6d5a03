/* What the options of sockets protect from. */
#include "services/runtime/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    ASKED = 72,       /* frames that a client may have sent unanswered */
    READ_BEFORE = 35, /* of others, before: fewer than libzmq takes note of */
    NOTICED_S = 10,   /* what happens at all happens in this time */
    ZMTP_GREETING = 64,
    ZMTP_COMMAND = 4, /* a flag */
    HELLO_BYTES = 5,
};

static int option(void *socket, int name)
{
    int value = -1;
    size_t size = sizeof value;
    assert_int_equal(zmq_getsockopt(socket, name, &value, &size), 0);
    return value;
}

/* A SUB or ROUTER that is full when its connection breaks would be ended by its own heartbeat, and
 * the process with it. */
static void who_may_be_full_asks_for_no_heartbeats(void **state)
{
    (void)state;
    const uint8_t topic[LEAT_ID_SIZE] = {0};
    struct leat_error err;
    void *zmq = zmq_ctx_new();
    void *subscriber = leat_socket_subscriber(zmq, NULL, topic, &err);
    void *router = leat_socket_router(zmq, NULL, "tcp://127.0.0.1:*", "s", 1000, 72, 128, &err);
    void *publisher = leat_socket_publisher(zmq, NULL, "tcp://127.0.0.1:*", "s", &err);
    assert_non_null(subscriber);
    assert_non_null(router);
    assert_non_null(publisher);
    assert_int_equal(option(subscriber, ZMQ_HEARTBEAT_IVL), 0);
    assert_int_equal(option(subscriber, ZMQ_RCVHWM), 0); /* it is sent heartbeats */
    assert_int_equal(option(router, ZMQ_HEARTBEAT_IVL), 0);
    assert_int_equal(option(router, ZMQ_SNDHWM), 128);
    assert_int_equal(option(publisher, ZMQ_HEARTBEAT_IVL), 5000);
    assert_int_equal(option(publisher, ZMQ_HEARTBEAT_TTL), 15000);
    leat_socket_close(&subscriber, 0);
    leat_socket_close(&router, 0);
    leat_socket_close(&publisher, 0);
    zmq_ctx_term(zmq);
}

/* Else it would hold a descriptor for the 30 s that libzmq would give it. */
static void who_connects_and_does_not_go_on_is_given_10_s_at_every_socket(void **state)
{
    (void)state;
    const uint8_t topic[LEAT_ID_SIZE] = {0};
    static const char any[] = "tcp://127.0.0.1:*";
    struct leat_error err;
    void *zmq = zmq_ctx_new();
    void *sockets[] = {leat_socket_inbox(zmq, NULL, any, "s", 1000, &err),
                       leat_socket_output(zmq, NULL, &err),
                       leat_socket_side_output(zmq, NULL, &err),
                       leat_socket_publisher(zmq, NULL, any, "s", &err),
                       leat_socket_subscriber(zmq, NULL, topic, &err),
                       leat_socket_router(zmq, NULL, any, "s", 1000, 72, 128, &err)};
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        assert_non_null(sockets[i]);
        assert_int_equal(option(sockets[i], ZMQ_HANDSHAKE_IVL), 10000);
        leat_socket_close(&sockets[i], 0);
    }
    zmq_ctx_term(zmq);
}

/* --- ids ---------------------------------------------------------------------------------------
 */

/* A client that gave itself the id that libzmq had for the next ended the process. */
static void nobody_can_tell_the_ids_of_clients_beforehand(void **state)
{
    (void)state;
    struct leat_error err;
    void *zmq = zmq_ctx_new();
    srand(1); /* as every process begins */
    uint32_t foreseen = (uint32_t)rand();
    srand(1);
    void *router = leat_socket_router(zmq, NULL, "inproc://door", "s", 1000, ASKED, 128, &err);
    void *client = zmq_socket(zmq, ZMQ_DEALER);
    assert_non_null(router);
    assert_int_equal(zmq_connect(client, "inproc://door"), 0);
    assert_int_equal(zmq_send(client, "", 0, 0), 0);
    uint8_t id[5];
    assert_int_equal(zmq_recv(router, id, sizeof id, 0), sizeof id);
    uint32_t given = (uint32_t)id[1] << 24 | (uint32_t)id[2] << 16 | (uint32_t)id[3] << 8 | id[4];
    assert_int_not_equal(given, foreseen);
    leat_socket_close(&client, 0);
    leat_socket_close(&router, 0);
    zmq_ctx_term(zmq);
}

/* --- a client that sets heartbeats ------------------------------------------------------------ */

/* Greeting and READY of a DEALER (ZMTP 3.1, NULL: RFC 23 and 37), and what ROUTER says to that. */
static int zmtp_connect(void *router)
{
    char at[64];
    size_t size = sizeof at;
    assert_int_equal(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, at, &size), 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(at, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);

    char greeting[ZMTP_GREETING] = {[0] = '\xff', [9] = '\x7f', 3, 1, 'N', 'U', 'L', 'L'};
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
                                "DEALER";
    assert_int_equal(send(fd, greeting, sizeof greeting, 0), sizeof greeting);
    assert_int_equal(recv(fd, greeting, sizeof greeting, MSG_WAITALL), sizeof greeting);
    assert_int_equal(send(fd, ready, sizeof ready - 1, 0), sizeof ready - 1);
    uint8_t head[2], body[255];
    assert_int_equal(recv(fd, head, sizeof head, MSG_WAITALL), sizeof head);
    assert_int_equal(head[0], ZMTP_COMMAND);
    assert_int_equal(recv(fd, body, head[1], MSG_WAITALL), head[1]);
    return fd;
}

static void zmtp_say(int fd, size_t hellos, bool heartbeat)
{
    static const char frame[2 + HELLO_BYTES] = "\0\x05hello", ping[] = "\x04\x07\x04PING\0\0";
    char all[ASKED * sizeof frame + sizeof ping - 1];
    size_t size = 0;
    for (size_t i = 0; i < hellos; i++, size += sizeof frame)
        memcpy(all + size, frame, sizeof frame);
    if (heartbeat) {
        memcpy(all + size, ping, sizeof ping - 1);
        size += sizeof ping - 1;
    }
    assert_int_equal(send(fd, all, size, 0), size);
}

static void read_hellos(void *router, size_t n)
{
    char id[8], body[HELLO_BYTES];
    for (size_t i = 0; i < n; i++) {
        assert_true(zmq_recv(router, id, sizeof id, 0) > 0);
        assert_int_equal(zmq_recv(router, body, sizeof body, ZMQ_DONTWAIT), HELLO_BYTES);
    }
}

/* It was ended by "Assertion failed: !_io_error": the heartbeat lay behind frames that had no room,
 * and their connection was gone. */
static void a_client_that_dies_behind_its_heartbeat_ends_nobody(void **state)
{
    (void)state;
    struct leat_error err;
    void *zmq = zmq_ctx_new();
    void *router = leat_socket_router(zmq, NULL, "tcp://127.0.0.1:*", "s", 1000, ASKED, 128, &err);
    assert_non_null(router);
    void *monitor = zmq_socket(zmq, ZMQ_PAIR);
    int noticed = NOTICED_S * 1000;
    assert_int_equal(zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &noticed, sizeof noticed), 0);
    assert_int_equal(zmq_socket_monitor(router, "inproc://monitor", ZMQ_EVENT_DISCONNECTED), 0);
    assert_int_equal(zmq_connect(monitor, "inproc://monitor"), 0);

    int fd = zmtp_connect(router);
    zmtp_say(fd, READ_BEFORE, false);
    read_hellos(router, READ_BEFORE);
    zmtp_say(fd, ASKED, true);
    /* Its answer comes only when all before it had room; a reset would take back what was not read
     * yet. */
    const struct timeval patience = {.tv_sec = NOTICED_S};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    char pong[7];
    bool answered = recv(fd, pong, sizeof pong, MSG_WAITALL) == sizeof pong;
    const struct linger reset = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);

    char event[6];
    zmq_recv(monitor, event, sizeof event, 0);
    read_hellos(router, ASKED);
    assert_true(answered);
    zmq_socket_monitor(router, NULL, 0);
    leat_socket_close(&monitor, 0);
    leat_socket_close(&router, 0);
    zmq_ctx_term(zmq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_be_full_asks_for_no_heartbeats),
        cmocka_unit_test(who_connects_and_does_not_go_on_is_given_10_s_at_every_socket),
        cmocka_unit_test(nobody_can_tell_the_ids_of_clients_beforehand),
        cmocka_unit_test(a_client_that_dies_behind_its_heartbeat_ends_nobody),
    };
    return cmocka_run_group_tests_name("sockets", tests, NULL, NULL);
}
