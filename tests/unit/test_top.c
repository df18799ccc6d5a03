#include "services/leat/cut.h"
#include "services/leat/http_get.h"
#include "services/leat/top_sample.h"
#include "services/leat/top_screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char metrics[] = "# HELP leat_stage_records_in_total Records.\n"
                              "# TYPE leat_stage_records_in_total counter\n"
                              "leat_stage_records_in_total{stage=\"classify\"} 1000\n"
                              "leat_stage_batches_in_total{stage=\"classify\"} 10\n"
                              "leat_stage_dropped_total{stage=\"classify\",reason=\"side\"} 7\n"
                              "leat_stage_dropped_total{stage=\"classify\",reason=\"kind\"} 2\n"
                              "leat_stage_dropped_total{stage=\"classify\",reason=\"refused\"} 3\n"
                              "leat_ready{stage=\"classify\"} 1\n"
                              "leat_ingest_oldest_unacknowledged_seconds{kind=\"series\"} 1.5\n"
                              "leat_ingest_oldest_unacknowledged_seconds{kind=\"text\"} 0.5\n"
                              "leat_ingest_records_accepted_total{kind=\"series\"} 20\n"
                              "leat_ingest_records_accepted_total{kind=\"text\"} 3\n"
                              "process_resident_memory_bytes 16347136\n";

static void figures_are_read_by_stage(void **state)
{
    (void)state;
    struct top_sample *sample = calloc(1, sizeof *sample);
    top_sample_read(sample, "a:1", 5, metrics);
    assert_int_equal(sample->n, 2);
    const struct top_stage *classify = top_sample_find(sample, "a:1", "classify");
    const struct top_stage *ingest = top_sample_find(sample, "a:1", "ingest");
    assert_true(classify && ingest && !top_sample_find(sample, "b:1", "ingest"));
    assert_true(classify->figures[TOP_RECORDS_IN] == 1000 && classify->at_us == 5);
    assert_true(classify->figures[TOP_ERRORS] == 5); /* a side output that is full is none */
    assert_true(ingest->figures[TOP_OLDEST] == 1.5);
    assert_true(ingest->figures[TOP_RECORDS_IN] == 23);
    free(sample);
}

static void what_is_no_metric_is_passed_by(void **state)
{
    static const char *const texts[] = {"",
                                        "\n\n",
                                        "{",
                                        " ",
                                        "}{ \" 1",
                                        "leat_ready{stage=\"",
                                        "leat_ready{stage=\"x\"}",
                                        "leat_ready{stage=\"x\"} y",
                                        "leat_ready 1",
                                        "leat_ready{} 1",
                                        "leat_ready{stage=\"\"} 1",
                                        "<html>404</html>"};
    (void)state;
    struct top_sample *sample = calloc(1, sizeof *sample);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        top_sample_read(sample, "a:1", 0, texts[i]);
    char *line = malloc(100000);
    memset(line, 'x', 99999);
    line[99999] = '\0';
    top_sample_read(sample, "a:1", 0, line);
    assert_int_equal(sample->n, 0);
    for (int i = 0; i < 2 * TOP_STAGES_MAX; i++) {
        snprintf(line, 100, "leat_ready{stage=\"%c%c\"} 1", 'a' + i % 26, 'a' + i / 26 % 26);
        char where[16];
        snprintf(where, sizeof where, "a:%d", i);
        top_sample_read(sample, where, 0, line);
    }
    assert_int_equal(sample->n, TOP_STAGES_MAX);
    free(line);
    free(sample);
}

/* They come from whatever listens there, and are made whole numbers and widths of bars. */
static void figures_that_nothing_counts_are_not_taken(void **state)
{
    (void)state;
    struct top_sample *sample = calloc(1, sizeof *sample);
    top_sample_read(sample, "a:1", 0,
                    "leat_ingest_records_accepted_total nan\n"
                    "leat_ingest_in_flight_batches -1e300\n"
                    "leat_ingest_oldest_unacknowledged_seconds -2\n");
    assert_int_equal(sample->n, 0);
    top_sample_read(sample, "a:1", 0,
                    "leat_ingest_journal_bytes inf\n"
                    "leat_ingest_journal_bytes 1\n"
                    "leat_ingest_oldest_unacknowledged_seconds 1e300\n");
    const struct top_stage *ingest = top_sample_find(sample, "a:1", "ingest");
    assert_non_null(ingest);
    assert_true(ingest->figures[TOP_JOURNAL] == 1e15 && ingest->figures[TOP_OLDEST] == 1e15);
    free(sample);
}

/* Whoever asks takes 0 for no answer, with a reason. */
static void an_answer_without_a_status_is_none(void **state)
{
    static const char *const none[] = {"",
                                       "HTTP/1.1 200 OK\r\n",
                                       "HTTP/1.1 000\r\n\r\n",
                                       "HTTP/1.1 -12\r\n\r\n",
                                       "HTTP/1.1 99\r\n\r\n",
                                       "HTTP/1.2 200\r\n\r\n",
                                       "leat\r\n\r\n"};
    const char *body = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(http_answer_read(none[i], &body), 0);
    assert_int_equal(http_answer_read("HTTP/1.1 503 No\r\nA: b\r\n\r\nno\n", &body), 503);
    assert_string_equal(body, "no\n");
}

static char *drawn(const struct top_sample *before, const struct top_sample *now, bool each)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct top_screen screen = {.each = each};
    render_init(&screen.to, out);
    top_screen_draw(&screen, before, now);
    fclose(out);
    return text;
}

static void has(char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("expected \"%s\" in\n%s", wanted, text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 80);
    free(text);
}

static void rates_are_of_all_instances_together(void **state)
{
    (void)state;
    struct top_sample *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    top_sample_read(a, "a:1", 1000000, metrics);
    top_sample_read(a, "b:1", 1000000, metrics);
    top_sample_read(b, "a:1", 3000000, metrics);
    top_sample_read(b, "b:1", 3000000,
                    "leat_stage_records_in_total{stage=\"classify\"} 5000\n"
                    "leat_stage_batches_in_total{stage=\"classify\"} 50\n"
                    "leat_stage_dropped_total{stage=\"classify\",reason=\"kind\"} 6\n"
                    "leat_stage_work_seconds_total{stage=\"classify\"} 0.5\n"
                    "leat_stage_wait_input_seconds_total{stage=\"classify\"} 1.5\n");
    /* 4000 records and 40 batches in 2 s; one of the two is not ready. */
    has(drawn(a, b, false),
        "classify   1/2      2000        0     100      0       -   25%  75%   0%     11+");
    has(drawn(a, b, true), "  b:1");
    /* Nothing before: what is known now, and no rates. */
    has(drawn(NULL, b, false), "classify   1/2         -        -       -      0       -     -");
    /* b:1 was started again, its counters begin anew: only a:1 has a rate, of 0. */
    a->n = 0;
    top_sample_read(a, "a:1", 4000000, metrics);
    top_sample_read(a, "b:1", 4000000, metrics);
    has(drawn(b, a, false), "classify     2         0        0       -      0       -     -");
    free(a);
    free(b);
}

/* Ingest: sends of all kinds, batches that came to their end, the oldest of all kinds. */
static void ingest_shows_what_is_on_its_way(void **state)
{
    (void)state;
    struct top_sample *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    top_sample_read(a, "a:1", 1000000,
                    "leat_ingest_records_accepted_total{kind=\"text\"} 1000\n"
                    "leat_ingest_records_accepted_total{kind=\"series\"} 20\n"
                    "leat_ingest_sends_total 10\n"
                    "leat_ingest_batches_acknowledged_total{kind=\"text\"} 4\n"
                    "leat_ingest_records_rejected_total{kind=\"text\"} 1\n");
    top_sample_read(b, "a:1", 3000000,
                    "leat_ready{stage=\"ingest\"} 1\n"
                    "leat_ingest_records_accepted_total{kind=\"text\"} 1200\n"
                    "leat_ingest_records_accepted_total{kind=\"series\"} 40\n"
                    "leat_ingest_sends_total 30\n"
                    "leat_ingest_batches_acknowledged_total{kind=\"text\"} 22\n"
                    "leat_ingest_records_rejected_total{kind=\"text\"} 3\n"
                    "leat_ingest_in_flight_batches{kind=\"text\"} 5\n"
                    "leat_ingest_in_flight_batches{kind=\"series\"} 2\n"
                    "leat_ingest_oldest_unacknowledged_seconds{kind=\"text\"} 0.5\n"
                    "leat_ingest_oldest_unacknowledged_seconds{kind=\"series\"} 31.5\n"
                    "leat_ingest_journal_bytes 268435456\n"
                    "leat_ingest_journal_max_bytes 1073741824\n");
    /* 220 records in 20 sends in 2 s, and 18 batches back. */
    has(drawn(a, b, false),
        "ingest       1       110        9b     11      7   31.5s     -    -    -      3+");
    has(drawn(a, b, false), "256 MB of 1.0 GB");
    has(drawn(NULL, b, false),
        "ingest       1         -        -       -      7   31.5s     -    -    -      3");
    /* Two of them: the sums, and the oldest of both. */
    top_sample_read(a, "b:1", 1000000, "leat_ingest_sends_total 1\n");
    top_sample_read(b, "b:1", 3000000,
                    "leat_ready{stage=\"ingest\"} 1\n"
                    "leat_ingest_records_accepted_total{kind=\"text\"} 180\n"
                    "leat_ingest_sends_total 21\n"
                    "leat_ingest_in_flight_batches{kind=\"text\"} 9\n"
                    "leat_ingest_oldest_unacknowledged_seconds{kind=\"text\"} 120\n");
    has(drawn(a, b, false),
        "ingest       2       200        9b     10     16      2m     -    -    -      3+");
    free(a);
    free(b);
}

/* Persist: what is stored goes out; what is dead is an error. */
static void persist_shows_what_is_stored(void **state)
{
    (void)state;
    struct top_sample *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    top_sample_read(a, "a:1", 1000000,
                    "leat_stage_records_in_total{stage=\"persist\"} 500\n"
                    "leat_stage_batches_in_total{stage=\"persist\"} 5\n"
                    "leat_persist_records_total{result=\"committed\"} 300\n"
                    "leat_persist_records_total{result=\"dead\"} 2\n");
    top_sample_read(b, "a:1", 3000000,
                    "leat_ready{stage=\"persist\"} 1\n"
                    "leat_stage_records_in_total{stage=\"persist\"} 3500\n"
                    "leat_stage_batches_in_total{stage=\"persist\"} 17\n"
                    "leat_stage_in_hand_batches{stage=\"persist\"} 3\n"
                    "leat_stage_work_seconds_total{stage=\"persist\"} 1.6\n"
                    "leat_stage_wait_input_seconds_total{stage=\"persist\"} 0.4\n"
                    "leat_persist_records_total{result=\"committed\"} 2800\n"
                    "leat_persist_records_total{result=\"dead\"} 6\n");
    has(drawn(a, b, false),
        "persist      1      1500     1250     250      3       -   80%  20%   0%      6+");
    free(a);
    free(b);
}

static void cuts_to(const char *line, int columns, const char *wanted)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cut_line(out, line, strlen(line), columns);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static void a_line_is_cut_by_columns_and_its_colours_end(void **state)
{
    (void)state;
    cuts_to("", 3, "");
    cuts_to("abc", 3, "abc");
    cuts_to("abcd", 3, "abc");
    cuts_to("\xe2\x96\x88\xe2\x96\x88-", 2, "\xe2\x96\x88\xe2\x96\x88");
    cuts_to("\x1b[31mabcd\x1b[0m", 2, "\x1b[31mab\x1b[0m");
    cuts_to("ab\x1b[3", 2, "ab\x1b[3");
}

static void screens_as(const char *lines, int rows, const char *wanted)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cut_screen(out, lines, 20, rows);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static void lines_without_a_row_are_counted(void **state)
{
    (void)state;
    screens_as("", 24, "\x1b[H\x1b[J");
    screens_as("a\nb\nc\n", 4, "\x1b[H\x1b[Ka\n\x1b[Kb\n\x1b[Kc\n\x1b[J");
    screens_as("a\nb\nc\n", 3, "\x1b[H\x1b[Ka\n\x1b[K... 2 more lines\n\x1b[J");
    screens_as("a\nb\nc\n", 1, "\x1b[H\x1b[K... 3 more lines\n\x1b[J");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_read_by_stage),
        cmocka_unit_test(what_is_no_metric_is_passed_by),
        cmocka_unit_test(figures_that_nothing_counts_are_not_taken),
        cmocka_unit_test(an_answer_without_a_status_is_none),
        cmocka_unit_test(rates_are_of_all_instances_together),
        cmocka_unit_test(ingest_shows_what_is_on_its_way),
        cmocka_unit_test(persist_shows_what_is_stored),
        cmocka_unit_test(a_line_is_cut_by_columns_and_its_colours_end),
        cmocka_unit_test(lines_without_a_row_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
