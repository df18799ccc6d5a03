/* What the options of sockets protect from. */
#include "services/runtime/sockets.h"

#include <zmq.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
    void *router = leat_socket_router(zmq, NULL, "tcp://127.0.0.1:*", "s", 1000, 128, &err);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_be_full_asks_for_no_heartbeats),
    };
    return cmocka_run_group_tests_name("sockets", tests, NULL, NULL);
}
