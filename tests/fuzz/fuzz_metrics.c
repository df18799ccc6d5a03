/* What a process answers `leat top` at /metrics: it has a status or is refused; stages have a name
 * each and figures that can be drawn, and it makes no difference whether lines come at once or in
 * two answers. */
#include "services/leat/http_get.h"
#include "services/leat/top_screen.h"
#include "tests/fuzz/targets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHERE "a:1"

static char *text_of(struct leat_span bytes)
{
    char *text = calloc(1, bytes.size + 1);
    FUZZ_CHECK(text != NULL);
    if (bytes.size)
        memcpy(text, bytes.data, bytes.size);
    return text;
}

static void check_stages(const struct top_sample *sample)
{
    FUZZ_CHECK(sample->n <= TOP_STAGES_MAX);
    for (size_t i = 0; i < sample->n; i++) {
        const struct top_stage *stage = &sample->stages[i];
        FUZZ_CHECK(stage->name[0] && strnlen(stage->name, TOP_STAGE) < TOP_STAGE);
        FUZZ_CHECK(strspn(stage->name, "abcdefghijklmnopqrstuvwxyz_") == strlen(stage->name));
        FUZZ_CHECK(top_sample_find(sample, WHERE, stage->name) == stage);
        for (int f = 0; f < TOP_FIGURES; f++)
            FUZZ_CHECK(isfinite(stage->figures[f]) && stage->figures[f] >= 0);
    }
}

static void check_same(const struct top_sample *a, const struct top_sample *b)
{
    FUZZ_CHECK(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        FUZZ_CHECK(strcmp(a->stages[i].name, b->stages[i].name) == 0);
        FUZZ_CHECK(
            memcmp(a->stages[i].figures, b->stages[i].figures, sizeof a->stages[i].figures) == 0);
    }
}

static void draw(const struct top_sample *before, const struct top_sample *now, bool each)
{
    char *drawn = NULL;
    size_t size = 0;
    const struct top_screen screen = {
        .to = {.out = open_memstream(&drawn, &size), .utf8 = each, .width = 80}, .each = each};
    FUZZ_CHECK(screen.to.out != NULL);
    top_screen_draw(&screen, before, now);
    FUZZ_CHECK(fclose(screen.to.out) == 0 && leat_wire_text_ok(fuzz_text(drawn)));
    free(drawn);
}

static void check_answer(const char *text)
{
    const char *body = text;
    int status = http_answer_read(text, &body);
    FUZZ_CHECK(status == 0 || (status >= 100 && status <= 999));
    FUZZ_CHECK(status == 0 || (body - text >= 4 && memcmp(body - 4, "\r\n\r\n", 4) == 0));
}

void fuzz_metrics(struct leat_span input)
{
    static struct top_sample first, whole;
    char *text = text_of(input);
    size_t half = strcspn(text, "\f"); /* a byte that dictionaries and seeds can place */
    first.n = whole.n = 0;
    check_answer(text);
    if (text[half])
        text[half] = '\n';
    top_sample_read(&whole, WHERE, 2000000, text);
    check_stages(&whole);
    char *rest = text_of(fuzz_text(text + half));
    text[half] = '\0';
    top_sample_read(&first, WHERE, 1000000, text);
    draw(&first, &whole, false);
    draw(&first, &whole, true);
    top_sample_read(&first, WHERE, 1000000, rest);
    check_same(&first, &whole);
    free(rest);
    free(text);
}
