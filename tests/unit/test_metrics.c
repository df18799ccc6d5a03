#include "services/runtime/log.h"
#include "services/runtime/metrics.h"
#include "tests/unit/rig.h"

#include <pthread.h>
#include <sys/wait.h>

static struct leat_metric *counter(struct leat_metrics *self, const char *name, const char *labels)
{
    return leat_metrics_add(self, LEAT_COUNTER, LEAT_UNIT_COUNT, name, labels, "Things.");
}

static void the_same_name_and_labels_are_one_metric(void **state)
{
    (void)state;
    struct leat_metrics *self = leat_metrics_new(NULL);
    assert_ptr_equal(counter(self, "a_total", "x=\"1\""), counter(self, "a_total", "x=\"1\""));
    assert_ptr_not_equal(counter(self, "a_total", "x=\"1\""), counter(self, "a_total", "x=\"2\""));
    leat_metrics_destroy(&self);
    leat_metrics_destroy(&self);
}

static void the_text_is_sorted_and_headed_once(void **state)
{
    (void)state;
    size_t size;
    struct leat_metrics *self = leat_metrics_new(NULL);
    leat_metric_inc(counter(self, "leat_b_total", "stage=\"x\""), 3);
    leat_metric_set(leat_metrics_add(self, LEAT_GAUGE, LEAT_UNIT_US, "leat_a_seconds", "",
                                     "One\nline \\ more."),
                    1500000);
    leat_metric_inc(counter(self, "leat_b_total", "stage=\"a\""), 1);
    char *text = leat_metrics_text(self, &size);
    assert_string_equal(text, "# HELP leat_a_seconds One\\nline \\\\ more.\n"
                              "# TYPE leat_a_seconds gauge\n"
                              "leat_a_seconds 1.500000\n"
                              "# HELP leat_b_total Things.\n"
                              "# TYPE leat_b_total counter\n"
                              "leat_b_total{stage=\"a\"} 1\n"
                              "leat_b_total{stage=\"x\"} 3\n");
    assert_int_equal(size, strlen(text));
    free(text);
    leat_metrics_destroy(&self);
}

static void another_process_counts_into_the_same(void **state)
{
    (void)state;
    struct leat_metrics *self = leat_metrics_new(NULL);
    counter(self, "a_total", "");
    pid_t pid = fork();
    if (pid == 0) {
        struct leat_metrics *theirs = leat_metrics_attach(dup(leat_metrics_fd(self)), NULL);
        leat_metric_inc(counter(theirs, "a_total", ""), 5);
        leat_metric_inc(counter(theirs, "b_total", ""), 7);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    assert_int_equal(leat_metric_get(counter(self, "a_total", "")), 5);
    assert_int_equal(leat_metric_get(counter(self, "b_total", "")), 7);
    leat_metrics_destroy(&self);
}

enum { THREADS = 4, NAMES = 50, ROUNDS = 200 };

static void *add_many(void *arg)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < NAMES; i++) {
            char name[32];
            snprintf(name, sizeof name, "m%d_total", i);
            leat_metric_inc(counter(arg, name, ""), 1);
        }
    return NULL;
}

static void threads_that_add_the_same_meet(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct leat_metrics *self = leat_metrics_new(NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_many, self);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < NAMES; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%d_total", i);
        assert_int_equal(leat_metric_get(counter(self, name, "")), THREADS * ROUNDS);
    }
    leat_metrics_destroy(&self);
}

static void a_full_table_still_gives_a_metric(void **state)
{
    (void)state;
    size_t size;
    struct leat_metrics *self = leat_metrics_new(NULL);
    leat_log_set_level(LEAT_ERR + 1);
    for (int i = 0; i < 1100; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%d_total", i);
        leat_metric_inc(counter(self, name, ""), 1);
    }
    char *text = leat_metrics_text(self, &size);
    assert_non_null(strstr(text, "m1023_total 1\n"));
    assert_null(strstr(text, "m1024_total"));
    free(text);
    leat_metrics_destroy(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_name_and_labels_are_one_metric),
        cmocka_unit_test(the_text_is_sorted_and_headed_once),
        cmocka_unit_test(another_process_counts_into_the_same),
        cmocka_unit_test(threads_that_add_the_same_meet),
        cmocka_unit_test(a_full_table_still_gives_a_metric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
