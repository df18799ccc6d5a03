/* The topic file: refused with its place, or compiled; and then texts are scored within bounds. */
#include "services/classify/topics.h"
#include "tests/fuzz/targets.h"

#include <string.h>

static void check_scores(const struct topics *topics, struct topics_scratch *scratch,
                         struct leat_span text)
{
    struct topics_match found[TOPICS_MOST];
    size_t n = topics_score(topics, scratch, (const char *)text.data, text.size, NULL, found);
    FUZZ_CHECK(n <= TOPICS_MOST);
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(found[i].confidence >= 0.2 && found[i].confidence <= 1);
        FUZZ_CHECK(i == 0 || found[i].confidence <= found[i - 1].confidence);
        FUZZ_CHECK(strcmp(found[i].key, topics_key(topics, found[i].index)) == 0);
    }
}

void fuzz_topics(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    struct topics *topics =
        topics_parse((const char *)input.data, input.size, "topics.json", NULL, &err);
    FUZZ_CHECK(topics || strncmp(err.text, "topics.json: ", 13) == 0);
    if (!topics)
        return;
    struct topics_scratch *scratch = topics_scratch_open(topics);
    check_scores(topics, scratch, input); /* every keyword stands in it */
    check_scores(topics, scratch, fuzz_text("rents rise, Straße \xc4\xb0 rent control"));
    check_scores(topics, scratch, (struct leat_span){input.data, input.size / 2});
    topics_scratch_close(&scratch);
    topics_close(&topics);
}
