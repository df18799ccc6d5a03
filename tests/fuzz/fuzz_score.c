/* Texts of any bytes, scored with the model and the topics that ship: within bounds, and the same
 * again with memory that other texts have been through. */
#include "services/classify/linear.h"
#include "services/classify/topics.h"
#include "tests/fuzz/targets.h"

#include <string.h>

static struct linear *model;
static struct linear_scratch *scratch, *fresh;
static struct topics *topics;
static struct topics_scratch *topics_scratch;

/* From the root of the tree, as all tests run. */
static void open_all(void)
{
    struct leat_error err = {.text = ""};
    model = linear_open("services/classify/models/default.model",
                        "services/classify/models/default.json", &err);
    topics = topics_open("services/classify/topics.json", NULL, &err);
    FUZZ_CHECK(model && topics);
    scratch = linear_scratch_open(model, &err);
    topics_scratch = topics_scratch_open(topics);
    FUZZ_CHECK(scratch && topics_scratch);
}

void fuzz_score(struct leat_span input)
{
    struct linear_scores one, two;
    struct topics_match matches[TOPICS_MOST];
    struct leat_error err;
    const char *text = (const char *)input.data;
    if (!model)
        open_all();
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    linear_score(model, scratch, text, input.size, &one);
    fresh = linear_scratch_open(model, &err);
    linear_score(model, fresh, text, input.size, &two);
    linear_scratch_close(&fresh);
    FUZZ_CHECK(memcmp(one.label, two.label, sizeof one.label) == 0);
    FUZZ_CHECK(memcmp(one.sentiment, two.sentiment, sizeof one.sentiment) == 0);
    for (unsigned i = 0; i < linear_card(model)->label_count; i++)
        FUZZ_CHECK(one.label[i] >= 0 && one.label[i] <= 1);

    size_t n = topics_score(topics, topics_scratch, text, input.size, NULL, matches);
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(matches[i].confidence >= 0.2 && matches[i].confidence <= 1);
}
