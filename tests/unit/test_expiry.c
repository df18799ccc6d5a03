/* When silent clients may be forgotten, with clocks that the tests turn by hand. */
#include "services/ingest/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "services/runtime/log.h"

#define SECOND INT64_C(1000000)
#define TTL    (60 * SECOND)

/* Lets both clocks go on, a second a turn; how often clients would have been looked at. */
static int pass(struct expiry *it, int64_t *clock, int64_t *now, int seconds)
{
    int looks = 0;
    for (int i = 0; i < seconds; i++) {
        *clock += SECOND;
        *now += SECOND;
        looks += expiry_due(it, *clock, *now, TTL);
    }
    return looks;
}

static void clients_are_looked_at_from_time_to_time(void **state)
{
    (void)state;
    struct expiry it = {0};
    int64_t clock = 1000 * SECOND, now = 5 * SECOND;
    assert_true(expiry_due(&it, clock, now, TTL));
    assert_int_equal(pass(&it, &clock, &now, 100), 10);
}

static void a_clock_that_was_set_forward_makes_nobody_old(void **state)
{
    (void)state;
    struct expiry it = {0};
    int64_t clock = 1000 * SECOND, now = 5 * SECOND;
    pass(&it, &clock, &now, 100);
    clock += 50LL * 365 * 86400 * SECOND; /* a board without a battery has found the time */
    assert_int_equal(pass(&it, &clock, &now, 60), 0);
    assert_in_range(pass(&it, &clock, &now, 60), 5, 6);
}

static void a_clock_that_was_set_back_or_drifts_is_no_reason_to_wait(void **state)
{
    (void)state;
    struct expiry it = {0};
    int64_t clock = 1000 * SECOND, now = 5 * SECOND;
    pass(&it, &clock, &now, 10);
    clock -= 500 * SECOND;
    assert_int_equal(pass(&it, &clock, &now, 100), 10);
    for (int i = 0; i < 100; i++) {
        clock += SECOND / 2;
        pass(&it, &clock, &now, 1);
    }
    assert_int_equal(pass(&it, &clock, &now, 100), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_looked_at_from_time_to_time),
        cmocka_unit_test(a_clock_that_was_set_forward_makes_nobody_old),
        cmocka_unit_test(a_clock_that_was_set_back_or_drifts_is_no_reason_to_wait),
    };
    leat_log_set_level(LEAT_ERR);
    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
