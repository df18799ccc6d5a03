/* What stages found, as persist reads it: results of texts and weights are packed the same again;
 * what a series' result says is there is within its bytes. */
#include "services/flows/series/result.h"
#include "services/flows/text/result.h"
#include "tests/fuzz/targets.h"

#include <math.h>

static void check_result(struct leat_span input, msgpack_zone *zone)
{
    struct text_result first, second;
    struct leat_error err;
    msgpack_sbuffer one, two;
    if (!text_result_read(input, zone, &first, &err))
        return;
    uint64_t sum = 0;
    for (int i = 0; i < TEXT_EMOTIONS; i++)
        sum += first.distribution[i];
    FUZZ_CHECK(sum == 1000000);
    FUZZ_CHECK(first.n_emotions <= TEXT_MAX_LABELS && first.n_topics <= TEXT_MAX_TOPICS);
    FUZZ_CHECK(isfinite(first.sentiment_score) && isfinite(first.emotion_score));
    FUZZ_CHECK(leat_wire_text_ok(first.model) && leat_wire_text_ok(first.emotion_label));
    msgpack_sbuffer_init(&one);
    msgpack_sbuffer_init(&two);
    text_result_pack(&first, &one);
    FUZZ_CHECK(text_result_read(fuzz_packed(&one), zone, &second, &err));
    text_result_pack(&second, &two);
    FUZZ_CHECK(fuzz_same(fuzz_packed(&one), fuzz_packed(&two)));
    msgpack_sbuffer_destroy(&one);
    msgpack_sbuffer_destroy(&two);
}

static void check_weights(struct leat_span input)
{
    struct text_weights weights;
    struct leat_error err;
    msgpack_sbuffer again;
    if (!text_weights_read(input, &weights, &err))
        return;
    FUZZ_CHECK(isfinite(weights.influence) && isfinite(weights.confidence));
    msgpack_sbuffer_init(&again);
    text_weights_pack(&weights, &again);
    FUZZ_CHECK(fuzz_same(fuzz_packed(&again), input));
    msgpack_sbuffer_destroy(&again);
}

static void check_inside(struct leat_span input, const uint8_t *at, size_t size)
{
    FUZZ_CHECK(at >= input.data && size <= input.size);
    FUZZ_CHECK(at + size <= input.data + input.size);
}

static void check_series(struct leat_span input, msgpack_zone *zone)
{
    struct series_result found;
    struct leat_error err;
    if (!series_result_read(input, zone, &found, &err))
        return;
    FUZZ_CHECK(found.n_windows <= SERIES_WINDOWS_MOST && found.n_domains <= SERIES_NAMES_MOST);
    for (size_t i = 0; i < found.n_domains; i++) {
        size_t values = found.rows * sizeof(double);
        check_inside(input, found.domains[i].values, values);
        check_inside(input, found.domains[i].figures, values * found.n_windows * SERIES_METRICS);
    }
}

void fuzz_result(struct leat_span input)
{
    msgpack_zone zone;
    msgpack_zone_init(&zone, 4096);
    check_result(input, &zone);
    check_weights(input);
    check_series(input, &zone);
    msgpack_zone_destroy(&zone);
}
