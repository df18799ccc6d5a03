/* The bounded table of connections. */
#include "services/ingest/sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 8 };

static int setup(void **state)
{
    *state = sessions_new(MOST);
    return 0;
}

static int teardown(void **state)
{
    sessions_destroy((struct sessions **)state);
    return 0;
}

static struct leat_span peer(const char *name)
{
    return (struct leat_span){(const uint8_t *)name, strlen(name)};
}

static void a_connection_is_found_by_its_routing_id(void **state)
{
    struct sessions *s = *state;
    assert_null(sessions_find(s, peer("a"), 1));
    struct session *a = sessions_add(s, peer("a"), 1);
    struct session *b = sessions_add(s, peer("ab"), 1);
    assert_ptr_equal(sessions_find(s, peer("a"), 2), a);
    assert_ptr_equal(sessions_find(s, peer("ab"), 2), b);
    assert_int_equal(a->heard_at, 2);
    sessions_drop(s, a);
    assert_null(sessions_find(s, peer("a"), 3));
    assert_ptr_equal(sessions_find(s, peer("ab"), 3), b);
    assert_int_equal(sessions_count(s), 1);
}

static void one_connection_speaks_for_a_client_at_a_time(void **state)
{
    struct sessions *s = *state;
    struct session *a = sessions_add(s, peer("a"), 1);
    struct session *b = sessions_add(s, peer("b"), 1);
    sessions_bind(s, a, 7, 100);
    assert_ptr_equal(sessions_of(s, 7), a);
    sessions_bind(s, b, 7, 101);
    assert_ptr_equal(sessions_of(s, 7), b);
    assert_true(a->fenced);
    assert_int_equal(a->session, 100);
    sessions_drop(s, a);
    assert_ptr_equal(sessions_of(s, 7), b);
    sessions_bind(s, b, 8, 102);
    assert_null(sessions_of(s, 7));
    assert_ptr_equal(sessions_of(s, 8), b);
    sessions_unbind(s, b);
    assert_null(sessions_of(s, 8));
    assert_int_equal(b->client, 0);
}

static void a_fenced_connection_may_speak_again(void **state)
{
    struct sessions *s = *state;
    struct session *a = sessions_add(s, peer("a"), 1);
    struct session *b = sessions_add(s, peer("b"), 1);
    sessions_bind(s, a, 7, 100);
    sessions_bind(s, b, 7, 101);
    sessions_bind(s, a, 7, 102);
    assert_false(a->fenced);
    assert_true(b->fenced);
    assert_ptr_equal(sessions_of(s, 7), a);
}

static void the_one_heard_of_longest_ago_makes_room(void **state)
{
    struct sessions *s = *state;
    char name[32];
    for (int i = 0; i < MOST; i++) {
        snprintf(name, sizeof name, "%d", i);
        sessions_bind(s, sessions_add(s, peer(name), i), (uint64_t)i + 1, 1);
    }
    sessions_find(s, peer("0"), 100);
    assert_non_null(sessions_add(s, peer("new"), 101));
    assert_int_equal(sessions_count(s), MOST);
    assert_null(sessions_find(s, peer("1"), 102));
    assert_null(sessions_of(s, 2));
    assert_non_null(sessions_find(s, peer("0"), 102));
}

static void one_with_answers_waiting_does_not(void **state)
{
    struct sessions *s = *state;
    char name[32];
    for (int i = 0; i < MOST; i++) {
        snprintf(name, sizeof name, "%d", i);
        sessions_add(s, peer(name), i)->waiting = 1;
    }
    assert_null(sessions_add(s, peer("new"), 100));
    assert_int_equal(sessions_count(s), MOST);
}

static void a_walk_meets_all_of_them(void **state)
{
    struct sessions *s = *state;
    assert_null(sessions_next(s));
    struct session *a = sessions_add(s, peer("a"), 1);
    struct session *b = sessions_add(s, peer("b"), 1);
    struct session *c = sessions_add(s, peer("c"), 1);
    sessions_drop(s, b);
    struct session *first = sessions_next(s), *second = sessions_next(s);
    assert_true((first == a && second == c) || (first == c && second == a));
    assert_ptr_equal(sessions_next(s), first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_found_by_its_routing_id),
        TEST(one_connection_speaks_for_a_client_at_a_time),
        TEST(a_fenced_connection_may_speak_again),
        TEST(the_one_heard_of_longest_ago_makes_room),
        TEST(one_with_answers_waiting_does_not),
        TEST(a_walk_meets_all_of_them),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
