/* What a provider of embeddings answers: refused with a reason, or vectors of length 1, all as wide
 * as was said; and what it complains of is one line of text. */
#include "services/classify/provider/answer.h"
#include "tests/fuzz/targets.h"

#include <math.h>
#include <string.h>

enum { WIDEST = 16, TEXTS_MOST = 3 };

static void check_vectors(const struct answer *answer, size_t n)
{
    static float vectors[TEXTS_MOST * WIDEST];
    struct leat_error err = {.text = ""};
    size_t width = answer_width(answer);
    FUZZ_CHECK(width >= 1 && width <= WIDEST);
    if (!answer_take(answer, vectors, &err)) {
        FUZZ_CHECK(*err.text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t k = 0; k < width; k++)
            square += (double)vectors[i * width + k] * (double)vectors[i * width + k];
        FUZZ_CHECK(fabs(square - 1) < 1e-3);
    }
}

void fuzz_answer(struct leat_span input)
{
    const char *json = (const char *)input.data;
    char said[160];
    for (size_t n = 1; n <= TEXTS_MOST; n++) {
        struct leat_error err = {.text = ""};
        struct answer *answer = answer_open(json, input.size, n, 0, WIDEST, &err);
        FUZZ_CHECK(answer || *err.text);
        if (answer)
            check_vectors(answer, n);
        answer_close(&answer);
    }
    answer_complaint(json, input.size, "", said);
    FUZZ_CHECK(leat_wire_text_ok(fuzz_text(said)) && !strchr(said, '\n'));
    answer_complaint(json, input.size, "a", said);
    FUZZ_CHECK(!strchr(said, 'a'));
}
